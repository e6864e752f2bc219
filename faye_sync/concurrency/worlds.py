"""Which world a connection lives in, and how to work in it from outside."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from faye_sync.concurrency.base import Concurrency
from faye_sync.concurrency.eventlets import (
    Greenthreads,
    eventlet_hub_here,
    hub_of_this_thread,
    is_green,
)
from faye_sync.concurrency.greenlets import Greenlets, gevent_hub_here
from faye_sync.concurrency.locks import get_ident, original
from faye_sync.concurrency.threads import THREADS, ThreadEvent

T = TypeVar("T")

# By the thread whose hub they run on.
_worlds: dict[int, Greenlets | Greenthreads] = {}


def world_of(sock: object) -> Concurrency:
    """Choose threads or greenlets for a connection on sock.

    Args:
        sock: The socket that the WSGI server reads.

    Returns:
        The greenlets of this thread's hub when sock is gevent's or eventlet's, else threads.
    """
    ident = get_ident()
    hub: Any
    if is_green(sock):
        kind: type[Greenlets | Greenthreads] = Greenthreads
        hub = hub_of_this_thread()
    else:
        kind, hub = Greenlets, getattr(sock, "hub", None)
        if getattr(hub, "thread_ident", None) != ident:
            hub = None
    return THREADS if hub is None else _world_on(hub, kind, ident)


def world_here() -> Concurrency:
    """Choose threads or greenlets for a connection that this thread opens.

    Returns:
        The greenlets of this thread's hub when it has one, or would get one by the
        next thing it waits for; else threads.
    """
    ident = get_ident()
    for kind, hub in ((Greenlets, gevent_hub_here()), (Greenthreads, eventlet_hub_here())):
        if hub is not None:
            return _world_on(hub, kind, ident)
    return THREADS


def _world_on(hub: Any, kind: type[Greenlets | Greenthreads], ident: int) -> Concurrency:
    world = _worlds.get(ident)
    if world is None or world.hub is not hub:
        world = _worlds[ident] = kind(hub)
    return world


def blocking(world: Concurrency, module: str, name: str) -> tuple[Concurrency, Callable[..., Any]]:
    """Find where a function that blocks is run beside its caller, and which one that is.

    Args:
        world: The caller's.
        module: Where the function is, imported already.
        name: Its name.

    Returns:
        The caller's world, where gevent or eventlet put a function in place that lets its hub go
        on; else threads and the function as it was before.
    """
    function = getattr(sys.modules[module], name)
    is_cooperative = function.__module__.partition(".")[0] in {"gevent", "eventlet"}
    if is_cooperative and world is not THREADS:
        return world, function
    return THREADS, original(module, name)


def call_home(world: Concurrency, function: Callable[[], T]) -> T:
    """Run function where world's locks may be touched, and wait for what it gives.

    Args:
        world: The world of the connection that function works on.
        function: Bounded by a deadline of its own, or by the connection's end.

    Returns:
        What function returns.

    Raises:
        BaseException: What function raises.
    """
    if world.is_home():
        return function()
    done = ThreadEvent()
    outcome: list[tuple[T | None, BaseException | None]] = []

    def job() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:
            outcome.append((None, error))
        finally:
            done.set()

    world.post(job)
    done.wait()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # None only where function returns None
