"""EventSourceClient through real proxies and over TLS, as requests would go."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from threading import Event, Timer
from urllib.parse import quote

import pytest
import requests

from faye_sync import EventSourceClient, EventSourceError, ProxyError, ReadyState, ServerSentEvent
from tests.support.certificates import certificate
from tests.support.event_streams import EVENT, ONE, streamed
from tests.support.forked import forked
from tests.support.hostile import HostileServer, Visit
from tests.support.parts import require
from tests.support.proxies import PASSWORD, USER, dante, missing_dante, missing_squid, squid

PATIENCE = 20.0


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    """squid's, by name."""
    require("squid", missing_squid())
    with squid(tmp_path_factory.mktemp("squid")) as ports:
        yield ports


def session(proxy: str = "", verify: bool = True) -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    if proxy:
        made.proxies = {"http": proxy, "https": proxy}
    made.verify = certificate().authority if verify else True
    return made


def first(server: HostileServer, using: requests.Session, scheme: str) -> ServerSentEvent:
    url = server.url("/x?y=z", scheme, host="localhost")
    with EventSourceClient(url, session=using, reconnect=False) as events:
        return next(iter(events))


def test_a_proxy_is_asked_for_the_whole_url_of_http_and_not_for_a_tunnel(ports):
    with HostileServer(streamed(EVENT)) as server:
        assert first(server, session(ports["open"].url()), "http") == ONE
        request = server.request()
    assert request.target == "/x?y=z"
    # Nobody adds that within a tunnel.
    assert "squid" in request["Via"]


def test_a_proxy_tunnels_https(ports):
    with HostileServer(streamed(EVENT), tls=True) as server:
        assert first(server, session(ports["open"].url()), "https") == ONE
        assert server.request()["Via"] is None


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_login_of_a_proxy_goes_to_the_proxy_alone(ports, scheme):
    with HostileServer(streamed(EVENT), tls=scheme == "https") as server:
        proxy = ports["login"].url(f"{USER}:{quote(PASSWORD, safe='')}@")
        assert first(server, session(proxy), scheme) == ONE
        assert server.request()["Proxy-Authorization"] is None


@pytest.mark.parametrize("scheme, error", [("http", EventSourceError), ("https", ProxyError)])
def test_a_proxy_that_wants_another_login_is_final_and_says_407(ports, scheme, error):
    with HostileServer(streamed(EVENT), tls=scheme == "https") as server:
        proxy = ports["login"].url(f"{USER}:wrong@")
        with pytest.raises(error) as caught:
            first(server, session(proxy), scheme)
        assert caught.value.status_code == 407
        assert "wrong" not in str(caught.value)
        assert server.count() == 0


def test_a_proxy_may_speak_tls_itself(ports):
    with HostileServer(streamed(EVENT)) as server:
        assert first(server, session(ports["tls"].url()), "http") == ONE


def test_a_socks_proxy_leads_there(tmp_path):
    require("dante", missing_dante())
    with ExitStack() as stack:
        proxy = stack.enter_context(dante(tmp_path))
        server = stack.enter_context(HostileServer(streamed(EVENT)))
        assert first(server, session(proxy.url(scheme="socks5h")), "http") == ONE


# --- close() on the way ---------------------------------------------------------------------------


def direct(server: HostileServer, scheme: str) -> EventSourceClient:
    return EventSourceClient(server.url("/", scheme), session=session(), open_timeout=None)


def proxied(server: HostileServer, scheme: str) -> EventSourceClient:
    by = session(server.url("", "http"))
    return EventSourceClient(f"{scheme}://server.example/", session=by, open_timeout=None)


SILENT = [
    pytest.param(lambda server: direct(server, "https"), id="before-the-server-shakes-hands"),
    pytest.param(lambda server: proxied(server, "https"), id="before-the-proxy-tunnels"),
    pytest.param(lambda server: proxied(server, "http"), id="before-the-proxy-answers"),
]


@pytest.mark.parametrize("client", SILENT)
def test_close_ends_the_way_there_where_it_waits(client):
    with HostileServer((Visit.read_more,)) as server:
        events = client(server).start()
        visit = server.visit()
        Timer(0.2, events.close).start()
        assert events.join(PATIENCE)
        assert visit.left.wait(PATIENCE)


def test_close_ends_the_look_up_of_a_name(monkeypatch):
    began, release = Event(), Event()

    def getaddrinfo(host, port, family=0, kind=0, proto=0, flags=0):
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        began.set()
        release.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    events = EventSourceClient("http://slow.example/", session=session(), open_timeout=None).start()
    try:
        assert began.wait(PATIENCE)
        events.close()
        assert events.join(PATIENCE)
        assert not release.is_set()
    finally:
        release.set()


# --- forks ----------------------------------------------------------------------------------------


def test_a_stream_reads_as_closed_in_a_forked_child_and_goes_on_in_the_parent():
    with HostileServer(streamed(EVENT, Visit.stall, EVENT)) as server:
        events = EventSourceClient(server.url("/", "http"), session=session(), retry=60)
        got = iter(events)
        assert next(got) == ONE
        with forked() as is_child:
            if is_child:
                assert events.closed
                assert events.ready_state is ReadyState.CLOSED
                assert list(got) == []
                assert list(events) == []
                events.close()
        server.release()
        assert not events.closed
        assert next(got) == ONE
        got.close()
        events.close()


def test_a_child_of_a_process_that_reads_waits_for_no_thread_of_its_parents():
    with HostileServer(streamed(EVENT)) as server:
        events = EventSourceClient(server.url("/", "http"), session=session(), retry=60)
        told = Event()
        events.on("message", lambda event: told.set())
        events.start()
        assert told.wait(PATIENCE)
        with forked() as is_child:
            if is_child:
                assert events.closed
                assert events.join(PATIENCE)
        assert not events.closed
        events.close()
        assert events.join(PATIENCE)


# --- TLS ------------------------------------------------------------------------------------------


def test_https_is_verified_by_the_session():
    with HostileServer(streamed(EVENT), tls=True) as server:
        assert first(server, session(), "https") == ONE


def test_a_certificate_that_nobody_knows_is_final_even_for_a_get():
    with HostileServer(streamed(EVENT), tls=True) as server:
        url = server.url("/", "https", host="localhost")
        events = EventSourceClient(url, session=session(verify=False), retry=0.01)
        with events, pytest.raises(ssl.SSLCertVerificationError):
            list(events)
        assert server.count() == 1
