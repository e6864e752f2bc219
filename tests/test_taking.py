"""receive_stream: a message of any size that is taken while it comes."""

from __future__ import annotations

import threading

import pytest

from faye_sync import ConnectionClosed, ErrorEvent, MessageTooBig, PerMessageDeflate, WebSocket
from faye_sync.driver.extension import Message
from tests.support.local import Local
from tests.support.peer import BINARY, CLOSE, PING, PONG, TEXT, closing, frame

PATIENCE = 20.0  # seconds to wait for what should come at once
CONTINUATION = 0
MIB = 2**20


def header(size: int) -> bytes:
    """The head of a whole binary frame of so many octets, masked with zeros."""
    return b"\x82\xff" + size.to_bytes(8, "big") + bytes(4)


class Packer:
    """Compresses messages as a client does."""

    def __init__(self) -> None:
        self._session = PerMessageDeflate(threshold=0).create_server_session(
            [{}], {"max_length": MIB}
        )

    def pack(self, opcode: int, data: bytes) -> bytes:
        packed = self._session.process_outgoing_message(Message(opcode, data))
        octets = bytearray(frame(opcode, packed.data))
        octets[0] |= 0x40
        return bytes(octets)


@pytest.fixture
def deflating():
    """A call whose client offers compression."""
    with Local(headers=[("Sec-WebSocket-Extensions", "permessage-deflate")]) as call:
        yield call


def opened(local: Local, **options) -> WebSocket:
    return local.open(extensions=[PerMessageDeflate], **options)


@pytest.mark.parametrize(
    "frames, chunks",
    [
        pytest.param(frame(TEXT, b"whole"), ["whole"], id="whole"),
        pytest.param(frame(TEXT), [""], id="empty-text"),
        pytest.param(frame(BINARY), [b""], id="empty-octets"),
        pytest.param(
            frame(BINARY, b"a", final=False) + frame(CONTINUATION, b"b"), [b"a", b"b"], id="two"
        ),
        pytest.param(
            frame(TEXT, "ü".encode()[:1], final=False) + frame(CONTINUATION, "ü".encode()[1:]),
            ["ü"],
            id="a-character-cut-in-two",
        ),
        pytest.param(
            frame(TEXT, final=False) + frame(CONTINUATION, final=False) + frame(CONTINUATION),
            [""],
            id="empty-fragments",
        ),
    ],
)
def test_chunks_are_those_that_came(local, frames, chunks):
    ws = local.open()
    local.peer.sock.sendall(frames)
    assert list(ws.receive_stream(PATIENCE)) == chunks


def test_a_frame_is_taken_before_all_of_it_came(local):
    ws = local.open(max_length=MIB)
    local.peer.sock.sendall(header(2**40) + b"begin")
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == b"begin"
    local.peer.sock.sendall(b"more")
    assert next(stream) == b"more"
    local.peer.sock.sendall(b"and")
    assert next(stream) == b"and"


def test_what_receive_refuses_for_its_size_is_taken_as_a_stream(local):
    ws = local.open(max_length=1000)
    local.peer.say(b"x" * 5000)
    assert sum(map(len, ws.receive_stream(PATIENCE))) == 5000
    local.peer.say(b"x" * 5000)
    with pytest.raises(ConnectionClosed) as caught:
        ws.receive(PATIENCE)
    assert caught.value.code == 1009
    assert isinstance(caught.value.__cause__, MessageTooBig)


def test_a_size_that_was_refused_already_is_forgiven(local):
    ws = local.open(max_length=1000)
    local.peer.sock.sendall(
        frame(BINARY, b"a" * 600, final=False) + frame(CONTINUATION, b"b" * 600) + frame(PING, b"?")
    )
    # Whoever waits for something else has it read, and refused.
    with ws._link.incoming.reading_lock:
        ws._link.incoming.feed(ws._link.stream.recv())
    assert isinstance(ws._link._ending, ErrorEvent)
    assert b"".join(ws.receive_stream(PATIENCE)) == b"a" * 600 + b"b" * 600
    local.peer.say("next")
    assert ws.receive(PATIENCE) == "next"
    assert local.peer.read_frame() == (PONG, b"?")


