"""One deadline for all that is waited for, and a way to call it off."""

from __future__ import annotations

import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.readiness import READ, WRITE
from faye_sync.transport.attempt import Attempt, CalledOff
from tests.support.endings import in_time
from tests.test_concurrency import BOTH, PATCHED_OR_NOT, run_script

SHORT = 0.1  # seconds of a deadline that is to pass


@pytest.fixture
def attempt():
    with Attempt(THREADS, 20) as attempt:
        yield attempt


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_wait_tells_which_descriptor_is_ready_for_what(attempt, pair):
    ours, theirs = pair
    assert attempt.wait([(ours.fileno(), READ), (theirs.fileno(), WRITE)]) == [
        (theirs.fileno(), WRITE)
    ]
    theirs.send(b"x")
    ((fd, events),) = attempt.wait([(ours.fileno(), READ)])
    assert fd == ours.fileno()
    assert events & READ


def test_a_wait_forgets_what_it_waited_for(attempt, pair):
    ours, theirs = pair
    assert attempt.wait([(ours.fileno(), READ)], 0.01) == []
    theirs.send(b"x")
    assert attempt.wait([], 0.01) == []


def test_a_limit_ends_the_wait_and_not_the_attempt(attempt, pair):
    with in_time(SHORT, not_before=SHORT):
        assert attempt.wait([(pair[0].fileno(), READ)], SHORT) == []
    attempt.check()


def test_the_deadline_counts_over_all_waits_and_tells_the_phase(pair):
    ours, theirs = pair
    with Attempt(THREADS, SHORT) as attempt:
        attempt.phase = "looking up example.com"
        with in_time(SHORT, not_before=SHORT), pytest.raises(TimeoutError) as caught:
            # Ready every time: only the clock can end this.
            all(attempt.wait([(theirs.fileno(), WRITE)]) for _ in count())
        with pytest.raises(TimeoutError):
            attempt.wait([(ours.fileno(), READ)], 20)
    expected = "no connection within the open_timeout of 0.1 s: looking up example.com"
    assert str(caught.value) == expected


def test_without_a_timeout_there_is_no_deadline(pair):
    with Attempt(THREADS, None) as attempt:
        assert attempt.wait([(pair[0].fileno(), READ)], SHORT) == []
        assert attempt.run("job", lambda: 5) == 5


@pytest.mark.parametrize("limit", [None, 50.0], ids=["no-limit", "a-limit"])
def test_another_thread_calls_off_what_waits(attempt, pair, limit):
    with ThreadPoolExecutor(1) as pool, in_time(0):
        waiting = pool.submit(attempt.wait, [(pair[0].fileno(), READ)], limit)
        attempt.call_off()
        with pytest.raises(CalledOff):
            waiting.result(20)


def test_what_was_called_off_waits_no_more(attempt, pair):
    attempt.call_off()
    for call in (attempt.check, lambda: attempt.wait([(pair[1].fileno(), WRITE)])):
        with pytest.raises(CalledOff):
            call()
    ran = []
    with pytest.raises(CalledOff):
        attempt.run("job", lambda: ran.append(1))
    assert ran == []


@pytest.fixture
def on_alarm():
    """Set the handler of a signal that comes in a moment."""
    previous = signal.getsignal(signal.SIGALRM)

    def set_handler(handler):
        signal.signal(signal.SIGALRM, lambda *_: handler())
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    yield set_handler
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


def test_a_signal_handler_calls_off_what_waits(attempt, pair, on_alarm):
    on_alarm(attempt.call_off)
    with in_time(0), pytest.raises(CalledOff):
        attempt.wait([(pair[0].fileno(), READ)])


def test_a_signal_handler_that_raises_ends_the_wait_alone(attempt, pair, on_alarm):
    def interrupt():
        raise KeyboardInterrupt

    on_alarm(interrupt)
    ours, theirs = pair
    with in_time(0), pytest.raises(KeyboardInterrupt):
        attempt.wait([(ours.fileno(), READ)])
    theirs.send(b"x")
    assert attempt.wait([], 0.01) == []
    assert len(attempt.wait([(ours.fileno(), READ)])) == 1


def test_a_job_runs_beside_on_a_thread_of_its_name(attempt):
    assert attempt.run("job", lambda: threading.current_thread().name) == "job"
    assert attempt.run("job", lambda: threading.current_thread().daemon)


def test_what_a_job_raises_is_raised(attempt):
    with pytest.raises(LookupError):
        attempt.run("job", lambda: {}["missing"])


