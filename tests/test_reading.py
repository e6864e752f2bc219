"""The two styles, who may read, and how the end is told."""

from __future__ import annotations

import sys
import threading
import time
from queue import Queue

import pytest

from faye_sync import (
    ConnectionClosed,
    ErrorEvent,
    MessageEvent,
    MessageTooBig,
    PongEvent,
    ProtocolError,
    WebSocket,
    parking,
)
from tests.support.peer import BINARY, CLOSE, PING, PONG, TEXT, closing, frame

PATIENCE = 20.0  # seconds to wait for what should come at once


def in_thread(function):
    """Run function on a thread; the list holds what it returned or raised once it is joined."""
    outcome = []

    def run():
        try:
            outcome.append(function())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


# --- blocking style -----------------------------------------------------------------------------------


def test_receive_returns_text_and_octets(local):
    ws = local.open()
    local.peer.say("Grüße")
    local.peer.say(b"\x00\xff")
    assert ws.receive() == "Grüße"
    assert ws.receive() == b"\x00\xff"


def test_receive_with_a_timeout_of_0_only_looks(local):
    ws = local.open()
    with pytest.raises(TimeoutError, match=r"no message came within the timeout of 0 s"):
        ws.receive(timeout=0)
    assert ws.ready_state.name == "OPEN"


def test_a_message_that_trickles_in_does_not_put_the_timeout_off(local):
    ws = local.open()
    octets = frame(BINARY, bytes(100))
    stop = threading.Event()

    def trickle():
        for i in range(len(octets) - 1):
            if stop.wait(0.05):
                return
            local.peer.send(octets[i : i + 1])

    thread, _ = in_thread(trickle)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        ws.receive(timeout=0.5)
    assert 0.5 <= time.monotonic() - began < 3.0
    stop.set()
    thread.join()


def test_a_message_is_whole_after_a_timeout_in_its_middle(local):
    ws = local.open()
    octets = frame(TEXT, b"in two halves")
    local.peer.send(octets[:9])
    with pytest.raises(TimeoutError):
        ws.receive(timeout=0.05)
    local.peer.send(octets[9:])
    assert ws.receive(timeout=PATIENCE) == "in two halves"


def test_iteration_ends_when_the_connection_closes(local):
    ws = local.open()
    for text in ("one", "two"):
        local.peer.say(text)
    local.peer.send(closing(4000, "enough"))
    assert list(ws) == ["one", "two"]
    assert (ws.close_code, ws.close_reason) == (4000, "enough")
    assert local.peer.read_close() == (4000, "enough")


def test_the_object_is_no_iterator_so_that_flask_does_not_stream_it(local):
    assert not hasattr(local.open(), "__next__")


@pytest.mark.parametrize(
    "octets, code, reason, cause, clean",
    [
        pytest.param(closing(1001, "away"), 1001, "away", "peer", True, id="peer-closes"),
        pytest.param(frame(CLOSE), 1000, "", "peer", True, id="empty-close-reads-as-1000"),
        pytest.param(b"", 1006, "", "eof", False, id="end-without-close"),
        pytest.param(frame(TEXT, b"x")[:3], 1006, "", "eof", False, id="end-within-a-frame"),
    ],
)
def test_the_end_is_told_by_receive(local, octets, code, reason, cause, clean):
    ws = local.open()
    local.peer.send(octets)
    local.peer.sock.shutdown(1)
    with pytest.raises(ConnectionClosed) as closed:
        ws.receive(timeout=PATIENCE)
    error = closed.value
    assert (error.code, error.reason, error.cause, error.was_clean) == (code, reason, cause, clean)
    assert (ws.closed, ws.close_code, ws.close_reason) == (True, code, reason)


def test_a_reset_is_told_as_1006(local):
    ws = local.open()
    local.peer.drop()
    with pytest.raises(ConnectionClosed) as closed:
        ws.receive(timeout=PATIENCE)
    assert (closed.value.code, closed.value.cause) == (1006, "reset")


