"""What goes on across the connections of one client: messages, listeners, threads, and its end."""

from __future__ import annotations

import threading
import time

import pytest

from faye_sync import Client, ConnectionClosed, ReadyState, Reconnect
from tests.support.clients import (  # noqa: F401  # planned_servers is a fixture
    LONG,
    PATIENCE,
    SHORT,
    beside,
    both_styles,
    connect,
    log_events,
    name_here,
    on_threads,
    planned_servers,
    quick,
)
from tests.support.planned_server import accept, cut, drop, echo, greet, hold, part, refuse

# --- messages across connections ------------------------------------------------------------------------


ENDS = {
    "eof": drop("one"),
    "1000": part(1000, "", "one"),
    "1001": part(1001, "", "one"),
    "1011": part(1011, "", "one"),
    "4000": part(4000, "", "one"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_receive_goes_on_with_the_next_connection_however_the_last_one_ended(planned, end):
    ws = Client(planned(end, greet("two")).url, reconnect=quick())
    with ws:
        assert (ws.receive(PATIENCE), ws.receive(PATIENCE)) == ("one", "two")


def test_iteration_goes_on_until_ones_own_close(planned):
    server = planned(drop("one"), part(1000, "", "two"), cut, greet("three"))
    heard = []
    with Client(server.url, reconnect=quick()) as ws:
        for message in ws:
            heard.append(message)
            if message == "three":
                ws.close()
    assert heard == ["one", "two", "three"]
    assert server.count == 4


def test_a_receive_that_waits_is_woken_by_the_next_connection(planned):
    server = planned(accept, greet("two"))
    with Client(server.url, reconnect=quick()) as ws, beside(lambda: ws.receive(PATIENCE)) as heard:
        server.visit().cut()
    assert heard == ["two"]


def test_messages_of_the_old_connection_are_handed_out_before_those_of_the_new(planned):
    old = [f"old {number}" for number in range(50)]
    ws = Client(planned(drop(*old), greet("new")).url, reconnect=quick())
    opened = threading.Semaphore(0)
    ws.on("open", lambda event: opened.release())
    with ws:
        for _ in range(2):
            assert opened.acquire(timeout=PATIENCE)
        assert [ws.receive(PATIENCE) for _ in range(51)] == [*old, "new"]


@both_styles
def test_open_comes_with_each_connection_and_close_with_the_last_alone(planned, begin):
    server = planned(accept, cut, accept, accept)
    ws = Client(server.url, reconnect=quick(stable=0))
    events = log_events(ws, "open", "reconnect", "error", "close")
    begin(ws)
    server.visit().cut()
    server.visit()
    server.visit().close(1001)
    last = server.visit()
    ws.send("there")
    assert last.read() == "there"
    ws.close(4000)
    assert last.parting() == (4000, "")
    assert ws.join(PATIENCE)
    assert [event.type for event in events] == [
        "open",
        "reconnect",
        "reconnect",
        "open",
        "reconnect",
        "open",
        "close",
    ]
    assert (events[-1].code, events[-1].cause, events[-1].was_clean) == (4000, "local", True)


@both_styles
def test_what_the_open_listener_sends_reaches_the_server_before_anything_else(planned, begin):
    server = planned(accept, cut, accept)
    ws = Client(server.url, reconnect=quick())
    ws.on("open", lambda event: ws.send("subscribe"))
    begin(ws)
    first = server.visit()
    assert first.read() == "subscribe"
    first.cut()
    with beside(lambda: ws.send("a")), beside(lambda: ws.send("b")), beside(lambda: ws.send("c")):
        server.visit()
        second = server.visit()
        assert second.read() == "subscribe"
    ws.close()
    assert ws.wait_closed(PATIENCE)


@both_styles
def test_a_send_between_two_connections_waits_for_the_next_and_arrives_once(planned, begin):
    server = planned(accept, hold)
    ws = Client(server.url, reconnect=quick())
    dials = threading.Event()
    ws.on("reconnect", lambda event: dials.set())
    begin(ws)
    server.visit().cut()
    assert dials.wait(PATIENCE)
    with beside(lambda: ws.send("once")) as outcome:
        second = server.visit()
        assert ws.ready_state is ReadyState.CONNECTING
        second.accept()
        assert second.read() == "once"
    assert outcome == [True]
    ws.close()
    assert second.parting() == (1000, "")
    assert second.unread() == []


WAITS = {
    "send": lambda ws: ws.send("late", timeout=SHORT),
    "send_many": lambda ws: ws.send_many(["late"], timeout=SHORT),
    "receive": lambda ws: ws.receive(SHORT),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_what_waits_for_the_next_connection_ends_at_its_deadline(planned, wait):
    server = planned(accept, hold)
    ws = Client(server.url, reconnect=quick(), open_timeout=None).connect()
    server.visit().cut()
    second = server.visit()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        wait(ws)
    assert time.monotonic() - began < 5
    second.accept()
    ws.send("in time")
    assert second.read() == "in time"
    assert second.unread() == []
    ws.close()


def test_a_first_receive_and_send_end_at_their_deadline_too(planned):
    server = planned(hold)
    ws = Client(server.url, reconnect=quick(), open_timeout=None)
    for wait in WAITS.values():
        with pytest.raises(TimeoutError):
            wait(ws)
    ws.close()
    assert server.visit().parting() is None


@on_threads
def test_the_thread_that_dials_is_there_only_while_there_is_no_connection(planned):
    def own(ws: Client) -> list[str]:
        return [thread.name for thread in threading.enumerate() if ws.id in thread.name]

    server = planned(accept, hold)
    ws = Client(server.url, reconnect=quick()).connect()
    server.visit().cut()
    second = server.visit()
    assert own(ws) == [f"faye-sync-{ws.id}-dial"]
    second.accept()
    ws.send("there")
    assert second.read() == "there"
    for thread in threading.enumerate():
        if ws.id in thread.name:
            thread.join(PATIENCE)
    assert own(ws) == []
    ws.close()


def test_callbacks_keep_their_thread_across_connections(planned):
    server = planned(drop("one"), cut, part(1000, "", "two"), greet("three"))
    ws = Client(server.url, reconnect=quick(), park=False)
    threads = set()
    heard = []

    def note(event) -> None:
        threads.add(name_here())
        if event.type == "message":
            heard.append(event.data)
            if event.data == "three":
                ws.close()

    for name in ("open", "message", "reconnect", "close"):
        ws.on(name, note)
    ws.start()
    assert ws.join(PATIENCE)
    assert heard == ["one", "two", "three"]
    assert threads == {f"faye-sync-{ws.id}"}


def test_a_started_function_goes_on_across_connections(planned):
    heard = []

    def talk(ws: Client) -> None:
        heard.extend(ws.receive(PATIENCE) for _ in range(3))

    server = planned(drop("one"), drop("two"), greet("three"))
    ws = Client(server.url, reconnect=quick()).start(talk)
    assert ws.join(PATIENCE)
    assert heard == ["one", "two", "three"]
    assert ws.close_code == 1000


# --- idle -----------------------------------------------------------------------------------------------


@both_styles
def test_a_connection_without_messages_counts_as_dead_though_pongs_come(planned, begin):
    server = planned(accept)
    ws = Client(server.url, reconnect=quick(idle=0.5), ping=0.1)
    events = log_events(ws, "reconnect", "pong")
    begin(ws)
    if begin is connect:
        with pytest.raises(TimeoutError):
            ws.receive(1)
    for _ in range(2):
        server.visit()
    ws.close()
    ws.wait_closed(PATIENCE)
    pongs = [event for event in events if event.type == "pong"]
    again = [event for event in events if event.type == "reconnect"]
    assert pongs
    assert isinstance(again[0].error, ConnectionClosed)
    assert again[0].error.cause == "idle"


def test_messages_keep_a_connection_from_being_idle(planned):
    server = planned(echo)
    with Client(server.url, reconnect=quick(idle=0.8)) as ws:
        for number in range(8):
            ws.send(f"{number}")
            assert ws.receive(PATIENCE) == f"{number}"
            assert not ws.wait_closed(0.15)
    assert server.count == 1


# --- close, and reconnect() -----------------------------------------------------------------------------


@both_styles
def test_a_close_is_followed_by_no_other_connection(planned, begin):
    server = planned(accept)
    ws = Client(server.url, reconnect=quick(initial=0))
    events = log_events(ws, "reconnect", "close")
    begin(ws)
    ws.close(4000, "enough")
    assert server.visit().parting() == (4000, "enough")
    assert ws.join(PATIENCE)
    assert [event.type for event in events] == ["close"]
    with pytest.raises(ConnectionClosed):
        ws.connect()
    assert server.count == 1


@pytest.mark.parametrize(
    "call", [lambda ws: ws.connect(), lambda ws: ws.receive(PATIENCE), lambda ws: ws.send("x")]
)
def test_a_close_during_an_attempt_ends_it_at_once(planned, call):
    server = planned(hold)
    ws = Client(server.url, reconnect=quick())
    with beside(lambda: call(ws)) as outcome:
        visit = server.visit()
        ws.close(4000)
    assert isinstance(outcome[0], ConnectionClosed)
    assert (outcome[0].code, outcome[0].cause) == (4000, "local")
    assert visit.parting() is None
    assert server.count == 1


@pytest.mark.parametrize("begin", [lambda ws: ws.start(), lambda ws: ws.run()])
def test_a_close_during_a_wait_ends_it_at_once_in_callback_style(planned, begin):
    server = planned(refuse(503))
    ws = Client(server.url, reconnect=Reconnect(initial=LONG, maximum=LONG))
    events = log_events(ws, "error", "close")
    waits = threading.Event()
    ws.on("reconnect", lambda event: waits.set())
    with beside(lambda: begin(ws)):
        assert waits.wait(PATIENCE)
        ws.close(4000, "enough")
    assert ws.join(PATIENCE)
    assert [(event.code, event.cause) for event in events] == [(4000, "local")]
    assert server.count == 1


@pytest.mark.parametrize(
    "call", [lambda ws: ws.connect(), lambda ws: ws.receive(PATIENCE), lambda ws: ws.send("x")]
)
def test_a_close_during_a_wait_ends_it_at_once(planned, call):
    server = planned(refuse(503))
    ws = Client(server.url, reconnect=Reconnect(initial=LONG, maximum=LONG))
    waits = threading.Event()
    ws.on("reconnect", lambda event: waits.set())
    with beside(lambda: call(ws)) as outcome:
        assert waits.wait(PATIENCE)
        ws.close(4000)
    assert isinstance(outcome[0], ConnectionClosed)
    assert (outcome[0].code, outcome[0].cause) == (4000, "local")
    assert server.count == 1


def test_a_close_by_a_listener_of_reconnect_is_heeded(planned):
    server = planned(refuse(503))
    ws = Client(server.url, reconnect=quick())
    ws.on("reconnect", lambda event: event.attempt == 3 and ws.close(4000))
    with pytest.raises(ConnectionClosed) as caught:
        ws.connect()
    assert caught.value.code == 4000
    assert server.count == 3


@both_styles
def test_reconnect_drops_the_connection_and_dials_at_once(planned, begin):
    server = planned(accept)
    ws = Client(server.url, reconnect=Reconnect(initial=LONG, maximum=LONG))
    events = log_events(ws, "open", "reconnect", "close")
    begin(ws)
    first = server.visit()
    ws.reconnect()
    second = server.visit()
    first.parting()
    ws.send("there")
    assert second.read() == "there"
    assert [event.type for event in events] == ["open", "reconnect", "open"]
    ws.close()
    assert ws.wait_closed(PATIENCE)


def test_reconnect_without_a_policy_dials_once(planned):
    server = planned(greet("one"), greet("two"))
    ws = Client(server.url).connect()
    assert ws.receive(PATIENCE) == "one"
    ws.reconnect()
    assert ws.receive(PATIENCE) == "two"
    ws.close()
    assert ws.wait_closed(PATIENCE)
    assert server.count == 2


def test_reconnect_during_a_wait_ends_the_wait(planned):
    server = planned(refuse(503), greet("hello"))
    ws = Client(server.url, reconnect=Reconnect(initial=LONG, maximum=LONG))
    waits = threading.Event()
    ws.on("reconnect", lambda event: waits.set())
    with beside(lambda: ws.receive(PATIENCE)) as heard:
        assert waits.wait(PATIENCE)
        ws.reconnect()
    assert heard == ["hello"]
    ws.close()


def test_a_client_that_is_closed_is_not_brought_back_by_reconnect(planned):
    server = planned(accept)
    ws = Client(server.url, reconnect=quick()).connect()
    ws.close()
    assert ws.wait_closed(PATIENCE)
    ws.reconnect()
    with pytest.raises(ConnectionClosed):
        ws.receive(PATIENCE)
    assert server.count == 1
