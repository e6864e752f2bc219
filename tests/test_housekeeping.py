"""The one thread that never waits for a user."""

from __future__ import annotations

import functools
import gc
import math
import socket
import threading
import time
import weakref
from queue import Queue

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.housekeeping import TICK, Housekeeper, housekeeper_of
from faye_sync.readiness import READ

PATIENCE = 20.0  # seconds to wait for what should come at once


class Kept:
    """A connection that counts what is done to it."""

    def __init__(self) -> None:
        self.turn = 0
        self.neglects = Queue()

    def fileno(self) -> int:
        return -1

    def neglected(self) -> None:
        self.neglects.put(time.monotonic())


class Diary:
    """Notes when it was told what."""

    def __init__(self) -> None:
        self.notes = Queue()

    def note(self, word: object) -> None:
        self.notes.put((word, time.monotonic()))


@pytest.fixture(scope="module")
def housekeeper():
    return housekeeper_of(THREADS)


def test_there_is_one_for_all_threads(housekeeper):
    assert housekeeper_of(THREADS) is housekeeper


def test_a_thread_that_could_not_be_started_is_started_by_the_next_job(monkeypatch):
    def refuse(name, function):
        raise RuntimeError("can't start new thread")

    housekeeper, done = Housekeeper(THREADS), Queue()
    monkeypatch.setattr(THREADS, "spawn", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        housekeeper.post(lambda: done.put("never"))
    monkeypatch.undo()
    housekeeper.post(lambda: done.put("now"))
    assert done.get(timeout=PATIENCE) == "now"


def test_jobs_run_in_order_on_its_own_thread(housekeeper):
    done = Queue()
    for number in range(100):
        housekeeper.post(lambda number=number: done.put((number, threading.current_thread().name)))
    assert [done.get(timeout=PATIENCE) for _ in range(100)] == [
        (number, "faye-sync-housekeeping") for number in range(100)
    ]


def test_a_job_that_fails_is_logged_and_the_others_go_on(housekeeper, caplog):
    done = Queue()
    housekeeper.post(lambda: {}["missing"])
    housekeeper.post(lambda: done.put(True))
    assert done.get(timeout=PATIENCE)
    assert "this is a bug in faye_sync" in caplog.text
    assert "KeyError" in caplog.text


def test_what_a_signal_handler_raises_in_a_wait_does_not_end_it(monkeypatch, caplog):
    housekeeper, done = Housekeeper(THREADS), Queue()
    wait, raised = housekeeper._poller.wait, [OSError("a time is over")]

    def interrupted(timeout):
        if raised:
            raise raised.pop()
        return wait(timeout)

    monkeypatch.setattr(housekeeper._poller, "wait", interrupted)
    housekeeper.post(lambda: done.put("done"))
    assert done.get(timeout=PATIENCE) == "done"
    assert raised == []
    assert "a time is over" in caplog.text


def test_deadlines_are_met_in_the_order_of_their_time_and_not_before(housekeeper):
    diary = Diary()
    began = time.monotonic()

    def plan():
        for seconds in (0.3, 0.1, 0.2):
            housekeeper.at(seconds, diary.note, seconds)

    housekeeper.post(plan)
    met = [diary.notes.get(timeout=PATIENCE) for _ in range(3)]
    assert [seconds for seconds, _ in met] == [0.1, 0.2, 0.3]
    assert all(at - began >= seconds for seconds, at in met)


def test_a_deadline_keeps_nobody_alive_and_is_not_met_for_one_who_is_gone(housekeeper):
    gone, there = Diary(), Diary()
    notes, reference = gone.notes, weakref.ref(gone)
    housekeeper.post(lambda: housekeeper.at(0.1, there.note, "there"))
    planned = Queue()
    housekeeper.post(functools.partial(housekeeper.at, 0.05, gone.note, "gone"))
    housekeeper.post(lambda: planned.put(True))
    assert planned.get(timeout=PATIENCE)
    del gone
    gc.collect()
    assert reference() is None
    assert there.notes.get(timeout=PATIENCE)[0] == "there"
    assert notes.empty()


def test_a_far_deadline_does_not_end_the_waiting(housekeeper):
    diary = Diary()
    housekeeper.post(lambda: housekeeper.at(1e10, diary.note, "in 300 years"))
    for _ in range(3):
        housekeeper.post(lambda: diary.note("now"))
        assert diary.notes.get(timeout=PATIENCE)[0] == "now"


def test_an_armed_descriptor_is_told_once(housekeeper):
    told = Queue()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        housekeeper.post(lambda: housekeeper.arm(ours.fileno(), READ, told.put))
        theirs.send(b"x")
        assert told.get(timeout=PATIENCE) & READ
        housekeeper.post(lambda: told.put("next"))
        assert told.get(timeout=PATIENCE) == "next"
        # Before it is closed: else whoever gets its number next is not watched.
        housekeeper.post(lambda: told.put(housekeeper.forget(ours.fileno())))
        assert told.get(timeout=PATIENCE) is None


def test_an_owner_without_progress_is_found_within_two_ticks(housekeeper):
    kept = Kept()
    began = time.monotonic()
    housekeeper.post(lambda: housekeeper.heat(kept))
    assert kept.neglects.get(timeout=PATIENCE) - began < 2 * TICK + 5.0
    housekeeper.post(lambda: housekeeper.let_go(kept))


def test_an_owner_with_progress_is_left_alone(housekeeper):
    kept = Kept()
    asked = Queue()
    housekeeper.post(lambda: housekeeper.heat(kept))
    deadline = time.monotonic() + 4 * TICK
    while time.monotonic() < deadline:
        kept.turn += 1
        housekeeper.post(lambda: asked.put(True))
        asked.get(timeout=PATIENCE)
    assert kept.neglects.empty()
    assert kept.neglects.get(timeout=PATIENCE)
    housekeeper.post(lambda: housekeeper.let_go(kept))


def test_it_sleeps_for_ever_when_nothing_is_due():
    # Not started: its own thread would look at the same time.
    idle = Housekeeper(THREADS)
    assert idle.seconds_to_next() == math.inf
    diary = Diary()
    idle.at(5, diary.note)
    assert 4 < idle.seconds_to_next() <= 5
    kept = Kept()
    idle.heat(kept)
    assert idle.seconds_to_next() <= TICK
    idle.let_go(kept)
    assert 4 < idle.seconds_to_next() <= 5
    idle.abandon()
