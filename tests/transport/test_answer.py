"""The answer to a request: whole, strict and bounded, however its octets are cut."""

from __future__ import annotations

import gzip
from itertools import chain, repeat
from typing import NamedTuple

import h11
import pytest
from hypothesis import given, strategies as st

from faye_sync.errors import ConfigurationError, HandshakeError
from faye_sync.transport.answer import (
    BODY_LIMIT,
    HEAD_LIMIT,
    AnswerReader,
    Head,
    new_exchange,
    request_octets,
)
from faye_sync.transport.attempt import CalledOff
from tests.support.heads import CONNECTION, UPGRADE, head
from tests.support.wire import cut, one_by_one

ASKING = (("Host", "example.com"), ("Upgrade", "websocket"), ("Connection", "Upgrade"))
SWITCHING = head(UPGRADE, CONNECTION)
RECEIPT = 65536  # octets that a pipe gives at most at once


class Pieces:
    """A pipe that gives what a test says, then the end or an error; it knows no socket.

    Attributes:
        given: Octets that were taken from it.
    """

    def __init__(self, pieces, error: BaseException | None = None) -> None:
        self._pieces = iter(pieces)
        self._error = error
        self.given = 0

    def recv(self) -> bytes:
        piece = next(self._pieces, b"")
        if not piece and self._error is not None:
            raise self._error
        assert len(piece) <= RECEIPT
        self.given += len(piece)
        return piece

    def send_all(self, data: bytes) -> None:
        raise NotImplementedError


def reader_of(pipe: Pieces) -> AnswerReader:
    """A reader behind a request that asks for an upgrade."""
    conn = new_exchange()
    request_octets(conn, "GET", "/", ASKING)
    return AnswerReader(conn, pipe, "example.com")


def reading(*pieces: bytes, error: BaseException | None = None) -> AnswerReader:
    return reader_of(Pieces(pieces, error))


class Answer(NamedTuple):
    """All that a reader makes of some octets."""

    head: Head
    body: bytes
    trailing: bytes


def read(*pieces: bytes, error: BaseException | None = None) -> Answer:
    reader = reading(*pieces, error=error)
    found = reader.head()
    if found.status == 101:
        return Answer(found, b"", reader.trailing)
    return Answer(found, reader.body(), b"")


def receipts(octets: bytes) -> list[bytes]:
    """Cut octets as a pipe does, which gives as much as there is."""
    return [octets[start : start + RECEIPT] for start in range(0, len(octets), RECEIPT)]


def failure(*pieces: bytes, error: BaseException | None = None) -> str:
    """The text of the error in place of a head; what had come by then is not known."""
    with pytest.raises(HandshakeError) as caught:
        reading(*pieces, error=error).head()
    told = caught.value
    assert (told.status_code, told.headers, told.body, told.history) == (None, None, b"", ())
    return str(told)


# --- the request ----------------------------------------------------------------------------------


def test_a_request_is_written_as_it_was_given():
    octets = request_octets(new_exchange(), "GET", "/a?b=c", (*ASKING, ("X-Name", "h\xe9")))
    assert octets == (
        b"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nX-Name: h\xe9\r\n\r\n"
    )


NOT_SENT = {
    "crlf-in-a-value": ("GET", "/", (("X", "a\r\nY: b"),)),
    "lf-in-a-value": ("GET", "/", (("X", "a\nb"),)),
    "nul-in-a-value": ("GET", "/", (("X", "a\0b"),)),
    "blank-about-a-value": ("GET", "/", (("X", " a"),)),
    "crlf-in-a-name": ("GET", "/", (("X\r\nY", "a"),)),
    "blank-in-a-name": ("GET", "/", (("X Y", "a"),)),
    "colon-in-a-name": ("GET", "/", (("X:Y", "a"),)),
    "no-name": ("GET", "/", (("", "a"),)),
    "a-name-beyond-ascii": ("GET", "/", (("\xe9", "a"),)),
    "a-value-beyond-latin-1": ("GET", "/", (("X", "\u2603"),)),
    "a-lone-surrogate": ("GET", "/", (("X", "\ud800"),)),
    "crlf-in-the-target": ("GET", "/\r\nX: a", ()),
    "blank-in-the-target": ("GET", "/ HTTP/1.0", ()),
    "nul-in-the-target": ("GET", "/\0", ()),
    "no-target": ("GET", "", ()),
    "blank-in-the-method": ("GET /", "/", ()),
    "a-second-host": ("GET", "/", (("Host", "b"),)),
    "a-body-announced": ("GET", "/", (("Content-Length", "5"),)),
    "two-lengths": ("GET", "/", (("Content-Length", "5"), ("Content-Length", "6"))),
}


