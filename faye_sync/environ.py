"""The WSGI environ of whatever a view hands over: an environ, or its framework's request.

Looks only; no framework is imported. What is not WSGI at all is told apart
from what is only the wrong object, because their cures differ."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any

from werkzeug.exceptions import SecurityError
from werkzeug.wsgi import get_current_url


def environ_of(environ: Any) -> Mapping[str, Any]:
    """Return the WSGI environ of a request object, or the environ itself.

    Safe from any thread.

    Args:
        environ: A mapping, or an object whose environ is one.

    Returns:
        The environ.

    Raises:
        TypeError: There is none; the text says what to pass, or that the
            request comes from an ASGI server.
    """
    scope = _scope_of(environ)
    if scope is not None:
        raise TypeError(
            f"this is the scope of an ASGI server ({scope.get('type')!r}), and faye_sync works "
            "under WSGI: run the application under a WSGI server (gunicorn with its gthread or "
            "gevent worker, gevent.pywsgi, werkzeug), or use the WebSocket of the ASGI framework"
        )
    candidate = environ if isinstance(environ, Mapping) else getattr(environ, "environ", None)
    if isinstance(candidate, Mapping):
        return candidate
    raise TypeError(
        "faye_sync takes a WSGI environ or a request that has one, got "
        f"{type(environ).__name__}{_hint(environ)}"
    )


# Of the call alone, and useless once its socket was taken: the reader with its buffer, the server's
# sockets, and a framework's request, which has the environ too. They can be most of what a
# connection takes.
_SPENT = frozenset(
    {
        "wsgi.input",
        "wsgi.file_wrapper",
        "wsgi.early_hints",
        "werkzeug.request",
        "werkzeug.socket",
        "gunicorn.socket",
        "eventlet.input",
    }
)


def lasting(environ: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what stays true of a request when its call is over. Safe from any thread.

    Args:
        environ: The WSGI environ.

    Returns:
        All of it but the server's own objects, which lead nowhere any more.
    """
    # Interned, because a server makes the name of each header anew for each request.
    return {intern(str(name)): value for name, value in environ.items() if name not in _SPENT}


def _scope_of(thing: Any) -> Mapping[str, Any] | None:
    """Find an ASGI scope: the thing itself (a Starlette request is a mapping too), or its own."""
    for candidate in (thing, getattr(thing, "scope", None)):
        if isinstance(candidate, Mapping) and "asgi" in candidate and "type" in candidate:
            return candidate
    return None


def _hint(thing: Any) -> str:
    # Falcon's request has its environ under another name.
    return "; pass its env" if isinstance(getattr(thing, "env", None), Mapping) else ""


def page_url_of(environ: Mapping[str, Any]) -> str:
    """Return the URL that a client asked for, with http or https. Safe from any thread.

    Raises:
        ValueError: The Host header is no host; or, by the version of werkzeug,
            its SecurityError.
    """
    return get_current_url(dict(environ))


def url_of(environ: Mapping[str, Any]) -> str:
    """Return page_url_of(), with ws or wss. Safe from any thread.

    Raises:
        ValueError: As page_url_of() raises it.
    """
    return f"ws{page_url_of(environ).removeprefix('http')}"


def url_if_valid(environ: Mapping[str, Any]) -> str:
    """Return url_of(), or an empty string where the Host header is no host."""
    try:
        return url_of(environ)
    except (ValueError, SecurityError):
        return ""
