"""EventSourceClient closed at any moment, listened to, and in a forked child."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from faye_sync import (
    CloseEvent,
    ErrorEvent,
    EventSourceClient,
    OpenEvent,
    ReadyState,
    ReconnectEvent,
    ServerSentEvent,
)
from tests.support.event_streams import (
    CHUNKED,
    EVENT,
    ONE,
    SOON,
    ended,
    refused,
    streamed,
    url,
)
from tests.support.hostile import Visit, send, unreachable

PATIENCE = 20.0


# --- close() --------------------------------------------------------------------------------------

MOMENTS = [
    pytest.param((), id="before-the-request-was-read"),
    pytest.param((Visit.read_head,), id="before-the-head"),
    pytest.param((Visit.read_head, send(b"HTTP/1.1 200 OK\r\nX")), id="in-the-head"),
    pytest.param(streamed(), id="before-an-event"),
    pytest.param(streamed(EVENT), id="between-events"),
    pytest.param(streamed(b"data: o"), id="in-an-event"),
    pytest.param(streamed(b"400\r\ndata: o", fields=(CHUNKED,)), id="in-a-chunk"),
    pytest.param(ended(EVENT), id="while-it-waits-to-reconnect"),
]


@pytest.mark.parametrize("script", MOMENTS)
def test_close_on_another_thread_ends_the_iteration_at_any_moment(hostile, script):
    server = hostile(script)
    events = EventSourceClient(url(server), retry=60, open_timeout=None)
    told = []
    events.on("close", told.append)
    reader = threading.Thread(target=lambda: list(events))
    reader.start()
    server.visit()
    timer = threading.Timer(0.2, events.close)
    timer.start()
    reader.join(PATIENCE)
    assert not reader.is_alive()
    assert events.closed
    assert told == [CloseEvent(1000, "", True, "local")]
    timer.join()
    server.wait_left()


def test_close_ends_an_attempt_to_connect():
    with unreachable() as port:
        events = EventSourceClient(f"http://127.0.0.1:{port}/", open_timeout=None).start()
        threading.Timer(0.2, events.close).start()
        assert events.join(PATIENCE)


def test_close_within_the_loop_hands_out_no_more_events(hostile):
    server = hostile(streamed(EVENT * 100))
    with EventSourceClient(url(server), **SOON) as events:
        got = []
        for event in events:
            got.append(event)
            events.close()
        assert got == [ONE]


def test_close_before_anything_was_asked_for_ends_it(hostile):
    server = hostile(streamed(EVENT))
    events = EventSourceClient(url(server))
    told = []
    events.on("close", told.append)
    events.close()
    events.close()
    assert list(events) == []
    assert told == [CloseEvent(1000, "", True, "local")]
    assert server.count() == 0


# --- listeners ------------------------------------------------------------------------------------


def test_listeners_hear_of_all_that_happens_on_one_thread(hostile):
    server = hostile(ended(EVENT + b"event: note\ndata: two\n\n"), refused(b"410 Gone"))
    events = EventSourceClient(url(server), **SOON)
    told, threads = [], set()

    def hear(event: Any) -> None:
        told.append(event)
        threads.add(threading.get_ident())

    for name in ("open", "message", "note", "reconnect", "error", "close"):
        events.on(name, hear)
    assert events.start() is events
    assert events.join(PATIENCE)
    assert [type(event) for event in told] == [
        OpenEvent, ServerSentEvent, ServerSentEvent, ReconnectEvent, ErrorEvent, CloseEvent,
    ]  # fmt: skip
    assert told[2] == ServerSentEvent("note", "two")
    assert told[-1].cause == "handshake"
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_run_dispatches_on_the_callers_thread_and_a_listener_may_close(hostile):
    server = hostile(streamed(EVENT * 2))
    events = EventSourceClient(url(server))
    got = []

    def hear(event: ServerSentEvent) -> None:
        got.append((event, threading.get_ident()))
        events.close()

    events.onmessage = hear
    events.run()
    assert got == [(ONE, threading.get_ident())]
    assert events.ready_state is ReadyState.CLOSED


def test_a_listener_that_raises_is_logged_and_the_reading_goes_on(hostile, caplog):
    server = hostile(ended(EVENT * 2))
    events = EventSourceClient(url(server), reconnect=False)
    got = []

    @events.on("message")
    def fail(event: ServerSentEvent) -> None:
        got.append(event)
        raise LookupError("on purpose")

    events.run()
    assert got == [ONE, ONE]
    assert caplog.text.count("a listener of message raised LookupError") == 2


def test_one_reads_and_no_other(hostile):
    server = hostile(streamed(EVENT))
    with EventSourceClient(url(server), **SOON) as events:
        got = iter(events)
        next(got)
        with pytest.raises(RuntimeError, match="reads"):
            next(iter(events))
        with pytest.raises(RuntimeError, match="reads"):
            events.start()
        got.close()
    started = EventSourceClient(url(server)).start()
    with pytest.raises(RuntimeError, match="message listener"):
        iter(started)
    with pytest.raises(RuntimeError, match="reads"):
        started.run()
    started.close()
    assert started.join(PATIENCE)


def test_a_listener_that_came_behind_the_opening_is_told_of_it_before_the_next_event(hostile):
    server = hostile(streamed(EVENT * 2))
    events = EventSourceClient(url(server))
    told = []

    @events.once("message")
    def join(event: ServerSentEvent) -> None:
        events.on("open", told.append)
        events.on("message", lambda event: (told.append(event), events.close()))

    events.run()
    assert told == [OpenEvent(), ONE]


@pytest.mark.parametrize("name", ["message", "token"])
def test_a_listener_that_iteration_would_not_call_is_refused_whichever_came_first(hostile, name):
    server = hostile(streamed(EVENT))
    with EventSourceClient(url(server), **SOON) as events:
        listener = events.on(name, print)
        with pytest.raises(RuntimeError, match=f"no listener of '{name}'"):
            iter(events)
        events.off(name, listener)
        told = []
        events.on("open", told.append)
        got = iter(events)
        assert next(got) == ONE
        with pytest.raises(RuntimeError, match=f"no listener of '{name}' would be called"):
            events.on(name, print)
        events.on("error", told.append)
        got.close()
        events.on(name, print)
    assert told == [OpenEvent()]


def test_join_in_a_listener_is_refused(hostile):
    server = hostile(streamed(EVENT))
    events = EventSourceClient(url(server))
    told = []

    @events.on("message")
    def wait(event: ServerSentEvent) -> None:
        try:
            events.join()
        except RuntimeError as error:
            told.append(error)
        events.close()

    events.run()
    assert "would wait for itself" in str(told[0])
