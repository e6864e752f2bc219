"""The thread that runs signal handlers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from faye_sync.concurrency.locks import original


def main_thread_check() -> Callable[[], bool]:
    """Make a check, quick enough for each message, whether its caller runs signal handlers."""
    get_ident: Callable[[], int] = original("_thread", "get_ident")
    main = threading.main_thread().ident
    return lambda: get_ident() == main
