"""What is talked through while dialing: octets as they come, each wait the attempt's."""

from __future__ import annotations

import _socket
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.transport.attempt import Attempt, CalledOff
from faye_sync.transport.pipe import SocketPipe
from faye_sync.transport.stream import CHUNK
from tests.support.endings import in_time
from tests.support.local import tcp_pair

MUCH = bytes(2**25)  # more than the kernel takes for a peer that does not read


@pytest.fixture
def attempt():
    with Attempt(THREADS, 1) as attempt:
        yield attempt


@pytest.fixture
def pair(attempt):
    """A pipe, and its peer's socket."""
    own, peer = tcp_pair()
    sock = _socket.socket(fileno=own.detach())
    sock.setblocking(False)
    with peer:
        peer.settimeout(20)
        yield SocketPipe(sock, attempt), peer
    sock.close()


def test_octets_are_received_as_they_come_and_empty_is_the_end(pair):
    pipe, peer = pair
    peer.sendall(b"first")
    assert pipe.recv() == b"first"
    peer.sendall(b"second")
    peer.shutdown(socket.SHUT_WR)
    assert pipe.recv() == b"second"
    assert pipe.recv() == b""
    assert pipe.recv() == b""


def test_a_receipt_has_at_most_a_chunk(pair):
    pipe, peer = pair
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(peer.sendall, bytes(2**20))
        sizes = []
        while sum(sizes) < 2**20:
            sizes.append(len(pipe.recv()))
        sending.result(20)
    assert max(sizes) <= CHUNK


def test_all_is_sent_to_a_peer_that_reads_late(pair):
    pipe, peer = pair
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(pipe.send_all, MUCH)
        received = 0
        while received < len(MUCH):
            received += len(peer.recv(2**20))
        assert sending.result(20) is None


def test_silence_ends_at_the_deadline(pair):
    pipe, _ = pair
    with in_time(1, not_before=1), pytest.raises(TimeoutError, match="open_timeout of 1 s"):
        pipe.recv()


def test_a_peer_that_does_not_read_ends_it_at_the_deadline(pair):
    pipe, _ = pair
    # The attempt began before this test did.
    with in_time(1, not_before=0.5), pytest.raises(TimeoutError, match="open_timeout of 1 s"):
        pipe.send_all(MUCH)


def test_a_flood_ends_at_the_deadline(pair):
    pipe, peer = pair

    def flood():
        try:
            while True:
                peer.sendall(bytes(2**16))
        except OSError as error:
            return error

    def drink():
        while pipe.recv():
            continue

    with ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(flood)
        with in_time(1, not_before=1), pytest.raises(TimeoutError):
            drink()
        peer.shutdown(socket.SHUT_RDWR)
        flooding.result(20)


@pytest.mark.parametrize(
    "use", [SocketPipe.recv, lambda pipe: pipe.send_all(MUCH)], ids=["recv", "send-all"]
)
def test_what_waits_can_be_called_off(pair, attempt, use):
    pipe, _ = pair
    with ThreadPoolExecutor(1) as pool, in_time(0):
        using = pool.submit(use, pipe)
        attempt.call_off()
        with pytest.raises(CalledOff):
            using.result(20)


def test_a_reset_comes_as_the_error_it_is(pair):
    pipe, peer = pair
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    with pytest.raises(ConnectionResetError):
        pipe.recv()
    with pytest.raises(BrokenPipeError):
        pipe.send_all(b"x")