@pytest.mark.parametrize(
    "octets, code, kind",
    [
        pytest.param(frame(TEXT, b"x", mask=False), 1002, ProtocolError, id="unmasked"),
        pytest.param(frame(TEXT, b"\xff"), 1007, ProtocolError, id="no-utf-8"),
        pytest.param(frame(BINARY, bytes(1001)), 1009, MessageTooBig, id="too-big"),
        pytest.param(closing(1005), 1002, ProtocolError, id="close-code-1005"),
    ],
)
def test_a_failure_is_told_after_what_came_before_it(local, octets, code, kind):
    ws = local.open(max_length=1000)
    errors = []
    ws.on("error", errors.append)
    local.peer.send(frame(TEXT, b"before") + octets)
    assert ws.receive(timeout=PATIENCE) == "before"
    assert ws.send("answered")
    with pytest.raises(ConnectionClosed) as closed:
        ws.receive(timeout=PATIENCE)
    assert (closed.value.code, closed.value.cause) == (code, "protocol")
    assert isinstance(closed.value.__cause__, kind)
    assert [error.error for error in errors] == [closed.value.__cause__]
    assert local.peer.read() == "answered"
    assert local.peer.read_close()[0] == code


def test_a_handler_that_is_busy_may_still_answer_before_a_later_failure_is_acted_on(local):
    def answer_late(ws):
        message = ws.receive()
        waiting.get(timeout=PATIENCE)
        return ws.send(message)

    waiting = Queue()
    ws = local.open()
    thread, outcome = in_thread(lambda: answer_late(ws))
    local.peer.say("a question")
    local.peer.send(frame(PING, b"") + frame(3))
    # Housekeeping has read both by now, since it answered the ping for the absent owner.
    assert local.peer.read_frame() == (PONG, b"")
    waiting.put(True)
    thread.join(PATIENCE)
    assert outcome == [True]
    assert list(ws) == []
    assert local.peer.read() == "a question"
    assert local.peer.read_close()[0] == 1002


def test_who_takes_a_message_that_waited_is_the_owner_again_and_may_answer(local):
    def answer_late(ws):
        assert ws.receive() == "first"
        assert not ws.wait_closed(0)
        message = ws.receive()
        taken.put(True)
        waiting.get(timeout=PATIENCE)
        return ws.send(message)

    taken, waiting = Queue(), Queue()
    ws = local.open()
    thread, outcome = in_thread(lambda: answer_late(ws))
    local.peer.send(frame(TEXT, b"first") + frame(TEXT, b"second"))
    taken.get(timeout=PATIENCE)
    local.peer.send(frame(PING, b"") + frame(3))
    assert local.peer.read_frame() == (PONG, b"")
    waiting.put(True)
    thread.join(PATIENCE)
    assert outcome == [True]
    assert local.peer.read() == "second"


def test_two_threads_that_see_the_peers_close_answer_it_once_and_agree_on_the_cause(
    local, monkeypatch
):
    ws = local.open()
    link = ws._link
    close, others = link.outgoing.close, []

    def interrupted(*arguments, **options):
        monkeypatch.setattr(link.outgoing, "close", close)
        others.append(threading.Thread(target=link.conclude))
        others[0].start()
        others[0].join(0.2)
        close(*arguments, **options)

    monkeypatch.setattr(link.outgoing, "close", interrupted)
    local.peer.send(closing(4001, "bye"))
    with pytest.raises(ConnectionClosed) as closed:
        ws.receive()
    others[0].join(PATIENCE)
    assert (closed.value.code, closed.value.cause) == (4001, "peer")
    assert local.peer.read_close() == (4001, "bye")
    assert local.peer.rest() == b""


def test_after_the_end_every_receive_says_so(local):
    ws = local.open()
    local.peer.send(closing(1000))
    for _ in range(3):
        with pytest.raises(ConnectionClosed):
            ws.receive()


def test_messages_from_before_an_own_close_are_handed_out_and_later_ones_are_not(local):
    ws = local.open()
    local.peer.say("first")
    local.peer.say("second")
    assert ws.receive() == "first"
    ws.close()
    local.peer.say("too late")
    local.peer.send(closing(1000))
    assert list(ws) == ["second"]
    assert ws.close_code == 1000


def test_close_during_receive_wakes_the_reader(local):
    ws = local.open()
    thread, outcome = in_thread(ws.receive)
    ws.close(4001, "over")
    assert local.peer.answer_close() == (4001, "over")
    thread.join(PATIENCE)
    assert isinstance(outcome[0], ConnectionClosed)
    assert (outcome[0].code, outcome[0].cause) == (4001, "local")


