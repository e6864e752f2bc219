"""What a proxy may answer instead of leading to the server: RFC 9110 9.3.6, RFC 1928, RFC 1929.

All of it is a ProxyError with what the proxy said, or the deadline; the socket is closed."""

from __future__ import annotations

import gzip
import re
import ssl
from base64 import b64encode

import pytest

from faye_sync import Client, HandshakeError, ProxyError
from tests.support.certificates import certificate
from tests.support.endings import LONGER, bounded_memory, failed_dial
from tests.support.heads import head, switching
from tests.support.hostile import (
    HostileServer,
    Script,
    Step,
    Visit,
    answered,
    drip,
    flood,
    opened,
    read,
    send,
)
from tests.support.wire import TEXT, frame

MIB = 2**20
KEPT = 2**16
TARGET = "ws://target.invalid:8080/chat"  # no name that anything but a proxy could look up
WSS_TARGET = "wss://target.invalid/"
ESTABLISHED = head(status=b"HTTP/1.1 200 Connection established")


def refusal(*lines: bytes, status: bytes = b"407 Proxy Authentication Required") -> bytes:
    return head(*lines, status=b"HTTP/1.1 " + status)


def through(proxy: HostileServer, scheme: str = "http", userinfo: str = "") -> dict[str, str]:
    return {"proxy": f"{scheme}://{userinfo}127.0.0.1:{proxy.port}"}


def tunnelled(*steps: Step) -> Script:
    """Answer the CONNECT, then be the server behind it."""
    return (Visit.read_head, send(ESTABLISHED), *steps)


# --- CONNECT ----------------------------------------------------------------------------------------

LED = {
    "200": ESTABLISHED,
    "200-without-a-reason": head(status=b"HTTP/1.1 200 "),
    "201": head(status=b"HTTP/1.1 201 Created"),
    "299": head(status=b"HTTP/1.1 299 Hm"),
    "http-1.0": head(status=b"HTTP/1.0 200 Connection established"),
    "100-before": head(status=b"HTTP/1.1 100 Continue") + ESTABLISHED,
    # Neither means anything in the answer to a CONNECT.
    "content-length": head(b"Content-Length: 5", status=b"HTTP/1.1 200 OK"),
    "chunked": head(b"Transfer-Encoding: chunked", status=b"HTTP/1.1 200 OK"),
}


@pytest.mark.parametrize("octets", LED.values(), ids=LED)
def test_a_2xx_leads_to_the_server(hostile, octets):
    server = (*opened(Visit.answer_close, glued=frame(TEXT, b"hello")),)
    proxy = hostile((Visit.read_head, send(octets), *server))
    with Client(TARGET, **through(proxy)) as ws:
        assert ws.receive(5) == "hello"
    connect, get = proxy.visit().requests
    assert (connect.method, connect.target) == ("CONNECT", "target.invalid:8080")
    assert connect["Host"] == "target.invalid:8080"
    assert (get.method, get.target, get["Host"]) == ("GET", "/chat", "target.invalid:8080")


STATUSES = [
    b"101 Switching Protocols",
    b"300 Multiple Choices",
    b"302 Found",
    b"400 Bad Request",
    b"403 Forbidden",
    b"404 Not Found",
    b"407 Proxy Authentication Required",
    b"429 Too Many Requests",
    b"500 Internal Server Error",
    b"502 Bad Gateway",
    b"503 Service Unavailable",
    b"504 Gateway Timeout",
]


@pytest.mark.parametrize("status", STATUSES, ids=lambda status: status[:3].decode())
def test_any_other_status_is_a_proxy_error_with_all_that_was_said(hostile, status):
    lines = () if status.startswith(b"101") else (b"Content-Length: 2", b"Location: /x")
    octets = refusal(b"X-Why: because", *lines, status=status) + (b"no" if lines else b"")
    error = failed_dial(TARGET, ProxyError, **through(hostile(answered(octets))))
    assert error.status_code == int(status[:3])
    assert error.headers["X-Why"] == "because"
    assert error.body == (b"no" if lines else b"")
    assert status[:3].decode() in str(error)


