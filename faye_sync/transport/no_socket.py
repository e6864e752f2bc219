"""What to say where no way to the client's socket is known: which server this is, and the cure.

Half of these servers do not name themselves in the environ."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from faye_sync.errors import HijackError

Environ = Mapping[str, Any]

_RUN = "run the application under gunicorn (gthread or gevent worker), gevent.pywsgi or werkzeug"
_BEHIND_APACHE = (
    "have Apache pass WebSocket requests on to gunicorn or gevent.pywsgi: "
    "ProxyPass /path http://127.0.0.1:8000/path upgrade=websocket"
)

_TORNADO = "Tornado's WSGIContainer"

# By the package that wsgi.input is of.
_BY_INPUT = {
    "granian": ("Granian", f"its WebSocket is for ASGI and RSGI only; {_RUN}"),
    "mod_wsgi": ("mod_wsgi", _BEHIND_APACHE),
    "twisted": ("Twisted's WSGIResource", f"its reactor goes on reading the socket; {_RUN}"),
}

# Where those that show it have it.
_SHOWN = {"werkzeug.socket", "gunicorn.socket"}

# By a module that is loaded, for those whose environ says nothing at all.
_BY_MODULE = {
    "_bjoern": ("bjoern", _RUN),
    "hypercorn.app_wrappers": ("Hypercorn", f"its WebSocket is for ASGI only; {_RUN}"),
    "tornado.wsgi": (_TORNADO, _RUN),
}


def no_socket(environ: Environ) -> HijackError:
    """Make the error that names the server and the cure."""
    hidden = _hidden(environ)
    if hidden is not None:
        return hidden
    name, cure = _identify(environ)
    return HijackError(f"{name} does not let an application take the client's socket; {cure}")


def shared_socket(environ: Environ) -> HijackError | None:
    """Make the error for a request whose connection is not its own; None where it is."""
    protocol = str(environ.get("SERVER_PROTOCOL"))
    if not protocol.startswith(("HTTP/2", "HTTP/3")):
        return None
    return HijackError(
        f"{server_name(environ)} carries this request on a connection of {protocol} that others "
        "share; a WebSocket of faye_sync needs HTTP/1.1, so switch HTTP/2 off in this server (a "
        "proxy in front of it may speak HTTP/2 to the browsers)"
    )


def collecting_server(environ: Environ) -> HijackError | None:
    """Make the error for a server that sends no body before its end; None for all others."""
    name, _ = _identify(environ)
    if name != _TORNADO:
        return None
    return HijackError(
        f"{name} collects the whole body before it sends any of it, so an event stream would never "
        f"begin; {_RUN}"
    )


def strange_socket(environ: Environ, sock: Any) -> HijackError:
    """Make the error for a socket that is not what its descriptor carries."""
    kind = f"{type(sock).__module__}.{type(sock).__qualname__}"
    return HijackError(
        f"{server_name(environ)} has the client's connection in a {kind}, which cannot be taken "
        "over; have it end TLS by Python's ssl (cheroot: the builtin adapter), or end TLS in a "
        "proxy in front of it"
    )


def server_name(environ: Environ) -> str:
    """Return what the server calls itself."""
    return str(environ.get("SERVER_SOFTWARE") or "this WSGI server")


def _identify(environ: Environ) -> tuple[str, str]:
    package = type(environ.get("wsgi.input")).__module__.partition(".")[0]
    if package in _BY_INPUT:
        return _BY_INPUT[package]
    if not environ.get("SERVER_SOFTWARE"):
        for module, known in _BY_MODULE.items():
            if module in sys.modules:
                return known
    own = "and pass the server's own environ, not one that a middleware rebuilt"
    return server_name(environ), f"{_RUN}, {own}"


def _hidden(environ: Environ) -> HijackError | None:
    """Make the error for a server that shows the socket, where something hides what it read."""
    if not _SHOWN & environ.keys():
        return None
    body = type(environ.get("wsgi.input"))
    return HijackError(
        f"a middleware has put a {body.__module__}.{body.__qualname__} in the place of the server's "
        "wsgi.input, and so hides what the server has read ahead; keep that middleware from requests "
        "for a WebSocket, or let it pass peek() and read1() on"
    )
