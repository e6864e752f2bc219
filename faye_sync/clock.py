"""The clock that deadlines go by. A test may move it (moved_clock.py); nothing else does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

# Called by the module's name, as clock.monotonic(), because a test may put another here.
monotonic: Callable[[], float] = time.monotonic


class Waits(Protocol):
    """How threads wait while the clock may be moved."""

    def poll(self, poll: Any, timeout: float) -> bool:
        """Wait by a poll object, so many seconds of this clock; False when they passed first."""

    def wait_for(self, event: Any, timeout: float) -> bool:
        """Wait for a flag, so many seconds of this clock; False when they passed first."""


# None unless a test moves the clock.
waits: Waits | None = None