def test_a_407_keeps_its_challenge_and_is_asked_once(hostile):
    octets = refusal(b'Proxy-Authenticate: Basic realm="p"', b"Content-Length: 0")
    proxy = hostile(answered(octets))
    error = failed_dial(TARGET, ProxyError, **through(proxy, userinfo="user:s3cr3t@"))
    assert error.headers["Proxy-Authenticate"] == 'Basic realm="p"'
    assert "s3cr3t" not in str(error)
    assert proxy.count() == 1


@pytest.mark.parametrize(
    "glued",
    [b"x", switching(), frame(TEXT, b"early"), b"\r\n", bytes(70_000)],
    ids=["an-octet", "a-101", "a-frame", "a-line-end", "70-kb"],
)
@pytest.mark.parametrize("url", [TARGET, WSS_TARGET], ids=["ws", "wss"])
def test_octets_glued_to_the_200_are_refused_at_once(hostile, url, glued):
    proxy = hostile(answered(ESTABLISHED, glued))
    error = failed_dial(url, ProxyError, **through(proxy))
    assert error.status_code == 200


MALFORMED = {
    "garbage": b"garbage\r\n\r\n",
    "nul": bytes(100),
    "html": b"<html>\r\n\r\n",
    "another-protocol": b"ICY 200 OK\r\n\r\n",
    "an-alert": bytes.fromhex("15 03 01 00 02 02 28"),
    "an-ssh-greeting": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a-socks-reply": bytes.fromhex("05 00"),
    "no-colon": head(b"nonsense", status=b"HTTP/1.1 200 OK"),
    "nul-in-a-value": head(b"X: a\0b", status=b"HTTP/1.1 200 OK"),
    "two-content-lengths": refusal(b"Content-Length: 1", b"Content-Length: 2"),
}


@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_http_is_a_proxy_error(hostile, octets):
    proxy = hostile((*answered(octets), Visit.end_writing))
    error = failed_dial(TARGET, ProxyError, **through(proxy))
    assert error.status_code is None
    assert "h11" not in str(error)


ENDLESS = {
    "fields": (ESTABLISHED[:-2], b"X: y\r\n"),
    "a-value": (ESTABLISHED[:-2] + b"X: ", b"x"),
    "a-reason": (b"HTTP/1.1 200 ", b"x"),
    "100s": (b"", head(status=b"HTTP/1.1 100 Continue")),
    # The first of them in the same segment: later ones may be taken for the server's.
    "octets-behind-the-200": (ESTABLISHED + b"x", b"x"),
    "a-body-until-eof": (refusal(), b"x"),
    "a-body-of-a-length": (refusal(b"Content-Length: %d" % 2**40), b"x"),
    "a-chunked-body": (refusal(b"Transfer-Encoding: chunked"), b"3\r\nxxx\r\n"),
}


@pytest.mark.parametrize("start, piece", ENDLESS.values(), ids=ENDLESS)
def test_an_answer_without_end_is_cut_at_64_kib_with_bounded_memory(hostile, start, piece):
    proxy = hostile((Visit.read_head, send(start), flood(piece)))
    with bounded_memory(4 * MIB):
        error = failed_dial(TARGET, ProxyError, **through(proxy), open_timeout=20)
    assert len(error.body) == (KEPT if start.startswith(refusal()[:-2]) else 0)


def test_a_gzip_bomb_of_a_proxy_is_kept_as_it_came(hostile):
    bomb = gzip.compress(bytes(32 * MIB))
    octets = refusal(b"Content-Encoding: gzip", b"Content-Length: %d" % len(bomb)) + bomb
    proxy = hostile(answered(octets))
    with bounded_memory(2 * MIB):
        error = failed_dial(TARGET, ProxyError, **through(proxy))
    assert error.body == bomb


