"""The way to a server through what stands before it: open to the end, or closed at once."""

# ruff: noqa: F811  # fixtures that are imported

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.errors import ConfigurationError, ProxyError
from faye_sync.transport.attempt import Attempt, CalledOff
from faye_sync.transport.dial import Net
from faye_sync.transport.proxies import Proxy, proxy_of
from faye_sync.transport.route import Route, open_route
from faye_sync.transport.stream import BlockingStream
from faye_sync.transport.tls_client import TlsSettings
from faye_sync.transport.tls_memory import MemoryTlsStream, TlsPipe
from tests.client.conftest import _housekept, hostile  # noqa: F401  # fixtures
from tests.support.certificates import client_context
from tests.support.clients import refused_port
from tests.support.heads import head
from tests.support.hostile import HostileServer, Script, Visit, read, send, unreachable

PATIENCE = 20.0  # seconds to wait for what should come at once
SHORT = 0.3  # seconds that are to pass
ESTABLISHED = head(status=b"HTTP/1.1 200 Connection established")
CONNECTING: Script = (Visit.read_head, send(ESTABLISHED))
QUESTION = b"to the server"
ANSWERING: Script = (lambda visit: visit.read_until(QUESTION), send(b"and back"))

TRUSTING = TlsSettings(client_context(), "127.0.0.1")
DOUBTING = TlsSettings(ssl.create_default_context(), "127.0.0.1")
# A name that nothing but a proxy could look up.
NOWHERE = "server.invalid"


class Way(NamedTuple):
    """What stands between, and what the other end of the connection does about it.

    Attributes:
        script: Of whoever is connected to.
        proxy: The scheme of the proxy, if that is who it is.
        tls: How to speak TLS with the server.
        proxy_tls: How to speak TLS with the proxy.
    """

    script: Script
    proxy: str = ""
    tls: TlsSettings | None = None
    proxy_tls: TlsSettings | None = None

    def open(self, server: HostileServer, attempt: Attempt, net: Net = Net()) -> Route:  # noqa: B008  # frozen
        proxy = None
        if self.proxy:
            proxy = proxy_of(f"{self.proxy}://127.0.0.1:{server.port}", (), self.proxy_tls)
        host, port = (NOWHERE, 8080) if proxy else ("127.0.0.1", server.port)
        return open_route(host, port, self.tls, proxy, net, attempt)

    def then(self, script: Script) -> Way:
        return self._replace(script=(*self.script, *script))


