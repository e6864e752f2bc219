"""send_stream: one message in parts, whose turn it is, and what becomes of half a message."""

from __future__ import annotations

import threading
import time

import pytest

from faye_sync import ConnectionClosed, PerMessageDeflate
from faye_sync.driver.extension import Message
from tests.support.local import Local
from tests.support.peer import BINARY, CLOSE, PING, PONG, TEXT, closing, frame

PATIENCE = 20.0  # seconds to wait for what should come at once
BIG = bytes(2**24)  # more than the sockets' buffers take
CONTINUATION = 0


class Gate:
    """Parts of a message, each of which waits to be let through."""

    def __init__(self, *parts) -> None:
        self._parts = parts
        self.is_waiting = threading.Semaphore(0)
        self._may_go_on = threading.Semaphore(0)

    def let_through(self) -> None:
        self._may_go_on.release()

    def __iter__(self):
        for part in self._parts:
            self.is_waiting.release()
            assert self._may_go_on.acquire(timeout=PATIENCE)
            if isinstance(part, BaseException):
                raise part
            yield part


def in_thread(function, *arguments):
    outcome = []

    def run():
        try:
            outcome.append(function(*arguments))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def raw_frame(local) -> tuple[int, bytes]:
    """First octet and payload of a short frame of the server's."""
    deadline = time.monotonic() + PATIENCE
    first, second = local.peer._take(2, deadline)
    return first, local.peer._take(second, deadline)


@pytest.mark.parametrize(
    "parts, opcode",
    [
        pytest.param(["Grü", "ße"], TEXT, id="text"),
        pytest.param([b"a", bytearray(b"b"), memoryview(b"c")], BINARY, id="octets"),
        pytest.param([""], TEXT, id="empty-text"),
        pytest.param([b""], BINARY, id="empty-octets"),
    ],
)
def test_each_part_is_a_fragment_and_an_empty_one_ends_the_message(local, parts, opcode):
    ws = local.open()
    assert ws.send_stream(iter(parts)) is True
    for number, part in enumerate(parts):
        data = part.encode() if isinstance(part, str) else bytes(part)
        assert raw_frame(local) == (CONTINUATION if number else opcode, data)
    assert raw_frame(local) == (0x80 | CONTINUATION, b"")


def test_each_part_leaves_as_soon_as_there_is_one(local):
    ws = local.open()
    gate = Gate("one", "two")
    thread, outcome = in_thread(ws.send_stream, gate)
    gate.let_through()
    assert raw_frame(local) == (TEXT, b"one")
    gate.let_through()
    assert raw_frame(local) == (CONTINUATION, b"two")
    thread.join(PATIENCE)
    assert outcome == [True]


@pytest.mark.parametrize("how", ["send", "send_many", "send_stream", "send_nowait"])
def test_other_messages_wait_until_it_is_over_and_urgent_frames_pass(local, how):
    ws = local.open()
    gate = Gate(b"one", b"two")
    stream, _ = in_thread(ws.send_stream, gate)
    gate.let_through()
    assert raw_frame(local) == (BINARY, b"one")
    data = b"later" if how in ("send", "send_nowait") else [b"later"]
    other, _ = in_thread(getattr(ws, how), data)
    ws.ping(b"now")
    assert raw_frame(local) == (0x80 | PING, b"now")
    local.peer.sock.sendall(frame(PING, b"?"))
    with pytest.raises(TimeoutError):
        ws.receive(0.1)
    assert raw_frame(local) == (0x80 | PONG, b"?")
    gate.let_through()
    assert raw_frame(local) == (CONTINUATION, b"two")
    assert raw_frame(local) == (0x80 | CONTINUATION, b"")
    first, payload = raw_frame(local)
    assert (first & 0x0F, payload) == (BINARY, b"later")
    for thread in (stream, other):
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "error, code",
    [
        pytest.param(LookupError("of the parts"), 1011, id="error"),
        pytest.param(TimeoutError("of the parts"), 1011, id="timeout"),
        pytest.param(ConnectionClosed(1000), 1011, id="another-connection-closed"),
        pytest.param(KeyboardInterrupt(), 1001, id="interrupt"),
    ],
)
@pytest.mark.parametrize("before", [[], [b"half"]], ids=["at-first", "within"])
def test_an_exception_in_the_parts_is_raised_and_closes_the_connection(local, before, error, code):
    ws = local.open()

    def parts():
        yield from before
        raise error

    with pytest.raises(type(error)) as caught:
        ws.send_stream(parts())
    assert caught.value is error
    for part in before:
        assert raw_frame(local) == (BINARY, part)
    assert raw_frame(local) == (0x80 | CLOSE, code.to_bytes(2, "big"))


@pytest.mark.parametrize("parts", [[b"octets", "text"], ["text", b"octets"], [b"a", 5]], ids=repr)
def test_parts_of_another_kind_close_with_1011(local, parts):
    ws = local.open()
    with pytest.raises(TypeError):
        ws.send_stream(parts)
    raw_frame(local)
    assert raw_frame(local) == (0x80 | CLOSE, (1011).to_bytes(2, "big"))