def test_two_threads_may_not_receive_at_the_same_time(local):
    ws = local.open()
    receiving, may_go_on = threading.Event(), threading.Event()

    @ws.on("ping")
    def hold(event):
        receiving.set()
        may_go_on.wait(PATIENCE)

    thread, outcome = in_thread(ws.receive)
    local.peer.send(frame(PING) + frame(TEXT, b"for the first"))
    receiving.wait(PATIENCE)
    with pytest.raises(RuntimeError, match=r"another thread .* is receiving"):
        ws.receive()
    may_go_on.set()
    thread.join(PATIENCE)
    assert outcome == ["for the first"]


def test_listeners_of_other_events_run_in_receive_in_order(local):
    ws = local.open()
    told = []
    for name in ("open", "ping", "pong", "close"):
        ws.on(name, told.append)
    local.peer.send(frame(PING, b"hello") + frame(PONG, b"unasked") + frame(TEXT, b"message"))
    assert ws.receive() == "message"
    assert [event.type for event in told] == ["open", "ping", "pong"]
    assert told[2] == PongEvent(b"unasked")
    assert local.peer.read_frame() == (PONG, b"hello")
    local.peer.send(closing(1000))
    with pytest.raises(ConnectionClosed):
        ws.receive()
    assert told[-1].type == "close"
    assert [event.type for event in told].count("close") == 1


def test_a_listener_added_after_its_event_is_told_with_the_next_octets(local):
    ws = local.open()
    local.peer.say("one")
    assert ws.receive() == "one"
    told = []
    ws.on("open", told.append)
    local.peer.say("two")
    assert ws.receive() == "two"
    assert [event.type for event in told] == ["open"]


def test_a_close_that_the_owner_read_himself_is_noticed_while_he_only_sends(local):
    def talk(ws):
        message = ws.receive()
        pause = threading.Event()
        while ws.send(message):
            pause.wait(0.05)

    ws = local.open()
    ws.start(talk)
    local.peer.send(frame(TEXT, b"tell me") + closing(4000, "enough"))
    began = time.monotonic()
    assert ws.join(PATIENCE)
    assert time.monotonic() - began < 5.0
    assert (ws.close_code, ws.close_reason) == (4000, "enough")


@pytest.mark.parametrize("seconds", [3e6, 1e10, float("inf")])
def test_a_timeout_of_months_or_centuries_waits_like_any_other(local, seconds):
    ws = local.open()
    local.peer.say("hello")
    assert ws.receive(timeout=seconds) == "hello"
    thread, outcome = in_thread(lambda: ws.receive(timeout=seconds))
    ws.send("go", timeout=seconds)
    assert local.peer.read() == "go"
    local.peer.say("at last")
    thread.join(PATIENCE)
    assert outcome == ["at last"]
    local.peer.send(closing(1000))
    assert ws.wait_closed(seconds)


def test_wait_closed_on_the_reading_thread_sees_a_close_behind_an_unread_message(local):
    ws = local.open(close_timeout=None)
    local.peer.say("a")
    local.peer.say("b")
    assert ws.receive() == "a"
    local.peer.send(closing(4000))
    assert ws.wait_closed(PATIENCE)
    assert local.peer.read_close() == (4000, "")
    assert ws.receive() == "b"
    with pytest.raises(ConnectionClosed):
        ws.receive()


def test_who_waits_elsewhere_leaves_the_close_event_to_the_owner(local):
    ws = local.open()
    tellers = []
    ws.on("close", lambda event: tellers.append(threading.current_thread()))
    local.peer.send(closing(1000))
    thread, outcome = in_thread(lambda: ws.wait_closed(PATIENCE))
    thread.join(PATIENCE)
    assert outcome == [True]
    assert tellers == []
    assert list(ws) == []
    assert tellers == [threading.current_thread()]


def test_the_close_event_is_told_once_where_the_call_goes_on_after_it(local):
    ws = WebSocket(local.environ)
    told = []
    ws.on("close", told.append)
    ws.close()
    local.peer.read_head()
    local.peer.answer_close()
    assert ws.wait_closed(PATIENCE)
    local.call(ws)
    assert ws.join(PATIENCE)
    assert [event.code for event in told] == [1000]


def test_a_timeout_that_is_no_number_is_refused(local):
    with pytest.raises(ValueError, match="got nan"):
        local.open().receive(timeout=float("nan"))


