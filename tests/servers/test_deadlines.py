"""Deadlines: not before d seconds, not after d + max(1 s, 20 %); and what goes on meanwhile."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from tests.support.leaks import held_by, settled
from tests.support.peer import PING, PONG, Peer, frame

D = 1.5  # seconds: the deadline of these tests
BUSY = 10  # seconds that a listener is busy for


def assert_met(seconds: float, deadline: float = D) -> None:
    assert deadline <= seconds <= deadline + max(1.0, 0.2 * deadline)


def test_a_send_to_a_peer_that_reads_nothing_ends_at_its_deadline(main_server, name):
    with Peer(main_server.address, f"/overfill/{name}?send_timeout={D}"):
        result = main_server.ask(f"/result/{name}")
    assert_met(result["seconds"])
    assert result["error"].startswith(
        f"TimeoutError('send did not finish within its deadline of {D}"
    )
    assert (result["code"], result["cause"]) == (1006, "send timeout")


def test_a_peer_that_answers_no_ping_is_dropped_at_the_pong_deadline(main_server, name):
    # The function that listens may begin later than the time does.
    began = time.monotonic()
    with Peer(main_server.address, f"/listen/{name}?ping=0.5&pong_timeout={D}") as peer:
        assert peer.read_frame() == (PING, b"keepalive 1")
        peer.rest()
        assert_met(time.monotonic() - began, 0.5 + D)
        result = main_server.ask(f"/result/{name}")
    assert (result["code"], result["cause"]) == (1006, "ping timeout")


def test_a_peer_that_ignores_close_is_dropped_at_the_close_deadline(main_server, name):
    with Peer(main_server.address, f"/close/{name}?close_timeout={D}") as peer:
        assert peer.read_close() == (4000, "enough")
        result = main_server.ask(f"/result/{name}")
        assert peer.rest() == b""
    assert_met(result["seconds"])
    assert (result["code"], result["cause"]) == (1006, "close timeout")


def test_a_peer_that_ignores_close_leaves_no_thread_and_no_descriptor(main_server, name):
    before = held_by(main_server)
    with ExitStack() as stack:
        path = f"/close/{name}?close_timeout=0.5"
        peers = [stack.enter_context(Peer(main_server.address, path)) for _ in range(10)]
        for peer in peers:
            assert peer.read_close() == (4000, "enough")
            assert peer.rest() == b""
        assert settled(main_server, before)


def test_close_and_ping_return_at_once_while_a_send_is_stalled(main_server, name):
    with Peer(main_server.address, f"/overfill/{name}?send_timeout={D}"):
        took = main_server.ask(f"/poke/{name}")
        result = main_server.ask(f"/result/{name}")
    assert took["pinged"]
    assert took["ping took"] < 0.5
    assert took["close took"] < 0.5
    assert_met(result["seconds"])


def test_a_peer_that_stops_reading_leaves_the_others_untouched(main_server, name):
    with (
        Peer(main_server.address, f"/overfill/{name}?send_timeout=5"),
        Peer(main_server.address, f"/busy/{name}-other") as other,
    ):
        for _ in range(20):
            started = time.monotonic()
            other.say("0")
            assert other.read() == "worked 0"
            assert time.monotonic() - started < 1.0
        assert main_server.ask(f"/state/{name}")["state"] == "OPEN"


def test_broadcast_to_a_room_with_a_stalled_peer_does_not_wait(main_server, name):
    with ExitStack() as stack:

        def join(who: str) -> Peer:
            peer = stack.enter_context(Peer(main_server.address, f"/room/{name}-{who}"))
            assert peer.read() == "welcome"
            return peer

        healthy = [join(str(i)) for i in range(5)]
        join("stalled?max_queue=500000&close_timeout=0.5")
        pool = stack.enter_context(ThreadPoolExecutor(len(healthy)))
        received = pool.map(lambda peer: [len(peer.read()) for _ in range(80)], healthy)

        told = [main_server.ask(f"/tell-room/{name}") for _ in range(2)]

        assert list(received) == [[100_000] * 80] * len(healthy)
        assert max(each["seconds"] for each in told) < 5.0
        assert told[0]["counts"][0] == len(healthy) + 1
        assert told[1]["counts"][-1] == len(healthy)
        assert main_server.ask(f"/result/{name}-stalled")["cause"] == "queue full"


def test_a_handler_that_only_sends_answers_pings(main_server, name):
    with Peer(main_server.address, f"/send-only/{name}") as peer:
        peer.send(frame(PING, b"still there?"))
        started = time.monotonic()
        while peer.read_frame() != (PONG, b"still there?"):
            assert time.monotonic() - started < 2.0
        assert time.monotonic() - started < 2.0


def test_a_handler_that_only_sends_notices_a_close(main_server, name):
    with Peer(main_server.address, f"/send-only/{name}") as peer:
        peer.read()
        started = time.time()
        peer.send(bytes.fromhex("88 82 00 00 00 00 0f a1"))  # close, masked with zeros, 4001
        result = main_server.ask(f"/result/{name}")
    assert result["code"] == 4001
    assert result["clean"]
    assert result["ended"] - started < 2.0


def test_a_busy_listener_does_not_get_a_live_peer_killed(deeds, name):
    servers = [
        deeds(each) for each in ("werkzeug", "gunicorn-gthread", "gunicorn-gevent", "gevent")
    ]
    path = f"/busy/{name}?ping=1&pong_timeout=1"
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(server.address, path)) for server in servers]
        for peer in peers:
            peer.say(str(BUSY))
        with ThreadPoolExecutor(len(peers)) as pool:
            # read() answers the pings that come before the message.
            answers = list(pool.map(Peer.read, peers))
        assert answers == [f"worked {BUSY}"] * len(peers)
        assert [peer.close() for peer in peers] == [(1000, "")] * len(peers)