@pytest.mark.parametrize("method, target, more", NOT_SENT.values(), ids=NOT_SENT)
def test_what_cannot_stand_in_a_request_is_refused(method, target, more):
    with pytest.raises(ConfigurationError, match=r"^this request cannot be sent: "):
        request_octets(new_exchange(), method, target, (("Host", "a"), *more))


def test_a_request_without_a_host_is_refused():
    with pytest.raises(ConfigurationError, match="Missing mandatory Host"):
        request_octets(new_exchange(), "GET", "/", ())


TEXTS = st.text(st.characters(codec="latin-1"), max_size=20)


@given(TEXTS, st.lists(st.tuples(TEXTS, TEXTS), max_size=3))
def test_a_request_has_as_many_lines_as_it_was_given_or_is_none(target, more):
    fields = (("Host", "a"), *more)
    try:
        octets = request_octets(new_exchange(), "GET", target, fields)
    except ConfigurationError:
        return
    assert octets.split(b"\r\n")[len(fields) + 1 :] == [b"", b""]
    assert octets.count(b"\n") == octets.count(b"\r") == len(fields) + 2


# --- the head -------------------------------------------------------------------------------------


def test_a_101_ends_http_and_what_follows_is_kept_as_it_is():
    found = read(SWITCHING + b"\x81\x02hi")
    assert found.head.status == 101
    assert found.trailing == b"\x81\x02hi"