CUT = refusal(b"Content-Length: 10") + b"no"


def test_of_a_body_that_eof_cuts_short_what_came_is_kept(hostile):
    proxy = hostile((*answered(CUT), Visit.end_writing))
    error = failed_dial(TARGET, ProxyError, **through(proxy))
    assert (error.status_code, error.body) == (407, b"no")


def test_of_a_body_that_falls_silent_what_came_is_kept_at_the_deadline(hostile):
    proxy = hostile(answered(CUT))
    error = failed_dial(TARGET, ProxyError, waits=True, open_timeout=LONGER, **through(proxy))
    assert (error.status_code, error.body) == (407, b"no")


def test_a_body_that_drips_ends_at_the_deadline(hostile):
    octets = refusal(b"Content-Length: 1000")
    proxy = hostile((Visit.read_head, send(octets), drip(b"x", 0.1)))
    error = failed_dial(TARGET, ProxyError, waits=True, open_timeout=LONGER, **through(proxy))
    assert error.body.startswith(b"xx")


SILENCES = {
    "before-the-connect-is-read": (),
    "behind-the-connect": (Visit.read_head,),
    "within-the-head": (Visit.read_head, send(ESTABLISHED[:-2])),
    "behind-a-100": (Visit.read_head, send(head(status=b"HTTP/1.1 100 Continue"))),
}
silences = pytest.mark.parametrize("script", SILENCES.values(), ids=SILENCES)


@silences
def test_a_proxy_that_falls_silent_is_given_up_at_the_deadline(hostile, script):
    error = failed_dial(TARGET, TimeoutError, waits=True, **through(hostile(script)))
    assert "open_timeout" in str(error)
    assert "proxy" in str(error)


@silences
def test_eof_before_the_end_of_the_answer_is_a_proxy_error(hostile, script):
    proxy = hostile((*script, Visit.end_writing))
    error = failed_dial(TARGET, ProxyError, **through(proxy))
    assert (error.status_code, error.body) == (None, b"")


@silences
def test_a_reset_before_the_end_of_the_answer_comes_as_it_is(hostile, script):
    proxy = hostile((*script, lambda visit: visit.pause(0.05), Visit.reset))
    failed_dial(TARGET, ConnectionResetError, BrokenPipeError, **through(proxy))


@pytest.mark.parametrize(
    "octets",
    [ESTABLISHED[:-2] + b"X: y\r\n" * 1000, b"HTTP/1.1 200 " + b"x" * 1000],
    ids=["fields", "a-reason"],
)
def test_an_answer_that_drips_is_given_up_at_the_deadline(hostile, octets):
    proxy = hostile((Visit.read_head, drip(octets)))
    failed_dial(TARGET, TimeoutError, waits=True, **through(proxy))


# --- behind the CONNECT -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, steps",
    [
        (TARGET, ()),
        (TARGET, (Visit.read_head,)),
        (TARGET, (Visit.read_head, drip(switching()[:-2] + b"X: y\r\n" * 1000))),
        (WSS_TARGET, ()),
        (
            WSS_TARGET,
            (read(5), drip(bytes.fromhex("16 03 03 3f ff 02 00 3f fb 03 03") + bytes(99))),
        ),
    ],
    ids=["unread", "unanswered", "dripped", "no-tls-hello", "dripped-tls-hello"],
)
def test_a_server_behind_a_proxy_is_given_up_at_the_deadline(hostile, url, steps):
    proxy = hostile(tunnelled(*steps))
    failed_dial(url, TimeoutError, waits=True, **through(proxy))


def test_a_refusal_of_the_server_is_no_error_of_the_proxy(hostile):
    octets = refusal(b"Content-Length: 0", status=b"403 Forbidden")
    proxy = hostile(tunnelled(*answered(octets)))
    assert failed_dial(TARGET, HandshakeError, **through(proxy)).status_code == 403


