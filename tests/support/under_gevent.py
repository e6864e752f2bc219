"""What scripts of the tests need of a hub, under gevent. Call patch() first, or not at all.

``under_eventlet`` has the same names."""

from __future__ import annotations

from gevent import get_hub, monkey, sleep, spawn
from gevent.socket import create_connection, socket

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
    monkey.patch_all()


def native(function, *arguments) -> None:
    """Start a real thread."""
    monkey.get_original("_thread", "start_new_thread")(function, arguments)


def in_a_thread(function):
    """Call function in a real thread, let the hub go on meanwhile, and return what it gives."""
    return get_hub().threadpool.apply(function)


def serve(application) -> tuple[str, int]:
    """Serve application on the hub; returns the address."""
    from gevent.pywsgi import WSGIServer

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    return "127.0.0.1", server.server_port


def world():
    """Return the world of a connection on the hub."""
    from faye_sync.concurrency import world_of

    with socket() as sock:
        return world_of(sock)
