"""A clock that tests move, so that pings and deadlines need no sleep."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from faye_sync import clock
from faye_sync.concurrency import THREADS, ThreadEvent, leaf_lock
from faye_sync.deadlines import deadline_after, seconds_left
from faye_sync.housekeeping import Housekeeper, housekeeper_of
from faye_sync.readiness import READ, milliseconds

TASKS = Path("/proc/self/task")

# Seconds of real time that what advance() has caused may take.
PATIENCE = 10.0
# Seconds of real time between two looks whether all others wait, and how long they are given.
LOOK = 0.001
GRACE = 5.0
# Looks in a row at which nobody works: at one of them a thread may just have been about to.
QUIET = 3


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
        # When the waits of others are over, by this clock.
        self._ends: list[float] = []
        self._ear = _Ear()

    def monotonic(self) -> float:
        """Give the seconds of this clock."""
        return self._real() + self._moved

    def advance(self, seconds: float) -> None:
        """Move the clock on, deadline by deadline, and wait until what is due has been done.

        Before each step all other threads of the process have come to wait for
        something, so that whoever is about to wait counts from there; a thread
        that goes on working is waited for no longer than five seconds.

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
        is_calm = _settle()
        while seconds > 0:
            due = min(_let_work(housekeeper), self._seconds_to_next())
            step = min(seconds, max(due, LOOK))
            seconds -= step
            self._move(step)
            _let_work(housekeeper)
            is_calm = is_calm and _settle()

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
            self._ear.is_left = True
            self._ear.close_unheard()

    # --- for threads that wait ------------------------------------------------------------------------

    def poll(self, poll: Any, timeout: float) -> bool:
        """Wait by a poll object, so many seconds of this clock; False when they passed first."""
        end = self.monotonic() + timeout
        with self._noted(end):
            while True:
                # Before the look at the time: who moves the clock does it the other way round.
                ear = self._listen()
                try:
                    if _is_ready(poll, ear, max(0.0, end - self.monotonic())):
                        return True
                finally:
                    with self._waits_lock:
                        ear.leave()
                if self.monotonic() >= end:
                    return False

    def wait_for(self, event: Any, timeout: float) -> bool:
        """Wait for a flag, so many seconds of this clock; False when they passed first."""
        end = self.monotonic() + timeout
        with self._noted(end):
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

    def _listen(self) -> _Ear:
        with self._waits_lock:
            if self._ear.is_closed:
                # A wait that has outlasted the use of this clock.
                self._ear = _Ear()
                self._ear.is_left = True
            self._ear.listeners += 1
            return self._ear

    @contextmanager
    def _noted(self, end: float) -> Iterator[None]:
        """Have advance() stop at the end of a wait."""
        with self._waits_lock:
            self._ends.append(end)
        try:
            yield
        finally:
            with self._waits_lock:
                self._ends.remove(end)

    def _seconds_to_next(self) -> float:
        """Seconds to the end of the wait that is over first; inf where nobody waits."""
        with self._waits_lock:
            return min(self._ends, default=math.inf) - self.monotonic()

    def _move(self, seconds: float) -> None:
        with self._waits_lock:
            self._moved += seconds
            if self._ear.listeners:
                self._ear.speak()
                self._ear = _Ear()
            events = tuple(self._events)
        for event in events:
            event.nudge()


class _Ear:
    """A pipe that reads as ended once the clock has been moved; with the lock of the waits.

    Attributes:
        listeners: How many poll it.
        is_left: Whether it is to be closed when nobody does.
    """

    def __init__(self) -> None:
        self.fd, self._mouth = os.pipe()
        self.listeners = 0
        self.is_left = self.is_closed = False

    def speak(self) -> None:
        """Wake whoever polls it."""
        os.close(self._mouth)
        self._mouth = -1
        self.is_left = True
        self.close_unheard()

    def leave(self) -> None:
        """One who polled it does so no more."""
        self.listeners -= 1
        self.close_unheard()

    def close_unheard(self) -> None:
        """Give up the descriptors where nobody needs them."""
        if not self.is_left or self.listeners or self.is_closed:
            return
        self.is_closed = True
        for fd in (self.fd, self._mouth):
            if fd >= 0:
                os.close(fd)


def _is_ready(poll: Any, ear: _Ear, seconds: float) -> bool:
    """Poll once, the ear too; whether anything else is ready."""
    poll.register(ear.fd, READ)
    try:
        return any(fd != ear.fd for fd, _ in poll.poll(milliseconds(seconds)))
    finally:
        poll.unregister(ear.fd)


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


def _settle() -> bool:
    """Wait until no other thread of this process works, or would if there were a processor for it.

    Nothing tells of that, so this looks now and then. The interpreter's lock is free
    meanwhile, so that whoever waits for that alone is found at work.

    Returns:
        False when somebody went on working for too long.
    """
    deadline, pause, quiet = deadline_after(GRACE), ThreadEvent(), 0
    while quiet < QUIET and seconds_left(deadline):
        pause.wait_once(LOOK)
        quiet = 0 if _others_work() else quiet + 1
    return quiet >= QUIET


def _others_work() -> bool:
    own = Path("/proc/thread-self").readlink().name
    return any(_state_of(task) in "RD" for task in TASKS.iterdir() if task.name != own)


def _state_of(task: Path) -> str:
    """The kernel's letter for what a thread does: R runs or would, D waits for a disk (proc_pid_stat(5))."""
    try:
        return (task / "stat").read_text(encoding="ascii").rpartition(") ")[2][:1]
    except OSError:
        # It has ended since.
        return "X"
