"""SOCKS on the wire: RFC 1928, RFC 1929, SOCKS4 and 4a. What a server may answer is in tests/client."""

from __future__ import annotations

import socket
import threading

import pytest

from faye_sync import ConfigurationError, ProxyError
from faye_sync.concurrency import THREADS
from faye_sync.transport.attempt import Attempt, CalledOff
from faye_sync.transport.dial import Net, connect
from faye_sync.transport.pipe import SocketPipe
from faye_sync.transport.proxies import proxy_of, tunnel
from tests.support.endings import in_time, nothing_left
from tests.support.hostile import HostileServer, Visit, drip, read, send
from tests.test_concurrency import BOTH, PATCHED_OR_NOT, run_script

LED_4 = bytes.fromhex("00 5a 00 50 7f 00 00 01")  # granted
CHOSEN = bytes.fromhex("05 00")  # no credentials wanted
LED_5 = bytes.fromhex("05 00 00 01 7f 00 00 01 00 50")  # succeeded


@pytest.fixture
def attempt():
    with Attempt(THREADS, 1) as attempt:
        yield attempt


@pytest.fixture
def ask(attempt):
    """Ask a proxy that plays a script for a tunnel."""

    def ask(scheme, *script, host="127.0.0.1", login=""):
        with nothing_left(), HostileServer(script) as server:
            proxy = proxy_of(f"{scheme}://{login}127.0.0.1:{server.port}")
            sock = connect(proxy.host, proxy.port, Net(), attempt)
            try:
                pipe = SocketPipe(sock, attempt)
                tunnel(pipe, proxy, host, 80, attempt)
                pipe.send_all(b"to the server")
            finally:
                sock.close()
                visit = server.visit()
                server.wait_left()
                ask.received = bytes(visit.received)
            assert ask.received.endswith(b"to the server")

    return ask


# A request of version 4: 04, 01 for connect, port, address, user and NUL; with 4a an address that
# is none, and the name and NUL.
REQUESTS_4 = {
    "socks4-ipv4": ("socks4", "", "127.0.0.1", "04 01 0050 7f000001 00"),
    "socks4-name": ("socks4", "", "localhost", "04 01 0050 7f000001 00"),
    "socks4-user": ("socks4", "me:ignored@", "127.0.0.1", "04 01 0050 7f000001 6d65 00"),
    "socks4a-ipv4": ("socks4a", "", "127.0.0.1", "04 01 0050 7f000001 00"),
    "socks4a-name": ("socks4a", "", "a.example", "04 01 0050 00000001 00 612e6578616d706c65 00"),
    "socks4a-user": ("socks4a", "me@", "a.b", "04 01 0050 00000001 6d65 00 612e62 00"),
}


@pytest.mark.parametrize("scheme, login, host, octets", REQUESTS_4.values(), ids=REQUESTS_4)
def test_version_4_asks_in_one_request(ask, scheme, login, host, octets):
    expected = bytes.fromhex(octets)
    ask(scheme, read(len(expected)), send(LED_4), host=host, login=login)
    assert ask.received == expected + b"to the server"


# A request of version 5: 05, 01 for connect, 00, kind of address, address, port.
REQUESTS_5 = {
    "socks5-ipv4": ("socks5", "127.0.0.1", "05 01 00 01 7f000001 0050"),
    "socks5-ipv6": ("socks5", "::1", "05 01 00 04 00000000000000000000000000000001 0050"),
    "socks5-name": ("socks5", "localhost", "05 01 00 01 7f000001 0050"),
    "socks5h-ipv4": ("socks5h", "127.0.0.1", "05 01 00 01 7f000001 0050"),
    "socks5h-ipv6": ("socks5h", "::1", "05 01 00 04 00000000000000000000000000000001 0050"),
    "socks5h-name": ("socks5h", "a.example", "05 01 00 03 09 612e6578616d706c65 0050"),
}


@pytest.mark.parametrize("scheme, host, octets", REQUESTS_5.values(), ids=REQUESTS_5)
def test_version_5_offers_no_credentials_where_it_has_none(ask, scheme, host, octets):
    expected = bytes.fromhex(octets)
    ask(scheme, read(3), send(CHOSEN), read(len(expected)), send(LED_5), host=host)
    assert ask.received == bytes.fromhex("05 01 00") + expected + b"to the server"


def test_version_5_tells_credentials_where_they_are_wanted(ask):
    told = (read(4), send(bytes.fromhex("05 02")), read(3 + 2 + 4), send(bytes.fromhex("01 00")))
    ask("socks5h", *told, read(10), send(LED_5), login="me:p%40%C3%BC@")
    credentials = "01 02 6d65 04 7040c3bc"
    assert ask.received.startswith(bytes.fromhex("05 02 00 02") + bytes.fromhex(credentials))


