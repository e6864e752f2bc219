"""A function beside another, and a flag, on threads or on greenlets, whichever this server runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

if "unpatched" in os.environ.get("TEST_SERVER", ""):
    import gevent
    from gevent.event import Event

    in_parallel = gevent.spawn
else:
    from threading import Event

    def in_parallel(function: Callable[[], Any]) -> threading.Thread:
        """Start it; join() waits for its end."""
        thread = threading.Thread(target=function)
        thread.start()
        return thread


__all__ = ["Event", "in_parallel"]
