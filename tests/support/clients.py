"""What tests of the client have in common."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from faye_sync import Client, Reconnect
from faye_sync.concurrency.locks import threading_is_patched
from tests.support.planned_server import PlannedServer

PATIENCE = 20.0  # seconds to wait for what should come at once
SHORT = 0.05  # seconds to wait for what should not come
LONG = 3600.0  # seconds that no test waits
INITIAL = 0.01  # seconds of the first wait of quick()


class Deliberate(Exception):
    """A user's own mistake."""


@pytest.fixture(name="planned")
def planned_servers() -> Iterator[Callable[..., PlannedServer]]:
    """Start servers with a plan; they end with the test."""
    with ExitStack() as stack:
        yield lambda *plan, **options: stack.enter_context(PlannedServer(*plan, **options))


@contextmanager
def beside(function: Callable[[], object]) -> Iterator[list]:
    """Run function on a thread beside the block; the list holds what it gave, or raised, after."""
    outcome: list = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield outcome
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it does not come back"


def log_events(ws: Client, *names: str) -> list:
    """Note the events of some kinds, in the order in which they come."""
    events: list = []
    for name in names or ("open", "message", "error", "close"):
        ws.on(name, events.append)
    return events


def refused_port() -> int:
    """A port that nobody listens on: the last one that the kernel gave."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


on_threads = pytest.mark.skipif(threading_is_patched(), reason="greenlets are no threads")


def name_here() -> str:
    """The name of the thread, or of the greenlet that gevent has made of one."""
    if not threading_is_patched():
        return threading.current_thread().name
    from gevent import getcurrent

    return getattr(getcurrent(), "name", "the main one")


def quick(**options) -> Reconnect:
    """A policy whose waits are short, and known to the last digit."""
    return Reconnect(**{"initial": INITIAL, "factor": 2, "jitter": 0, **options})


def connect(ws: Client) -> None:
    ws.connect()


def start(ws: Client) -> None:
    """Open in callback style."""
    is_open = threading.Event()
    ws.on("open", lambda event: is_open.set())
    ws.start()
    assert is_open.wait(PATIENCE)


both_styles = pytest.mark.parametrize("begin", [connect, start], ids=["blocking", "callbacks"])
