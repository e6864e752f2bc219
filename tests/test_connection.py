"""Sending, pinging, closing, and what can be asked of a connection."""

from __future__ import annotations

import select
import threading
import time
from queue import Queue

import pytest

from faye_sync import (
    ConnectionClosed,
    PongEvent,
    ReadyState,
    WebSocket,
    broadcast,
)
from tests.support.local import Local
from tests.support.peer import BINARY, CLOSE, PING, PONG, TEXT, closing, frame

PATIENCE = 20.0  # seconds to wait for what should come at once
BIG = 2**25  # octets, more than the sockets' buffers take


# --- sending ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, opcode, payload",
    [
        pytest.param("text", TEXT, b"text", id="str"),
        pytest.param("", TEXT, b"", id="empty-str"),
        pytest.param(b"octets", BINARY, b"octets", id="bytes"),
        pytest.param(bytearray(b"octets"), BINARY, b"octets", id="bytearray"),
        pytest.param(memoryview(b"octets")[1:4], BINARY, b"cte", id="memoryview"),
    ],
)
@pytest.mark.parametrize("how", ["send", "send_nowait", "write", "broadcast"])
def test_the_type_of_the_data_decides_how_it_is_sent(local, how, data, opcode, payload):
    ws = local.open()
    took = broadcast([ws], data) if how == "broadcast" else getattr(ws, how)(data)
    assert took == 1
    assert local.peer.read_frame() == (opcode, payload)


@pytest.mark.parametrize(
    "data, text",
    [
        pytest.param({"a": 1}, "got dict; json.dumps", id="dict"),
        pytest.param([1], "got list; json.dumps", id="list"),
        pytest.param(5, "got int", id="int"),
        pytest.param(None, "got NoneType", id="none"),
    ],
)
@pytest.mark.parametrize("is_refused", [False, True], ids=["open", "refused"])
def test_other_data_is_a_type_error_that_names_the_type(data, text, is_refused):
    with Local(without="Sec-WebSocket-Key" if is_refused else "") as local:
        ws = WebSocket(local.environ)
        for send in (ws.send, ws.send_nowait):
            with pytest.raises(TypeError, match=text):
                send(data)
        ws.close()


@pytest.mark.parametrize("how", ["send", "send_nowait", "ping"])
def test_a_lone_surrogate_is_refused_and_the_connection_goes_on(local, how):
    ws = local.open()
    with pytest.raises(ValueError, match="lone surrogate"):
        getattr(ws, how)("\ud800")
    ws.send("fine")
    assert local.peer.read() == "fine"


def test_send_many_writes_all_in_order(local):
    ws = local.open()
    assert ws.send_many(str(i) if i % 2 else str(i).encode() for i in range(100))
    got = [local.peer.read() for _ in range(100)]
    assert got == [str(i) if i % 2 else str(i).encode() for i in range(100)]


def test_send_many_sends_none_where_one_is_wrong(local):
    ws = local.open()
    with pytest.raises(TypeError):
        ws.send_many(["fine", 5])
    with pytest.raises(ValueError, match="lone surrogate"):
        ws.send_many(["fine", "\ud800"])
    ws.send("next")
    assert local.peer.read() == "next"


def test_end_sends_the_last_message_and_closes(local):
    local.open().end("last")
    assert local.peer.read() == "last"
    assert local.peer.answer_close() == (1000, "")


def test_a_send_past_its_deadline_fails_the_connection(local):
    ws = local.open()
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"its deadline of 0.5 s"):
        ws.send(bytes(BIG), timeout=0.5)
    assert 0.5 <= time.monotonic() - began < 3.0
    assert ws.wait_closed(PATIENCE)
    assert ws.close_code == 1006