@pytest.mark.parametrize(
    "parts, error",
    [
        pytest.param([], ValueError, id="none"),
        pytest.param([5], TypeError, id="int"),
        pytest.param(["\ud800"], ValueError, id="surrogate"),
        pytest.param("text", TypeError, id="text-itself"),
        pytest.param(b"octets", TypeError, id="octets-themselves"),
    ],
)
def test_what_is_no_message_from_the_start_sends_nothing(local, parts, error):
    ws = local.open()
    with pytest.raises(error):
        ws.send_stream(parts)
    ws.send("next")
    assert raw_frame(local) == (0x80 | TEXT, b"next")


def test_a_send_within_its_own_parts_is_refused(local):
    ws = local.open()

    def parts():
        yield b"one"
        ws.send("within")

    with pytest.raises(RuntimeError, match="waits for itself"):
        ws.send_stream(parts())


def test_a_close_passes_and_ends_the_message_and_those_that_wait(local):
    ws = local.open()
    gate = Gate(b"one", b"two")
    stream, outcome = in_thread(ws.send_stream, gate)
    gate.let_through()
    assert raw_frame(local) == (BINARY, b"one")
    other, other_outcome = in_thread(ws.send, "later")
    assert ws.send_nowait("queued")
    ws.close(3000)
    assert raw_frame(local) == (0x80 | CLOSE, (3000).to_bytes(2, "big"))
    local.peer.sock.sendall(closing(3000))
    assert ws.wait_closed(PATIENCE)
    gate.let_through()
    for thread in (stream, other):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert (outcome, other_outcome) == ([False], [False])
    assert local.peer.rest() == b""


def test_a_part_that_comes_to_its_deadline_fails_the_connection(local):
    ws = local.open(send_timeout=0.2)
    with pytest.raises(TimeoutError, match=r"0\.2 s"):
        ws.send_stream([b"one", BIG])
    assert ws.wait_closed(PATIENCE)
    assert (ws.close_code, ws._link.final.cause) == (1006, "send timeout")


def test_a_sender_that_waits_for_its_turn_has_a_deadline(local):
    ws = local.open()
    gate = Gate(b"one")
    stream, outcome = in_thread(ws.send_stream, gate)
    assert gate.is_waiting.acquire(timeout=PATIENCE)
    gate.let_through()
    assert raw_frame(local) == (BINARY, b"one")
    stream.join(PATIENCE)
    assert outcome == [True]
    gate = Gate(b"two", b"three")
    stream, outcome = in_thread(ws.send_stream, gate)
    gate.let_through()
    assert raw_frame(local) == (0x80 | CONTINUATION, b"")
    assert raw_frame(local) == (BINARY, b"two")
    with pytest.raises(TimeoutError, match="in parts"):
        ws.send("late", timeout=0.1)
    gate.let_through()
    stream.join(PATIENCE)
    assert outcome == [True]
    assert ws.send("in time")


def test_the_peer_that_leaves_ends_the_message_and_those_that_wait(local):
    ws = local.open()
    gate = Gate(b"one", *[bytes(2**16)] * 64)
    stream, outcome = in_thread(ws.send_stream, gate)
    gate.let_through()
    assert raw_frame(local) == (BINARY, b"one")
    other, other_outcome = in_thread(ws.send, "later")
    local.peer.sock.close()
    assert ws.wait_closed(PATIENCE)
    other.join(PATIENCE)
    assert other_outcome == [False]
    for _ in range(64):
        gate.let_through()
    stream.join(PATIENCE)
    assert outcome == [False]


@pytest.mark.parametrize("takes_over", [True, False], ids=["takeover", "no-takeover"])
def test_compressed_parts_can_each_be_read_at_once(takes_over):
    with Local(headers=[("Sec-WebSocket-Extensions", "permessage-deflate")]) as local:
        ws = local.open(extensions=[PerMessageDeflate(no_context_takeover=not takes_over)])
        inflater = PerMessageDeflate().create_server_session([{}], {"max_length": 2**20})
        gate = Gate("Grüße, ", "Grüße")
        stream, _ = in_thread(ws.send_stream, gate)
        decoder = inflater.incoming_stream(Message(TEXT, b"", rsv1=True))
        for first, part in ((0x40 | TEXT, "Grüße, "), (CONTINUATION, "Grüße")):
            gate.let_through()
            found, payload = raw_frame(local)
            assert found == first
            assert b"".join(decoder.feed(payload, is_final=False)).decode() == part
        assert raw_frame(local) == (0x80 | CONTINUATION, b"\0")
        stream.join(PATIENCE)


def test_a_send_that_was_lost_leaves_compression_readable():
    with Local(headers=[("Sec-WebSocket-Extensions", "permessage-deflate")]) as local:
        ws = local.open(extensions=[PerMessageDeflate])
        with pytest.raises(ValueError, match="surrogate"):
            ws.send_many(["x" * 1000, "\ud800"])
        ws.send("x" * 1000)
        inflater = PerMessageDeflate().create_server_session([{}], {"max_length": 2**20})
        first, payload = raw_frame(local)
        assert first == 0x80 | 0x40 | TEXT
        message = Message(TEXT, payload, rsv1=True)
        assert inflater.process_incoming_message(message).data == b"x" * 1000
