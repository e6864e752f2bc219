"""What is left to a server: whatever it does with its TLS socket leads nowhere."""

from __future__ import annotations

import gc
import os
import resource
import socket
import ssl
import struct
from pathlib import Path

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.transport.hijack import drain, find, take
from faye_sync.transport.swap import dead_pair
from tests.support.tls_peer import PATIENCE, connected
from tests.test_concurrency import run_script

NO_WAY_OUT = [
    "sendfile",
    "sendto",
    "recvfrom",
    "recvfrom_into",
    "recvmsg",
    "recvmsg_into",
    "unwrap",
]


def use(sock) -> None:
    """All that a server may go on to do with its object before it ends it."""
    sock.settimeout(5.0)
    sock.setblocking(True)
    assert sock.recv(10) == sock.recv(10, 0) == sock.read() == sock.read(10) == b""
    assert sock.recv_into(bytearray(10)) == sock.read(10, bytearray(10)) == 0
    assert sock.pending() == 0
    assert sock.send(b"octets") == sock.write(memoryview(b"octets")) == 6
    assert sock.sendmsg([b"oc", b"tets"]) == 6
    sock.sendall(b"octets")
    for name in NO_WAY_OUT:
        try:
            getattr(sock, name)(b"octets")
        except BrokenPipeError:
            continue
        raise AssertionError(f"{name}() went on")
    sock.do_handshake()
    # Would have the client's connection reset at its end.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with sock.makefile("rb") as file:
        assert file.read() == b""
    with sock.makefile("wb") as file:
        file.write(b"octets")


def environ_of(sock, file) -> dict:
    return {"werkzeug.socket": sock, "wsgi.input": file}


def sends_at_once(fd: int) -> bool:
    """Whether the last record of a message leaves before those ahead of it are acknowledged."""
    with socket.socket(fileno=os.dup(fd)) as copy:
        return bool(copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def go_through(sock, peer) -> None:
    """Take a connection, and have the server do with its object all that it may."""
    file = sock.makefile("rb")
    peer.say(b"GET / HTTP/1.1\r\nearly octets")
    assert file.readline() == b"GET / HTTP/1.1\r\n"
    number = sock.fileno()
    taken = take(find(environ_of(sock, file)))
    assert taken.early == b"early octets"
    assert sends_at_once(taken.stream.fileno())
    assert taken.stream.fileno() == number != sock.fileno()
    assert file.read() == b""
    use(sock)
    file.close()
    assert not drain(taken.far_end)
    sock.close()
    sock.close()
    assert sock.fileno() == -1
    assert drain(taken.far_end)
    taken.stream.send_now(b"ours alone")
    taken.stream.end_writing()
    assert peer.rest() == b"ours alone"
    taken.stream.close()
    taken.far_end.close()


@pytest.fixture
def pair():
    """The server's TLS socket, and its peer."""
    with connected() as (sock, peer):
        yield sock, peer


def test_nothing_that_a_server_does_with_its_socket_reaches_the_client(pair):
    go_through(*pair)


HUBS = {"gevent": "gevent.ssl", "eventlet": "eventlet.green.ssl"}

ON_A_HUB = """
import ssl
from tests.support.certificates import certificate
from tests.support.local import tcp_pair
from tests.support.tls_peer import TlsPeer
from tests.transport.test_swap import go_through

server, client = tcp_pair()
client.settimeout(20)
peer = TlsPeer(client)
context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate().chain, certificate().key)
wrapped, done = [], hub.world().event()

def wrap():
    sock = context.wrap_socket(hub.socket(fileno=server.detach()), server_side=True)
    sock.do_handshake()
    wrapped.append(sock)
    done.set()

hub.spawn(wrap)
hub.in_a_thread(peer.shake_hands)
assert done.wait(20)
go_through(wrapped[0], peer)
client.close()
print(type(wrapped[0]).__mro__[2].__module__)
"""


@pytest.mark.parametrize("under", HUBS)
def test_nothing_that_a_server_on_a_hub_does_with_its_socket_reaches_the_client(under):
    script = f"from {HUBS[under]} import SSLContext\n{ON_A_HUB}"
    assert run_script(script, under=under, patched=False) == f"{HUBS[under]}\n"


def test_the_far_end_reads_as_ended_when_the_server_shuts_its_end_down(pair):
    sock, _ = pair
    taken = take(find(environ_of(sock, sock.makefile("rb"))))
    sock.shutdown(socket.SHUT_RDWR)
    assert THREADS.wait_readable(taken.far_end.fileno(), PATIENCE)
    assert drain(taken.far_end)
    taken.stream.close()
    taken.far_end.close()


def test_a_server_that_only_forgets_its_socket_does_not_end_the_connection():
    with connected() as (sock, peer):
        taken = take(find(environ_of(sock, sock.makefile("rb"))))
        del sock
        gc.collect()
        taken.stream.send_now(b"still here")
        peer.say(b"and here")
        assert peer.read(10) == b"still here"
        assert taken.stream.recv() == b"and here"
        taken.stream.close()
        taken.far_end.close()


def test_a_connection_taken_twice_reads_as_ended_the_second_time(pair):
    sock, peer = pair
    environ = environ_of(sock, sock.makefile("rb"))
    first, second = take(find(environ)), take(find(environ))
    assert second.stream.recv() == b""
    second.stream.send_now(b"to nobody")
    first.stream.send_now(b"octets")
    peer.say(b"to the first")
    assert first.stream.recv() == b"to the first"
    assert peer.read(6) == b"octets"
    for taken in (first, second):
        taken.stream.close()
        taken.far_end.close()


def test_without_a_free_descriptor_the_server_keeps_its_tls_socket(pair):
    sock, peer = pair
    file = sock.makefile("rb")
    peer.say(b"GET / HTTP/1.1\r\nthe body")
    assert file.readline() == b"GET / HTTP/1.1\r\n"
    found = find(environ_of(sock, file))
    before = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (sock.fileno(), hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            take(found)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert descriptors() == before
    assert type(sock) is ssl.SSLSocket
    assert sock.getblocking()
    assert file.read(8) == b"the body"
    sock.sendall(b"an error page")
    assert peer.read(13) == b"an error page"


def test_all_descriptors_of_a_tls_connection_are_given_back(pair):
    sock, _ = pair
    before = descriptors()
    taken = take(find(environ_of(sock, sock.makefile("rb"))))
    assert descriptors() == before + 2
    sock.close()
    taken.far_end.close()
    assert descriptors() == before
    taken.stream.close()
    assert descriptors() == before - 1


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_dead_pair_reads_as_ended_and_takes_what_is_written():
    near, far_end = dead_pair()
    assert near.recv(10) == b""
    assert near.send(b"octets") == 6
    assert not drain(far_end)
    near.close()
    assert drain(far_end)
    far_end.close()
