"""A client in callback style, with a function of its own, and with both styles mixed."""

from __future__ import annotations

import logging
import threading

import pytest

from faye_sync import (
    Client,
    CloseEvent,
    ConnectionClosed,
    ErrorEvent,
    HandshakeError,
    OpenEvent,
    ReadyState,
)
from tests.support.clients import (  # noqa: F401  # planned_servers is a fixture
    PATIENCE,
    SHORT,
    Deliberate,
    beside,
    log_events,
    name_here,
    planned_servers,
    refused_port,
)
from tests.support.planned_server import accept, cut, echo, greet, hold, part, refuse

SENDS = {
    "send": lambda ws: ws.send("late"),
    "send_many": lambda ws: ws.send_many(["late"]),
}


# --- callback style -------------------------------------------------------------------------------------


def test_start_returns_at_once_and_dials_on_its_own_thread(planned):
    server = planned(hold)
    ws = Client(server.url, park=False)
    names = []
    for name in ("open", "message", "close"):
        ws.on(name, lambda event: names.append((event.type, name_here())))
    assert ws.start() is ws
    visit = server.visit()
    assert ws.ready_state is ReadyState.CONNECTING
    visit.accept()
    visit.say("hello")
    visit.close(1001)
    assert ws.join(PATIENCE)
    thread = f"faye-sync-{ws.id}"
    assert names == [("open", thread), ("message", thread), ("close", thread)]
    assert [thread.name for thread in threading.enumerate() if ws.id in thread.name] == []


def test_run_dials_and_dispatches_on_the_calling_thread_until_the_end(planned):
    ws = Client(planned(part(1000, "done", "hello")).url)
    events = log_events(ws)
    threads = []
    ws.on("message", lambda event: threads.append(threading.current_thread()))
    ws.run()
    assert [event.type for event in events] == ["open", "message", "close"]
    assert events[-1] == CloseEvent(1000, "done", True, "peer")
    assert threads == [threading.current_thread()]


def test_a_client_that_is_connected_may_be_started(planned):
    ws = Client(planned(part(1000, "", "hello")).url).connect()
    events = log_events(ws, "open", "message", "close")
    ws.start()
    assert ws.join(PATIENCE)
    assert [event.type for event in events] == ["open", "message", "close"]


def test_join_tells_whether_it_has_ended(planned):
    server = planned(accept)
    ws = Client(server.url).start()
    assert not ws.join(SHORT)
    server.visit().close()
    assert ws.join(PATIENCE)
    assert ws.join(0)


def test_a_message_listener_that_comes_late_gets_what_came_before(planned):
    server = planned(greet("one", "two"))
    ws = Client(server.url).start()
    came = threading.Event()
    messages = []

    def take(event) -> None:
        messages.append(event.data)
        if len(messages) == 2:
            came.set()

    server.visit()
    ws.on("message", take)
    assert came.wait(PATIENCE)
    assert messages == ["one", "two"]
    ws.close()
    assert ws.join(PATIENCE)


def test_open_error_and_close_are_kept_for_listeners_that_come_late(planned):
    ws = Client(planned(refuse(401)).url).start()
    assert ws.join(PATIENCE)
    events = log_events(ws)
    assert [event.type for event in events] == ["error", "close"]


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_a_send_while_start_dials_waits_for_the_outcome(planned, send):
    server = planned(hold)
    ws = Client(server.url).start()
    with beside(lambda: send(ws)) as outcome:
        visit = server.visit()
        assert visit.unread() == []
        visit.accept()
        assert visit.read() == "late"
    assert outcome == [True]
    ws.close()
    assert ws.join(PATIENCE)


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_a_send_while_a_dial_fails_gives_false_in_callback_style(planned, send):
    server = planned(hold)
    ws = Client(server.url).start()
    with beside(lambda: send(ws)) as outcome:
        server.visit().answer(403, (), "")
    assert outcome == [False]
    assert ws.join(PATIENCE)


def test_a_send_while_start_dials_ends_at_its_own_deadline(planned):
    server = planned(hold)
    ws = Client(server.url).start()
    server.visit()
    with pytest.raises(TimeoutError):
        ws.send("late", timeout=SHORT)
    ws.close()
    assert ws.join(PATIENCE)


FAILURES = {
    "refused": (refuse(401), HandshakeError, "handshake"),
    "eof": (cut, HandshakeError, "handshake"),
    "silence": (hold, TimeoutError, "connect"),
}


