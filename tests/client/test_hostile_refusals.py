"""Answers other than 101: what of them a HandshakeError keeps, and how little may be sent.

RFC 9112 6 says where a body ends; 64 KiB of it are kept, as they came on the wire."""

from __future__ import annotations

import gzip

import pytest

from faye_sync import HandshakeError
from tests.support.endings import LONGER, bounded_memory, failed_dial
from tests.support.heads import head, switching
from tests.support.hostile import Visit, answered, drip, flood, send

MIB = 2**20
KEPT = 2**16


def answer(status: bytes = b"403 Forbidden", *lines: bytes) -> bytes:
    return head(*lines, status=b"HTTP/1.1 " + status)


def sized(body: bytes, *lines: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return answer(b"403 Forbidden", b"Content-Length: %d" % size, *lines) + body


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


CHUNKED = answer(b"403 Forbidden", b"Transfer-Encoding: chunked")
UNTIL_EOF = answer(b"403 Forbidden", b"Connection: close")

STATUSES = {
    200: b"200 OK",
    201: b"201 Created",
    202: b"202 Accepted",
    204: b"204 No Content",
    206: b"206 Partial Content",
    300: b"300 Multiple Choices",
    304: b"304 Not Modified",
    400: b"400 Bad Request",
    401: b"401 Unauthorized",
    403: b"403 Forbidden",
    404: b"404 Not Found",
    407: b"407 Proxy Authentication Required",
    426: b"426 Upgrade Required",
    429: b"429 Too Many Requests",
    500: b"500 Internal Server Error",
    503: b"503 Service Unavailable",
    599: b"599 What",
}


@pytest.mark.parametrize("status", STATUSES)
def test_any_other_status_is_refused_with_it(hostile, status):
    server = hostile(answered(answer(STATUSES[status], b"Content-Length: 0", b"X-Why: because")))
    error = failed_dial(server.url(), HandshakeError)
    assert error.status_code == status
    assert error.headers["x-why"] == "because"
    assert error.body == b""
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_nowhere_is_refused_with_its_status(hostile, status):
    server = hostile(answered(answer(b"%d Moved" % status, b"Content-Length: 2"), b"hm"))
    error = failed_dial(server.url(), HandshakeError)
    assert (error.status_code, error.body) == (status, b"hm")


def test_a_401_without_credentials_is_refused_with_its_challenge(hostile):
    challenge = b'WWW-Authenticate: Basic realm="x"'
    server = hostile(answered(answer(b"401 Unauthorized", challenge, b"Content-Length: 0")))
    error = failed_dial(server.url(), HandshakeError)
    assert error.headers["WWW-Authenticate"] == 'Basic realm="x"'
    assert len(server.visits) == 1


def test_an_answer_of_http_1_0_is_a_refusal_like_any_other(hostile):
    octets = head(status=b"HTTP/1.0 404 Not Found") + b"gone"
    server = hostile((*answered(octets), Visit.end_writing))
    error = failed_dial(server.url(), HandshakeError)
    assert (error.status_code, error.body) == (404, b"gone")


# --- bodies -----------------------------------------------------------------------------------------

BODIES = {
    "content-length": sized(b"no") + b"beyond",
    "chunked": CHUNKED + chunks(b"n", b"o") + b"0\r\n\r\n" + b"beyond",
    "chunked-with-extensions": CHUNKED + b'2;a="b"\r\nno\r\n0\r\n\r\n',
    "chunked-with-trailers": CHUNKED + chunks(b"no") + b"0\r\nX: y\r\n\r\n",
    "chunked-and-content-length": answer(
        b"403 Forbidden", b"Content-Length: 1", b"Transfer-Encoding: chunked"
    )
    + chunks(b"no")
    + b"0\r\n\r\n",
    "coded-by-a-lie": sized(b"no", b"Content-Encoding: gzip"),
    "coded-by-an-unknown-coding": sized(b"no", b"Content-Encoding: x-made-up"),
}


@pytest.mark.parametrize("octets", BODIES.values(), ids=BODIES)
def test_a_body_is_read_to_its_end_and_no_further(hostile, octets):
    error = failed_dial(hostile(answered(octets)).url(), HandshakeError)
    assert (error.status_code, error.body) == (403, b"no")


def test_a_body_that_ends_with_the_connection_is_whole(hostile):
    server = hostile((*answered(UNTIL_EOF, b"no"), Visit.end_writing))
    assert failed_dial(server.url(), HandshakeError).body == b"no"


LARGE = {
    "content-length": sized(b"x" * (KEPT + 1)),
    "content-length-of-a-gibibyte": sized(b"x" * (KEPT + 1), length=2**30),
    "chunked": CHUNKED + chunks(b"x" * KEPT, b"x"),
    "chunked-in-one-octet-chunks": CHUNKED + chunks(*[b"x"] * (KEPT + 1)),
    "until-eof": UNTIL_EOF + b"x" * (KEPT + 1),
}


@pytest.mark.parametrize("octets", LARGE.values(), ids=LARGE)
def test_64_kib_of_a_body_are_kept_and_no_more_is_waited_for(hostile, octets):
    error = failed_dial(hostile(answered(octets)).url(), HandshakeError, open_timeout=20)
    assert error.status_code == 403
    assert error.body == b"x" * KEPT


ENDLESS = {
    "content-length": (sized(b"", length=2**62), b"x" * 1000),
    "chunked": (CHUNKED, chunks(b"x" * 1000)),
    "until-eof": (UNTIL_EOF, b"x" * 1000),
}


@pytest.mark.parametrize("start, piece", ENDLESS.values(), ids=ENDLESS)
def test_a_body_without_end_costs_64_kib(hostile, start, piece):
    server = hostile((Visit.read_head, send(start), flood(piece)))
    with bounded_memory(2 * MIB):
        error = failed_dial(server.url(), HandshakeError, open_timeout=20)
    assert error.body == b"x" * KEPT


def test_a_chunk_head_without_end_leaves_what_came_before_it(hostile):
    server = hostile((Visit.read_head, send(CHUNKED + chunks(b"no") + b"1;"), flood(b"x")))
    with bounded_memory(4 * MIB):
        error = failed_dial(server.url(), HandshakeError, open_timeout=20)
    assert (error.status_code, error.body) == (403, b"no")


def test_a_gzip_bomb_is_kept_as_it_came(hostile):
    bomb = gzip.compress(bytes(32 * MIB))
    assert len(bomb) < KEPT
    server = hostile(answered(sized(bomb, b"Content-Encoding: gzip")))
    with bounded_memory(2 * MIB):
        error = failed_dial(server.url(), HandshakeError)
    assert error.body == bomb
    assert error.headers["Content-Encoding"] == "gzip"


# --- bodies that fail -------------------------------------------------------------------------------

CUT = {
    "content-length": sized(b"no", length=10),
    "chunked-within-a-chunk": CHUNKED + b"a\r\nno",
    "chunked-without-an-end": CHUNKED + chunks(b"no"),
    "until-eof": UNTIL_EOF + b"no",
}
cut = pytest.mark.parametrize("octets", CUT.values(), ids=CUT)


@cut
def test_of_a_body_that_eof_cuts_short_what_came_is_kept(hostile, octets):
    server = hostile((*answered(octets), Visit.end_writing))
    error = failed_dial(server.url(), HandshakeError)
    assert (error.status_code, error.body) == (403, b"no")


@cut
def test_of_a_body_that_falls_silent_what_came_is_kept_at_the_deadline(hostile, octets):
    server = hostile(answered(octets))
    error = failed_dial(server.url(), HandshakeError, waits=True, open_timeout=LONGER)
    assert (error.status_code, error.body) == (403, b"no")


def test_of_a_body_that_is_reset_the_status_is_kept(hostile):
    server = hostile(
        (*answered(sized(b"no", length=10)), lambda visit: visit.pause(0.1), Visit.reset)
    )
    error = failed_dial(server.url(), HandshakeError)
    assert error.status_code == 403
    assert b"no".startswith(error.body)


DRIPS = {
    "content-length": sized(b"", length=1000),
    "chunked": CHUNKED,
    "until-eof": UNTIL_EOF,
}


@pytest.mark.parametrize("start", DRIPS.values(), ids=DRIPS)
def test_a_body_that_drips_ends_at_the_deadline(hostile, start):
    server = hostile((Visit.read_head, send(start), drip(b"1\r\nx\r\n", 0.1)))
    error = failed_dial(server.url(), HandshakeError, waits=True, open_timeout=LONGER)
    assert error.status_code == 403
    assert b"x" in error.body


def test_a_chunk_that_is_none_leaves_what_came_before_it(hostile):
    server = hostile(answered(CHUNKED, chunks(b"no"), b"zz\r\n"))
    error = failed_dial(server.url(), HandshakeError)
    assert (error.status_code, error.body) == (403, b"no")


UNREADABLE = {
    "two-content-lengths": answer(b"403 x", b"Content-Length: 1", b"Content-Length: 2"),
    "content-length-that-is-none": answer(b"403 x", b"Content-Length: many"),
    "negative-content-length": answer(b"403 x", b"Content-Length: -1"),
    "huge-content-length": answer(b"403 x", b"Content-Length: " + b"9" * 5000),
    "unknown-transfer-encoding": answer(b"403 x", b"Transfer-Encoding: gzip, chunked"),
}


@pytest.mark.parametrize("octets", UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_whose_length_is_a_riddle_is_refused_at_once(hostile, octets):
    error = failed_dial(hostile(answered(octets, b"x")).url(), HandshakeError)
    assert error.body == b""


def test_a_refusal_is_refused_even_with_all_that_a_101_has(hostile):
    octets = switching(b"Content-Length: 0").replace(b"101 Switching Protocols", b"200 OK")
    error = failed_dial(hostile(answered(octets)).url(), HandshakeError)
    assert error.status_code == 200