def test_a_job_that_takes_too_long_is_left_to_end_by_itself():
    release, ended = threading.Event(), threading.Event()

    def job():
        release.wait(20)
        ended.set()

    with in_time(SHORT), Attempt(THREADS, SHORT) as attempt, pytest.raises(TimeoutError):
        attempt.run("job", job)
    release.set()
    assert ended.wait(20)


def test_a_job_that_was_left_wakes_no_later_wait(pair, on_alarm):
    """Neither that of the same attempt nor another's with the same descriptors."""
    release = threading.Event()
    thread = []

    def job():
        thread.append(threading.current_thread())
        release.wait(20)

    def leave():
        raise KeyboardInterrupt

    with Attempt(THREADS, 20) as attempt:
        on_alarm(leave)
        with pytest.raises(KeyboardInterrupt):
            attempt.run("job", job)
        release.set()
        assert attempt.wait([(pair[0].fileno(), READ)], SHORT) == []
        assert attempt.run("other", lambda: "other") == "other"
    thread[0].join(20)


def test_call_off_and_close_come_in_any_order():
    attempt = Attempt(THREADS, 20)
    attempt.close()
    attempt.call_off()
    attempt.close()


def test_an_attempt_gives_its_descriptors_back():
    before = descriptors()
    for _ in range(3):
        with Attempt(THREADS, 20) as attempt:
            attempt.run("job", lambda: None)
    assert descriptors() == before


def test_an_attempt_that_finds_no_descriptor_leaves_none():
    script = """
        import os, resource
        from faye_sync.concurrency import THREADS
        from faye_sync.transport.attempt import Attempt

        count = lambda: len(os.listdir("/proc/self/fd"))
        before = count()
        for more in range(3):
            # listdir has one of its own.
            resource.setrlimit(resource.RLIMIT_NOFILE, (before - 1 + more, 4096))
            try:
                Attempt(THREADS, 20)
            except OSError as error:
                print(error.errno, end=" ")
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            print(count() - before, end=" ")
    """
    assert run_script(script, patched=False) == "24 0 24 0 24 0 "


ON_A_HUB = """
import _socket, threading, time
from faye_sync.concurrency import THREADS
from faye_sync.readiness import READ
from faye_sync.transport.attempt import Attempt, CalledOff

world = hub.world()
ours, theirs = _socket.socketpair()
fd = ours.fileno()
ticks = []

def tick():
    while True:
        ticks.append(1)
        hub.sleep(0.01)
"""

HUB_WAITS = """
# Nothing else is there for the hub to do.
with Attempt(world, 0.2) as attempt:
    try:
        attempt.wait([(fd, READ)])
    except TimeoutError as error:
        print(error)
ticking = hub.spawn(tick)
with Attempt(world, 20) as attempt:
    print(attempt.wait([(fd, READ)], 0.3), len(ticks) > 5)
    hub.native(attempt.call_off)
    try:
        attempt.wait([(fd, READ)])
    except CalledOff as error:
        print(error)
with Attempt(world, 20) as attempt:
    theirs.send(b"x")
    print([ready for ready, _ in attempt.wait([(fd, READ)])] == [fd])
    print([ready for ready, _ in attempt.wait([(fd, READ)], 0)] == [fd])
"""


@BOTH
@PATCHED_OR_NOT
def test_on_a_hub_others_go_on_meanwhile(under, patched):
    assert run_script(ON_A_HUB + HUB_WAITS, under=under, patched=patched).splitlines() == [
        "no connection within the open_timeout of 0.2 s: preparing the request",
        "[] True",
        "called off while preparing the request",
        "True",
        "True",
    ]


HUB_RUNS = """
def real():
    # Blocks its thread, whatever is patched.
    THREADS.wait_readable(fd, 0.3)
    return THREADS.current()

def green():
    hub.sleep(0.3)
    return THREADS.current()

ticking = hub.spawn(tick)
with Attempt(world, 20) as attempt:
    print(attempt.run("job", real) != THREADS.current(), len(ticks) > 5)
    print(attempt.run("job", green, world) == THREADS.current(), len(ticks) > 15)
with Attempt(world, 0.1) as attempt:
    try:
        attempt.run("job", real)
    except TimeoutError:
        print("in time")
"""


@BOTH
@PATCHED_OR_NOT
def test_on_a_hub_a_job_has_a_real_thread_or_a_greenlet(under, patched):
    output = run_script(ON_A_HUB + HUB_RUNS, under=under, patched=patched)
    assert output.splitlines() == ["True True", "True True", "in time"]