def test_a_head_is_read_as_it_came():
    octets = head(b"Server: h\xe9", b"set-cookie: a=1", b"Set-Cookie: b=2", b"Content-Length: 0")
    found = read(octets.replace(b"101 Switching Protocols", b"404 Nicht gefunden")).head
    assert (found.status, found.reason, found.http_version) == (404, "Nicht gefunden", "1.1")
    assert found.fields == (
        ("Server", "h\xe9"),
        ("set-cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Content-Length", "0"),
    )
    assert found.headers().getlist("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"2.0", b"9.9"])
def test_the_version_is_left_to_whoever_judges_the_head(version):
    status = b"HTTP/%s 101 Switching Protocols" % version
    assert read(head(status=status)).head.http_version == version.decode()


@pytest.mark.parametrize(
    "size",
    [0, 1, 16_000, 16_384, 65_536, 200_000],
)
def test_octets_behind_a_101_are_kept_whatever_their_number(size):
    octets = SWITCHING + bytes(size)
    assert read(*receipts(octets)[:1]).trailing == octets[len(SWITCHING) : RECEIPT]


def test_not_more_is_read_behind_a_101_than_came_with_it():
    pipe = Pieces([SWITCHING + b"\x81", b"\x02hi"])
    reader = reader_of(pipe)
    reader.head()
    assert reader.trailing == b"\x81"
    assert pipe.given == len(SWITCHING) + 1


# --- answers before the answer --------------------------------------------------------------------

EARLY = {
    "100": head(status=b"HTTP/1.1 100 Continue"),
    "102": head(status=b"HTTP/1.1 102 Processing"),
    "103": head(b"Link: </a>; rel=preload", status=b"HTTP/1.1 103 Early Hints"),
    "199": head(status=b"HTTP/1.1 199 "),
}
REFUSAL = head(b"Content-Length: 4", status=b"HTTP/1.1 403 Forbidden") + b"body"


@pytest.mark.parametrize("early", EARLY.values(), ids=EARLY)
@pytest.mark.parametrize("answer", [SWITCHING, REFUSAL], ids=["101", "403"])
@pytest.mark.parametrize("count", [1, 8])
def test_up_to_eight_answers_before_the_answer_are_passed_over(early, answer, count):
    assert read(early * count + answer) == read(answer)


@pytest.mark.parametrize("early", EARLY.values(), ids=EARLY)
def test_a_ninth_is_one_too_many_however_they_come(early):
    told = "example.com sent more than 8 answers of 1xx"
    assert failure(early * 9 + SWITCHING) == told
    assert failure(*[early] * 9, error=TimeoutError("waited for more")) == told


def test_an_end_behind_them_is_an_end_before_the_answer():
    assert failure(EARLY["103"]) == "example.com closed the connection before an answer"


# --- what is no head ------------------------------------------------------------------------------


NO_HTTP = {
    "lf-only": SWITCHING.replace(b"\r\n", b"\n"),
    "lf-behind-the-status": SWITCHING.replace(b"\r\n", b"\n", 1),
    "lf-behind-a-header": SWITCHING.replace(b"Upgrade\r\n", b"Upgrade\n"),
    "lf-for-the-empty-line": SWITCHING[:-2] + b"\n",
    "a-refusal-with-lf": REFUSAL.replace(b"\r\n", b"\n"),
    "lf-in-an-answer-before": EARLY["103"].replace(b"\r\n", b"\n") + SWITCHING,
    "cr-within-a-value": head(b"X: a\rb"),
    "nul-within-a-value": head(b"X: a\0b"),
    "a-line-without-colon": head(b"X"),
    "blank-before-the-colon": head(b"X : a"),
    "no-name": head(b": a"),
    "a-name-beyond-ascii": head(b"\xe9: a"),
    "an-empty-line-first": b"\r\n" + SWITCHING,
    "http-in-lower-case": SWITCHING.replace(b"HTTP", b"http"),
    "no-version": SWITCHING.replace(b"HTTP/1.1", b"HTTP"),
    "a-status-of-four-digits": SWITCHING.replace(b"101", b"1010"),
    "a-status-of-two-digits": SWITCHING.replace(b"101", b"10"),
    "two-blanks": SWITCHING.replace(b" 101", b"  101"),
    "two-lengths": head(b"Content-Length: 1", b"Content-Length: 2", status=b"HTTP/1.1 403 No"),
    "another-protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    # RFC 8446 6: alert, TLS 1.2 on the record, 2 octets, fatal, handshake_failure.
    "a-tls-alert": bytes.fromhex("15 0303 0002 02 28"),
    "an-http-2-frame": bytes.fromhex("000006 04 00 00000000 0003 00000064"),
    "a-websocket-frame": bytes.fromhex("81 02 68 69"),
}


@pytest.mark.parametrize("octets", NO_HTTP.values(), ids=NO_HTTP)
@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "octet-by-octet"])
def test_what_is_no_http_is_refused_however_it_comes(octets, is_cut):
    pieces = one_by_one(octets) if is_cut else [octets]
    assert failure(*pieces).startswith("the answer of example.com is no HTTP/1.1: ")


def test_a_tls_alert_is_refused_without_waiting_for_more():
    octets = NO_HTTP["a-tls-alert"]
    assert "no HTTP/1.1" in failure(octets, error=TimeoutError("waited for more"))


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(SWITCHING + b"\n\n\n", id="behind-a-101"),
        pytest.param(head(b"Content-Length: 4", status=b"HTTP/1.1 403 No") + b"a\nb\n", id="body"),
        pytest.param(head(b"X: a\r\n b"), id="a-folded-line"),
    ],
)
def test_a_bare_lf_that_is_not_in_the_head_is_no_matter(octets):
    assert read(octets).head.status in (101, 403)


# --- the end, or an error, at each point ----------------------------------------------------------


@pytest.mark.parametrize("octets", [SWITCHING, REFUSAL], ids=["101", "403"])
def test_an_end_at_any_octet_of_the_head_is_told(octets):
    size = octets.index(b"\r\n\r\n") + 4
    texts = [failure(octets[:end]) for end in range(size)]
    assert texts[0] == "example.com closed the connection before an answer"
    assert all(text.startswith("the answer of example.com is no HTTP/1.1") for text in texts[1:])


@pytest.mark.parametrize(
    "error", [TimeoutError("late"), ConnectionResetError("reset"), CalledOff("off")], ids=repr
)
@pytest.mark.parametrize("end", [0, 1, 20, len(SWITCHING) - 1])
def test_an_error_of_the_pipe_within_the_head_comes_as_it_is(error, end):
    with pytest.raises(type(error)) as caught:
        reading(*filter(None, [SWITCHING[:end]]), error=error).head()
    assert caught.value is error


