"""From a WSGI environ to the client's socket, for servers that show one.

find() looks without touching. take() keeps the octets that the server had
read ahead, then swaps: the library owns a duplicate of the client's socket,
and the server's descriptor becomes one end of a dead pair, so nothing that the
server still writes can reach the client. The pair's far end tells when the
server drops its end: the call is over."""

from __future__ import annotations

import os
import socket
import ssl
from _socket import socket as PlainSocket, socketpair
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from faye_sync.concurrency import Concurrency, world_of
from faye_sync.errors import HijackError
from faye_sync.transport.stream import Stream, open_stream, remote_address, set_no_delay

Environ = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """The client's socket, still in the server's hands.

    Attributes:
        sock: The server's socket object.
        read_ahead: Takes the octets that the server read past the request.
    """

    sock: Any
    read_ahead: Callable[[], bytes]


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
    far_end: PlainSocket
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
    for probe in _PROBES:
        found = probe(environ)
        if found is not None:
            _check(environ, found.sock)
            return found
    raise HijackError(
        f"{_server(environ)} does not let an application take the client's socket; "
        "run under gunicorn (gthread or gevent worker), gevent.pywsgi or werkzeug, "
        "and pass the server's own environ, not one that a middleware rebuilt"
    )


def take(found: Found) -> Taken:
    """Swap the client's socket for a dead pair; the server keeps that.

    Args:
        found: What find() gave in the same call.

    Returns:
        The connection, its early octets and the pair's far end.

    Raises:
        OSError: No descriptor is left, or the client's socket is closed already.
    """
    sock = found.sock
    world = world_of(sock)
    with ExitStack() as undo:
        own = PlainSocket(fileno=os.dup(sock.fileno()))
        undo.callback(own.close)
        near, far_end = _dead_pair()
        undo.callback(near.close)
        undo.callback(far_end.close)
        # Last of all what cannot fail for want of descriptors, so that nothing read ahead is lost.
        early = found.read_ahead()
        _replace(sock.fileno(), near)
        undo.pop_all()
    set_no_delay(own)
    return Taken(open_stream(own, world), early, far_end, world, remote_address(own))


def drain(far_end: PlainSocket) -> bool:
    """Throw away what the server wrote to its dead end; True once it dropped it."""
    try:
        while far_end.recv(65536):
            continue
    except BlockingIOError:
        return False
    except OSError:
        # Reset: dropped with octets unread, which is dropped all the same.
        return True
    return True


def _dead_pair() -> tuple[PlainSocket, PlainSocket]:
    """Make two ends of which the first reads as ended, and the second as soon as that is closed."""
    near, far = socketpair()
    far.shutdown(socket.SHUT_WR)
    far.setblocking(False)
    return near, far


def _replace(fd: int, near: PlainSocket) -> None:
    """Put near in the place of the server's descriptor, which the server goes on using."""
    # The server's object goes on believing in the mode it set.
    os.set_blocking(near.fileno(), os.get_blocking(fd))
    os.dup2(near.fileno(), fd, inheritable=False)
    near.close()


def _check(environ: Environ, sock: Any) -> None:
    if isinstance(sock, ssl.SSLSocket):
        raise HijackError(
            f"{_server(environ)} ends TLS itself, and its TLS sockets cannot be taken yet; "
            "end TLS in a proxy in front of it (nginx, HAProxy) and serve plain HTTP behind"
        )
    if environ.get("SERVER_PROTOCOL") == "HTTP/2" or sock.type != socket.SOCK_STREAM:
        raise HijackError(
            f"{_server(environ)} carries this request on a {environ.get('SERVER_PROTOCOL')} "
            "connection that is not the client's alone; switch HTTP/2 off behind the proxy"
        )


def _server(environ: Environ) -> str:
    return str(environ.get("SERVER_SOFTWARE") or "this WSGI server")


def _werkzeug(environ: Environ) -> Found | None:
    sock, reader = environ.get("werkzeug.socket"), environ.get("wsgi.input")
    # A middleware may have wrapped the reader, and with it hidden what was read ahead.
    if sock is None or not (hasattr(reader, "peek") and hasattr(reader, "read1")):
        return None
    return Found(sock, partial(_buffered, sock, reader))


def _gunicorn(environ: Environ) -> Found | None:
    sock = environ.get("gunicorn.socket")
    unreader = _follow(environ.get("wsgi.input"), "reader.unreader")
    if sock is None or unreader is None:
        return None
    return Found(sock, partial(_unread, unreader))


def _buffered_reader(environ: Environ) -> Found | None:
    # gevent.pywsgi (rfile where the request has no Upgrade), and its gunicorn worker.
    wsgi_input = environ.get("wsgi.input")
    for reader in (wsgi_input, getattr(wsgi_input, "rfile", None)):
        sock = _follow(reader, "raw._sock")
        if sock is not None:
            return Found(sock, partial(_buffered, sock, reader))
    return None


_PROBES = (_werkzeug, _gunicorn, _buffered_reader)


def _follow(thing: Any, path: str) -> Any:
    for name in path.split("."):
        thing = getattr(thing, name, None)
    return thing


def _unread(unreader: Any) -> bytes:
    octets: bytes = unreader.buf.getvalue()
    unreader.buf = type(unreader.buf)()
    return octets


def _buffered(sock: Any, reader: Any) -> bytes:
    """Take what a buffered reader holds; peek() alone would wait for more."""
    timeout = sock.gettimeout()
    sock.settimeout(0)
    try:
        # Once: with nothing held peek() reads the socket, without end where the peer goes on.
        held = reader.peek(1)
        return bytes(reader.read1(len(held))) if held else b""
    finally:
        sock.settimeout(timeout)
