"""Real locks, as they were before gevent or eventlet patched anything."""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from faye_sync.concurrency.base import Lock


def original(module: str, name: str) -> Any:
    """Fetch name as it was before gevent or eventlet patched module."""
    # eventlet's first: it has a module of its own that nobody patches, where gevent that has
    # patched nothing gives what it finds, be it eventlet's.
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None:
        return getattr(patcher.original(module), name)
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original(module, name)
    return getattr(sys.modules[module], name)


def threading_is_patched() -> bool:
    """Tell whether threading makes greenlets in this process."""
    monkey = sys.modules.get("gevent.monkey")
    patcher = sys.modules.get("eventlet.patcher")
    return bool(
        (monkey is not None and monkey.is_module_patched("threading"))
        or (patcher is not None and patcher.is_monkey_patched("thread"))
    )


# Once: what is patched later does not change them, and each connection has ten locks.
get_ident: Callable[[], int] = original("_thread", "get_ident")
_allocate_lock = original("_thread", "allocate_lock")
_allocate_rlock = original("_thread", "RLock")


def leaf_lock() -> _thread.LockType:
    """Make a real lock for a few instructions without a wait, so it serves greenlets too."""
    lock: _thread.LockType = _allocate_lock()
    return lock


def reentrant_lock() -> Lock:
    """Make a leaf_lock() that a signal handler may take over the thread which holds it."""
    lock: Lock = _allocate_rlock()
    return lock


# Argument for map(lock.acquire, ...), unpacked at once. A signal handler runs after a call of
# Python's; one that raises between an acquire() and the "try" behind it, or the assignment before
# it, would leave the lock held for ever. Unpacking acquires and records without a call, and so does
# advancing attempts(). (Python 3.10 runs handlers between any two instructions, so there it is only
# made rare.)
WAIT = (True,)

_NO_WAITS = repeat(False)


def attempts(lock: Lock) -> Iterator[bool]:
    """Make what tries to take a lock each time it is advanced, without waiting, for ever.

    Use it as ``for held in attempts: break``. Safe from any thread."""
    return map(lock.acquire, _NO_WAITS)


def at_most(timeout: float | None) -> float:
    """Convert seconds for acquire(), which takes -1 for ever and not more than 292 years."""
    return -1 if timeout is None else min(max(0.0, timeout), _thread.TIMEOUT_MAX)