def test_a_send_that_waits_for_another_ends_at_its_own_deadline_and_harms_nothing(local):
    ws = local.open(send_timeout=60)
    sender = threading.Thread(target=lambda: ws.send(bytes(BIG)))
    sender.start()
    # Its first octets are there, so it holds the lock.
    assert select.select([local.peer.sock], [], [], PATIENCE)[0]
    with pytest.raises(TimeoutError):
        ws.send("me too", timeout=0.2)
    assert ws.ready_state is ReadyState.OPEN
    assert len(local.peer.read()) == BIG
    sender.join(PATIENCE)
    assert local.peer.close() == (1000, "")


def test_send_nowait_queues_up_to_max_queue_octets_and_then_says_no(local):
    ws = local.open(max_queue=1_000_000)
    count = 0
    while ws.send_nowait(bytes([count % 256]) * 100_000):
        count += 1
    assert 900_000 <= ws.buffered_amount <= 1_200_000
    for number in range(count):
        assert local.peer.read() == bytes([number % 256]) * 100_000
    assert local.peer.close() == (1000, "")


def test_one_message_larger_than_the_queue_passes_alone(local):
    ws = local.open(max_queue=1000)
    assert ws.send_nowait(bytes(BIG))
    assert not ws.send_nowait(bytes(10))
    assert len(local.peer.read()) == BIG
    assert ws.send_nowait(bytes(10))