# --- what excludes what -----------------------------------------------------------------------------


def listening(ws: WebSocket) -> None:
    ws.on("message", print)


CONFLICTS = [
    pytest.param(listening, lambda ws: ws.receive(), "a message listener was added", id="receive"),
    pytest.param(
        listening, lambda ws: next(iter(ws)), "a message listener was added", id="iterate"
    ),
    pytest.param(
        listening, lambda ws: ws.start(print), "a message listener was added", id="start-function"
    ),
    pytest.param(
        lambda ws: ws.start(lambda ws: ws.wait_closed()),
        listening,
        "a message listener would never run",
        id="listen-after-start-function",
    ),
    pytest.param(
        lambda ws: ws.start(), lambda ws: ws.receive(), "use one of the two", id="started"
    ),
    pytest.param(lambda ws: ws.start(), lambda ws: ws.start(), "started already", id="twice"),
    pytest.param(lambda ws: ws.start(), lambda ws: ws.run(), "started already", id="run-after"),
]


@pytest.mark.parametrize("first, second, text", CONFLICTS)
def test_styles_exclude_each_other_with_a_text_that_says_what_to_do(local, first, second, text):
    ws = local.open()
    first(ws)
    with pytest.raises(RuntimeError, match=text):
        second(ws)
    ws.close()
    local.peer.answer_close()


@pytest.mark.parametrize("call", ["receive", "join", "run", "start"])
def test_a_listener_that_would_wait_for_itself_is_told_so(local, call):
    ws = local.open()
    raised = Queue()

    @ws.on("message")
    def wait(event):
        try:
            getattr(ws, call)()
        except RuntimeError as error:
            raised.put(error)

    ws.start()
    local.peer.say("go")
    assert raised.get(timeout=PATIENCE)
    assert local.peer.close() == (1000, "")


# --- callback style -----------------------------------------------------------------------------------


def test_start_dispatches_on_a_thread_named_for_the_connection(local):
    ws = local.open(park=False)
    names = Queue()
    ws.on("message", lambda event: names.put(threading.current_thread().name))
    assert ws.start() is ws
    local.peer.say("who is there?")
    assert names.get(timeout=PATIENCE) == f"faye-sync-{ws.id}"
    local.peer.close()
    assert ws.join(PATIENCE)


def test_run_dispatches_on_the_calling_thread_until_the_end(local):
    ws = local.open()
    seen = []
    ws.on("message", lambda event: seen.append((event, threading.current_thread())))
    ws.onclose = lambda event: seen.append((event.code, threading.current_thread()))
    local.peer.say("hello")
    local.peer.send(closing(3000))
    ws.run()
    me = threading.current_thread()
    assert seen == [(MessageEvent("hello"), me), (3000, me)]


def test_messages_before_the_first_listener_are_kept_for_it(local):
    ws = local.open()
    ws.start()
    got = Queue()
    local.peer.say("early")
    local.peer.send(frame(PING, b""))
    local.peer.read_frame()
    ws.on("message", got.put)
    assert got.get(timeout=PATIENCE) == MessageEvent("early")
    local.peer.close()


def test_kept_messages_come_before_later_ones_when_the_wake_up_is_late(local, monkeypatch):
    ws = local.open()
    ws.start()
    got = Queue()
    local.peer.say("first")
    local.peer.send(frame(PING))
    local.peer.read_frame()
    monkeypatch.setattr(ws._link.incoming, "wake", lambda: None)
    ws.on("message", lambda event: got.put(event.data))
    local.peer.say("second")
    assert [got.get(timeout=PATIENCE), got.get(timeout=PATIENCE)] == ["first", "second"]
    local.peer.close()


def test_a_listener_that_comes_just_before_a_message_gets_the_kept_ones_first(local, monkeypatch):
    ws = local.open()
    got = Queue()
    ws.start()
    for number in range(3):
        local.peer.say(str(number))
    local.peer.send(frame(PING))
    local.peer.read_frame()
    release = ws._release_messages

    def late():
        release()
        if len(ws._kept) == 5:  # OpenEvent and four messages
            monkeypatch.undo()
            ws.on("message", lambda event: got.put(event.data))

    monkeypatch.setattr(ws, "_release_messages", late)
    local.peer.say("3")
    assert [got.get(timeout=PATIENCE) for _ in range(4)] == ["0", "1", "2", "3"]
    local.peer.close()


