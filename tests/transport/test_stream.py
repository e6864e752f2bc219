"""What a stream does at the edges of its socket."""

from __future__ import annotations

import _socket
import os
import signal
import socket
import struct
import threading
import time
from functools import partial

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.transport.stream import open_stream, remote_address, set_no_delay
from faye_sync.transport.waker import Waker
from tests.support.forked import forked
from tests.support.late_signal import just_after
from tests.support.local import tcp_pair


@pytest.fixture
def pair():
    """A stream, and the peer's socket."""
    own, peer = tcp_pair()
    stream = open_stream(_socket.socket(fileno=own.detach()), THREADS)
    yield stream, peer
    stream.close()
    peer.close()


def test_octets_are_received_as_they_come(pair):
    stream, peer = pair
    assert stream.recv_now() is None
    peer.sendall(b"octets")
    assert stream.recv() == b"octets"
    assert stream.recv_now() is None


def test_the_end_is_an_empty_receipt(pair):
    stream, peer = pair
    peer.shutdown(socket.SHUT_WR)
    assert stream.recv() == b""
    assert stream.recv_now() == b""
    assert stream.error is None


@pytest.mark.parametrize("method", ["recv", "recv_now"])
def test_a_reset_reads_as_the_end_and_keeps_the_error(pair, method):
    stream, peer = pair
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert stream.wait_readable(20)
    assert getattr(stream, method)() == b""
    assert isinstance(stream.error, ConnectionResetError)


def test_sending_never_waits_and_tells_how_much_went(pair):
    stream, peer = pair
    octets = bytes(2**25)
    first = stream.send_now(octets)
    assert 0 < first < len(octets)
    assert stream.send_now(octets) < len(octets)
    assert not stream.wait_writable(0.01)
    peer.settimeout(20)
    read = 0
    while read < first:
        read += len(peer.recv(2**20))
    assert stream.wait_writable(20)


def test_sending_to_a_peer_that_is_gone_raises(pair):
    stream, peer = pair
    peer.close()
    stream.send_now(b"answered with a reset")
    assert stream.wait_readable(20)
    stream.recv()
    with pytest.raises(OSError, match="Broken pipe"):
        stream.send_now(b"more")


def test_shut_down_wakes_a_thread_in_recv(pair):
    stream, _ = pair
    received = []
    thread = threading.Thread(target=lambda: received.append(stream.recv()))
    thread.start()
    stream.shut_down()
    thread.join(20)
    assert received == [b""]


class SignalFirst:
    """A socket whose receipts begin just after a signal came that Python has not looked for."""

    def __init__(self, sock, number):
        self._number = number
        self._sock = sock

    def recv(self, count):
        return just_after(self._number, partial(_socket.socket.recv, self._sock, count))

    def recv_into(self, room):
        return just_after(self._number, partial(_socket.socket.recv_into, self._sock, room))


@pytest.mark.parametrize(
    "receive",
    [lambda stream: stream.recv(), lambda stream: stream.recv_into(memoryview(bytearray(9)))],
    ids=["recv", "recv_into"],
)
def test_a_signal_that_comes_as_the_main_thread_begins_to_wait_is_not_left_lying(
    pair, receive, monkeypatch, uncollected
):
    stream, peer = pair
    deliverance = threading.Timer(20, peer.close)
    deliverance.start()
    monkeypatch.setattr(stream, "_sock", SignalFirst(stream._sock, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        receive(stream)
    assert deliverance.is_alive()
    deliverance.cancel()


def test_another_thread_that_reads_looks_up_no_more_than_once(pair):
    stream, peer = pair
    looks = []
    look_up, stream._looked_up = (
        stream._looked_up,
        lambda: [looks.append(kernels_limit()), look_up()],
    )

    def kernels_limit():
        return stream._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)

    answer = threading.Timer(2.5, peer.send, [b"late"])
    answer.start()
    received = []
    reader = threading.Thread(target=lambda: received.append(stream.recv()), daemon=True)
    reader.start()
    reader.join(20)
    assert received == [b"late"]
    assert len(looks) == 1
    assert kernels_limit() == bytes(16)


def test_shut_down_twice_and_after_close_is_harmless(pair):
    stream, _ = pair
    stream.shut_down()
    stream.shut_down()
    stream.close()
    stream.shut_down()
    assert stream.fileno() == -1


def test_shut_down_wakes_a_thread_that_waits_for_room(pair):
    stream, _ = pair
    stream.send_now(bytes(2**25))
    woken = []
    thread = threading.Thread(target=lambda: woken.append(stream.wait_writable(20)))
    thread.start()
    stream.shut_down()
    thread.join(20)
    assert woken == [True]
    with pytest.raises(OSError, match="Broken pipe"):
        stream.send_now(b"more")


def test_after_close_a_receipt_is_the_end_and_a_send_fails(pair):
    stream, _ = pair
    stream.close()
    stream.close()
    assert stream.recv() == b""
    assert stream.recv_now() == b""
    with pytest.raises(OSError, match="Bad file descriptor"):
        stream.send_now(b"octets")


def test_a_forked_child_closes_its_copy_whatever_the_parents_threads_are_in(pair):
    stream, peer = pair
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with stream._descriptor_lock:
            is_held.set()
            is_over.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(20)
    with forked() as is_child:
        if is_child:
            stream.close()
    is_over.set()
    thread.join(20)
    stream.send_now(b"from the parent")
    assert peer.recv(100) == b"from the parent"


def test_a_wait_ends_at_its_timeout_and_not_before(pair):
    began = time.monotonic()
    assert not pair[0].wait_readable(0.1005)
    assert time.monotonic() - began >= 0.1005


def test_a_waker_ends_a_wait_for_octets(pair):
    waker = Waker()
    assert not pair[0].wait_any(waker.fileno(), 0)
    waker.wake()
    assert pair[0].wait_any(waker.fileno(), 20)
    waker.reset()
    assert not pair[0].wait_any(waker.fileno(), 0)
    waker.close()


def test_a_waker_that_is_woken_without_end_never_blocks_nor_fails():
    waker = Waker()
    for _ in range(100_000):
        waker.wake()
    waker.reset()
    waker.close()
    waker.wake()


def test_waiting_works_for_descriptors_above_1023(pair):
    stream, peer = pair
    high = os.dup2(stream.fileno(), 1500)
    try:
        assert not THREADS.wait_readable(high, 0)
        peer.sendall(b"x")
        assert THREADS.wait_readable(high, 20)
    finally:
        os.close(high)


def test_small_frames_are_sent_at_once(pair):
    stream, peer = pair
    set_no_delay(stream._sock)
    assert stream._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert remote_address(stream._sock) == peer.getsockname()


def test_a_unix_socket_has_no_delay_to_switch_off():
    from _socket import socketpair

    ours, theirs = socketpair()
    set_no_delay(ours)
    ours.close()
    theirs.close()
