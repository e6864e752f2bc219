"""A handler that forks, and an application that was loaded before the workers were forked."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.peer import Peer
from tests.support.servers import Server, serve
from tests.support.stream_peer import StreamPeer

STYLES = ["start", "attached"]


@pytest.fixture(
    scope="module",
    params=[
        "werkzeug",
        "waitress",
        "cheroot",
        "gunicorn-gthread-tls",
        "gunicorn-gevent",
        "gevent-tls",
    ],
)
def forking(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("forking")
    with serve(request.param, "tests.servers.fork_app:application", folder) as server:
        yield server
        server.ask("/end")


@pytest.mark.parametrize("style", STYLES)
def test_a_connection_goes_on_while_a_forked_child_lives_and_after_its_end(forking, style):
    with Peer(forking.address, f"/{style}/fork") as peer:
        assert int(peer.read()) > 0
        peer.say("beside a child")
        assert peer.read() == "beside a child"
        assert forking.ask("/end") == 1
        peer.say("alone again")
        assert peer.read() == "alone again"
        assert peer.close() == (1000, "")


@pytest.mark.parametrize("style", STYLES)
def test_a_living_child_does_not_keep_the_connection_of_a_handler_that_raised(forking, style):
    with Peer(forking.address, f"/{style}/fork-raise") as peer:
        assert int(peer.read()) > 0
        peer.say("go on")
        assert peer.answer_close() == (1011, "")
        assert forking.ask("/end") == 1


@pytest.mark.parametrize("style", STYLES)
def test_a_child_that_uses_the_connection_and_exits_leaves_the_peer_alone(forking, style):
    with Peer(forking.address, f"/{style}/fork-exit") as peer:
        assert peer.read() == "ended with 0"
        peer.say("still the parent's")
        assert peer.read() == "still the parent's"
        assert peer.close() == (1000, "")


@pytest.mark.parametrize("name", ["gunicorn-gthread", "gunicorn-gevent"])
def test_an_application_that_was_preloaded_serves_and_says_goodbye(tmp_path, name):
    options = "--preload --workers 2"
    app = "tests.support.app:application"
    with serve(name, app, tmp_path, GUNICORN_CMD_ARGS=options) as server, ExitStack() as stack:
        styles = ["callbacks", "start", "attached"] * 2
        peers = [stack.enter_context(Peer(server.address, f"/{each}/echo")) for each in styles]
        for peer in peers:
            peer.say("hello")
            assert peer.read() == "hello"
        server.send_signal(signal.SIGTERM)
        assert [peer.answer_close()[0] for peer in peers] == [1001] * len(peers)
        server.process.wait(20)
        assert "Traceback" not in server.log()


def test_a_child_finds_its_parents_event_stream_closed_and_the_client_sees_nothing_of_it(forking):
    with StreamPeer(forking.address, "/stream") as peer:
        assert peer.block() == "retry: 5000"
        assert forking.ask("/stream-and-fork") == "done"
        assert peer.data() == "ended with 0"