def test_an_end_with_nothing_at_all_says_so():
    assert failure() == "example.com closed the connection before an answer"


# --- limits of the head ---------------------------------------------------------------------------


def head_of(size: int, *, status: bytes = b"HTTP/1.1 101 Switching Protocols") -> bytes:
    """A head of so many octets."""
    bare = len(head(b"X: ", status=status))
    return head(b"X: " + b"a" * (size - bare), status=status)


CUTS = {
    "receipts": receipts,
    "pieces-of-1000": lambda octets: cut(octets, range(1000, len(octets), 1000)),
    "octet-by-octet": one_by_one,
}
each_cut = pytest.mark.parametrize("cutting", CUTS.values(), ids=CUTS)


@each_cut
def test_a_head_of_64_kib_is_taken(cutting):
    octets = head_of(HEAD_LIMIT)
    assert len(octets) == HEAD_LIMIT == 65536
    assert read(*cutting(octets)).head.status == 101


@each_cut
@pytest.mark.parametrize("size", [HEAD_LIMIT + 1, HEAD_LIMIT + 20_000])
def test_a_larger_one_is_refused(cutting, size):
    told = failure(*cutting(head_of(size)))
    assert "more than 65536 octets" in told or "no HTTP/1.1" in told


@each_cut
def test_answers_before_the_answer_count_too(cutting):
    early = head_of(20_000, status=b"HTTP/1.1 103 Early Hints")
    assert read(*cutting(early * 3 + SWITCHING)).head.status == 101
    assert failure(*cutting(early * 4 + SWITCHING))


@each_cut
@pytest.mark.parametrize(
    "count, is_taken", [(250, True), (10_000, False), (254, True), (255, False)]
)
def test_headers_are_counted(cutting, count, is_taken):
    octets = head(UPGRADE, CONNECTION, *[b"X: a"] * count)
    if is_taken:
        assert len(read(*cutting(octets)).head.fields) == count + 2
    else:
        assert failure(*cutting(octets))


ENDLESS = {
    "a-header": chain([SWITCHING[:-2] + b"X: "], repeat(b"a" * RECEIPT)),
    "headers": chain([SWITCHING[:-2]], repeat(b"X: a\r\n" * 1000)),
    "a-reason": chain([b"HTTP/1.1 101 "], repeat(b"a" * 1000)),
    "answers-before": repeat(EARLY["103"] * 5),
    "blanks": chain([SWITCHING[:-2] + b"X:"], repeat(b" " * 1000)),
    "folded-lines": chain([SWITCHING[:-2] + b"X: a"], repeat(b"\r\n b" * 1000)),
}


@pytest.mark.parametrize("pieces", ENDLESS.values(), ids=ENDLESS)
def test_a_head_without_end_is_given_up_soon_behind_64_kib(pieces):
    pipe = Pieces(pieces)
    with pytest.raises(HandshakeError):
        reader_of(pipe).head()
    assert pipe.given <= HEAD_LIMIT + 2 * RECEIPT


# --- the body -------------------------------------------------------------------------------------


def refusal(*lines: bytes, status: bytes = b"HTTP/1.1 403 Forbidden") -> bytes:
    return head(*lines, status=status)


