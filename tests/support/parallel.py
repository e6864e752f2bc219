"""Run a function beside another, on a thread or on a greenlet, whichever this server runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

if "unpatched" in os.environ.get("TEST_SERVER", ""):
    import gevent

    in_parallel = gevent.spawn
else:

    def in_parallel(function: Callable[[], Any]) -> threading.Thread:
        """Start it; join() waits for its end."""
        thread = threading.Thread(target=function)
        thread.start()
        return thread
