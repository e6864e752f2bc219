"""Seconds that may pass, and the clock time at which they have."""

from __future__ import annotations

from faye_sync import clock


def deadline_after(timeout: float | None) -> float | None:
    """Turn seconds from now into a clock time; None is for ever. Safe from any thread."""
    return None if timeout is None else clock.monotonic() + timeout


def seconds_left(deadline: float | None) -> float | None:
    """Turn a clock time into seconds from now, 0 when it has passed. Safe from any thread."""
    return None if deadline is None else max(0.0, deadline - clock.monotonic())
