"""The thread that runs signal handlers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from faye_sync.concurrency.locks import get_ident, original


def main_thread_check() -> Callable[[], bool]:
    """Make a check, quick enough for each message, whether its caller runs signal handlers.

    It says no everywhere if it is not made by the one who does."""
    here = get_ident()
    # Where gevent has patched threading, its main thread has another ident; Linux knows it by its
    # number, but not everywhere is the process's first thread Python's.
    is_first = original("_thread", "get_native_id")() == os.getpid()
    is_main = is_first or here == threading.main_thread().ident
    return lambda: is_main and get_ident() == here
