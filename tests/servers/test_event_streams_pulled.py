"""EventSource on servers that keep the client's socket: they pull the stream, event by event."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack

import pytest

from faye_sync import ReadyState
from tests.support.no_socket import REFUSERS, refusing
from tests.support.parts import require
from tests.support.stream_peer import StreamPeer

STREAMING = ("bjoern", "granian", "hypercorn", "mod_wsgi", "twisted")
# bjoern is one thread: while a stream waits, nothing else is answered. Apache has several processes,
# so that a question meets one that knows of nothing.
THREADED = ("granian", "hypercorn", "twisted")
# Hypercorn goes on pulling for a client that has left.
TELLING = ("bjoern", "granian", "twisted")


@pytest.fixture(scope="module")
def pulling(tmp_path_factory):
    """Give a server by name, started once for all tests of this file."""
    running = {}
    with ExitStack() as stack:

        def start(name):
            require(name, REFUSERS[name].missing())
            if name not in running:
                running[name] = refusing(name, tmp_path_factory.mktemp(name))
                # Most of them wait for ever for streams that are open.
                stack.callback(running[name].stop, signal.SIGKILL)
            return running[name]

        yield start


@pytest.mark.parametrize("server_name", STREAMING)
def test_a_stream_comes_whole_and_in_order(pulling, name, server_name):
    server = pulling(server_name)
    with StreamPeer(server.address, f"/streams/count/{name}?size=1000") as peer:
        assert peer.status == 200
        assert peer.header("Content-Type") == "text/event-stream; charset=utf-8"
        assert peer.header("X-Accel-Buffering") == "no"
        assert peer.block() == "retry: 5000"
        assert [peer.event() for _ in range(1000)] == [
            {"id": str(number), "data": str(number)} for number in range(1000)
        ]
        assert peer.rest() == b""


@pytest.mark.parametrize("server_name", STREAMING)
def test_a_head_request_has_no_body(pulling, name, server_name):
    server = pulling(server_name)
    with StreamPeer(server.address, f"/streams/push/{name}", method="HEAD") as peer:
        assert peer.status == 200
    assert server.get("/hello").text == "hello"


@pytest.mark.parametrize("server_name", STREAMING)
def test_pings_go_out_while_an_iterable_blocks(pulling, name, server_name):
    server = pulling(server_name)
    with StreamPeer(server.address, f"/streams/quiet/{name}?ping=0.2") as peer:
        assert peer.data() == "before"
        assert [peer.block() for _ in range(3)] == [":"] * 3


@pytest.mark.parametrize("server_name", THREADED)
def test_events_of_other_requests_come_at_once_and_pings_between_them(pulling, name, server_name):
    server = pulling(server_name)
    with StreamPeer(server.address, f"/streams/push/{name}?ping=0.2") as peer:
        assert peer.data() == "welcome"
        assert peer.block() == ":"
        for number in range(3):
            assert server.ask(f"/streams/send/{name}?data={number}")
            assert peer.data() == str(number)
        server.ask(f"/streams/close/{name}")
        assert peer.rest().strip(b":\n") == b""
    assert server.ask(f"/streams/end/{name}") == "local"


@pytest.mark.parametrize("server_name", TELLING)
def test_a_client_that_left_is_noticed_by_a_ping(pulling, name, server_name):
    server = pulling(server_name)
    with StreamPeer(server.address, f"/streams/push/{name}?ping=0.2") as peer:
        assert peer.data() == "welcome"
    has_ended(server, name)
    assert server.ask(f"/streams/end/{name}") == "eof"


@pytest.mark.parametrize("server_name", TELLING)
def test_an_iterable_is_closed_when_its_client_has_left(pulling, name, server_name):
    server = pulling(server_name)
    with StreamPeer(server.address, f"/streams/endless/{name}") as peer:
        assert peer.data() == "0"
    has_ended(server, name)
    assert server.ask(f"/streams/closing/{name}") == "closed"


def has_ended(server, name: str) -> None:
    """Wait for the end by questions that wait for nothing: bjoern answers one between two pings."""
    deadline = time.monotonic() + 20
    while server.ask(f"/streams/state/{name}") != ReadyState.CLOSED:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("query", ["", "?detach=true"], ids=["as-it-comes", "detached"])
def test_tornado_is_refused_because_it_sends_nothing_before_the_end(pulling, name, query):
    server = pulling("tornado")
    page = server.get(f"/streams/push/{name}{query}")
    assert page.status_code == 501
    assert "Tornado's WSGIContainer collects the whole body" in page.text
    assert "gunicorn" in page.text


@pytest.mark.parametrize("server_name", THREADED)
def test_to_detach_is_refused_with_the_servers_name_and_the_cure(pulling, name, server_name):
    page = pulling(server_name).get(f"/streams/push/{name}?detach=true")
    assert page.status_code == 501
    assert REFUSERS[server_name].named in page.text
    assert "gunicorn" in page.text