WAYS = {
    "tcp": Way(()),
    "tls": Way((Visit.shake_hands,), tls=TRUSTING),
    "proxy": Way(CONNECTING, "http"),
    "tls-within-a-proxy": Way((*CONNECTING, Visit.shake_hands), "http", TRUSTING),
    "proxy-with-tls": Way((Visit.shake_hands, *CONNECTING), "https", proxy_tls=TRUSTING),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture
def attempt():
    with Attempt(THREADS, PATIENCE) as attempt:
        yield attempt


@pytest.fixture
def follow(hostile) -> Callable[[Way], tuple[Route, HostileServer]]:
    """Open a way, to be closed with the test at the latest."""
    with ExitStack() as stack:

        def followed(way: Way, attempt: Attempt, **options) -> tuple[Route, HostileServer]:
            server = hostile(way.script)
            route = way.open(server, attempt, **options)
            stack.callback(route.close)
            return route, server

        yield followed


# --- open -----------------------------------------------------------------------------------------


@each_way
def test_at_the_end_of_every_way_is_the_server(follow, attempt, way):
    route, _ = follow(way.then(ANSWERING), attempt)
    route.pipe.send_all(QUESTION)
    assert route.pipe.recv() == b"and back"


@each_way
def test_once_it_is_open_it_is_a_stream(follow, attempt, way):
    route, _ = follow(way.then(ANSWERING), attempt)
    stream = route.stream(THREADS)
    is_tls = isinstance(route.pipe, TlsPipe)
    assert isinstance(stream, MemoryTlsStream if is_tls else BlockingStream)
    assert stream.fileno() == route.sock.fileno()
    assert stream.send_now(QUESTION) == len(QUESTION)
    assert stream.recv() == b"and back"
    stream.close()


@each_way
def test_who_closes_it_gives_up_its_descriptor(follow, attempt, way):
    route, server = follow(way, attempt)
    route.close()
    route.close()
    assert route.sock.fileno() == -1
    assert server.visit().left.wait(PATIENCE)


@each_way
def test_the_options_of_sockets_are_for_whoever_is_connected_to(follow, attempt, way):
    route, _ = follow(way, attempt, net=Net(source_address=("127.0.0.2", 0)))
    assert route.sock.getsockname()[0] == "127.0.0.2"


@pytest.mark.parametrize("name", ["proxy", "proxy-with-tls"])
def test_a_proxy_is_told_of_the_server_and_nothing_is_looked_up(follow, attempt, name):
    _, server = follow(WAYS[name], attempt)
    (asked,) = server.visit().requests
    assert (asked.method, asked.target) == ("CONNECT", f"{NOWHERE}:8080")


# --- not to be had --------------------------------------------------------------------------------

DENIED = send(head(b"Content-Length: 2", status=b"HTTP/1.1 407 Who") + b"no")
MUTE = send(b"\x00" * 64)
UNKNOWN_AUTHORITY = Way((Visit.shake_hands,), tls=DOUBTING)
UNKNOWN_PROXY = Way((Visit.shake_hands,), "https", proxy_tls=DOUBTING)
UNKNOWN_BEHIND = Way((*CONNECTING, Visit.shake_hands), "http", DOUBTING)
FAILURES = {
    "tls-that-is-none": (Way((MUTE,), tls=TRUSTING), ssl.SSLError),
    "tls-of-an-unknown-authority": (UNKNOWN_AUTHORITY, ssl.SSLCertVerificationError),
    "tls-cut": (Way((Visit.reset,), tls=TRUSTING), OSError),
    "proxy-that-denies": (Way((Visit.read_head, DENIED), "http"), ProxyError),
    "proxy-that-speaks-no-http": (Way((Visit.read_head, MUTE), "http"), ProxyError),
    "proxy-that-leaves": (Way((Visit.read_head, Visit.end_writing), "http"), ProxyError),
    "proxy-of-an-unknown-authority": (UNKNOWN_PROXY, ssl.SSLCertVerificationError),
    "tls-of-an-unknown-authority-within-a-proxy": (UNKNOWN_BEHIND, ssl.SSLCertVerificationError),
    "proxy-with-tls-that-denies": (
        Way((Visit.shake_hands, Visit.read_head, DENIED), "https", proxy_tls=TRUSTING),
        ProxyError,
    ),
    "proxy-with-tls-that-is-not-said": (Way((), "https"), ConfigurationError),
}


@pytest.mark.parametrize("way, kind", FAILURES.values(), ids=FAILURES)
def test_a_way_that_leads_nowhere_is_closed_at_once(hostile, attempt, way, kind):
    server = hostile(way.script)
    with pytest.raises(kind):
        way.open(server, attempt)
    # Nothing is collected while the error is held.
    assert server.visit().left.wait(PATIENCE)


def test_where_nobody_listens_the_error_of_the_network_comes_as_it_is(hostile, attempt):
    proxy = Proxy("http", "127.0.0.1", refused_port())
    for port, through in ((refused_port(), None), (8080, proxy)):
        with pytest.raises(ConnectionRefusedError):
            open_route("127.0.0.1", port, TRUSTING, through, Net(), attempt)


SILENCES = {
    "TLS handshake with 127.0.0.1": Way((), tls=TRUSTING),
    "waiting for the answer of the proxy 127.0.0.1": Way((), "http"),
    "TLS handshake with the proxy 127.0.0.1": Way((), "https", proxy_tls=TRUSTING),
    "TLS handshake with server.invalid": Way(CONNECTING, "http", TRUSTING),
}


@pytest.mark.parametrize("phase", SILENCES)
def test_a_deadline_tells_how_far_it_came(hostile, phase):
    way = SILENCES[phase]
    server = hostile(way.script)
    with Attempt(THREADS, SHORT) as attempt, pytest.raises(TimeoutError) as caught:
        way.open(server, attempt)
    assert str(caught.value).endswith(f": {phase}")
    assert server.visit().left.wait(PATIENCE)


def test_a_deadline_tells_of_a_proxy_that_cannot_be_connected_to(hostile):
    with (
        unreachable() as port,
        Attempt(THREADS, SHORT) as attempt,
        pytest.raises(TimeoutError, match=rf": connecting to 127\.0\.0\.1 port {port}$"),
    ):
        open_route(NOWHERE, 80, None, Proxy("http", "127.0.0.1", port), Net(), attempt)


@pytest.mark.parametrize("phase", SILENCES)
def test_calling_off_ends_it_however_far_it_came(hostile, attempt, phase):
    is_there = threading.Event()
    way = SILENCES[phase].then((read(1), lambda visit: is_there.set()))
    server = hostile(way.script)
    with ThreadPoolExecutor(1) as pool:
        dialing = pool.submit(way.open, server, attempt)
        assert is_there.wait(PATIENCE)
        attempt.call_off()
        with pytest.raises(CalledOff):
            dialing.result(PATIENCE)
    assert server.visit().left.wait(PATIENCE)
