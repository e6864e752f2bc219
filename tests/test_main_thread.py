"""Waits of the main thread, and the signals that come as they begin."""

from __future__ import annotations

import signal
import threading
import time
from functools import partial

import pytest

from faye_sync.concurrency import main_thread_check
from faye_sync.concurrency.main import wait_with_signals
from tests.support.late_signal import just_after

LONG = 30.0  # seconds


@pytest.fixture
def lock():
    """One that is held."""
    lock = threading.Lock()
    lock.acquire()
    return lock


@pytest.mark.parametrize("timeout", [None, LONG], ids=["for ever", "for long"])
def test_a_signal_that_comes_as_a_wait_begins_is_not_left_lying(lock, timeout, uncollected):
    def wait(seconds):
        limit = LONG if seconds is None else seconds
        return bool(just_after(signal.SIGINT, partial(lock.acquire, True, limit)))

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        wait_with_signals(wait, timeout, main_thread_check())
    assert time.monotonic() - began < LONG / 2


@pytest.mark.parametrize(
    "timeout, waits",
    [(0, [0]), (0.5, [0.5]), (2.5, [1, 1, 0.5]), (-1, [0])],
    ids=["not at all", "less than a second", "some seconds", "past"],
)
def test_a_wait_is_as_long_as_asked_for_and_no_longer_at_a_time_than_a_second(
    monkeypatch, timeout, waits
):
    now, waited = [100.0], []

    def wait(seconds):
        waited.append(seconds)
        now[0] += seconds
        return False

    monkeypatch.setattr("faye_sync.clock.monotonic", lambda: now[0])
    assert wait_with_signals(wait, timeout, lambda: True) is False
    assert waited == waits


def test_a_wait_that_is_met_says_so():
    assert wait_with_signals(lambda _: True, None, main_thread_check())


def test_other_threads_wait_in_one_go():
    assert wait_with_signals(lambda seconds: seconds is None, None, lambda: False)