def test_drain_is_told_on_the_reading_thread_once_the_queue_is_empty(local):
    ws = local.open(park=False)
    drained = Queue()
    ws.on("drain", lambda event: drained.put(threading.current_thread().name))
    ws.start()
    assert ws.send_nowait(bytes(BIG // 2))
    assert ws.buffered_amount > 0
    assert len(local.peer.read()) == BIG // 2
    assert drained.get(timeout=PATIENCE) == f"faye-sync-{ws.id}"
    assert ws.buffered_amount == 0
    local.peer.close()


def test_queued_messages_leave_before_the_close_frame(local):
    ws = local.open()
    assert ws.send_nowait(bytes(BIG // 2))
    assert ws.send_nowait("and this")
    ws.close()
    assert len(local.peer.read()) == BIG // 2
    assert local.peer.read() == "and this"
    assert local.peer.answer_close() == (1000, "")


def test_nothing_can_be_sent_once_closing(local):
    ws = local.open()
    ws.close()
    assert ws.ready_state is ReadyState.CLOSING
    assert not ws.send("late")
    assert not ws.send_nowait("late")
    assert not ws.ping()
    assert not ws.send_many(["late"])
    assert broadcast([ws], "late") == 0
    assert local.peer.answer_close() == (1000, "")


def test_send_in_blocking_style_raises_once_closing(local):
    ws = local.open()
    local.peer.send(closing(4000, "bye"))
    assert list(ws) == []
    with pytest.raises(ConnectionClosed, match=r"closed with 4000 \(peer\): bye"):
        ws.send("late")
    with pytest.raises(ConnectionClosed):
        ws.send_many(["late"])


def test_broadcast_refuses_what_is_no_message(local):
    ws = local.open()
    with pytest.raises(TypeError, match=r"got dict; json\.dumps"):
        broadcast([ws], {"a": 1})


def test_a_send_after_an_own_close_says_that_it_was_ours(local):
    ws = local.open()
    with pytest.raises(TimeoutError):
        ws.receive(timeout=0)
    ws.close(4000, "bye")
    with pytest.raises(ConnectionClosed, match=r"closed with 4000 \(local\): bye"):
        ws.send("late")
    local.peer.answer_close()


def test_broadcast_passes_over_those_that_are_not_open():
    with Local() as first, Local() as second, Local(without="Upgrade") as refused:
        ours = first.open(), second.open(), WebSocket(refused.environ)
        ours[1].close()
        assert broadcast(ours, "news") == 1
        assert first.peer.read() == "news"
        ours[2].close()


def test_broadcast_closes_a_connection_that_is_full_with_1013(local):
    ws = local.open(max_queue=1000)
    assert broadcast([ws], bytes(BIG)) == 1
    assert broadcast([ws], b"no room") == 0
    assert len(local.peer.read()) == BIG
    assert local.peer.answer_close() == (1013, "the connection is too slow")
    assert ws.wait_closed(PATIENCE)


def test_messages_without_a_listener_are_dropped_after_64_kib_with_one_line(local, caplog):
    ws = local.open().start()
    for _ in range(20):
        local.peer.say(bytes(10_000))
    local.peer.send(frame(PING, b"all read?"))
    assert local.peer.read_frame() == (PONG, b"all read?")
    got = Queue()
    ws.on("message", got.put)
    local.peer.close()
    assert ws.join(PATIENCE)
    assert got.empty()
    assert caplog.text.count("messages are dropped from now on") == 1


def test_a_first_message_over_64_kib_without_a_listener_is_dropped_too(local, caplog):
    ws = local.open().start()
    local.peer.say(bytes(100_000))
    local.peer.close()
    assert ws.join(PATIENCE)
    assert "messages are dropped from now on" in caplog.text


# --- pings ------------------------------------------------------------------------------------------------


def test_a_ping_runs_its_callback_at_its_own_pong_only(local):
    ws = local.open()
    called = []
    ws.on("pong", called.append)
    assert ws.latency is None
    assert ws.ping("one", lambda: called.append("one"))
    assert ws.ping(b"two", lambda: called.append("two"))
    assert local.peer.read_frame() == (PING, b"one")
    assert local.peer.read_frame() == (PING, b"two")
    local.peer.send(frame(PONG, b"two") + frame(PONG, b"unknown") + frame(TEXT, b"end"))
    assert ws.receive() == "end"
    assert called == ["two", PongEvent(b"two"), PongEvent(b"unknown")]
    assert 0 <= ws.latency < PATIENCE


def test_a_ping_callback_that_raises_is_logged_and_reported(local, caplog):
    ws = local.open()
    told = []
    ws.on("error", told.append)
    ws.ping("x", lambda: {}["missing"])
    local.peer.read_frame()
    local.peer.send(frame(PONG, b"x") + frame(TEXT, b"next"))
    assert ws.receive() == "next"
    assert [type(event.error) for event in told] == [KeyError]
    assert "KeyError" in caplog.text


def test_keepalive_pings_come_at_their_interval(local):
    ws = local.open(ping=0.2)
    began = time.monotonic()
    for number in (1, 2, 3):
        assert local.peer.read_frame() == (PING, b"keepalive %d" % number)
        local.peer.send(frame(PONG, b"keepalive %d" % number))
    assert time.monotonic() - began >= 0.55
    local.peer.close()
    assert ws.wait_closed(PATIENCE)


@pytest.mark.parametrize(
    "data, error",
    [
        pytest.param("x" * 126, ValueError, id="126-octets"),
        pytest.param("é" * 63, ValueError, id="126-octets-of-utf-8"),
        pytest.param(5, TypeError, id="int"),
    ],
)
def test_what_a_ping_cannot_carry_is_refused(local, data, error):
    with pytest.raises(error):
        local.open().ping(data)


def test_a_ping_callback_that_cannot_be_called_is_refused(local):
    with pytest.raises(TypeError, match="must be callable, got int"):
        local.open().ping("x", 5)


def test_a_flood_of_pings_is_answered_with_the_newest(local):
    ws = local.open()
    for number in range(1000):
        local.peer.send(frame(PING, str(number).encode()))
    local.peer.say("done")
    assert ws.receive() == "done"
    pongs = [local.peer.read_frame()]
    while pongs[-1] != (PONG, b"999"):
        pongs.append(local.peer.read_frame())
    numbers = [int(payload) for opcode, payload in pongs if opcode == PONG]
    assert numbers == sorted(set(numbers))


# --- closing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
def test_allowed_codes_reach_the_peer(local, code):
    local.open().close(code, "es reicht für heute")
    assert local.peer.answer_close() == (code, "es reicht für heute")


@pytest.mark.parametrize(
    "code", [0, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000, 3000.5, "1000", None]
)
def test_other_codes_are_refused_with_the_allowed_ones(local, code):
    ws = local.open()
    with pytest.raises(ValueError, match=r"1000, 1001, 1003, 1007-1014 or 3000-4999"):
        ws.close(code)
    assert ws.ready_state is ReadyState.OPEN


def test_a_reason_over_123_octets_is_refused(local):
    ws = local.open()
    with pytest.raises(ValueError, match=r"124 octets of UTF-8; 123 are allowed"):
        ws.close(1000, "é" * 62)
    ws.close(1000, "x" * 123)
    assert local.peer.answer_close() == (1000, "x" * 123)


def test_the_second_close_does_nothing(local):
    ws = local.open()
    ws.close(4001, "first")
    ws.close(4002, "second")
    assert local.peer.answer_close() == (4001, "first")
    assert ws.wait_closed(PATIENCE)
    assert (ws.close_code, ws.close_reason) == (4001, "first")


def test_a_close_before_anything_else_accepts_so_that_the_peer_sees_the_code(local):
    WebSocket(local.environ).close(4003, "not you")
    local.peer.read_head()
    assert local.peer.answer_close() == (4003, "not you")


def test_tcp_ends_after_the_closing_handshake_and_nothing_follows(local):
    ws = local.open()
    local.peer.send(closing(1000) + frame(TEXT, b"after the end") + frame(PING, b""))
    assert list(ws) == []
    assert local.peer.read_frame() == (CLOSE, b"\x03\xe8")
    assert local.peer.rest() == b""


@pytest.mark.parametrize(
    "error, code",
    [
        pytest.param(None, 1000, id="nothing"),
        pytest.param(LookupError("on purpose"), 1011, id="exception"),
        pytest.param(KeyboardInterrupt(), 1001, id="ctrl-c"),
        pytest.param(SystemExit(), 1001, id="exit"),
        pytest.param(ConnectionClosed(), 1000, id="connection-closed"),
        pytest.param(GeneratorExit(), 1000, id="generator-exit"),
    ],
)
def test_with_closes_by_how_it_is_left_and_waits_for_the_handshake(local, error, code):
    codes = []

    def answer():
        local.peer.read_head()
        codes.append(local.peer.answer_close())

    peer = threading.Thread(target=answer)
    peer.start()
    ws = WebSocket(local.environ)

    def use():
        with ws as same:
            assert same is ws
            if error is not None:
                raise error

    if error is None:
        use()
    else:
        with pytest.raises(type(error)):
            use()
    assert ws.closed
    peer.join(PATIENCE)
    assert codes == [(code, "")]


def test_states_follow_the_life_of_the_connection(local):
    ws = WebSocket(local.environ)
    assert ws.ready_state is ReadyState.CONNECTING
    assert (ws.opened_at, ws.close_code, ws.close_reason, ws.closed) == (None, None, None, False)
    ws.accept()
    assert ws.ready_state == 1
    assert ws.opened_at == pytest.approx(time.time(), abs=60)
    local.peer.read_head()
    ws.close()
    assert ws.ready_state == 2
    local.peer.answer_close()
    assert ws.wait_closed(PATIENCE)
    assert ws.ready_state == 3
    assert ws.closed


def test_a_failure_is_told_by_error_and_then_by_close(local):
    ws = local.open()
    told = []
    ws.on("error", told.append)
    ws.on("close", told.append)
    local.peer.send(frame(TEXT, b"\xff"))
    ws.run()
    assert [event.type for event in told] == ["error", "close"]
    assert (told[1].code, told[1].cause, told[1].was_clean) == (1007, "protocol", False)
    assert told[1].reason == told[0].message
    assert local.peer.read_close() == (1007, told[0].message)
    assert local.peer.rest() == b""