@pytest.mark.parametrize("scheme", ["socks4", "socks5"])
def test_a_name_is_looked_up_here_within_the_deadline(ask, monkeypatch, scheme):
    real, release = socket.getaddrinfo, threading.Event()

    def getaddrinfo(host, port, family=0, kind=0, proto=0, flags=0):
        if not flags:
            release.wait(20)
        return real(host, port, family, kind, proto, flags | socket.AI_NUMERICHOST)

    def let_the_resolver_end(visit):
        try:
            visit.wait_for_eof()
        finally:
            release.set()

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with in_time(1, not_before=1), pytest.raises(TimeoutError, match=r"looking up inner\.example"):
        ask(scheme, let_the_resolver_end, host="inner.example")
    assert ask.received == b""


def test_an_ipv6_host_has_no_address_for_version_4(ask):
    with pytest.raises(socket.gaierror, match="::1"):
        ask("socks4", Visit.wait_for_eof, host="::1")


UNSENDABLE = {
    "127-octets-and-one": "a." * 64,
    "label-of-64-octets": "a" * 64,
    "empty-label": "a..b",
    "nul": "a\0b",
}


@pytest.mark.parametrize("scheme", ["socks4a", "socks5h"])
@pytest.mark.parametrize("host", UNSENDABLE.values(), ids=UNSENDABLE)
def test_a_name_that_the_proxy_cannot_be_told_is_refused(ask, scheme, host):
    with pytest.raises(ConfigurationError, match=scheme):
        ask(scheme, Visit.wait_for_eof, host=host)
    assert ask.received == b""


GLUED = {
    "socks4": (read(9), send(LED_4 + b"x")),
    "socks5": (read(3), send(CHOSEN), read(10), send(LED_5 + b"x")),
}


@pytest.mark.parametrize("scheme", GLUED)
def test_octets_behind_the_answer_are_refused(ask, scheme):
    with pytest.raises(ProxyError, match="behind its answer"):
        ask(scheme, *GLUED[scheme])


REPLIES = {
    "socks4-rejected": (
        "socks4",
        (read(9), send(bytes.fromhex("00 5b 0000 00000000"))),
        "rejected",
    ),
    "socks5-refused": (
        "socks5",
        (read(3), send(CHOSEN), read(10), send(bytes.fromhex("05 05 00 01 00000000 0000"))),
        "Connection refused",
    ),
    "socks5-no-method": ("socks5", (read(3), send(bytes.fromhex("05 ff"))), "rejected"),
    "an-http-server": ("socks5", (read(3), send(b"HTTP/1.1 400 Bad Request\r\n\r\n")), "invalid"),
}


@pytest.mark.parametrize("scheme, script, text", REPLIES.values(), ids=REPLIES)
def test_a_refusal_names_the_proxy_the_server_and_the_reason(ask, scheme, script, text):
    with in_time(0), pytest.raises(ProxyError, match=text) as caught:
        ask(scheme, *script)
    assert f"the proxy {scheme}://127.0.0.1:" in str(caught.value)
    assert "127.0.0.1 port 80" in str(caught.value)
    assert caught.value.status_code is None


def test_a_proxy_that_drips_is_left_at_the_deadline(ask):
    name = bytes.fromhex("05 00 00 03 ff") + bytes(257)
    with in_time(1, not_before=1), pytest.raises(TimeoutError):
        ask("socks5", read(3), send(CHOSEN), read(10), drip(name))


def test_a_tunnel_can_be_called_off(ask, attempt):
    with in_time(0), pytest.raises(CalledOff):
        ask("socks5", read(3), lambda _: attempt.call_off())


ON_A_HUB = """
import _socket
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.pipe import SocketPipe
from faye_sync.transport.proxies import proxy_of, tunnel

world, ticks = hub.world(), []

def tick():
    while True:
        ticks.append(1)
        hub.sleep(0.01)

def answer():
    answers = [(8, "00 5a 0000 00000000")] if proxy.scheme == "socks4" else ANSWERS_5
    for size, octets in answers:
        world.wait_readable(theirs.fileno(), 20)
        theirs.recv(100)
        hub.sleep(0.1)
        theirs.send(bytes.fromhex(octets))

ANSWERS_5 = [(3, "05 00"), (10, "05 00 00 01 00000000 0000")]
hub.spawn(tick)
for proxy in map(proxy_of, ("socks4://127.0.0.1", "socks5://127.0.0.1")):
    ours, theirs = _socket.socketpair()
    ours.setblocking(False)
    hub.spawn(answer)
    with Attempt(world, 20) as attempt:
        before = len(ticks)
        tunnel(SocketPipe(ours, attempt), proxy, "localhost", 80, attempt)
        print(len(ticks) - before > 3)
    ours.close()
    theirs.close()
"""


@BOTH
@PATCHED_OR_NOT
def test_on_a_hub_others_go_on_meanwhile(under, patched):
    assert run_script(ON_A_HUB, under=under, patched=patched) == "True\nTrue\n"
