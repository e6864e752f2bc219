"""Heads of a 101, and what only looks like one: RFC 6455 4.1, RFC 9110 5.5 and 15.2, RFC 9112.

A head is taken as the RFCs have it, or the connection is refused at once and closed."""

from __future__ import annotations

import pytest

from faye_sync import Client, HandshakeError
from tests.support.endings import bounded_memory, failed_dial
from tests.support.heads import ACCEPT, ACCEPTING, CONNECTION, UPGRADE, accept_of, head, switching
from tests.support.hostile import Visit, answered, drip, flood, send
from tests.support.wire import TEXT, frame

MIB = 2**20
HEAD_LIMIT = 2**16
OTHER_KEY = accept_of("dGhlIHNhbXBsZSBub25jZQ==")


def with_accept(*lines: bytes) -> bytes:
    return head(UPGRADE, CONNECTION, *lines)


def with_protocol(*lines: bytes) -> bytes:
    return switching(*(b"Sec-WebSocket-Protocol: " + line for line in lines))


def status_line(line: bytes) -> bytes:
    return head(UPGRADE, CONNECTION, ACCEPTING, status=line)


ACCEPTED = {
    "as-it-should-be": switching(),
    "names-in-other-case": switching().replace(b"Sec-WebSocket-Accept", b"SEC-WEBSOCKET-aCCEPT"),
    "upgrade-in-other-case": head(b"Upgrade: WebSocket", CONNECTION, ACCEPTING),
    "connection-in-other-case": head(UPGRADE, b"Connection: uPGRADE", ACCEPTING),
    "connection-lists-keep-alive": head(UPGRADE, b"Connection: keep-alive, Upgrade", ACCEPTING),
    "connection-list-with-empty-items": head(UPGRADE, b"Connection: ,Upgrade ,,", ACCEPTING),
    "connection-twice": head(UPGRADE, b"Connection: keep-alive", CONNECTION, ACCEPTING),
    "blanks-around-values": head(
        b"Upgrade: \t websocket\t ", CONNECTION, b"Sec-WebSocket-Accept:" + ACCEPT + b"  "
    ),
    "other-reason": status_line(b"HTTP/1.1 101 Web Socket Protocol Handshake"),
    "no-reason": status_line(b"HTTP/1.1 101 "),
    "content-length-0": switching(b"Content-Length: 0"),
    "obs-text-in-a-value": switching(b"X-Name: caf\xe9 \x80"),
    "many-fields": switching(*(b"X-%d: y" % number for number in range(200))),
    "long-field": switching(b"X-Long: " + b"x" * 60_000),
    "a-100-before": head(status=b"HTTP/1.1 100 Continue") + switching(),
    "a-103-before": head(b"Link: </a>", status=b"HTTP/1.1 103 Early Hints") + switching(),
    "five-102-before": head(status=b"HTTP/1.1 102 Processing") * 5 + switching(),
}


@pytest.mark.parametrize("octets", ACCEPTED.values(), ids=ACCEPTED)
def test_a_101_opens_the_connection(hostile, octets):
    server = hostile((Visit.read_head, send(octets), Visit.answer_close))
    with Client(server.url()) as ws:
        assert ws.status_code == 101
    assert ws.close_code == 1000


def test_values_are_read_as_latin_1(hostile):
    answer = switching(b"X-Name: caf\xe9", b"X-Name: \x01")
    server = hostile((Visit.read_head, send(answer), Visit.answer_close))
    with Client(server.url()) as ws:
        assert ws.headers.getlist("x-name") == ["café", "\x01"]


def test_a_101_that_comes_octet_by_octet_is_one_all_the_same(hostile):
    script = (Visit.read_head, *(send(bytes((octet,))) for octet in head(UPGRADE, CONNECTION)[:-2]))
    script = (*script, send(ACCEPTING + b"\r\n\r"), send(b"\n"), Visit.answer_close)
    server = hostile(script)
    with Client(server.url()) as ws:
        assert ws.status_code == 101


