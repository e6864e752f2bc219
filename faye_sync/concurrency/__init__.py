"""Threads or greenlets: the only folder that names either.

Which of the two is a property of each connection, decided when its socket is
known: a socket of gevent's or eventlet's, met on the thread of its hub, is
served by greenlets; every other by threads, real ones even where threading is
patched. Nothing here makes a lock at import time: one made before gevent or
eventlet patches the process would stop its hub."""

from __future__ import annotations

from faye_sync.concurrency.base import Concurrency, Event, Lock, Lookout
from faye_sync.concurrency.greenlets import gevent_hub
from faye_sync.concurrency.locks import (
    WAIT,
    at_most,
    attempts,
    leaf_lock,
    reentrant_lock,
)
from faye_sync.concurrency.main import LATEST, main_thread_check
from faye_sync.concurrency.threads import THREADS, ThreadEvent
from faye_sync.concurrency.worlds import blocking, call_home, world_here, world_of

__all__ = [
    "LATEST",
    "THREADS",
    "WAIT",
    "Concurrency",
    "Event",
    "Lock",
    "Lookout",
    "ThreadEvent",
    "at_most",
    "attempts",
    "blocking",
    "call_home",
    "gevent_hub",
    "leaf_lock",
    "main_thread_check",
    "reentrant_lock",
    "world_here",
    "world_of",
]
