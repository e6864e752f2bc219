"""Real locks, as they were before gevent patched anything."""

from __future__ import annotations

import _thread
import sys
from typing import Any

from faye_sync.concurrency.base import Lock


def original(module: str, name: str) -> Any:
    """Fetch name as it was before gevent patched module."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return getattr(sys.modules[module], name)
    return monkey.get_original(module, name)


def leaf_lock() -> _thread.LockType:
    """Make a real lock for a few instructions without a wait, so it serves greenlets too."""
    lock: _thread.LockType = original("_thread", "allocate_lock")()
    return lock


def reentrant_lock() -> Lock:
    """Make a leaf_lock() that a signal handler may take over the thread which holds it."""
    lock: Lock = original("_thread", "RLock")()
    return lock


def at_most(timeout: float | None) -> float:
    """Convert seconds for acquire(), which takes -1 for ever and not more than 292 years."""
    return -1 if timeout is None else min(max(0.0, timeout), _thread.TIMEOUT_MAX)