UNACCEPTABLE = {
    # What has to be there, and just once: RFC 6455 4.1.
    "no-upgrade": (head(CONNECTION, ACCEPTING), "Upgrade"),
    "empty-upgrade": (head(b"Upgrade:", CONNECTION, ACCEPTING), "Upgrade"),
    "upgrade-h2c": (head(b"Upgrade: h2c", CONNECTION, ACCEPTING), "Upgrade"),
    "upgrade-lists-more": (head(b"Upgrade: websocket, h2c", CONNECTION, ACCEPTING), "Upgrade"),
    "upgrade-with-a-version": (head(b"Upgrade: websocket/13", CONNECTION, ACCEPTING), "Upgrade"),
    "upgrade-twice": (head(UPGRADE, UPGRADE, CONNECTION, ACCEPTING), "Upgrade"),
    "no-connection": (head(UPGRADE, ACCEPTING), "Connection"),
    "connection-close": (head(UPGRADE, b"Connection: close", ACCEPTING), "Connection"),
    "connection-keep-alive": (head(UPGRADE, b"Connection: keep-alive", ACCEPTING), "Connection"),
    "connection-upgraded": (head(UPGRADE, b"Connection: Upgraded", ACCEPTING), "Connection"),
    "no-accept": (with_accept(), "Accept"),
    "empty-accept": (with_accept(b"Sec-WebSocket-Accept:"), "Accept"),
    "accept-of-another-key": (with_accept(b"Sec-WebSocket-Accept: " + OTHER_KEY), "Accept"),
    "accept-with-more": (with_accept(ACCEPTING + b", x"), "Accept"),
    "accept-in-quotes": (with_accept(b'Sec-WebSocket-Accept: "' + ACCEPT + b'"'), "Accept"),
    "accept-twice": (with_accept(ACCEPTING, ACCEPTING), "Accept"),
    "two-accepts-the-second-wrong": (
        with_accept(ACCEPTING, b"Sec-WebSocket-Accept: " + OTHER_KEY),
        "Accept",
    ),
    "two-accepts-the-first-wrong": (
        with_accept(b"Sec-WebSocket-Accept: " + OTHER_KEY, ACCEPTING),
        "Accept",
    ),
    # What was not asked for.
    "unrequested-subprotocol": (with_protocol(b"chat"), "Protocol"),
    "empty-subprotocol": (with_protocol(b""), "Protocol"),
    "unrequested-extension": (
        switching(b"Sec-WebSocket-Extensions: permessage-deflate"),
        "Extensions",
    ),
    # A 101 has no content: RFC 9110 8.6 and RFC 9112 6.1.
    "content-length": (switching(b"Content-Length: 5"), "Content-Length"),
    "chunked": (switching(b"Transfer-Encoding: chunked"), "Transfer-Encoding"),
    # Upgrade is a thing of HTTP/1.1.
    "version-1.0": (status_line(b"HTTP/1.0 101 Switching Protocols"), "HTTP/1.0"),
    "version-2.0": (status_line(b"HTTP/2.0 101 Switching Protocols"), "HTTP/2.0"),
    "version-9.9": (status_line(b"HTTP/9.9 101 Switching Protocols"), "HTTP/9.9"),
}


@pytest.mark.parametrize("octets, told", UNACCEPTABLE.values(), ids=UNACCEPTABLE)
def test_a_101_that_breaks_the_handshake_is_refused_at_once(hostile, octets, told):
    server = hostile(answered(octets, frame(TEXT, b"never seen")))
    error = failed_dial(server.url(), HandshakeError)
    assert told in str(error)
    assert error.status_code == 101
    assert (error.body, error.history) == (b"", ())


