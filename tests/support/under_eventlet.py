"""What scripts of the tests need of a hub, under eventlet. Call patch() first, or not at all.

``under_gevent`` has the same names."""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
# What eventlet tells of every fork, which is what a test wants to see.
warnings.filterwarnings("ignore", r"Using fork\(\) is a bad idea", DeprecationWarning)

import eventlet  # noqa: E402  # it warns as it is imported
from eventlet import patcher, sleep, spawn, tpool  # noqa: E402
from eventlet.green.socket import create_connection, socket  # noqa: E402

__all__ = [
    "create_connection",
    "in_a_thread",
    "native",
    "patch",
    "serve",
    "sleep",
    "socket",
    "spawn",
    "world",
]


def patch() -> None:
    """Patch the standard library."""
    eventlet.monkey_patch()


def native(function, *arguments) -> None:
    """Start a real thread."""
    patcher.original("_thread").start_new_thread(function, arguments)


def in_a_thread(function):
    """Call function in a real thread, let the hub go on meanwhile, and return what it gives."""
    return tpool.execute(function)


def serve(application) -> tuple[str, int]:
    """Serve application on the hub; returns the address."""
    from eventlet import wsgi

    listener = eventlet.listen(("127.0.0.1", 0))
    spawn(wsgi.server, listener, application, log_output=False)
    return listener.getsockname()


def world():
    """Return the world of a connection on the hub."""
    from faye_sync.concurrency import world_of

    with socket() as sock:
        return world_of(sock)
