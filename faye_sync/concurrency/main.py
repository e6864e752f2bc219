"""The thread that runs signal handlers."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable

from faye_sync import clock
from faye_sync.concurrency.locks import get_ident, original

# Seconds after which a wait of the main thread looks for signals that came as it began: Python looks
# for them and then waits, and not in one step.
LATEST = 1.0


def main_thread_check() -> Callable[[], bool]:
    """Make a check, quick enough for each message, whether its caller runs signal handlers.

    It says no everywhere if it is not made by the one who does."""
    here = get_ident()
    # Where gevent has patched threading, its main thread has another ident; Linux knows it by its
    # number, but not everywhere is the process's first thread Python's.
    is_first = original("_thread", "get_native_id")() == os.getpid()
    is_main = is_first or here == threading.main_thread().ident
    return lambda: is_main and get_ident() == here


def wait_with_signals(
    wait: Callable[[float | None], bool], timeout: float | None, is_main_thread: Callable[[], bool]
) -> bool:
    """Wait as wait(timeout) does, but look for signals now and then where they are handled.

    Args:
        wait: Waits so many seconds, None being for ever; False when they passed first.
        timeout: Seconds for all of it; None waits for ever.
        is_main_thread: What main_thread_check() made.
    """
    if not is_main_thread():
        return wait(timeout)
    end = math.inf if timeout is None else clock.monotonic() + timeout
    while True:
        left = max(0.0, end - clock.monotonic())
        if wait(min(left, LATEST)):
            return True
        if left <= LATEST:
            return False
