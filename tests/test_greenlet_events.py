"""Flags of the greenlet world."""

from __future__ import annotations

import threading
import time

import gevent

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
