"""CONNECT on the wire: RFC 9110 9.3.6. What a proxy may answer is in tests/client."""

from __future__ import annotations

import pytest

from faye_sync import ConfigurationError, ProxyError
from faye_sync.concurrency import THREADS
from faye_sync.transport.attempt import Attempt, CalledOff
from faye_sync.transport.dial import Net, connect
from faye_sync.transport.pipe import SocketPipe
from faye_sync.transport.proxies import proxy_of, tunnel
from tests.support.endings import in_time, nothing_left
from tests.support.heads import head
from tests.support.hostile import HostileServer, Visit, answered, drip, pause, send

ESTABLISHED = head(status=b"HTTP/1.1 200 Connection established")


@pytest.fixture
def attempt():
    with Attempt(THREADS, 1) as attempt:
        yield attempt


@pytest.fixture
def ask(attempt):
    """Ask a proxy that plays a script for a tunnel; returns what the pipe has next."""

    def ask(script, host="example.com", port=443, headers=(), login=""):
        with nothing_left(), HostileServer(script) as server:
            proxy = proxy_of(f"http://{login}127.0.0.1:{server.port}", headers)
            sock = connect(proxy.host, proxy.port, Net(), attempt)
            try:
                pipe = SocketPipe(sock, attempt)
                tunnel(pipe, proxy, host, port, attempt)
                pipe.send_all(b"to the server")
            finally:
                sock.close()
                visit = server.visit()
                server.wait_left()
                ask.received = bytes(visit.received)
            assert ask.received.endswith(b"to the server")

    return ask


REQUESTS = {
    "name": ("example.com", 443, b"example.com:443"),
    "ipv4": ("192.0.2.1", 80, b"192.0.2.1:80"),
    "ipv6": ("2001:db8::1", 8080, b"[2001:db8::1]:8080"),
    "zone": ("fe80::1%eth0", 443, b"[fe80::1]:443"),
}


@pytest.mark.parametrize("host, port, target", REQUESTS.values(), ids=REQUESTS)
def test_the_request_names_host_and_port_twice(ask, host, port, target):
    ask((Visit.read_head, send(ESTABLISHED)), host, port)
    expected = b"CONNECT " + target + b" HTTP/1.1\r\nHost: " + target + b"\r\n\r\n"
    assert ask.received == expected + b"to the server"


def test_headers_and_credentials_go_to_the_proxy(ask):
    headers = (("X-A", "1"), ("X-A", "caf\xe9"))
    ask((Visit.read_head, send(ESTABLISHED)), headers=headers, login="user:p%40ss@")
    lines = ask.received.split(b"\r\n")
    assert lines[2:5] == [
        b"X-A: 1",
        b"X-A: caf\xe9",
        b"Proxy-Authorization: Basic dXNlcjpwQHNz",
    ]


@pytest.mark.parametrize("host", ["a b", "a\r\nX: y", "a\0b", "\u2603.example", "a/b c"])
def test_a_host_that_is_none_is_refused_before_anything_is_sent(ask, host):
    with pytest.raises(ConfigurationError):
        ask((Visit.wait_for_eof,), host)
    assert ask.received == b""


ADVICE = {
    "403-at-port-80": (80, b"403 Forbidden", "allow CONNECT to port 443 only"),
    "407": (443, b"407 Proxy Authentication Required", "user name and a password"),
    "405": (443, b"405 Method Not Allowed", "no CONNECT at all"),
}


@pytest.mark.parametrize("port, status, text", ADVICE.values(), ids=ADVICE)
def test_a_refusal_tells_the_cure(ask, port, status, text):
    refusal = head(b"Content-Length: 0", status=b"HTTP/1.1 " + status)
    with pytest.raises(ProxyError, match=text) as caught:
        ask(answered(refusal), port=port)
    assert f"{status.decode()} to CONNECT example.com:{port}" in str(caught.value)


def test_a_403_at_port_443_has_another_reason(ask):
    with pytest.raises(ProxyError) as caught:
        ask(answered(head(b"Content-Length: 0", status=b"HTTP/1.1 403 Forbidden")))
    assert str(caught.value).endswith("answered 403 Forbidden to CONNECT example.com:443")


# Octet by octet, which no deadline of a single wait would end.
DRIPS = {
    "head": (drip(ESTABLISHED[:-4]), TimeoutError),
    "100s": (drip(head(status=b"HTTP/1.1 100 Continue"), 0.02), TimeoutError),
    "silence": (pause(20), TimeoutError),
    "trickle-of-a-body": (
        lambda visit: (
            visit.send(head(b"Content-Length: 9999", status=b"HTTP/1.1 502 Bad Gateway")),
            drip(b"x")(visit),
        ),
        ProxyError,
    ),
}


@pytest.mark.parametrize("step, error", DRIPS.values(), ids=DRIPS)
def test_a_proxy_that_drips_is_left_at_the_deadline(ask, step, error):
    with in_time(1, not_before=1), pytest.raises(error):
        ask((Visit.read_head, step))


def test_of_a_body_that_drips_what_came_by_the_deadline_is_kept(ask):
    with pytest.raises(ProxyError) as caught:
        ask((Visit.read_head, DRIPS["trickle-of-a-body"][0]))
    assert caught.value.status_code == 502
    assert set(caught.value.body) == set(b"x")


def test_a_tunnel_can_be_called_off(ask, attempt):
    with in_time(0), pytest.raises(CalledOff):
        ask((Visit.read_head, lambda _: attempt.call_off()))
