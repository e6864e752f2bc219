"""What a TLS stream reads, and its ends: a server's, a client's, and a client's within a proxy's."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.transport.tls import TlsStream
from faye_sync.transport.waker import Waker
from tests.support.certificates import client_context
from tests.support.forked import forked
from tests.support.local import tcp_pair
from tests.support.parts import require
from tests.support.tls_peer import PATIENCE, RECORD, connected, fill, in_thread, server_context

# --- receiving ---------------------------------------------------------------------------------------


def test_octets_are_received_as_they_come(tls_pair):
    stream, peer = tls_pair
    assert stream.recv_now() is None
    peer.say(b"octets")
    assert stream.recv() == b"octets"
    assert stream.recv_now() is None
    assert stream.wait_readable(0) is False


def test_a_part_of_a_record_ends_no_wait_before_its_deadline(tls_pair):
    stream, peer = tls_pair
    record = peer.seal(b"the whole record")
    peer.sock.sendall(record[:-1])
    assert THREADS.wait_readable(stream.fileno(), PATIENCE)
    began = time.monotonic()
    assert not stream.wait_readable(0.1)
    assert time.monotonic() - began >= 0.1
    assert stream.recv_now() is None
    peer.sock.sendall(record[-1:])
    assert stream.wait_readable(PATIENCE)
    assert stream.recv_now() == b"the whole record"


def test_octet_by_octet_a_record_is_waited_for_in_one_receive(tls_pair):
    stream, peer = tls_pair
    thread, received = in_thread(stream.recv)
    for octet in peer.seal(b"the whole record"):
        peer.sock.sendall(bytes((octet,)))
    thread.join(PATIENCE)
    assert received == [b"the whole record"]


def test_what_a_wait_has_decrypted_is_received_once_and_first(tls_pair):
    stream, peer = tls_pair
    waker = Waker()
    peer.say(b"first")
    assert stream.wait_readable(PATIENCE)
    peer.say(b"second")
    assert stream.wait_readable(0)
    assert stream.wait_any(waker.fileno(), 0)
    assert stream.recv_now() == b"first"
    assert stream.recv() == b"second"
    assert not stream.wait_any(waker.fileno(), 0)
    waker.wake()
    assert stream.wait_any(waker.fileno(), PATIENCE)
    assert stream.recv_now() is None
    waker.close()


@pytest.mark.parametrize("size", [1, RECORD - 1, RECORD, RECORD + 1, 4 * RECORD, 2**20 + 7])
def test_messages_of_any_size_are_received_whole(tls_pair, size):
    stream, peer = tls_pair
    octets = os.urandom(size)
    thread, _ = in_thread(lambda: peer.say(octets))
    received = b""
    while len(received) < size:
        assert stream.wait_readable(PATIENCE)
        received += stream.recv_now()
    thread.join(PATIENCE)
    assert received == octets
    assert not stream.wait_readable(0)


def test_what_the_server_read_only_in_part_is_taken_first():
    with connected() as (sock, peer):
        octets = os.urandom(RECORD)
        peer.say(octets + b"the next record")
        assert sock.recv(10) == octets[:10]
        stream = TlsStream(sock, sock._sslobj, THREADS)
        assert stream.take_pending() == octets[10:]
        assert stream.take_pending() == b""
        assert stream.recv() == b"the next record"
        stream.close()


def test_session_tickets_end_no_wait():
    server, client = tcp_pair()
    client.settimeout(PATIENCE)
    with client, ThreadPoolExecutor(1) as pool:
        wrapping = pool.submit(server_context().wrap_socket, server, server_side=True)
        # Tickets go from the server to the client, so here the stream is the client's.
        sock = client_context().wrap_socket(client, server_hostname="127.0.0.1")
        stream = TlsStream(sock, sock._sslobj, THREADS)
        with wrapping.result(PATIENCE) as tls:
            assert THREADS.wait_readable(stream.fileno(), PATIENCE)
            assert not stream.wait_readable(0.1)
            assert stream.recv_now() is None
            tls.sendall(b"octets")
            assert stream.recv() == b"octets"
        stream.close()


# --- the end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["recv", "recv_now"])
def test_a_close_notify_reads_as_the_end(tls_pair, method):
    stream, peer = tls_pair
    peer.say(b"last")
    peer.say_goodbye()
    assert stream.recv() == b"last"
    assert stream.wait_readable(PATIENCE)
    assert getattr(stream, method)() == b""
    assert stream.recv() == b""
    assert stream.error is None


@pytest.mark.parametrize("cut", [None, -1], ids=["between-records", "within-a-record"])
def test_an_end_without_a_close_notify_reads_as_the_end(tls_pair, cut):
    stream, peer = tls_pair
    peer.say(b"last")
    if cut:
        peer.sock.sendall(peer.seal(b"cut short")[:cut])
    peer.sock.shutdown(socket.SHUT_WR)
    assert stream.recv() == b"last"
    assert stream.recv() == b""
    assert stream.wait_readable(PATIENCE)
    assert stream.recv_now() == b""
    assert stream.error is None


@pytest.mark.parametrize("size", [0, 10, RECORD], ids="after-{}".format)
def test_a_reset_reads_as_the_end_and_keeps_the_error(tls_pair, size):
    stream, peer = tls_pair
    if size:
        peer.say(bytes(size))
        assert THREADS.wait_readable(stream.fileno(), PATIENCE)
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()
    while stream.recv():
        continue
    assert isinstance(stream.error, ConnectionResetError)
    assert stream.recv_now() == b""


def test_octets_that_are_no_record_read_as_the_end_and_keep_the_error(tls_pair):
    stream, peer = tls_pair
    peer.say(b"good")
    peer.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert stream.recv() == b"good"
    assert stream.recv() == b""
    assert isinstance(stream.error, ssl.SSLError)


def test_the_peer_reads_our_end_as_an_orderly_one(tls_pair):
    stream, peer = tls_pair
    stream.send_now(b"last")
    stream.end_writing()
    assert peer.rest() == b"last"
    assert peer.sock.recv(10) == b""
    assert stream.error is None


def test_after_our_end_what_the_peer_sends_is_drained_undeciphered(tls_pair):
    stream, peer = tls_pair
    peer.say(b"unread")
    assert THREADS.wait_readable(stream.fileno(), PATIENCE)
    stream.end_writing()
    peer.sock.sendall(b"no record at all")
    peer.sock.shutdown(socket.SHUT_WR)
    drained = b""
    while piece := stream.recv():
        drained += piece
    assert drained.endswith(b"no record at all")


def test_an_end_while_the_kernel_takes_nothing_does_not_wait(tls_pair):
    stream, _ = tls_pair
    fill(stream)
    assert not stream.end_writing()
    assert stream.error is None


# --- from other threads, and too late ------------------------------------------------------------------


def test_shut_down_wakes_a_thread_in_recv(tls_pair):
    stream, _ = tls_pair
    thread, received = in_thread(stream.recv)
    stream.shut_down()
    thread.join(PATIENCE)
    assert received == [b""]


def test_shut_down_wakes_a_thread_that_waits_for_the_rest_of_a_record(tls_pair):
    stream, peer = tls_pair
    peer.sock.sendall(peer.seal(b"cut short")[:-1])
    thread, woken = in_thread(lambda: stream.wait_readable(PATIENCE))
    stream.shut_down()
    thread.join(PATIENCE)
    assert woken == [True]
    assert stream.recv_now() == b""


def test_shut_down_wakes_a_thread_that_waits_for_room(tls_pair):
    stream, _ = tls_pair
    fill(stream)
    thread, woken = in_thread(lambda: stream.wait_writable(PATIENCE))
    stream.shut_down()
    thread.join(PATIENCE)
    assert woken == [True]
    with pytest.raises(OSError, match=r"Broken pipe|EOF occurred"):
        stream.send_now(b"f" * RECORD)


def test_a_closed_stream_leaves_whoever_has_its_number_alone(tls_pair):
    stream, peer = tls_pair
    peer.say(b"never read")
    number = stream.fileno()
    theirs, their_peer = tcp_pair()
    stream.close()
    os.dup2(theirs.fileno(), number)
    try:
        their_peer.sendall(b"theirs")
        with pytest.raises(OSError, match="Bad file descriptor"):
            stream.send_now(b"ours")
        assert stream.recv() == b""
        assert stream.recv_now() == b""
        assert stream.wait_readable(PATIENCE)
        stream.end_writing()
        stream.shut_down()
        stream.close()
        assert theirs.recv(100) == b"theirs"
        their_peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            their_peer.recv(100)
    finally:
        os.close(number)
        theirs.close()
        their_peer.close()


def test_a_forked_child_that_closes_its_copy_says_nothing_to_the_peer(tls_pair):
    stream, peer = tls_pair
    with forked() as is_child:
        if is_child:
            stream.close()
    stream.send_now(b"from the parent")
    peer.say(b"to the parent")
    assert peer.read(15) == b"from the parent"
    assert stream.recv() == b"to the parent"


# --- key updates, which only OpenSSL's own client offers ---------------------------------------------


@contextmanager
def s_client():
    """The stream of a server whose client is `openssl s_client`, and that process."""
    require("openssl", None if shutil.which("openssl") else "not on the path")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        port = listener.getsockname()[1]
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, **pipes, stderr=subprocess.DEVNULL) as process:
            try:
                server, _ = listener.accept()
                server.settimeout(PATIENCE)
                with server_context().wrap_socket(server, server_side=True) as sock:
                    yield TlsStream(sock, sock._sslobj, THREADS), process
            finally:
                process.kill()


def type_in(process: subprocess.Popen, line: bytes) -> None:
    process.stdin.write(line + b"\n")
    process.stdin.flush()


KEY_UPDATE = b"K"  # a line of s_client's: RFC 8446 4.6.3, with an update of ours requested


def test_a_key_update_ends_no_wait():
    with s_client() as (stream, process):
        type_in(process, KEY_UPDATE)
        assert THREADS.wait_readable(stream.fileno(), PATIENCE)
        assert not stream.wait_readable(0.1)
        type_in(process, b"octets under the new key")
        assert stream.recv() == b"octets under the new key\n"


def test_a_key_update_while_a_record_is_refused_leaves_the_stream_intact():
    with s_client() as (stream, process):
        fill(stream)
        type_in(process, KEY_UPDATE)
        # It reads no line while nobody reads what it writes.
        thread, output = in_thread(lambda: read_until(process, b"the end"))
        assert THREADS.wait_readable(stream.fileno(), PATIENCE)
        type_in(process, b"octets")
        assert stream.recv() == b"octets\n"
        rest = b"f" * RECORD + b"g" * RECORD + b"the end"
        while rest:
            assert stream.wait_writable(PATIENCE)
            rest = rest[stream.send_now(rest) :]
        thread.join(PATIENCE)
        assert output[0].count(b"g" * 1000) == RECORD // 1000
        assert stream.error is None


def read_until(process: subprocess.Popen, end: bytes) -> bytes:
    octets = b""
    while not octets.endswith(end):
        octets += process.stdout.read1()
    return octets
