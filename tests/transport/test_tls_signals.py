"""A TLS stream in memory whose thread runs signal handlers, which may raise or send anywhere."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import pytest

from faye_sync.transport import tls_memory
from faye_sync.transport.stream import Stream
from faye_sync.transport.tls_memory import MemoryTlsStream
from tests.support.key_update import update_keys
from tests.support.tls_layers import TlsServer, layered
from tests.support.tls_peer import PATIENCE, RECORD, in_thread


@pytest.fixture(params=[pytest.param(1, id="tls"), pytest.param(2, id="tls-in-tls")])
def memory_pair(request):
    """A client's stream over one or two layers of TLS, and the server's end."""
    with layered(request.param) as pair:
        yield pair


class Interruption(Exception):
    """What a handler raises."""


def raise_interruption() -> None:
    raise Interruption


def take(stream: Stream, size: int) -> bytes:
    """Receive so many octets."""
    data = b""
    while len(data) < size:
        piece = stream.recv()
        assert piece, stream.error
        data += piece
    return data


def digest_of_rest(peer: TlsServer) -> str:
    """Read to the close_notify."""
    digest = hashlib.sha256()
    while data := peer._pump(peer._tls.read, 2**16):
        digest.update(data)
    return digest.hexdigest()


def send_all(stream: MemoryTlsStream, data: bytes) -> None:
    """Send as the outgoing side does: what counts is what was counted, whatever is raised."""
    rest = memoryview(data)
    while rest:
        counts: list[int] = []
        with suppress(Interruption):
            stream.send_now(rest, counts)
        rest = rest[sum(counts) :]
        assert counts or stream.wait_writable(PATIENCE)


# --- real signals, at random ---------------------------------------------------------------------


@contextmanager
def signals(within: Callable, act: Callable[[], object]) -> Iterator[list[int]]:
    """Have a signal handler call act wherever it finds the main thread within a function."""
    calls = [0]

    def handle(_, frame) -> None:
        while frame is not None and frame.f_code is not within.__code__:
            frame = frame.f_back
        if frame is not None:
            calls[0] += 1
            act()

    is_over = threading.Event()
    main = threading.get_ident()

    def ring() -> None:
        # Not a timer's signal: pytest's own time-out has the timer.
        while not is_over.wait(0.0002):
            signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    thread, _ = in_thread(ring)
    try:
        yield calls
    finally:
        is_over.set()
        thread.join(PATIENCE)
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_raises_in_a_send_neither_doubles_nor_loses_octets(memory_pair):
    stream, peer = memory_pair
    thread, read = in_thread(lambda: digest_of_rest(peer))
    digest = hashlib.sha256()
    with signals(MemoryTlsStream.send_now, raise_interruption) as raised:
        while raised[0] < 1000:
            data = os.urandom(2**18)
            digest.update(data)
            send_all(stream, data)
    assert stream.end_writing()
    thread.join(PATIENCE)
    assert read == [digest.hexdigest()]


def test_a_handler_that_sends_while_its_thread_reads_keeps_records_in_order(tls_pair):
    stream, peer = tls_pair
    sent: list[int] = []
    with signals(type(stream)._read, lambda: sent.append(stream.send_now(b"by the way"))):
        while len(sent) < 1000:
            peer.say(b"octets" * 9000)
            assert take(stream, 54_000) == b"octets" * 9000
            for _ in range(50):
                assert stream.recv_now() is None
    assert stream.end_writing()
    assert peer.rest() == b"by the way" * (sum(sent) // 10)


def test_a_handler_that_raises_in_a_receive_ends_the_reading_and_leaves_the_writing(memory_pair):
    stream, peer = memory_pair

    def talk() -> None:
        while True:
            peer.say(b"octets" * 9000)
            take(stream, 54_000)

    with signals(MemoryTlsStream._open, raise_interruption), pytest.raises(Interruption):
        talk()
    assert stream.wait_readable(0)
    assert stream.recv() == b""
    assert stream.send_now(b"a close frame") == 13
    assert peer.read(13) == b"a close frame"


# --- the same at each line of it -----------------------------------------------------------------


@contextmanager
def at_line(number: int, act: Callable[[], object]) -> Iterator[list[int]]:
    """Call act before the so-manieth line that this thread runs in the module, as a handler might."""
    lines = [0]

    def trace(frame, event, _):
        if frame.f_code.co_filename != tls_memory.__file__:
            return None
        if event == "line":
            lines[0] += 1
            if lines[0] == number:
                act()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)


def test_no_line_of_a_send_is_one_to_raise_at(memory_pair):
    stream, peer = memory_pair
    for number in count(1):
        data = b"%04d" % number * (RECORD // 2)
        counts: list[int] = []
        with suppress(Interruption), at_line(number, raise_interruption) as lines:
            stream.send_now(data, counts)
        # All that the kernel had no room for is given again, as ever.
        send_all(stream, data[sum(counts) :])
        assert peer.read(len(data)) == data
        if lines[0] < number:
            break
    assert number > 20


def test_no_line_of_a_receive_is_one_to_send_at(memory_pair):
    stream, peer = memory_pair
    for number in count(1):
        update_keys(peer._tls)
        peer.say(b"octets" * 9000)
        data = b""
        with at_line(number, lambda: stream.send_now(b"by the way")) as lines:
            while len(data) < 54_000:
                data += stream.recv()
        assert data == b"octets" * 9000
        if lines[0] < number:
            break
        assert peer.read(10) == b"by the way"
    assert number > 20
