"""The ways to use a client in blocking style, and what each call does before, while and after it
is open."""

from __future__ import annotations

import pickle
import threading

import pytest

from faye_sync import Client, ConnectionClosed, HandshakeError, ReadyState
from tests.support.clients import (  # noqa: F401  # planned_servers is a fixture
    PATIENCE,
    SHORT,
    Deliberate,
    beside,
    log_events,
    planned_servers,
    refused_port,
)
from tests.support.planned_server import Visit, accept, cut, drop, echo, greet, hold, part, refuse

# --- connect --------------------------------------------------------------------------------------------


def test_nothing_is_dialed_before_it_is_asked_for(planned):
    server = planned(accept)
    ws = Client(server.url)
    assert (ws.ready_state, ws.closed, ws.close_code) == (ReadyState.CONNECTING, False, None)
    assert (ws.protocol, ws.url, ws.opened_at) == ("", server.url, None)
    assert server.count == 0


def test_a_send_that_never_waits_does_not_dial(planned):
    server = planned(accept)
    assert not Client(server.url).send_nowait("first")
    assert server.count == 0


def test_connect_returns_the_client_and_does_nothing_the_second_time(planned):
    server = planned(accept)
    ws = Client(server.url)
    assert ws.connect() is ws
    assert ws.connect() is ws
    assert ws.ready_state is ReadyState.OPEN
    ws.close()
    assert ws.wait_closed(PATIENCE)
    assert server.count == 1


FIRST_CALLS = {
    "send": lambda ws: ws.send("first"),
    "send_many": lambda ws: ws.send_many(["first"]),
    "ping": lambda ws: ws.ping("first"),
    "receive": lambda ws: ws.receive(PATIENCE),
    "iteration": lambda ws: next(iter(ws)),
    "with": lambda ws: ws.__enter__(),
    "connect": lambda ws: ws.connect(),
}


@pytest.mark.parametrize("call", FIRST_CALLS.values(), ids=FIRST_CALLS)
def test_the_first_call_dials_in_the_callers_thread(planned, call):
    server = planned(greet("hello"))
    ws = Client(server.url)
    threads = []
    ws.on("open", lambda event: threads.append(threading.current_thread()))
    call(ws)
    assert threads == [threading.current_thread()]
    ws.close()
    assert ws.wait_closed(PATIENCE)


@pytest.mark.parametrize("call", FIRST_CALLS.values(), ids=FIRST_CALLS)
def test_the_first_call_raises_what_dialing_failed_with(planned, call):
    with pytest.raises(HandshakeError) as caught:
        call(Client(planned(refuse(401)).url))
    assert caught.value.status_code == 401


def test_a_connect_that_failed_may_be_repeated_and_changes_nothing(planned):
    server = planned(refuse(503), cut, greet("at last"))
    ws = Client(server.url)
    for status in (503, None):
        with pytest.raises(HandshakeError) as caught:
            ws.connect()
        assert caught.value.status_code == status
        assert (ws.ready_state, ws.close_code) == (ReadyState.CONNECTING, None)
    with ws:
        assert ws.receive(PATIENCE) == "at last"


def test_a_connect_that_nobody_takes_raises_the_error_of_the_network():
    with pytest.raises(ConnectionRefusedError):
        Client(f"ws://127.0.0.1:{refused_port()}/").connect()


def test_a_connect_past_its_deadline_names_it_and_what_was_being_done(planned):
    ws = Client(planned(hold).url, open_timeout=SHORT)
    with pytest.raises(TimeoutError, match=rf"open_timeout of {SHORT} s: \w+") as caught:
        ws.connect()
    assert caught.value.__context__ is None, "the traceback shows what the user has to know alone"


def test_two_threads_that_connect_at_once_share_one_connection(planned):
    server = planned(hold)
    ws = Client(server.url)
    with beside(ws.connect) as first, beside(ws.connect) as second:
        server.visit().accept()
    assert first == second == [ws]
    assert server.count == 1


# --- blocking style -------------------------------------------------------------------------------------


def test_messages_are_received_in_their_order_and_those_before_a_close_first(planned):
    with Client(planned(part(1000, "done", "one", b"two")).url) as ws:
        assert ws.wait_closed(PATIENCE)
        assert (ws.receive(), ws.receive()) == ("one", b"two")
        with pytest.raises(ConnectionClosed) as caught:
            ws.receive()
    assert (caught.value.code, caught.value.reason, caught.value.was_clean) == (1000, "done", True)


@pytest.mark.parametrize("is_end", [False, True], ids=["stays", "ends"])
@pytest.mark.parametrize("size", [1, 16_384, 65_536, 1_000_000])
def test_messages_in_one_segment_with_the_101_are_received_whole(planned, size, is_end):
    messages = [bytes([number]) * size for number in range(3)]
    ws = Client(planned(lambda visit: visit.accept(*messages, is_end=is_end)).url)
    assert [ws.receive(PATIENCE) == message for message in messages] == [True] * 3
    ws.close()