@pytest.mark.parametrize(
    "spoil",
    [bytes.swapcase, bytes.lower, bytes.upper, lambda value: value[:-1], lambda value: value[1:]],
    ids=["other-case", "lower-case", "upper-case", "without-padding", "without-its-first"],
)
def test_an_accept_that_is_almost_right_is_refused(hostile, spoil):
    def answer(visit: Visit) -> None:
        right = accept_of(visit.read_head()["Sec-WebSocket-Key"])
        visit.send(with_accept(b"Sec-WebSocket-Accept: " + spoil(right)))

    error = failed_dial(hostile([answer]).url(), HandshakeError)
    assert error.status_code == 101
    assert "Accept" in str(error)


def test_the_headers_of_a_101_that_is_refused_are_kept(hostile):
    server = hostile(answered(head(UPGRADE, b"X-A: 1", b"X-A: 2")))
    error = failed_dial(server.url(), HandshakeError)
    assert error.headers.getlist("x-a") == ["1", "2"]


PROTOCOLS = {
    "one-that-was-not-offered": [b"other"],
    "in-another-case": [b"CHAT"],
    "two-in-a-list": [b"chat, superchat"],
    "two-headers": [b"chat", b"superchat"],
    "the-same-twice": [b"chat", b"chat"],
    "with-more": [b"chat;v=1"],
    "empty": [b""],
}


@pytest.mark.parametrize("lines", PROTOCOLS.values(), ids=PROTOCOLS)
def test_a_subprotocol_is_one_of_those_offered_or_the_connection_is_refused(hostile, lines):
    server = hostile(answered(with_protocol(*lines)))
    error = failed_dial(server.url(), HandshakeError, protocols=["chat", "superchat"])
    assert error.status_code == 101
    assert "Sec-WebSocket-Protocol" in str(error)
    assert server.request()["Sec-WebSocket-Protocol"] == "chat, superchat"


@pytest.mark.parametrize("lines, chosen", [((), ""), ((b"superchat",), "superchat")])
def test_a_server_may_take_any_of_those_offered_or_none(hostile, lines, chosen):
    server = hostile((Visit.read_head, send(with_protocol(*lines)), Visit.answer_close))
    with Client(server.url(), ["chat", "superchat"]) as ws:
        assert ws.protocol == chosen


MALFORMED = {
    "bare-lf-at-the-status-line": switching().replace(b"\r\n", b"\n", 1),
    "bare-lf-everywhere": switching().replace(b"\r\n", b"\n"),
    "bare-lf-at-the-end": switching()[:-2] + b"\n",
    "bare-lf-before-the-end": switching()[:-4] + b"\n\r\n",
    "bare-cr": switching(b"X: a\rb"),
    "nul-in-a-value": switching(b"X: a\0b"),
    "vt-in-a-value": switching(b"X: a\x0bb"),
    "space-before-the-colon": switching(b"X : a"),
    "no-colon": switching(b"nonsense"),
    "empty-name": switching(b": a"),
    "non-ascii-name": switching(b"X-\xe9: a"),
    "blank-in-a-name": switching(b"X y: a"),
    "crlf-before-the-status-line": b"\r\n" + switching(),
    "blank-before-the-status-line": b" " + switching(),
    "lower-case-http": status_line(b"http/1.1 101 Switching Protocols"),
    "other-protocol": status_line(b"ICY 101 Switching Protocols"),
    "no-version": status_line(b"HTTP 101 Switching Protocols"),
    "two-blanks-before-the-status": status_line(b"HTTP/1.1  101 Switching Protocols"),
    "status-of-two-digits": status_line(b"HTTP/1.1 10 Switching Protocols"),
    "status-of-four-digits": status_line(b"HTTP/1.1 1010 Switching Protocols"),
    "status-of-letters": status_line(b"HTTP/1.1 OK Switching Protocols"),
    "obs-fold-first": head(b" X: folded", UPGRADE, CONNECTION, ACCEPTING),
    "html": b"<!DOCTYPE html>\r\n<html>\r\n\r\n",
    "a-request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a-tls-alert": bytes.fromhex("15 03 01 00 02 02 0a") + b"\r\n\r\n",
    "http-2-settings": bytes.fromhex("00 00 00 04 00 00 00 00 00") + b"\r\n\r\n",
    "an-ssh-greeting": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "frames-without-a-head": frame(TEXT, b"\r\n\r\n"),
}


