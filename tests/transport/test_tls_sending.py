"""What a TLS stream sends: refused records, torn frames, both directions at once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import socket
import struct
import termios

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.driver.hybi_sending import HybiSending
from faye_sync.sending import Outgoing
from faye_sync.transport.tls import RECORD, TlsStream
from tests.support.tls_peer import PATIENCE, TlsPeer, connected, fill, in_thread
from tests.support.told import Owner

BIG = 2**25  # octets, more than the buffers of the pair take


def test_a_refused_record_is_committed_and_leaves_with_what_follows_it(tls_pair):
    stream, peer = tls_pair
    sent = fill(stream)
    assert stream.committed == RECORD
    thread, read = in_thread(lambda: peer.read(sent + 3 * RECORD))
    rest = b"f" * RECORD + b"g" * 2 * RECORD
    while rest:
        assert stream.wait_writable(PATIENCE)
        rest = rest[stream.send_now(rest) :]
        assert stream.committed <= len(rest)
    thread.join(PATIENCE)
    assert read == [b"f" * (sent + RECORD) + b"g" * 2 * RECORD]
    assert stream.committed == 0


def test_what_is_offered_behind_a_refused_record_is_not_committed(tls_pair):
    stream, peer = tls_pair
    sent = fill(stream, b"f" * 1000)
    assert stream.committed == 1000
    assert stream.send_now(b"f" * 1000 + b"behind it" * 1000) == 0
    assert stream.committed == 1000
    thread, read = in_thread(lambda: peer.read(sent + 1009))
    assert stream.wait_writable(PATIENCE)
    assert stream.send_now(b"f" * 1000 + b"something") == 1009
    thread.join(PATIENCE)
    assert read == [b"f" * (sent + 1000) + b"something"]


class Interrupted:
    """A TLS object in whose write a signal handler raises, when OpenSSL is done: as ssl does it."""

    def __init__(self, tls) -> None:
        self._tls = tls

    def write(self, record: memoryview) -> int:
        self._tls.write(record)
        raise KeyboardInterrupt


def test_a_signal_handler_that_raises_in_a_write_has_no_record_sent_twice():
    with connected() as (sock, peer):
        stream = TlsStream(sock, Interrupted(sock._sslobj), THREADS)
        with pytest.raises(KeyboardInterrupt):
            stream.send_now(b"octets")
        stream._tls = sock._sslobj
        assert peer.read(6) == b"octets"
        with pytest.raises(OSError, match=r"Broken pipe|EOF occurred"):
            stream.send_now(b"octets")
        assert peer.sock.recv(10) == b""
        stream.close()


@pytest.fixture
def way(tls_pair):
    """An outgoing side over TLS, its owner, its peer, and how to frame a message."""
    stream, peer = tls_pair
    owner, sending = Owner(), HybiSending(masking=False)
    outgoing = Outgoing(stream, sending, THREADS, owner, max_queue=2 * BIG)
    return outgoing, owner, peer, lambda data: (sending.binary, (data,))


def framed(data: bytes) -> bytes:
    """What a message looks like on the wire: RFC 6455 5.2, unmasked."""
    if len(data) < 126:
        return bytes((0x82, len(data))) + data
    return b"\x82\x7f" + struct.pack("!Q", len(data)) + data


def test_a_send_too_late_to_begin_leaves_the_stream_intact(way):
    outgoing, owner, peer, message = way
    assert outgoing.send_nowait(message(b"b" * BIG), BIG)
    for _ in range(3):
        with pytest.raises(TimeoutError, match="the peer took no octets"):
            outgoing.send([message(b"too late")], 0.05)
    assert outgoing.send_nowait(message(b"the next"), 8)
    assert "torn" not in owner.told
    expected = framed(b"b" * BIG) + framed(b"the next")
    thread, read = in_thread(lambda: peer.read(len(expected)))
    while not outgoing.is_idle:
        assert outgoing._stream.wait_writable(PATIENCE)
        outgoing.flush()
    thread.join(PATIENCE)
    assert read == [expected]


def test_a_send_whose_first_record_is_refused_counts_as_torn(way):
    outgoing, owner, _, message = way
    fill(outgoing._stream, b"m" * 1000)
    rest = outgoing._stream.committed
    with pytest.raises(TimeoutError):
        outgoing.send([message(b"m" * rest)], 0.05)
    assert owner.told[0] == "torn"


def test_a_send_that_ends_within_its_frame_tears_the_connection(way):
    outgoing, owner, _, message = way
    with pytest.raises(TimeoutError):
        outgoing.send([message(b"m" * BIG)], 0.05)
    assert owner.told[0] == "torn"


# --- both directions at once ---------------------------------------------------------------------------


class Traffic:
    """A peer that sends and receives at once, on one thread, without waiting for either."""

    def __init__(self, peer: TlsPeer, size: int) -> None:
        self._peer = peer
        self._size = size
        self._unsealed = memoryview(os.urandom(size))
        self._sealed = b""
        self.sent = hashlib.sha256(self._unsealed).hexdigest()
        self._received, self._digest = 0, hashlib.sha256()

    def run(self) -> str:
        """Send and receive so many octets each; returns the digest of what came."""
        sock = self._peer.sock
        sock.setblocking(False)
        while self._received < self._size or self._sealed or self._unsealed:
            wants_room = [sock] if self._sealed or self._unsealed else []
            readable, writable, _ = select.select([sock], wants_room, [], PATIENCE)
            assert readable or writable, f"stands still after {self._received} octets"
            if readable:
                data = self._peer.open(sock.recv(2**16))
                self._received += len(data)
                self._digest.update(data)
            if writable:
                self._write(sock)
        return self._digest.hexdigest()

    def _write(self, sock: socket.socket) -> None:
        if not self._sealed:
            self._sealed = self._peer.seal(bytes(self._unsealed[:50_000]))
            self._unsealed = self._unsealed[50_000:]
        self._sealed = self._sealed[sock.send(self._sealed) :]


def test_two_threads_read_and_write_at_once_and_every_octet_is_right(tls_pair):
    stream, peer = tls_pair
    size = 2**25
    ours = os.urandom(size)
    traffic = Traffic(peer, size)

    def read() -> str:
        digest, count = hashlib.sha256(), 0
        while count < size:
            data = stream.recv()
            assert data, f"ended after {count} octets with {stream.error}"
            digest.update(data)
            count += len(data)
        return digest.hexdigest()

    def write() -> None:
        rest = memoryview(ours)
        while rest:
            assert stream.wait_writable(PATIENCE)
            rest = rest[stream.send_now(rest) :]

    reader, received = in_thread(read)
    writer, _ = in_thread(write)
    assert traffic.run() == hashlib.sha256(ours).hexdigest()
    reader.join(PATIENCE)
    writer.join(PATIENCE)
    assert received == [traffic.sent]


def test_a_close_notify_waits_for_room(tls_pair):
    stream, peer = tls_pair
    sent = fill(stream)
    thread, read = in_thread(lambda: peer.read(sent + RECORD))
    assert stream.wait_writable(PATIENCE)
    while not stream.send_now(b"f" * RECORD):
        assert stream.wait_writable(PATIENCE)
    thread.join(PATIENCE)
    # The kernel holds all, and takes no more while the peer reads nothing.
    while unacknowledged(stream) < RECORD:
        assert stream.send_now(b"f" * RECORD) == RECORD
    copy = socket.socket(fileno=os.dup(stream.fileno()))
    copy.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    copy.close()
    assert not stream.end_writing()
    thread, read = in_thread(peer.rest)
    while not stream.end_writing():
        assert stream.wait_writable(PATIENCE)
    thread.join(PATIENCE)
    assert set(read[0]) == {ord("f")}


def unacknowledged(stream) -> int:
    """Octets that the kernel holds for the peer: SIOCOUTQ."""
    return struct.unpack("i", fcntl.ioctl(stream.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