def test_a_server_behind_a_proxy_is_verified(hostile):
    proxy = hostile(tunnelled(Visit.shake_hands))
    failed_dial(WSS_TARGET, ssl.SSLCertVerificationError, **through(proxy))


def test_what_is_for_the_server_does_not_reach_the_proxy_and_the_other_way_round(hostile):
    proxy = hostile(tunnelled(*opened(Visit.answer_close)))
    headers = {"Authorization": "Bearer s3rver", "Cookie": "a=s3rver", "X-Api-Key": "s3rver"}
    options = through(proxy, userinfo="user:pr%40xy@")
    with Client(TARGET, headers=headers, **options):
        pass
    connect, get = proxy.visit().requests
    assert not any("s3rver" in value for _, value in connect.fields)
    assert connect["Sec-WebSocket-Key"] is None
    token = b64encode(b"user:pr@xy").decode()
    assert connect.all("Proxy-Authorization") == [f"Basic {token}"]
    assert get["Authorization"] == "Bearer s3rver"
    assert not any(re.match("(?i)proxy", name) for name, _ in get.fields)


def test_a_redirect_is_followed_through_the_proxy_without_its_credentials(hostile):
    location = head(b"Location: http://other.invalid/", status=b"HTTP/1.1 302 Found")
    proxy = hostile(
        tunnelled(*answered(location), Visit.end_writing), tunnelled(*opened(Visit.answer_close))
    )
    with Client(TARGET, **through(proxy, userinfo="user:pass@")):
        pass
    connect, get = proxy.visit(1).requests
    assert connect.target == "other.invalid:80"
    assert len(connect.all("Proxy-Authorization")) == 1
    assert get["Proxy-Authorization"] is None


# --- HTTPS proxies ----------------------------------------------------------------------------------


def proxy_over_tls(proxy: HostileServer, *, trusted: bool = True) -> dict[str, object]:
    tls = {"tls": {"ca": certificate().authority}} if trusted else {}
    return {"proxy": {"origin": f"https://127.0.0.1:{proxy.port}", **tls}}


@pytest.mark.parametrize(
    "steps",
    [(), (read(5),), (read(5), drip(bytes.fromhex("16 03 03 3f ff 02 00 3f fb") + bytes(99)))],
    ids=["unread", "unanswered", "dripped"],
)
def test_a_tls_hello_of_a_proxy_that_does_not_come_is_given_up_at_the_deadline(hostile, steps):
    failed_dial(TARGET, TimeoutError, waits=True, **proxy_over_tls(hostile(steps)))


def test_an_https_proxy_that_speaks_plain_http_is_told_of(hostile):
    proxy = hostile((read(5), send(ESTABLISHED)))
    failed_dial(TARGET, ssl.SSLError, **proxy_over_tls(proxy))


def test_an_https_proxy_is_verified(hostile):
    proxy = hostile((), tls=True)
    failed_dial(TARGET, ssl.SSLCertVerificationError, **proxy_over_tls(proxy, trusted=False))


@pytest.mark.parametrize(
    "url, steps",
    [
        (TARGET, ()),
        (TARGET, (Visit.read_head,)),
        (TARGET, (Visit.read_head, drip(b"HTTP/1.1 200 " + b"x" * 99))),
        (TARGET, tunnelled()),
        (WSS_TARGET, tunnelled()),
    ],
    ids=["unread", "unanswered", "dripped", "silent-server", "silent-tls-server"],
)
def test_an_https_proxy_that_falls_silent_is_given_up_at_the_deadline(hostile, url, steps):
    proxy = hostile(steps, tls=True)
    failed_dial(url, TimeoutError, waits=True, **proxy_over_tls(proxy))


def test_a_407_over_tls_is_a_proxy_error_with_all_that_was_said(hostile):
    proxy = hostile(answered(refusal(b"Content-Length: 2"), b"no"), tls=True)
    error = failed_dial(TARGET, ProxyError, **proxy_over_tls(proxy))
    assert (error.status_code, error.body) == (407, b"no")