def test_listeners_that_take_one_message_each_may_take_any_number(local):
    ws = local.open()
    ws.start()
    got = Queue()
    for number in range(20):
        local.peer.say(bytes([number]) * 10_000)
        ws.once("message", got.put)
        assert got.get(timeout=PATIENCE).data[0] == number
    local.peer.close()


def test_a_close_listener_added_after_the_end_is_told_at_once(local):
    ws = local.open().start()
    local.peer.close(4321)
    assert ws.join(PATIENCE)
    told = []
    ws.on("close", told.append)
    assert [event.code for event in told] == [4321]


def test_join_and_wait_closed_tell_whether_the_time_was_over(local):
    ws = local.open().start()
    assert not ws.join(0.01)
    assert not ws.wait_closed(0.01)
    local.peer.close()
    assert ws.wait_closed(PATIENCE)
    assert ws.join(PATIENCE)


def test_pause_hands_out_nothing_until_resume_and_answers_pings_meanwhile(local):
    ws = local.open()
    got = Queue()
    ws.on("message", got.put)
    ws.start()
    ws.pause()
    local.peer.say("later")
    local.peer.send(frame(PING, b"still there?"))
    assert local.peer.read_frame() == (PONG, b"still there?")
    assert got.empty()
    ws.resume()
    assert got.get(timeout=PATIENCE) == MessageEvent("later")
    local.peer.close()


