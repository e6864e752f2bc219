"""Streams where something comes between: signals, housekeeping, other messages, bombs."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from faye_sync import ConnectionClosed, PerMessageDeflate, WebSocket, broadcast
from faye_sync.driver.extension import Message
from tests.support.clients import beside
from tests.support.deflating import MIB, bomb
from tests.support.local import Local
from tests.support.peer import BINARY, CLOSE, PING, PONG, TEXT, closing, frame
from tests.support.resident import resident_now, resident_peak
from tests.support.wiretap import frames_of

PATIENCE = 20.0  # seconds to wait for what should come at once
SHORT = 0.1  # seconds to wait for what should not come
CONTINUATION = 0
BIG = bytes(16 * MIB)  # more than the sockets' buffers take
DEFLATE = [("Sec-WebSocket-Extensions", "permessage-deflate")]


class Interruption(Exception):
    """What a signal handler of the application raises."""


@contextmanager
def on_signal(handler: Callable[[], object]) -> Iterator[threading.Event]:
    """Have the first SIGALRM call this in the main thread, wherever that is; tells when it has.

    Whoever sends it does so until then: one that comes just before a wait does not end it.
    """
    has_come = threading.Event()

    def handle(*_: object) -> None:
        if not has_come.is_set():
            has_come.set()
            handler()

    before = signal.signal(signal.SIGALRM, handle)
    try:
        yield has_come
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def raising(error: type[BaseException]) -> Callable[[], object]:
    def handler() -> None:
        raise error

    return handler


def with_alarm(function: Callable[..., object], *arguments: object) -> None:
    """Call what will not return before the signal comes."""
    signal.setitimer(signal.ITIMER_REAL, SHORT, SHORT)
    function(*arguments)


def interrupt_once_it_leaves(local: Local, before: bytes, has_come: threading.Event) -> None:
    """Raise the signal in the main thread once a part of what follows has come."""
    sock = local.peer.sock
    sock.settimeout(PATIENCE)
    while before:
        before = before[len(sock.recv(len(before))) :]
    sock.recv(1, socket.MSG_PEEK)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)
    while not has_come.wait(SHORT):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)


def ended(local: Local, code: int) -> list[tuple[int, bytes]]:
    """Answer the close that is to come; returns all frames up to it."""
    local.peer.send(closing(code))
    return list(frames_of(local.peer.rest()))


def housekeeping_has_read(local: Local, octets: bytes) -> None:
    """Send what is read in one go, by housekeeping since nobody else does."""
    local.peer.send(frame(PING, b"read?") + octets)
    assert local.peer.read_frame() == (PONG, b"read?")


def header(size: int) -> bytes:
    """The head of a whole binary frame of so many octets, masked with zeros."""
    return b"\x82\xff" + size.to_bytes(8, "big") + bytes(4)


def endless(parts: list, may_go_on: threading.Event) -> Iterator[bytes]:
    """Parts of a message that is not over until it may go on."""
    yield from parts
    assert may_go_on.wait(PATIENCE)


# --- half a message is followed by nothing but the end ------------------------------------------------


@pytest.mark.parametrize(
    "error, code",
    [
        pytest.param(Interruption, 1011, id="error"),
        pytest.param(KeyboardInterrupt, 1001, id="interrupt"),
        pytest.param(SystemExit, 1001, id="exit"),
    ],
)
@pytest.mark.parametrize(
    "parts, before",
    [
        pytest.param([BIG, b"more"], b"", id="first-part"),
        pytest.param([b"one", BIG], b"\x02\x03one", id="later-part"),
    ],
)
def test_a_signal_within_a_part_that_leaves_ends_the_connection(local, parts, before, error, code):
    ws = local.open()
    with (
        on_signal(raising(error)) as has_come,
        beside(lambda: interrupt_once_it_leaves(local, before, has_come)),
        pytest.raises(error),
    ):
        ws.send_stream(parts)
    assert ws.send_nowait("after") is False
    (first, payload), last = ended(local, code)
    assert (first, payload) == (CONTINUATION if before else BINARY, BIG)
    assert last == (0x80 | CLOSE, code.to_bytes(2, "big"))
    assert ws.wait_closed(PATIENCE)
    assert ws.close_code == code


def test_a_signal_while_a_stream_waits_for_its_turn_harms_nothing(local):
    ws = local.open()
    may_go_on = threading.Event()
    with beside(lambda: ws.send_stream(endless([b"one"], may_go_on))) as outcome:
        local.peer.sock.recv(5, socket.MSG_WAITALL)
        with on_signal(raising(Interruption)), pytest.raises(Interruption):
            with_alarm(ws.send_stream, ["never", "sent"])
        may_go_on.set()
    assert outcome == [True]
    assert ws.send("next")
    ws.close()
    assert [payload for _, payload in ended(local, 1000)] == [b"", b"next", b"\x03\xe8"]


@pytest.mark.parametrize("extensions", [(), (PerMessageDeflate,)], ids=["plain", "deflate"])
def test_a_first_part_of_which_nothing_left_in_time_leaves_the_connection_open(extensions):
    with Local(headers=DEFLATE) as local:
        ws = local.open(extensions=extensions, max_queue=len(BIG))
        sent = []
        while not ws.buffered_amount:
            sent.append(os.urandom(MIB))
            assert ws.send_nowait(sent[-1])
        with pytest.raises(TimeoutError, match="the peer took no octets"):
            ws.send_stream([sent[-1], b"never sent"], timeout=SHORT)
        sent.append(sent[-1][-1000:] * 2)
        assert ws.send_nowait(sent[-1])
        ws.close()
        *messages, _ = ended(local, 1000)
        unpack = PerMessageDeflate().create_server_session([{}], {"max_length": len(BIG)})
        for (first, payload), data in zip(messages, sent, strict=True):
            message = Message(BINARY, payload, rsv1=bool(extensions))
            assert first == (0x80 | BINARY | message.rsv1 << 6)
            assert unpack.process_incoming_message(message).data == data


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "open"])
def test_the_peer_s_close_ends_a_stream_and_those_that_wait(local, blocking):
    ws = local.open()
    if blocking:
        with pytest.raises(TimeoutError):
            ws.receive(0)
    may_go_on = threading.Event()

    def parts():
        yield from endless([b"one"], may_go_on)
        yield b"two"

    with beside(lambda: ws.send_stream(parts())) as stream:
        local.peer.sock.recv(5, socket.MSG_WAITALL)
        with beside(lambda: ws.send("later")) as other:
            local.peer.send(closing(3000))
            # It ends with TCP, so nothing came but the answer.
            assert local.peer.rest() == b"\x88\x02" + (3000).to_bytes(2, "big")
            assert ws.wait_closed(PATIENCE)
        may_go_on.set()
    for outcome in (*stream, *other):
        if blocking:
            assert isinstance(outcome, ConnectionClosed)
            assert outcome.code == 3000
        else:
            assert outcome is False


# --- whose turn it is ---------------------------------------------------------------------------------


def test_what_is_queued_meanwhile_leaves_behind_the_stream_in_order(local):
    ws = local.open()
    may_go_on = threading.Event()
    with beside(lambda: ws.send_stream(endless([b"one"], may_go_on))):
        local.peer.sock.recv(5, socket.MSG_WAITALL)
        assert ws.send_nowait("a")
        assert broadcast([ws], "b") == 1
        assert ws.send_nowait("c")
        assert ws.buffered_amount
        may_go_on.set()
    ws.close()
    assert [payload for _, payload in ended(local, 1000)] == [b"", b"a", b"b", b"c", b"\x03\xe8"]


def test_a_queue_that_is_full_within_a_stream_ends_it_as_any_other(local):
    ws = local.open(max_queue=10)
    may_go_on = threading.Event()
    with beside(lambda: ws.send_stream(endless([b"one"], may_go_on))) as outcome:
        local.peer.sock.recv(5, socket.MSG_WAITALL)
        assert ws.send_nowait("0123456789")
        assert ws.send_nowait("!") is False
        assert broadcast([ws], "!") == 0
        assert local.peer.read_close()[0] == 1013
        may_go_on.set()
    assert outcome == [False]
    assert ended(local, 1013) == []


# --- what housekeeping has read -----------------------------------------------------------------------


@pytest.mark.parametrize("style", ["late", "start"])
def test_a_size_that_housekeeping_refused_is_forgiven_to_whoever_begins_late(style):
    with Local() as local:
        ws = WebSocket(local.environ, max_length=1000)
        may_go_on = threading.Event()
        sizes = []

        def talk(_: WebSocket) -> None:
            assert may_go_on.wait(PATIENCE)
            sizes.append(sum(map(len, ws.receive_stream(PATIENCE))))

        if style == "start":
            ws.start(talk)
        else:
            ws.accept()
        local.peer.read_head()
        housekeeping_has_read(local, header(70_000) + b"begun")
        with beside(lambda: ws.wait_closed(3 * SHORT)) as is_closed:
            pass
        assert is_closed == [False]
        local.peer.send(bytes(70_000 - 5))
        may_go_on.set()
        if style == "start":
            local.peer.answer_close()
            assert ws.join(PATIENCE)
        else:
            talk(ws)
        assert sizes == [70_000]


def test_a_size_that_nobody_forgives_ends_the_connection_in_time(local):
    ws = local.open(max_length=1000, close_timeout=SHORT)
    housekeeping_has_read(local, header(70_000))
    assert local.peer.read_close()[0] == 1009
    assert ws.wait_closed(PATIENCE)


def test_a_size_that_is_refused_to_one_who_discards_ends_the_connection_at_once(local):
    ws = local.open(max_length=1000, close_timeout=None)
    ws.discard()
    local.peer.send(header(70_000))
    assert local.peer.read_close()[0] == 1009


def test_a_stream_that_is_not_taken_stops_the_reading(local):
    ws = local.open(max_length=1000, max_queue=2**16)
    local.peer.send(header(2**40) + b"begun")
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == b"begun"
    local.peer.sock.settimeout(1.0)
    sent = 0
    with pytest.raises(TimeoutError):  # noqa: PT012  # which octet waits is the kernel's business
        while sent < 2**26:
            sent += local.peer.sock.send(bytes(2**16))
    # One reading more than fits.
    assert ws._link.incoming.cost() < 2**18
    taken = 0
    while taken < sent:
        taken += len(next(stream))
    assert taken == sent


def test_pings_are_answered_while_nobody_takes_the_rest(local):
    ws = local.open()
    local.peer.send(frame(BINARY, b"one", final=False))
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == b"one"
    housekeeping_has_read(local, frame(CONTINUATION, b"two", final=False))
    housekeeping_has_read(local, frame(CONTINUATION, b"three"))
    assert list(stream) == [b"two", b"three"]


def test_bombs_wait_small_until_they_are_taken():
    with Local(headers=DEFLATE) as local:
        ws = local.open(extensions=[PerMessageDeflate])
        octets = bytearray(frame(BINARY, bomb(60)))
        octets[0] |= 0x40
        before = resident_now()
        for _ in range(200):
            local.peer.send(octets)
        local.peer.send(frame(PING, b"read?"))
        assert local.peer.read_frame() == (PONG, b"read?")
        assert resident_peak() - before < 60 * MIB
        assert len(ws.receive(PATIENCE)) == 60 * MIB
        assert next(ws.receive_stream(PATIENCE)) == bytes(2**16)
        ws.close()


# --- what receive_stream() goes on with ---------------------------------------------------------------


def test_a_stream_takes_what_a_receive_gave_up(local):
    ws = local.open(max_length=1000)
    with pytest.raises(TimeoutError):
        ws.receive_stream(SHORT)
    local.peer.send(frame(TEXT, b"one " * 200, final=False))
    with pytest.raises(TimeoutError):
        ws.receive(SHORT)
    local.peer.send(frame(CONTINUATION, b"two " * 200, final=False) + frame(CONTINUATION, b"end"))
    assert "".join(ws.receive_stream(PATIENCE)) == "one " * 200 + "two " * 200 + "end"
    local.peer.say("next")
    assert ws.receive(PATIENCE) == "next"


def test_a_stream_goes_on_behind_a_signal(local):
    ws = local.open()
    local.peer.send(frame(TEXT, b"one", final=False))
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == "one"
    with on_signal(raising(Interruption)), pytest.raises(Interruption):
        with_alarm(next, stream)
    local.peer.send(frame(CONTINUATION, b"two"))
    assert list(stream) == ["two"]


def test_a_signal_handler_may_close_within_a_stream(local):
    ws = local.open()
    local.peer.send(frame(TEXT, b"one", final=False))
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == "one"

    def close() -> None:
        ws.close(3000)
        local.peer.send(frame(CONTINUATION, b"dropped") + closing(3000))

    with on_signal(close), pytest.raises(ConnectionClosed) as caught:
        with_alarm(next, stream)
    assert caught.value.code == 3000
    assert local.peer.read_close()[0] == 3000


def test_nothing_of_a_stream_comes_behind_ones_own_close(local):
    ws = local.open()
    local.peer.send(frame(TEXT, b"one", final=False))
    stream = ws.receive_stream(PATIENCE)
    assert next(stream) == "one"
    ws.close()
    local.peer.send(frame(CONTINUATION, b"dropped") + closing(1000))
    with pytest.raises(ConnectionClosed) as caught:
        next(stream)
    assert caught.value.code == 1000