@pytest.mark.parametrize("timeout", [0, SHORT])
def test_a_receive_past_its_timeout_raises_and_the_connection_stays_open(planned, timeout):
    server = planned(accept)
    with Client(server.url) as ws:
        with pytest.raises(TimeoutError):
            ws.receive(timeout)
        server.visit().say("later")
        assert ws.receive(PATIENCE) == "later"


@pytest.mark.parametrize("code", [1000, 1001])
def test_an_iteration_ends_with_an_ordinary_close(planned, code):
    with Client(planned(part(code, "", "one", "two")).url) as ws:
        assert list(ws) == ["one", "two"]


@pytest.mark.parametrize(
    "step, code",
    [(part(1011, "oh", "one"), 1011), (part(4000, "oh", "one"), 4000), (drop("one"), 1006)],
    ids=["1011", "4000", "eof"],
)
def test_an_iteration_raises_on_any_other_end(planned, step, code):
    messages: list[object] = []
    with Client(planned(step).url) as ws, pytest.raises(ConnectionClosed) as caught:
        messages.extend(ws)
    assert messages == ["one"]
    assert caught.value.code == code


@pytest.mark.parametrize(
    "error, code",
    [
        (None, 1000),
        (Deliberate(), 1011),
        (KeyboardInterrupt(), 1001),
        (SystemExit(), 1001),
        (ConnectionClosed(), 1000),
        (GeneratorExit(), 1000),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_the_end_of_a_with_tells_the_server_how_it_ended(planned, error, code):
    server = planned(accept)
    ws = Client(server.url)
    with beside(lambda: leave_by(ws, error)) as outcome:
        pass
    assert outcome == [error]
    assert server.visit().parting()[0] == code


def leave_by(ws: Client, error: BaseException | None) -> None:
    with ws:
        if error is not None:
            raise error


def test_a_with_waits_for_the_closing_handshake(planned):
    with Client(planned(accept).url) as ws:
        pass
    assert ws.ready_state is ReadyState.CLOSED
    assert (ws.close_code, ws.close_reason) == (1000, "")


def test_listeners_in_blocking_style_run_on_the_thread_that_receives(planned):
    def step(visit: Visit) -> None:
        visit.accept()
        visit._protocol.send_ping(b"there?")
        visit.say("hello")
        visit.close(1001)

    ws = Client(planned(step).url)
    threads, names = [], []

    def note(event) -> None:
        names.append(event.type)
        threads.append(threading.current_thread())

    for name in ("open", "ping", "close"):
        ws.on(name, note)
    with beside(lambda: list(ws)) as heard:
        pass
    assert heard == [["hello"]]
    assert names == ["open", "ping", "close"]
    assert len(set(threads)) == 1


def test_a_blocking_client_has_no_thread_of_its_own(planned):
    with Client(planned(echo).url) as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "hello"
        names = [thread.name for thread in threading.enumerate()]
    assert [name for name in names if ws.id in name] == []


SENDS = {
    "send": lambda ws: ws.send("late"),
    "send_many": lambda ws: ws.send_many(["late"]),
}


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_a_send_after_the_close_raises_in_blocking_and_in_open_style(planned, send):
    ws = Client(planned(accept).url).connect()
    ws.close(4000, "enough")
    for _ in range(2):
        with pytest.raises(ConnectionClosed) as caught:
            send(ws)
        assert (caught.value.code, caught.value.cause) == (4000, "local")
        with pytest.raises(ConnectionClosed):
            ws.receive(PATIENCE)
    assert not ws.send_nowait("late")
    assert not ws.ping()


# --- close ----------------------------------------------------------------------------------------------

DIALING_CALLS = {name: FIRST_CALLS[name] for name in ("send", "receive", "connect", "with")}


@pytest.mark.parametrize("call", DIALING_CALLS.values(), ids=DIALING_CALLS)
def test_a_close_before_connect_ends_it_without_a_socket(planned, call):
    server = planned(accept)
    ws = Client(server.url)
    ws.close(4000, "changed my mind")
    with pytest.raises(ConnectionClosed) as caught:
        call(ws)
    assert (caught.value.code, caught.value.cause) == (4000, "local")
    assert server.count == 0


@pytest.mark.parametrize("call", DIALING_CALLS.values(), ids=DIALING_CALLS)
def test_a_close_during_the_dial_ends_it_at_once(planned, call):
    server = planned(hold)
    ws = Client(server.url)
    with beside(lambda: call(ws)) as outcome:
        visit = server.visit()
        ws.close(4000, "changed my mind")
    [error] = outcome
    assert isinstance(error, ConnectionClosed), repr(error)
    assert (error.code, error.cause) == (4000, "local")
    assert visit.parting() is None
    assert ws.closed


def test_a_close_during_the_dial_of_a_started_client_is_a_close_event(planned):
    server = planned(hold)
    ws = Client(server.url)
    events = log_events(ws)
    ws.start()
    visit = server.visit()
    ws.close(4000, "changed my mind")
    assert ws.join(PATIENCE)
    assert visit.parting() is None
    assert [event.type for event in events if event.type != "error"] == ["close"]
    assert (events[-1].code, events[-1].cause) == (4000, "local")


def test_the_first_of_two_closes_counts(planned):
    server = planned(accept)
    ws = Client(server.url).connect()
    ws.close(4000, "first")
    ws.close(4001, "second")
    assert ws.wait_closed(PATIENCE)
    assert server.visit().parting() == (4000, "first")
    assert (ws.close_code, ws.close_reason) == (4000, "first")


def test_wait_closed_tells_whether_it_is_closed(planned):
    ws = Client(planned(accept).url)
    assert not ws.wait_closed(SHORT)
    ws.connect()
    assert not ws.wait_closed(0)
    assert not ws.wait_closed(SHORT)
    ws.close()
    assert ws.wait_closed(PATIENCE)
    assert ws.wait_closed(0)


def test_wait_closed_on_another_thread_wakes_at_the_servers_close(planned):
    server = planned(accept)
    ws = Client(server.url).connect()
    with beside(lambda: ws.wait_closed(PATIENCE)) as outcome:
        server.visit().close(1001, "so long")
    assert outcome == [True]
    assert (ws.close_code, ws.close_reason) == (1001, "so long")


def test_after_ones_own_close_later_messages_are_dropped(planned):
    server = planned(accept)
    ws = Client(server.url).connect()
    with server.visit().deafened() as visit:
        ws.close()
        visit.say("too late")
    with pytest.raises(ConnectionClosed):
        ws.receive(PATIENCE)


# --- url and headers ------------------------------------------------------------------------------------


def test_url_and_headers_may_be_callables_which_are_asked_before_every_attempt(planned):
    server = planned(refuse(503), greet("hello"))
    numbers = iter(range(10))
    asked = []

    def url() -> str:
        asked.append("url")
        return f"{server.url}{next(numbers)}"

    def headers() -> dict[str, str]:
        asked.append("headers")
        return {"X-Token": f"token-{len(asked)}"}

    ws = Client(url, headers=headers)
    with pytest.raises(HandshakeError):
        ws.connect()
    with ws:
        assert ws.receive(PATIENCE) == "hello"
    # Each visit is told by a thread of its own.
    visits = (server.visit().request for _ in range(2))
    requests = sorted(visits, key=lambda request: request.path)
    assert [request.path for request in requests] == ["/0", "/1"]
    assert [request.headers["X-Token"] for request in requests] == ["token-2", "token-4"]
    assert ws.url == f"{server.url}1"


@pytest.mark.parametrize("name", ["url", "headers"])
def test_what_a_callable_raises_leaves_connect_as_it_is(planned, name):
    def fail():
        raise Deliberate

    server = planned(accept)
    options = {"url": server.url, name: fail}
    url = options.pop("url")
    with pytest.raises(Deliberate):
        Client(url, **options).connect()
    assert server.count == 0


@pytest.mark.parametrize("headers", [{"X-A": "1"}, [("X-A", "1"), ("X-A", "2")], None])
def test_headers_are_a_mapping_or_pairs(planned, headers):
    server = planned(accept)
    with Client(server.url, headers=headers):
        sent = server.visit().request.headers.get_all("X-A")
    assert ", ".join(sent) == (
        "" if not headers else "1" if len(headers) == 1 and isinstance(headers, dict) else "1, 2"
    )


# --- errors ---------------------------------------------------------------------------------------------


def failed(url: str, **options) -> BaseException:
    with beside(lambda: Client(url, **options).receive(PATIENCE)) as outcome:
        pass
    return outcome[0]


ERRORS = {
    "refused": refuse(403, ("X-Why", "because"), body="no"),
    "no-answer": cut,
    "closed": part(4000, "so long"),
    "dropped": drop(),
}


@pytest.mark.parametrize("step", ERRORS.values(), ids=ERRORS)
def test_an_error_survives_pickling_with_all_it_says(planned, step):
    error = failed(planned(step).url)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert {name: repr(value) for name, value in vars(again).items()} == {
        name: repr(value) for name, value in vars(error).items()
    }


def test_a_refusal_tells_status_headers_and_body(planned):
    error = failed(planned(ERRORS["refused"]).url)
    assert isinstance(error, HandshakeError)
    assert isinstance(error, ConnectionError)
    assert (error.status_code, error.body, error.history) == (403, b"no", ())
    assert error.headers["x-why"] == "because"
    assert "403" in str(error)
    assert error.errno is None
