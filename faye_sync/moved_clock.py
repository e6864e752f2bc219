"""A clock that tests move, so that pings and deadlines need no sleep."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from faye_sync import clock
from faye_sync.concurrency import THREADS, ThreadEvent, leaf_lock
from faye_sync.deadlines import deadline_after, seconds_left
from faye_sync.housekeeping import Housekeeper, housekeeper_of
from faye_sync.readiness import READ, milliseconds

# Seconds of real time that what advance() has caused may take.
PATIENCE = 10.0
# Seconds of real time between two looks whether somebody has yet to read.
LOOK = 0.001


class Clock:
    """The library's clock, moved on by a test: use it in a with statement.

    It goes on by itself as well. What it moves are the pings and deadlines of
    connections, and timeouts of what waits, on threads; not dialing, which is
    bounded by real time, and no greenlets."""

    def __init__(self) -> None:
        self._moved = 0.0
        self._real: Callable[[], float] = clock.monotonic
        # Guards what waits, and whom advance() wakes.
        self._waits_lock = leaf_lock()
        self._events: list[Any] = []
        # Reads as ended when the clock has been moved since it was made.
        self._ear, self._mouth = -1, -1
        self._ears: list[int] = []

    def monotonic(self) -> float:
        """Give the seconds of this clock."""
        return self._real() + self._moved

    def advance(self, seconds: float) -> None:
        """Move the clock on, deadline by deadline, and wait until what is due has been done.

        What a ping is answered with has arrived, too, wherever somebody reads.

        Args:
            seconds: How far.

        Raises:
            ValueError: That is no time to come.
            RuntimeError: The clock is not in use: with Clock() as clock.
        """
        if not (seconds > 0 and math.isfinite(seconds)):
            raise ValueError(f"a clock is moved on by seconds above 0, got {seconds!r}")
        if clock.waits is not self:
            raise RuntimeError("this clock is not in use; write: with Clock() as clock")
        housekeeper = housekeeper_of(THREADS)
        due = _let_work(housekeeper)
        while seconds > 0:
            step = min(seconds, max(due, LOOK))
            seconds -= step
            self._move(step)
            due = _let_work(housekeeper)
            _let_read(housekeeper)

    def __enter__(self) -> Clock:
        """Put it in the place of the real one.

        Returns:
            The clock.

        Raises:
            RuntimeError: Another one is in use.
        """
        if clock.waits is not None:
            raise RuntimeError("another Clock is in use, and there is only one time")
        self._real = clock.monotonic
        self._open_ear()
        clock.monotonic, clock.waits = self.monotonic, self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the real one back."""
        clock.monotonic, clock.waits = self._real, None
        with self._waits_lock:
            os.close(self._mouth)

    # --- for threads that wait ------------------------------------------------------------------------

    def poll(self, poll: Any, timeout: float) -> bool:
        """Wait by a poll object, so many seconds of this clock; False when they passed first."""
        end = self.monotonic() + timeout
        while True:
            # Before the look at the time: who moves the clock does it the other way round.
            ear = self._ear
            left = max(0.0, end - self.monotonic())
            poll.register(ear, READ)
            try:
                ready = poll.poll(milliseconds(left))
            finally:
                poll.unregister(ear)
            if any(fd != ear for fd, _ in ready):
                return True
            if self.monotonic() >= end:
                return False

    def wait_for(self, event: Any, timeout: float) -> bool:
        """Wait for a flag, so many seconds of this clock; False when they passed first."""
        end = self.monotonic() + timeout
        with self._waits_lock:
            self._events.append(event)
        try:
            while not event.is_set():
                left = end - self.monotonic()
                if left <= 0:
                    return False
                event.wait_once(left)
            return True
        finally:
            with self._waits_lock:
                self._events.remove(event)

    # --- beneath --------------------------------------------------------------------------------------

    def _move(self, seconds: float) -> None:
        with self._waits_lock:
            self._moved += seconds
            mouth = self._mouth
            self._open_ear()
            os.close(mouth)
            events = tuple(self._events)
        for event in events:
            event.nudge()

    def _open_ear(self) -> None:
        # Whoever polls an earlier one may do so yet.
        self._ear, self._mouth = os.pipe()
        self._ears.append(self._ear)

    def __del__(self) -> None:
        """Close what nobody can poll any more."""
        for ear in self._ears:
            os.close(ear)


def _let_work(housekeeper: Housekeeper) -> float:
    """Wait until housekeeping has met the deadlines that have come.

    Returns:
        Seconds to the next one.
    """
    done, found = ThreadEvent(), [0.0]

    def look() -> None:
        found[0] = housekeeper.seconds_to_next()
        done.set()

    # Deadlines come behind jobs, so that the second job is behind them.
    housekeeper.post(lambda: housekeeper.post(look))
    done.wait(PATIENCE)
    return found[0]


def _let_read(housekeeper: Housekeeper) -> None:
    """Wait until what has arrived is read, where somebody waits for it.

    Nothing tells that there is nothing left, so this looks now and then."""
    deadline, pause = deadline_after(PATIENCE), ThreadEvent()
    while seconds_left(deadline) and any(map(_is_about_to_read, tuple(housekeeper.live))):
        pause.wait_once(LOOK)


def _is_about_to_read(kept: Any) -> bool:
    """Whether octets have come for a thread that waits for them, and is not awake yet."""
    incoming = getattr(kept, "incoming", None)
    if incoming is None:
        return False
    if incoming.reading_lock.acquire(False):
        incoming.reading_lock.release()
        return False
    return THREADS.wait_readable(kept.fileno(), 0)
