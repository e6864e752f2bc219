"""From a WSGI environ to the client's socket, for servers that show one.

find() looks without touching. take() swaps: the library owns the client's
connection, the server keeps one end of a dead pair (swap.py), and what it had
read ahead (servers.py) is not lost."""

from __future__ import annotations

import os
from _socket import socket as PlainSocket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from faye_sync.concurrency import Concurrency, world_of
from faye_sync.transport.no_socket import no_socket, shared_socket, strange_socket
from faye_sync.transport.servers import PROBES, Descriptor, Found
from faye_sync.transport.stream import Stream, open_stream, remote_address, set_no_delay
from faye_sync.transport.swap import FarEnd, bury, dead_pair, replace
from faye_sync.transport.tls import TlsStream

Environ = Mapping[str, Any]

# What a server may write to nobody, an error page for example. A body without end goes on until
# its writing fails (octets).
DRAIN_LIMIT = 2**20


@dataclass(frozen=True)
class Taken:
    """The client's socket, in the library's hands.

    Attributes:
        stream: The client's connection.
        early: Octets that came behind the request and were read by the server.
        far_end: Reads as ended once the server drops its own end.
        world: Threads or greenlets, whichever the server runs.
        remote_address: The peer, as getpeername gives it; None if it has left.
    """

    stream: Stream
    early: bytes
    far_end: FarEnd
    world: Concurrency
    remote_address: Any


def find(environ: Environ) -> Found:
    """Find the client's socket; nothing is read, written or changed.

    Args:
        environ: Of the WSGI call, with whatever the server put there.

    Returns:
        The socket and how to get at what was read ahead.

    Raises:
        HijackError: No way is known, or the connection cannot be taken over:
            the text names the server and what to run instead.
    """
    shared = shared_socket(environ)
    if shared is not None:
        raise shared
    for probe in PROBES:
        found = probe(environ)
        if found is None:
            continue
        if not _is_plain(found.sock):
            raise strange_socket(environ, found.sock)
        return found
    raise no_socket(environ)


def take(found: Found, *, ends_call: bool = True) -> Taken:
    """Swap the client's socket for a dead pair; the server keeps that.

    Args:
        found: What find() gave in the same call.
        ends_call: Whether the server is told that the call needs no answer of its.

    Returns:
        The connection, its early octets and the pair's far end.

    Raises:
        OSError: No descriptor is left, or the client's socket is closed already.
    """
    world = world_of(found.sock)
    swap = _swap if _tls_of(found.sock) is None else _swap_tls
    with ExitStack() as undo:
        own, stream, pending, far_end = swap(found.sock, world, undo)
        # Now that the server's socket leads nowhere, or reading ahead could go on without end.
        early = found.read_ahead() + pending
        if ends_call:
            found.end_call()
        set_no_delay(own)
        taken = Taken(stream, early, far_end, world, remote_address(own))
        undo.pop_all()
    return taken


def drain(far_end: FarEnd) -> bool:
    """Throw away what the server wrote to its dead end; True once it dropped it, or never will."""
    try:
        while (octets := far_end.recv(65536)) and far_end.drained <= DRAIN_LIMIT:
            far_end.drained += len(octets)
    except BlockingIOError:
        return False
    except OSError:
        # Reset: dropped with octets unread, which is dropped all the same.
        return True
    return True


Swapped = tuple[PlainSocket, Stream, bytes, FarEnd]


def _swap(sock: Any, world: Concurrency, undo: ExitStack) -> Swapped:
    own = _duplicate(sock.fileno())
    undo.callback(own.close)
    near, far_end = dead_pair()
    undo.callback(near.close)
    undo.callback(far_end.close)
    replace(sock.fileno(), near, far_end)
    return own, open_stream(own, world), b"", far_end


def _swap_tls(sock: Any, world: Concurrency, undo: ExitStack) -> Swapped:
    """Take the object beneath: OpenSSL goes on with the descriptor that it knows."""
    tls = _tls_of(sock)
    own = sock if isinstance(sock, PlainSocket) else sock._sock
    near, far_end = dead_pair()
    undo.callback(far_end.close)
    stream = TlsStream(own, tls, world)
    undo.callback(stream.close)
    bury(sock, near, far_end)
    return own, stream, stream.take_pending(), far_end


def _duplicate(fd: int) -> PlainSocket:
    copy = os.dup(fd)
    try:
        return PlainSocket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


def _is_plain(sock: Any) -> bool:
    """Whether it is a socket of Python's, gevent's or eventlet's, each with its TLS, or a number."""
    beneath = (sock, getattr(sock, "_sock", None), getattr(sock, "fd", None))
    return any(isinstance(each, PlainSocket | Descriptor) for each in beneath)


def _tls_of(sock: Any) -> Any:
    """The TLS object of a socket of ssl's, gevent's or eventlet's; None without TLS."""
    return getattr(sock, "_sslobj", None)