@pytest.mark.parametrize("how", ["receive", "receive_stream"])
@pytest.mark.parametrize("taken", [0, 1], ids=["untouched", "begun"])
def test_what_was_not_taken_is_dropped_when_the_next_is_asked_for(deflating, how, taken):
    ws = opened(deflating)
    packer = Packer()
    first, second = b"first" * 100_000, b"first" * 50
    deflating.peer.sock.sendall(packer.pack(BINARY, first))
    stream = ws.receive_stream(PATIENCE)
    for _ in range(taken):
        next(stream)
    # It looks back into the window of the first one.
    deflating.peer.sock.sendall(packer.pack(BINARY, second))
    found = getattr(ws, how)(PATIENCE)
    assert (found if how == "receive" else b"".join(found)) == second


def test_a_stream_that_was_left_for_a_later_message_says_so(local):
    ws = local.open()
    local.peer.sock.sendall(frame(BINARY, b"one", final=False))
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == b"one"
    local.peer.sock.sendall(frame(CONTINUATION, b"rest") + frame(TEXT, b"two"))
    assert ws.receive(PATIENCE) == "two"
    with pytest.raises(RuntimeError, match="left for a later one"):
        next(stream)


def test_a_timeout_leaves_the_stream_to_go_on_with(local):
    ws = local.open()
    with pytest.raises(TimeoutError):
        ws.receive_stream(0.05)
    local.peer.sock.sendall(frame(BINARY, b"one", final=False))
    stream = ws.receive_stream(0.2)
    assert next(stream) == b"one"
    with pytest.raises(TimeoutError):
        next(stream)
    local.peer.sock.sendall(frame(CONTINUATION, b"two"))
    assert list(stream) == [b"two"]


def test_receive_joins_what_a_stream_was_asked_for_in_vain(local):
    ws = local.open(max_length=100)
    with pytest.raises(TimeoutError):
        ws.receive_stream(0.05)
    local.peer.sock.sendall(frame(TEXT, b"one ", final=False))
    with pytest.raises(TimeoutError):
        ws.receive(0.05)
    local.peer.sock.sendall(frame(CONTINUATION, b"whole"))
    assert ws.receive(PATIENCE) == "one whole"
    with pytest.raises(TimeoutError):
        ws.receive_stream(0.05)
    local.peer.sock.sendall(
        frame(BINARY, b"x" * 60, final=False) + frame(CONTINUATION, b"x" * 1000)
    )
    with pytest.raises(ConnectionClosed) as caught:
        ws.receive(PATIENCE)
    assert caught.value.code == 1009


@pytest.mark.parametrize(
    "end, code",
    [
        pytest.param(closing(3000), 3000, id="close"),
        pytest.param(None, 1006, id="eof"),
        pytest.param(frame(TEXT, b"no continuation"), 1002, id="failure"),
    ],
)
def test_an_end_within_a_message_ends_its_stream(local, end, code):
    ws = local.open()
    local.peer.sock.sendall(frame(BINARY, b"half", final=False))
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == b"half"
    if end is None:
        local.peer.sock.close()
    else:
        local.peer.sock.sendall(end)
    with pytest.raises(ConnectionClosed) as caught:
        next(stream)
    assert caught.value.code == code


def test_text_that_is_not_utf8_ends_a_stream_where_it_shows(local):
    ws = local.open()
    local.peer.sock.sendall(frame(TEXT, b"good", final=False))
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == "good"
    local.peer.sock.sendall(frame(CONTINUATION, b"bad \xff", final=False))
    with pytest.raises(ConnectionClosed) as caught:
        next(stream)
    assert caught.value.code == 1007
    assert local.peer.read_frame()[0] == CLOSE


