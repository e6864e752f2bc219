"""Flags, waits and names of the greenlet world."""

from __future__ import annotations

import gc
import socket
import threading
import time
import weakref

import gevent
import pytest

from faye_sync.concurrency.greenlets import Greenlets


def in_a_fresh_hub(function) -> list:
    """Run function on a thread of its own, so that its hub is not left in pytest's."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(function()), daemon=True)
    thread.start()
    thread.join(10)
    return outcome


def test_wait_on_a_set_flag_returns_though_an_earlier_waiter_times_out():
    def race() -> bool:
        flag = Greenlets(gevent.get_hub()).event()
        gevent.spawn(flag.wait, 0.03)
        gevent.spawn_later(0.01, flag.set)
        late = gevent.spawn_later(0.02, flag.wait)
        gevent.sleep(0)
        # Keep the hub busy until all three are due: they then happen in one turn, in this order.
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            continue
        gevent.joinall([late], timeout=5)
        return late.dead

    assert in_a_fresh_hub(race) == [True]


def test_a_flag_that_nobody_waits_for_is_kept_and_wakes_those_who_wait_later():
    def wait_twice() -> tuple[bool, bool, bool]:
        flag = Greenlets(gevent.get_hub()).event()
        flag.set()
        before = flag.wait(10)
        flag.clear()
        cleared = flag.wait(0)
        gevent.spawn(flag.set)
        return before, cleared, flag.wait(10)

    assert in_a_fresh_hub(wait_twice) == [(True, False, True)]


def test_a_greenlet_that_is_remembered_does_not_live_on():
    def remember() -> tuple[bool, bool]:
        world = Greenlets(gevent.get_hub())
        greenlet = gevent.spawn(world.current)
        remembered, known = greenlet.get(), weakref.ref(greenlet)
        was_told_apart = remembered == known and remembered != world.current()
        del greenlet
        gevent.sleep(0)  # the hub lets go of it
        gc.collect()
        return was_told_apart, known() is None

    assert in_a_fresh_hub(remember) == [(True, True)]


@pytest.mark.parametrize("timeout", [None, 10.0])
def test_a_timeout_of_the_users_ends_a_wait_and_reaches_him(timeout):
    def wait() -> bool:
        world = Greenlets(gevent.get_hub())
        ours, peer = socket.socketpair()
        with ours, peer, pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
            world.wait_readable(ours.fileno(), timeout)
        return not world._waits

    assert in_a_fresh_hub(wait) == [True]