def test_pauses_of_many_threads_at_once_never_strand_the_reader(local):
    ws = local.open()
    got = Queue()
    ws.on("message", got.put)
    ws.start()

    def toggle():
        for _ in range(2000):
            ws.pause()
            ws.resume()

    threads = [threading.Thread(target=toggle) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for number in range(500):
            local.peer.say(str(number))
        for thread in threads:
            thread.join(PATIENCE)
    finally:
        sys.setswitchinterval(interval)
    assert [got.get(timeout=PATIENCE).data for _ in range(500)] == [str(n) for n in range(500)]
    local.peer.close()
    assert ws.join(PATIENCE)


def test_of_many_threads_that_start_at_once_one_succeeds(local):
    ws = WebSocket(local.environ)
    ws.on("message", print)
    gate = threading.Barrier(4)

    def begin():
        gate.wait(PATIENCE)
        return ws.start()

    started = [in_thread(begin) for _ in range(4)]
    for thread, _ in started:
        thread.join(PATIENCE)
    outcomes = [outcome[0] for _, outcome in started]
    assert outcomes.count(ws) == 1
    assert sum(isinstance(outcome, RuntimeError) for outcome in outcomes) == 3
    local.peer.read_head()
    local.peer.close()
    assert ws.join(PATIENCE)


def test_listeners_that_come_as_the_close_is_told_get_the_message_before_it(local, monkeypatch):
    ws = local.open()
    got = Queue()
    deliver = ws._deliver

    def late(link, event):
        if event is link.final:
            monkeypatch.undo()
            ws.on("message", got.put)
            ws.on("close", got.put)
        deliver(link, event)

    monkeypatch.setattr(ws, "_deliver", late)
    ws.start()
    local.peer.say("a")
    local.peer.close(4000)
    assert ws.join(PATIENCE)
    assert [got.get(timeout=PATIENCE).type for _ in range(2)] == ["message", "close"]


def test_drain_is_told_in_blocking_style_without_waiting_for_octets(local):
    ws = local.open(ping=None)
    drained = Queue()
    ws.on("drain", drained.put)
    ws.start(list)
    assert ws.send_nowait(bytes(2**24))
    assert len(local.peer.read()) == 2**24
    assert drained.get(timeout=PATIENCE)
    local.peer.close()


def test_a_paused_connection_that_ends_tells_its_listeners(local):
    ws = local.open()
    got = Queue()
    ws.on("message", got.put)
    ws.on("close", got.put)
    ws.start()
    ws.pause()
    local.peer.say("before the end")
    local.peer.send(frame(PING, b""))
    local.peer.read_frame()
    local.peer.drop()
    assert got.get(timeout=PATIENCE) == MessageEvent("before the end")
    assert got.get(timeout=PATIENCE).code == 1006


def test_a_paused_reader_stops_a_peer_that_goes_on_sending(local):
    ws = local.open(ping=None)
    ws.on("message", lambda event: None)
    ws.start()
    ws.pause()
    local.peer.sock.settimeout(2.0)
    with pytest.raises(TimeoutError):
        local.peer.sock.sendall(frame(BINARY, bytes(100_000)) * 1000)
    local.peer.drop()
    assert ws.wait_closed(PATIENCE)


def test_discard_drops_messages_and_still_tells_the_end(local):
    ws = local.open()
    got = Queue()
    ws.on("close", got.put)
    ws.discard()
    ws.start()
    for _ in range(10):
        local.peer.say(bytes(100_000))
    assert local.peer.close() == (1000, "")
    assert got.get(timeout=PATIENCE).code == 1000


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error, code", [(SystemExit, 1001), (KeyboardInterrupt, 1001)])
@pytest.mark.parametrize("style", ["listener", "function"])
def test_what_ends_the_reading_thread_ends_the_connection(local, style, error, code):
    readers = []

    def leave(_):
        readers.append(threading.current_thread())
        raise error

    ws = local.open()
    told = []
    ws.on("close", told.append)
    if style == "listener":
        ws.on("message", leave)
        ws.start()
        local.peer.say("leave")
    else:
        ws.start(leave)
    assert local.peer.answer_close() == (code, "")
    assert ws.join(PATIENCE)
    assert [event.code for event in told] == [code]
    # Its last words come after that, and would else be taken for those of the next test.
    readers[0].join(PATIENCE)


@pytest.mark.parametrize("function", [None, list], ids=["listeners", "function"])
def test_a_thread_that_cannot_be_started_closes_with_1011(local, monkeypatch, function):
    def refuse(name, function):
        raise RuntimeError("can't start new thread")

    ws = local.open()
    # None of those that serve other connections is there to do it.
    monkeypatch.setattr(parking, "_pools", [])
    monkeypatch.setattr(ws._link.world, "spawn", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        ws.start(function)
    monkeypatch.undo()
    assert local.peer.answer_close() == (1011, "")
    assert ws.join(PATIENCE)


# --- start(function) ----------------------------------------------------------------------------------


def test_the_end_of_a_started_function_closes_with_1000(local):
    ws = local.open().start(lambda ws: ws.send("bye"))
    assert local.peer.read() == "bye"
    assert local.peer.answer_close() == (1000, "")
    assert ws.join(PATIENCE)
    assert ws.close_code == 1000


def test_an_exception_in_a_started_function_is_logged_and_closes_with_1011(local, caplog):
    def fail(ws):
        raise LookupError("on purpose")

    ws = local.open().start(fail)
    assert local.peer.answer_close() == (1011, "")
    assert ws.join(PATIENCE)
    (record,) = [each for each in caplog.records if each.exc_info]
    assert record.exc_info[0] is LookupError
    assert ws.id in record.getMessage()


def test_a_connection_closed_that_leaves_a_started_function_is_a_normal_end(local, caplog):
    def talk(ws):
        while True:
            ws.receive()

    ws = local.open().start(talk)
    local.peer.close(4002)
    assert ws.join(PATIENCE)
    assert ws.close_code == 4002
    assert not [each for each in caplog.records if each.exc_info]


def test_join_of_a_started_function_waits_for_its_close_listeners(local):
    ws = local.open()
    told = []
    ws.on("close", told.append)
    ws.start(lambda ws: None)
    local.peer.answer_close()
    assert ws.join(PATIENCE)
    assert [event.code for event in told] == [1000]


def test_an_error_event_of_a_listener_names_the_listener_and_its_error(local):
    ws = local.open()
    told = Queue()
    mistake = ValueError("on purpose")

    @ws.on("message")
    def fail(event):
        raise mistake

    ws.on("error", told.put)
    ws.start()
    local.peer.say("go")
    event = told.get(timeout=PATIENCE)
    assert isinstance(event, ErrorEvent)
    assert event.error is mistake
    assert "a listener of message raised" in event.message
    local.peer.close()


def test_the_thread_that_called_start_with_a_function_cannot_iterate_beside_it(local):
    ws = local.open()
    ws.start(lambda ws: ws.wait_closed(20))
    with pytest.raises(RuntimeError, match=r"the function of start\(\) reads this connection"):
        next(iter(ws))
    assert local.peer.close() == (1000, "")
    assert ws.join(20)
