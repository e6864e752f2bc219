"""Many detached connections in one worker with two threads."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from tests.support.peer import Peer, all_echo

COUNT = 500
FEW = 16  # threads
PATIENCE = 30.0  # seconds


def own_threads(server) -> list[str]:
    return [name for name in server.ask("/threads") if name.startswith("faye-sync-")]


@pytest.mark.stress
def test_two_worker_threads_hold_500_connections_and_answer_pages(started):
    server = started("gunicorn-gthread-2")
    with ExitStack() as stack:
        peers = []
        for i in range(COUNT):
            style = "callbacks" if i % 2 else "start"
            peers.append(stack.enter_context(Peer(server.address, f"/{style}/echo?park=no")))

        began = time.monotonic()
        pages = [server.get("/hello") for _ in range(20)]
        assert time.monotonic() - began < 2.0
        assert [page.status_code for page in pages] == [200] * 20

        names = own_threads(server)
        assert names.count("faye-sync-housekeeping") == 1
        assert len(names) - 1 == len(set(names)) - 1 == COUNT

        all_echo(peers, "still here")
        assert [peer.close() for peer in peers] == [(1000, "")] * COUNT


@pytest.mark.stress
@pytest.mark.parametrize("name", ["gunicorn-gthread-2", "gunicorn-gthread-tls"])
def test_connections_that_say_nothing_share_a_few_threads(started, name):
    server = started(name)
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(server.address, "/callbacks/echo")) for _ in range(COUNT)]
        for text in ("first", "second"):
            all_echo(peers, text)
            # What is idle gives its thread back within a second or two.
            deadline = time.monotonic() + PATIENCE
            while len(own := own_threads(server)) > FEW and time.monotonic() < deadline:
                threading.Event().wait(0.2)
            assert len(own) <= FEW, own
        assert [peer.close() for peer in peers] == [(1000, "")] * COUNT


@pytest.mark.stress
def test_one_gevent_hub_holds_500_connections(started):
    server = started("gevent")
    with ExitStack() as stack:
        styles = ("callbacks", "start", "attached")
        peers = [
            stack.enter_context(Peer(server.address, f"/{styles[i % 3]}/echo"))
            for i in range(COUNT)
        ]
        assert server.ask("/hello") == "hello"
        all_echo(peers, "still here")
        assert not [name for name in server.ask("/threads") if name.startswith("faye-sync")]
        assert [peer.close() for peer in peers] == [(1000, "")] * COUNT
