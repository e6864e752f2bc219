"""A hub, gevent's or eventlet's, never stalls for long, whatever connections and their peers do.

A greenlet in the server ticks all the while. One connection that made the hub wait, or that kept
it to itself, would hold up every other greenlet of the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.peer import PING, PONG, TEXT, Peer, frame
from tests.support.servers import Server, serve

LONGEST = 0.25  # seconds; what is measured is mostly below 0.05
MESSAGE = 8 * 2**20  # octets

pytestmark = pytest.mark.stress


@pytest.fixture(scope="module", params=["gevent", "gevent-unpatched", "eventlet"])
def server(request, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    with serve(request.param, "tests.stress.hub_app:application", folder) as server:
        yield server


@contextmanager
def ticking(server: Server) -> Iterator[None]:
    """Fail if the hub stalled within."""
    server.ask("/gap")
    yield
    gap = server.ask("/gap")
    assert gap["ticks"] > 0
    assert gap["longest"] < LONGEST


@contextmanager
def peers(server: Server, path: str, count: int) -> Iterator[list[Peer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Peer(server.address, path)) for _ in range(count)]


def echo_rounds(some: list[Peer], rounds: int) -> None:
    for number in range(rounds):
        for peer in some:
            peer.say(f"{number}")
        for peer in some:
            assert peer.read() == f"{number}"


@pytest.mark.parametrize("style", ["callbacks", "start", "attached"])
def test_hub_ticks_while_fifty_connections_echo(server, style):
    with peers(server, f"/{style}/echo", 50) as some, ticking(server):
        echo_rounds(some, 20)


@pytest.mark.parametrize("style", ["callbacks", "start", "attached"])
def test_hub_ticks_while_ten_thousand_small_messages_come_at_once(server, style):
    flood = frame(TEXT, b"x") * 10_000
    with peers(server, f"/{style}/echo", 1) as [peer], ticking(server):
        writer = threading.Thread(target=peer.send, args=(flood,), daemon=True)
        writer.start()
        for _ in range(10_000):
            assert peer.read() == "x"
        writer.join()


def test_hub_ticks_while_sends_wait_for_peers_that_read_nothing(server):
    stalled = peers(server, "/blast", 10)
    with stalled, peers(server, "/callbacks/echo", 5) as some, ticking(server):
        echo_rounds(some, 50)


def test_hub_ticks_while_eight_megabytes_go_both_ways(server):
    message = bytes(MESSAGE)
    with peers(server, "/callbacks/echo", 3) as some, ticking(server):
        writers = [threading.Thread(target=peer.say, args=(message,), daemon=True) for peer in some]
        for writer in writers:
            writer.start()
        for peer in some:
            assert peer.read() == message
        for writer in writers:
            writer.join()


def test_hub_ticks_while_peers_ignore_close_frames(server):
    with peers(server, "/callbacks/return?close_timeout=0.5", 30) as some, ticking(server):
        for peer in some:
            peer.say("end it")
        for peer in some:
            assert peer.read() == "end it"
            assert peer.read_close() == (1000, "")
            assert peer.rest() == b""


def test_hub_ticks_while_two_hundred_clients_connect_at_once(server):
    met: list[str] = []

    def visit() -> None:
        with Peer(server.address, "/callbacks/echo") as peer:
            peer.say("hello")
            met.append(peer.read())
            peer.close()

    visitors = [threading.Thread(target=visit, daemon=True) for _ in range(200)]
    with ticking(server):
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()
    assert met == ["hello"] * 200


def test_hub_ticks_while_housekeeping_reads_floods_for_absent_owners(server):
    # One message in tiny fragments: much work to read, little to keep.
    fragments = frame(TEXT, b"x", final=False) + frame(0, b"x", final=False) * 20_000
    flood = fragments + frame(0, b"x") + frame(PING, b"read")
    with peers(server, "/absent", 50) as some, ticking(server):
        for peer in some:
            peer.say("now be absent")
            assert peer.read() == "now be absent"
        for peer in some:
            peer.send(flood)
        for peer in some:
            assert peer.read_frame() == (PONG, b"read")