@pytest.mark.parametrize("step, error, cause", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize(
    "begin", [lambda ws: ws.start(), lambda ws: ws.run()], ids=["start", "run"]
)
def test_a_failure_to_open_comes_as_error_and_close_in_callback_style(
    planned, step, error, cause, begin
):
    ws = Client(planned(step).url, open_timeout=1.0 if step is not hold else SHORT)
    events = log_events(ws)
    begin(ws)
    assert ws.join(PATIENCE)
    assert [type(event) for event in events] == [ErrorEvent, CloseEvent]
    assert type(events[0].error) is error
    assert str(events[0].error) in events[0].message
    assert (events[1].was_clean, events[1].cause) == (False, cause)
    assert ws.closed
    assert ws.close_code == events[1].code
    assert not ws.send("late")


def test_a_refused_connection_comes_as_error_and_close_in_callback_style():
    ws = Client(f"ws://127.0.0.1:{refused_port()}/")
    events = log_events(ws)
    ws.run()
    assert [type(event) for event in events] == [ErrorEvent, CloseEvent]
    assert isinstance(events[0].error, ConnectionRefusedError)
    assert events[1].cause == "connect"


# --- start(function) ------------------------------------------------------------------------------------


def test_a_started_function_talks_on_a_thread_and_its_end_closes_with_1000(planned):
    server = planned(echo)
    heard = []

    def talk(ws: Client) -> None:
        ws.send("hello")
        heard.append((ws.receive(PATIENCE), name_here()))

    ws = Client(server.url).start(talk)
    assert ws.join(PATIENCE)
    assert heard == [("hello", f"faye-sync-{ws.id}")]
    assert server.visit().parting() == (1000, "")


def test_an_exception_in_a_started_function_is_logged_and_closes_with_1011(planned, caplog):
    server = planned(accept)

    def talk(ws: Client) -> None:
        raise Deliberate

    assert Client(server.url).start(talk).join(PATIENCE)
    assert server.visit().parting()[0] == 1011
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info[0] is Deliberate


def test_a_close_that_leaves_a_started_function_is_a_normal_end(planned, caplog):
    ws = Client(planned(part(4000)).url).start(lambda ws: ws.receive(PATIENCE))
    assert ws.join(PATIENCE)
    assert ws.close_code == 4000
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_started_function_is_not_called_where_dialing_fails(planned):
    called = []
    ws = Client(planned(refuse(403)).url)
    events = log_events(ws, "open", "error", "close")
    ws.start(called.append)
    assert ws.join(PATIENCE)
    assert called == []
    assert [type(event) for event in events] == [ErrorEvent, CloseEvent]


def test_the_open_event_comes_before_a_started_function_begins(planned):
    order = []
    ws = Client(planned(accept).url)
    ws.on("open", lambda event: order.append(type(event)))
    assert ws.start(lambda ws: order.append("function")).join(PATIENCE)
    assert order == [OpenEvent, "function"]


# --- mixed styles ---------------------------------------------------------------------------------------


def started(ws: Client) -> Client:
    return ws.start()


def received(ws: Client) -> Client:
    with pytest.raises(TimeoutError):
        ws.receive(0)
    return ws


def listening(ws: Client) -> Client:
    return ws.on("message", print) and ws


MIXTURES = {
    "receive-after-start": (started, lambda ws: ws.receive()),
    "iteration-after-start": (started, lambda ws: next(iter(ws))),
    "start-after-start": (started, lambda ws: ws.start()),
    "run-after-start": (started, lambda ws: ws.run()),
    "start-function-after-start": (started, lambda ws: ws.start(print)),
    "start-after-receive": (received, lambda ws: ws.start()),
    "run-after-receive": (received, lambda ws: ws.run()),
    "listener-after-receive": (received, lambda ws: ws.on("message", print)),
    "receive-after-listener": (listening, lambda ws: ws.receive()),
    "start-function-after-listener": (listening, lambda ws: ws.start(print)),
}


@pytest.mark.parametrize("first, second", MIXTURES.values(), ids=MIXTURES)
def test_the_call_that_mixes_the_styles_is_refused_and_the_other_goes_on(planned, first, second):
    server = planned(accept)
    ws = first(Client(server.url))
    with pytest.raises(RuntimeError):
        second(ws)
    ws.connect()
    assert ws.ready_state is ReadyState.OPEN
    ws.close()
    assert ws.wait_closed(PATIENCE)


def test_a_second_thread_that_receives_is_refused(planned):
    server = planned(accept)
    ws = Client(server.url).connect()
    inside = threading.Event()
    ws.on("ping", lambda event: inside.set())
    with beside(ws.receive) as outcome:
        server.visit().ping(b"")
        assert inside.wait(PATIENCE)
        with pytest.raises(RuntimeError, match="receiving"):
            ws.receive()
        ws.send("still there")
        ws.close(4000)
    assert isinstance(outcome[0], ConnectionClosed)


@pytest.mark.parametrize(
    "call",
    [lambda ws: ws.receive(), lambda ws: ws.join(), lambda ws: ws.start(), lambda ws: ws.run()],
    ids=["receive", "join", "start", "run"],
)
def test_what_would_wait_for_itself_is_refused_in_a_listener(planned, call):
    ws = Client(planned(part(1000)).url)
    caught = []

    @ws.on("open")
    def try_it(event):
        try:
            call(ws)
        except RuntimeError as error:
            caught.append(error)

    ws.start()
    assert ws.join(PATIENCE)
    assert len(caught) == 1


def test_connect_in_a_listener_of_an_open_client_does_nothing(planned):
    server = planned(part(1000))
    ws = Client(server.url)
    results = []
    ws.on("open", lambda event: results.append(ws.connect()))
    ws.run()
    assert results == [ws]
    assert server.count == 1
