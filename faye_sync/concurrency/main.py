"""The thread that runs signal handlers."""

from __future__ import annotations

import threading

from faye_sync.concurrency.locks import original


def is_main_thread() -> bool:
    """Tell whether the caller is the thread on which Python runs signal handlers."""
    ident: int = original("_thread", "get_ident")()
    return ident == threading.main_thread().ident
