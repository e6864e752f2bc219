"""Where each WSGI server keeps the client's socket, and what it has read ahead.

One small function per server, tried in the order of PROBES: it looks at the
environ, changes nothing, and gives None where the server is another."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from faye_sync.concurrency import gevent_hub
from faye_sync.errors import HijackError

Environ = Mapping[str, Any]

# How deep the server's own file may lie in what middlewares made of wsgi.input, and under which
# names: those of cheroot, eventlet and gevent; Werkzeug; Django 4; wsgiref.validate.
_DEPTH = 5
_WRAPPED = ("rfile", "_stream", "stream", "input")

# uWSGI's own name for it.
_GEVENT = b"gevent"
# Its sockets that wrap what goes out in TLS or in records, where a WebSocket cannot follow.
_WRAPPING = ("https-socket", "ssl-socket", "suwsgi-socket", "fastcgi-socket", "fastcgi-nph-socket")


def _nothing() -> None:
    """Most servers take a 101 for an answer."""


@dataclass(frozen=True)
class Found:
    """The client's socket, still in the server's hands.

    Attributes:
        sock: The server's socket object.
        read_ahead: Takes the octets that the server read past the request; called
            once the socket leads nowhere, so that it finds nothing else.
        end_call: Tells the server that the call needs no answer of its.
    """

    sock: Any
    read_ahead: Callable[[], bytes]
    end_call: Callable[[], None] = _nothing


def _werkzeug(environ: Environ) -> Found | None:
    sock, reader = environ.get("werkzeug.socket"), _reader(environ)
    return Found(sock, partial(_buffered, reader)) if sock is not None and reader else None


def _gunicorn(environ: Environ) -> Found | None:
    sock = environ.get("gunicorn.socket")
    for layer in _layers(environ.get("wsgi.input")):
        unreader = follow(layer, "reader.unreader")
        if sock is not None and unreader is not None:
            return Found(sock, partial(_unread, unreader))
    return None


def _eventlet(environ: Environ) -> Found | None:
    body = environ.get("eventlet.input")
    if body is None or not hasattr(body, "get_socket"):
        return None
    for reader in _readers(body):
        return Found(body.get_socket(), partial(_buffered, reader), _leave_eventlet)
    return None


def _waitress(environ: Environ) -> Found | None:
    channel = follow(environ.get("waitress.client_disconnected"), "__self__")
    if channel is None:
        return None
    _check_waitress(channel)
    return Found(channel.socket, partial(_unparsed, channel))


def _uwsgi(environ: Environ) -> Found | None:
    if "uwsgi.version" not in environ:
        return None
    # A module of the server's executable: there is nothing to install, and no other way to it.
    uwsgi = importlib.import_module("uwsgi")
    _check_uwsgi(uwsgi)
    hub = gevent_hub() if uwsgi.loop == _GEVENT else None
    return Found(Descriptor(uwsgi.connection_fd(), hub), bytes)


def _buffered_reader(environ: Environ) -> Found | None:
    # gevent.pywsgi and its gunicorn worker, wsgiref, Django's runserver, cheroot.
    for reader in _readers(environ.get("wsgi.input")):
        sock = follow(reader, "raw._sock")
        if sock is not None:
            return Found(sock, partial(_buffered, reader))
    return None


PROBES: tuple[Callable[[Environ], Found | None], ...] = (
    _werkzeug,
    _gunicorn,
    _eventlet,
    _waitress,
    _uwsgi,
    _buffered_reader,
)


class Descriptor:
    """A connection of which the server shows the number only."""

    def __init__(self, fd: int, hub: Any) -> None:
        self._fd = fd
        self.hub = hub

    def fileno(self) -> int:
        return self._fd


def follow(thing: Any, path: str) -> Any:
    """Get an attribute of an attribute; None where one is missing."""
    for name in path.split("."):
        thing = getattr(thing, name, None)
    return thing


def _layers(thing: Any) -> Iterator[Any]:
    """Yield wsgi.input, and what it is wrapped around, from the outside in."""
    for _ in range(_DEPTH):
        if thing is None:
            return
        yield thing
        inner = (getattr(thing, name, None) for name in _WRAPPED)
        # Django 5 keeps only the method.
        thing = next(filter(None, inner), None) or follow(thing, "_read.__self__")


def _readers(thing: Any) -> Iterator[Any]:
    return (layer for layer in _layers(thing) if hasattr(layer, "peek") and hasattr(layer, "read1"))


def _reader(environ: Environ) -> Any:
    return next(_readers(environ.get("wsgi.input")), None)


def _buffered(reader: Any) -> bytes:
    """Take what a buffered reader holds; where that is nothing, peek() sees the dead end."""
    held = reader.peek(1)
    return bytes(reader.read1(len(held))) if held else b""


def _unread(unreader: Any) -> bytes:
    octets: bytes = unreader.buf.getvalue()
    unreader.buf = type(unreader.buf)()
    return octets


def _unparsed(channel: Any) -> bytes:
    with channel.requests_lock:
        request, channel.request = channel.request, None
    return b"" if request is None else bytes(request.header_plus)


def _leave_eventlet() -> None:
    importlib.import_module("eventlet.wsgi").WSGI_LOCAL.already_handled = True


def _check_waitress(channel: Any) -> None:
    if channel.adj.channel_request_lookahead:
        raise HijackError(
            "waitress reads on while a call runs, and would find the end of what it is left with; "
            "leave channel_request_lookahead at 0"
        )
    # The call may begin while another thread is still parsing what came behind the request.
    with channel.requests_lock:
        half = channel.request
        if len(channel.requests) > 1 or (half is not None and half.headers_finished):
            # What has been parsed to the end of its head is gone.
            raise HijackError(
                "waitress has taken what the client sent behind its request for another request; "
                "a WebSocket client has to wait for the 101 before it sends (RFC 6455 4.1)"
            )


def _check_uwsgi(uwsgi: Any) -> None:
    options = uwsgi.opt.keys()
    for wrapping in _WRAPPING:
        if wrapping in options:
            raise HijackError(
                f"what goes out on uWSGI's --{wrapping} is wrapped in another protocol; use "
                "--http-socket, or its router: --http or --https with --http-websockets"
            )
    if {"http", "https"} & options and "http-websockets" not in options:
        raise HijackError("uWSGI's router holds WebSocket frames back; add --http-websockets")
    if uwsgi.loop == _GEVENT:
        return
    if uwsgi.loop or "async" in options:
        raise HijackError("of uWSGI's asynchronous modes only --gevent can wait for a socket")
    if not {"enable-threads", "threads"} & options:
        raise HijackError(
            "uWSGI runs no other Python thread than its own; add --enable-threads or --threads 4"
        )