def test_compressed_text_that_is_not_utf8_ends_receive_and_stream(deflating):
    ws = opened(deflating)
    errors: list[ErrorEvent] = []
    ws.on("error", errors.append)
    packer = Packer()
    deflating.peer.sock.sendall(packer.pack(TEXT, b"good") + packer.pack(TEXT, b"bad \xff"))
    assert ws.receive(PATIENCE) == "good"
    deflating.peer.say("never seen")
    with pytest.raises(ConnectionClosed) as caught:
        list(ws.receive_stream(PATIENCE))
    assert caught.value.code == 1007
    assert len(errors) == 1
    opcode, payload = deflating.peer.read_frame()
    assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, 1007)


def test_corrupt_compression_is_told_of_behind_the_messages_before_it(deflating):
    ws = opened(deflating)
    packer = Packer()
    corrupt = bytearray(frame(BINARY, b"\xff" * 20))
    corrupt[0] |= 0x40
    deflating.peer.sock.sendall(packer.pack(TEXT, b"one") + bytes(corrupt) + frame(TEXT, b"no"))
    assert ws.receive(PATIENCE) == "one"
    with pytest.raises(ConnectionClosed) as caught:
        ws.receive(PATIENCE)
    assert caught.value.code == 1007


def test_compressed_messages_wait_compressed(deflating):
    ws = opened(deflating, max_length=64 * MIB)
    packer = Packer()
    for _ in range(20):
        deflating.peer.sock.sendall(packer.pack(BINARY, bytes(8 * MIB)))
    ws.send_many(["x"])
    with ws._link.incoming.reading_lock:
        ws._link.incoming.feed(ws._link.stream.recv())
    assert ws._link.incoming.inbox
    assert ws._link.incoming.cost() < MIB
    for _ in range(20):
        assert len(ws.receive(PATIENCE)) == 8 * MIB


def test_pings_are_answered_and_told_of_within_a_message(local):
    ws = local.open()
    seen = []
    ws.on("ping", lambda event: seen.append(event.data))
    local.peer.sock.sendall(frame(BINARY, b"a", final=False))
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == b"a"
    local.peer.sock.sendall(frame(PING, b"?") + frame(CONTINUATION, b"b"))
    assert list(stream) == [b"b"]
    assert seen == [b"?"]
    assert local.peer.read_frame() == (PONG, b"?")


def test_two_threads_do_not_take_one_stream(local):
    ws = local.open()
    is_taking, may_go_on = threading.Event(), threading.Event()
    ws.on("ping", lambda _: (is_taking.set(), may_go_on.wait(PATIENCE)))
    local.peer.sock.sendall(frame(BINARY, b"a", final=False))
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == b"a"
    taken = []
    thread = threading.Thread(target=lambda: taken.append(next(stream)))
    thread.start()
    local.peer.sock.sendall(frame(PING))
    assert is_taking.wait(PATIENCE)
    for take in (ws.receive, ws.receive_stream, stream.__next__):
        with pytest.raises(RuntimeError, match="one thread at a time"):
            take()
    may_go_on.set()
    local.peer.sock.sendall(frame(CONTINUATION, b"b"))
    thread.join(PATIENCE)
    assert taken == [b"b"]


def test_a_stream_is_for_blocking_style(local):
    ws = local.open()
    ws.on("message", print)
    with pytest.raises(RuntimeError, match="message listener"):
        ws.receive_stream()


def test_what_is_received_can_be_sent_on_as_it_comes(deflating):
    ws = opened(deflating)
    packer = Packer()
    for data in (b"", b"x", b"octets" * 50_000):
        deflating.peer.sock.sendall(packer.pack(BINARY, data))
        stream = ws.receive_stream(PATIENCE)
        thread = threading.Thread(target=ws.send_stream, args=[stream])
        thread.start()
        thread.join(PATIENCE)
        assert not thread.is_alive()