@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_http_is_refused_at_once(hostile, octets):
    server = hostile(answered(octets))
    error = failed_dial(server.url(), HandshakeError)
    assert error.status_code is None
    assert error.headers is None
    assert "h11" not in str(error)


def test_a_folded_field_leaks_no_line_end(hostile):
    # RFC 9112 5.2 lets a client join the lines with blanks, or refuse.
    server = hostile(
        (
            Visit.read_head,
            send(switching(b"X-Folded: a\r\n b", b"X-Next: c")),
            Visit.wait_for_eof,
        )
    )
    try:
        ws = Client(server.url(), close_timeout=0.1).connect()
    except HandshakeError:
        return
    assert ws.headers["X-Folded"].split() == ["a", "b"]
    assert ws.headers["X-Next"] == "c"
    ws.close()
    assert ws.wait_closed(5)


OVERSIZED = {
    "10000-fields": switching(*(b"X-%05d: y" % number for number in range(10_000))),
    "a-long-value": switching(b"X: " + b"x" * HEAD_LIMIT),
    "a-long-name": switching(b"x" * HEAD_LIMIT + b": y"),
    "a-long-reason": status_line(b"HTTP/1.1 101 " + b"x" * HEAD_LIMIT),
    "just-over-64-kib": switching(b"X: " + b"x" * (HEAD_LIMIT - len(switching()))),
    "103s-of-together-more": head(b"X: " + b"x" * 20_000, status=b"HTTP/1.1 103 x") * 4
    + switching(),
}


@pytest.mark.parametrize("octets", OVERSIZED.values(), ids=OVERSIZED)
def test_a_head_over_64_kib_is_refused_at_once(hostile, octets):
    server = hostile(answered(octets))
    error = failed_dial(server.url(), HandshakeError)
    assert "65536" in str(error) or "headers" in str(error), str(error)


ENDLESS = {
    "fields": (switching()[:-2], b"X-Filler: x\r\n"),
    "a-value": (switching()[:-2] + b"X: ", b"x"),
    "a-name": (switching()[:-2], b"x"),
    "a-reason": (b"HTTP/1.1 101 ", b"x"),
    "a-status": (b"HTTP/1.1 ", b"1"),
    "a-version": (b"HTTP/1.", b"1"),
    "folded-lines": (switching()[:-2] + b"X: a\r\n", b" b\r\n"),
    "nothing-but-line-ends": (b"", b"\r\n"),
    "nothing-but-nul": (b"", b"\0"),
    "100s": (b"", head(status=b"HTTP/1.1 100 Continue")),
    "103s": (b"", head(b"Link: </a>", status=b"HTTP/1.1 103 Early Hints")),
    "199s": (b"", head(status=b"HTTP/1.1 199 Hm")),
}


@pytest.mark.parametrize("start, piece", ENDLESS.values(), ids=ENDLESS)
def test_a_head_without_end_is_refused_at_64_kib_with_bounded_memory(hostile, start, piece):
    server = hostile((Visit.read_head, send(start), flood(piece)))
    with bounded_memory(4 * MIB):
        failed_dial(server.url(), HandshakeError, open_timeout=20)
    server.wait_left()


def test_informational_answers_are_counted_however_slowly_they_come(hostile):
    piece = head(status=b"HTTP/1.1 100 Continue")
    server = hostile((Visit.read_head, *[send(piece), lambda visit: visit.pause(0.01)] * 40))
    failed_dial(server.url(), HandshakeError, open_timeout=20)


def test_informational_answers_that_drip_end_at_the_deadline(hostile):
    server = hostile((Visit.read_head, drip(head(status=b"HTTP/1.1 100 Continue"))))
    failed_dial(server.url(), TimeoutError, waits=True)
