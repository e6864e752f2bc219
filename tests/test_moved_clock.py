"""The clock that tests move: pings, deadlines and waits come as if the time had passed."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from queue import Queue

import pytest

from faye_sync import Reconnect, WebSocket
from faye_sync.concurrency import THREADS, ThreadEvent
from faye_sync.testing import Clock, connect

PATIENCE = 20.0  # seconds to wait for what should come at once


def serving(talk, **options):
    """An application of one function, and where it tells what happened."""
    told = Queue()

    def app(environ, start_response):
        ws = WebSocket(environ, **options)
        return ws.start(lambda ws: talk(ws, told))(environ, start_response)

    return app, told


def read_on(ws, told):
    told.put("reading")
    for message in ws:
        told.put(message)


@pytest.fixture
def clock():
    with Clock() as clock:
        yield clock


def test_a_ping_goes_out_when_its_time_has_come_and_is_answered(clock):
    app, _ = serving(read_on)
    with connect(app, ping=None) as ws:
        assert ws.server.latency is None
        clock.advance(19)
        assert ws.server.latency is None
        clock.advance(2)
        assert ws.server.latency is not None


def test_an_hour_of_pings_passes_at_once_and_drops_nobody(clock):
    app, told = serving(read_on)
    began = time.monotonic()
    with connect(app) as ws:
        clock.advance(3600)
        ws.send("still here")
        assert told.get(timeout=PATIENCE) == "reading"
        assert told.get(timeout=PATIENCE) == "still here"
    assert time.monotonic() - began < 60


def test_a_receive_of_the_application_ends_at_its_timeout(clock):
    def talk(ws, told):
        told.put("waiting")
        with pytest.raises(TimeoutError, match="30"):
            ws.receive(timeout=30)
        ws.send("are you there?")
        ws.receive()

    app, told = serving(talk)
    with connect(app) as ws:
        assert told.get(timeout=PATIENCE) == "waiting"
        clock.advance(29)
        with pytest.raises(TimeoutError):
            ws.receive(timeout=0)
        clock.advance(1.5)
        assert ws.receive(PATIENCE) == "are you there?"


@pytest.mark.parametrize("round_", range(20))
def test_whoever_is_about_to_wait_is_waited_for(clock, round_):
    def talk(ws, told):
        # Not at once: what it does before it waits takes its time.
        sum(range(200_000))
        with pytest.raises(TimeoutError):
            ws.receive(timeout=30)
        ws.send("are you there?")

    app, _ = serving(talk)
    with connect(app) as ws:
        clock.advance(30.5)
        assert ws.receive(PATIENCE) == "are you there?"


@pytest.mark.parametrize("ping", [1.0, None])
def test_each_timeout_of_a_loop_comes_whatever_else_is_due(clock, ping):
    def talk(ws, told):
        while True:
            try:
                ws.receive(timeout=5)
            except TimeoutError:
                told.put(1)

    app, told = serving(talk, ping=ping)
    with connect(app, ping=None):
        clock.advance(61)
        assert told.qsize() == 12


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_clock_keeps_no_descriptors(clock):
    app, _ = serving(read_on, ping=1.0)
    with connect(app):
        clock.advance(1)
        before = descriptors()
        clock.advance(100)
        assert descriptors() <= before + 2


def test_a_wait_that_outlasts_the_clock_goes_on(request):
    begun, outcomes = ThreadEvent(), Queue()
    reading, writing = os.pipe()
    request.addfinalizer(lambda: [os.close(fd) for fd in (reading, writing)])

    def wait():
        begun.set()
        outcomes.put(THREADS.wait_readable(reading, 1000))

    thread = threading.Thread(target=wait)
    with Clock() as clock:
        thread.start()
        assert begun.wait(PATIENCE)
        clock.advance(1)
    assert outcomes.empty()
    os.write(writing, b"x")
    assert outcomes.get(timeout=PATIENCE) is True
    thread.join(PATIENCE)


def test_a_thread_that_never_waits_holds_a_clock_up_for_a_moment_only(clock):
    is_over = threading.Event()

    def work():
        while not is_over.is_set():
            sum(range(1000))

    thread = threading.Thread(target=work)
    thread.start()
    began = time.monotonic()
    clock.advance(1)
    is_over.set()
    thread.join(PATIENCE)
    assert time.monotonic() - began < PATIENCE


def test_a_send_to_a_peer_that_takes_nothing_ends_at_its_deadline(clock):
    def talk(ws, told):
        try:
            while True:
                ws.send(b"x" * 2**20)
                told.put("sent")
        except TimeoutError as error:
            told.put(error)

    app, told = serving(talk, ping=None)
    with connect(app, max_queue=1, ping=None) as ws:
        # It goes on until the way is full.
        while told.get(timeout=PATIENCE) == "sent" and not told.empty():
            continue
        clock.advance(31)
        outcome = told.get(timeout=PATIENCE)
        while outcome == "sent":
            clock.advance(31)
            outcome = told.get(timeout=PATIENCE)
        assert isinstance(outcome, TimeoutError)
        assert ws.server.wait_closed(PATIENCE)


def test_a_connection_without_messages_is_dialed_anew_when_it_has_been_idle(clock):
    app, _ = serving(read_on)
    lost = Queue()
    with connect(app, reconnect=Reconnect(idle=60, initial=0.01, jitter=0)) as ws:
        ws.on("reconnect", lost.put)
        ws.start()
        first = ws.server
        clock.advance(61)
        assert lost.get(timeout=PATIENCE).error.cause == "idle"
        assert first.wait_closed(PATIENCE)


def test_a_thread_that_waits_for_a_flag_is_woken_by_its_time(clock):
    flag, outcomes, begun = ThreadEvent(), Queue(), ThreadEvent()

    def wait():
        begun.set()
        outcomes.put(flag.wait(100))

    thread = threading.Thread(target=wait)
    thread.start()
    assert begun.wait(PATIENCE)
    clock.advance(50)
    assert outcomes.empty()
    clock.advance(51)
    assert outcomes.get(timeout=PATIENCE) is False
    thread.join(PATIENCE)


def test_a_flag_that_is_raised_ends_a_wait_by_the_moved_clock_at_once(clock):
    flag = ThreadEvent()
    thread = threading.Thread(target=flag.set)
    thread.start()
    assert flag.wait(1000)
    thread.join(PATIENCE)


def test_behind_it_the_real_time_is_back():
    with Clock() as clock:
        clock.advance(1000)
        assert clock.monotonic() > time.monotonic() + 999
    app, told = serving(read_on)
    with connect(app) as ws:
        ws.send("hello")
        assert told.get(timeout=PATIENCE) == "reading"
        with pytest.raises(TimeoutError):
            ws.receive(timeout=0.05)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_clock_is_moved_forward_alone(clock, seconds):
    with pytest.raises(ValueError, match="seconds above 0"):
        clock.advance(seconds)


def test_there_is_one_clock_at_a_time(clock):
    with pytest.raises(RuntimeError, match="only one time"), Clock():
        pass


def test_a_clock_that_is_not_in_use_cannot_be_moved():
    with pytest.raises(RuntimeError, match="with Clock"):
        Clock().advance(1)


def test_the_fixture_gives_one(ws_clock, ws_connect):
    app, _ = serving(read_on)
    ws = ws_connect(app)
    ws_clock.advance(21)
    assert ws.server.latency is not None