BODIES = {
    "of-a-length": (refusal(b"Content-Length: 5") + b"hello", b"hello"),
    "of-a-length-with-more-behind": (refusal(b"Content-Length: 5") + b"hello, world", b"hello"),
    "in-chunks": (
        refusal(b"Transfer-Encoding: chunked") + b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
        b"hello",
    ),
    "in-chunks-with-a-trailer": (
        refusal(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\nX: a\r\n\r\n",
        b"hello",
    ),
    "to-the-end": (refusal() + b"hello", b"hello"),
    "of-http-1.0": (refusal(status=b"HTTP/1.0 403 Forbidden") + b"hello", b"hello"),
    "none": (refusal(b"Content-Length: 0"), b""),
    "none-of-a-204": (refusal(status=b"HTTP/1.1 204 No Content"), b""),
    "none-of-a-304": (refusal(b"Content-Length: 5", status=b"HTTP/1.1 304 Not Modified"), b""),
    "in-gzip": (
        refusal(b"Content-Encoding: gzip") + gzip.compress(b"hello", mtime=0),
        gzip.compress(b"hello", mtime=0),
    ),
}


@pytest.mark.parametrize("octets, body", BODIES.values(), ids=BODIES)
@each_cut
def test_a_body_is_what_http_says_as_it_came(octets, body, cutting):
    assert read(*cutting(octets)).body == body


BROKEN = {
    "short-of-its-length": (refusal(b"Content-Length: 9") + b"hello", b"hello"),
    "a-chunk-cut": (refusal(b"Transfer-Encoding: chunked") + b"9\r\nhello", b"hello"),
    "no-last-chunk": (refusal(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n", b"hello"),
    "a-size-that-is-none": (
        refusal(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\nx\r\n",
        b"hello",
    ),
    "nothing": (refusal(b"Content-Length: 9"), b""),
}
LATE = (None, TimeoutError("late"), ConnectionResetError("reset"))


@pytest.mark.parametrize("octets, body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("error", LATE, ids=repr)
def test_of_a_body_that_breaks_off_what_came_is_kept(octets, body, error):
    assert read(octets, error=error).body == body


def test_who_calls_off_does_not_wait_for_a_body():
    with pytest.raises(CalledOff):
        read(refusal(b"Content-Length: 9") + b"hello", error=CalledOff("off"))


LARGE = {
    "of-a-length": (refusal(b"Content-Length: 99999999"), repeat(b"a" * RECEIPT)),
    "in-one-chunk": (
        refusal(b"Transfer-Encoding: chunked") + b"5f5e0ff\r\n",
        repeat(b"a" * RECEIPT),
    ),
    "in-small-chunks": (
        refusal(b"Transfer-Encoding: chunked"),
        repeat(b"1\r\na\r\n" * 10_000),
    ),
    "to-the-end": (refusal(), repeat(b"a" * RECEIPT)),
}


@pytest.mark.parametrize("start, more", LARGE.values(), ids=LARGE)
def test_64_kib_of_a_body_are_kept_and_little_more_is_read(start, more):
    pipe = Pieces(chain([start], more))
    reader = reader_of(pipe)
    reader.head()
    assert reader.body() == b"a" * BODY_LIMIT
    # A chunk of one octet has five more.
    assert pipe.given <= len(start) + 6 * BODY_LIMIT + 2 * RECEIPT


# --- any cut --------------------------------------------------------------------------------------

WHOLE = {
    "101": SWITCHING,
    "101-with-a-frame": SWITCHING + b"\x81\x02hi",
    "100-103-101": EARLY["100"] + EARLY["103"] + SWITCHING + b"\x81\x02hi",
    **{f"body-{name}": octets for name, (octets, _) in BODIES.items()},
}


@given(st.data())
@pytest.mark.parametrize("octets", WHOLE.values(), ids=WHOLE)
def test_any_cut_of_an_answer_gives_the_same(octets, data):
    places = data.draw(st.lists(st.integers(0, len(octets)), max_size=8))
    pieces = [piece for piece in cut(octets, places) if piece]
    reader, whole = reading(*pieces), read(octets)
    assert reader.head() == whole.head
    if whole.head.status != 101:
        assert reader.body() == whole.body
        return
    # What did not come with the head is left to be read.
    assert whole.trailing.startswith(reader.trailing)
    taken = pieces[: next(end for end in range(len(pieces) + 1) if _holds(pieces[:end], whole))]
    assert reader.trailing == b"".join(taken)[len(octets) - len(whole.trailing) :]


def _holds(pieces: list[bytes], whole: Answer) -> bool:
    """Whether pieces hold the head that ends HTTP."""
    reader = reading(*pieces)
    try:
        return reader.head() == whole.head
    except HandshakeError:
        return False


@given(st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=5))
def test_any_octets_give_a_head_or_an_error_of_ours(octets, places):
    for start in (b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", SWITCHING[:-2]):
        reader = reading(*filter(None, cut(start + octets, places)))
        try:
            found = reader.head()
        except HandshakeError:
            continue
        assert 100 < found.status < 1000
        assert len(reader.body()) <= BODY_LIMIT if found.status != 101 else True


def test_a_new_exchange_is_one_of_a_client():
    assert new_exchange().our_role is h11.CLIENT
