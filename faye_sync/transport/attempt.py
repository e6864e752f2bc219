"""One try to connect: its deadline, its waits, and who may call it off.

Whatever is done until the WebSocket is open, waits here and nowhere else, so
one deadline bounds all of it: look-up, TCP, proxy, TLS, redirects, handshake."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, TypeVar

from faye_sync.concurrency import THREADS, Concurrency, reentrant_lock
from faye_sync.readiness import READ
from faye_sync.transport.waker import Waker

T = TypeVar("T")


class CalledOff(Exception):
    """The attempt was called off."""


class Attempt:
    """One try to connect. Used by who makes it, at home in its world; call_off is for all.

    Attributes:
        world: Where it waits.
        phase: What is being done, for the text of the TimeoutError.
        process: That began it; in a child of that it counts as called off.
    """

    def __init__(self, world: Concurrency, timeout: float | None) -> None:
        self.world = world
        self.process = os.getpid()
        self.phase = "preparing the request"
        self.allow(timeout, f"no connection within the open_timeout of {timeout} s: ")
        self._is_called_off = False
        # Any thread may wake, and must not write to another socket of the same number.
        self._descriptor_lock = reentrant_lock()
        with ExitStack() as undo:
            self._waker = Waker()
            undo.callback(self._waker.close)
            self._poller = world.poller(is_awaited=True)
            undo.pop_all()

    def allow(self, timeout: float | None, late: str = "") -> None:
        """Set another deadline.

        Args:
            timeout: Seconds from now; None for none.
            late: What a TimeoutError says before the phase.
        """
        self._late = late
        self._deadline = math.inf if timeout is None else time.monotonic() + timeout

    def wait(
        self, interests: Iterable[tuple[int, int]], limit: float | None = None
    ) -> list[tuple[int, int]]:
        """Wait for the first of some descriptors.

        Args:
            interests: Descriptors, each once, with READ or WRITE of readiness.py.
            limit: Seconds after which to give up waiting, but not the attempt; None for none.

        Returns:
            Those that are ready, and what for; none when limit seconds passed first.

        Raises:
            TimeoutError: The deadline passed.
            CalledOff: So it was.
        """
        until = math.inf if limit is None else time.monotonic() + limit
        armed = dict(interests)
        try:
            for fd, interest in armed.items():
                self._poller.arm(fd, interest)
            ready = self._wait(until)
            while not ready and time.monotonic() < until:
                ready = self._wait(until)
        finally:
            for fd in armed:
                self._poller.forget(fd)
        return ready

    def ask(self, source: Any, name: str) -> Any:
        """Call a function of the user's, which may take its time; or take a value as it is.

        Args:
            source: Either.
            name: Of the option that it is, for errors.

        Returns:
            The value.

        Raises:
            TimeoutError: The deadline passed meanwhile.
            CalledOff: So it was meanwhile.
        """
        if not callable(source):
            return source
        self.phase = f"waiting for the function that {name} is"
        value = source()
        self.check()
        return value

    def run(self, name: str, job: Callable[[], T], place: Concurrency = THREADS) -> T:
        """Wait for a job that blocks, and is left to end by itself where that takes too long.

        Args:
            name: Of its thread.
            job: What to do beside.
            place: The world it may block in.

        Returns:
            What job returns.

        Raises:
            TimeoutError: The deadline passed.
            CalledOff: So it was.
            BaseException: What job raises.
        """
        outcome: list[tuple[T | None, BaseException | None]] = []

        def beside() -> None:
            try:
                outcome.append((job(), None))
            except BaseException as error:
                outcome.append((None, error))
            self._wake()

        self.check()
        place.spawn(name, beside)
        while not outcome:
            self._wait(math.inf)
        result, error = outcome[0]
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only where job returns None

    def seconds_left(self) -> float | None:
        """Return the seconds until the deadline; None where there is none.

        Raises:
            TimeoutError: The deadline has passed.
            CalledOff: So it was.
        """
        self.check()
        return None if self._deadline == math.inf else self._deadline - time.monotonic()

    def check(self) -> None:
        """Say so if there is no going on.

        Raises:
            TimeoutError: The deadline has passed.
            CalledOff: So it was.
        """
        if self._is_called_off:
            raise CalledOff(f"called off while {self.phase}")
        if self.process != os.getpid():
            # Octets that a child took would be missed by its parent.
            raise CalledOff("begun before this process was forked")
        if time.monotonic() >= self._deadline:
            raise TimeoutError(f"{self._late}{self.phase}")

    def call_off(self) -> None:
        """End it: whatever waits, now or later, raises CalledOff. For any thread and for signals."""
        self._is_called_off = True
        self._wake()

    def close(self) -> None:
        """Give up its own descriptors."""
        with self._descriptor_lock:
            self._waker.close()
        self._poller.close()

    def __enter__(self) -> Attempt:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, until: float) -> list[tuple[int, int]]:
        """Wait for what is armed, or the waker, once."""
        self.check()
        ear = self._waker.fileno()
        self._poller.arm(ear, READ)
        end = min(until, self._deadline)
        ready = self._poller.wait(None if end == math.inf else max(0.0, end - time.monotonic()))
        if any(fd == ear for fd, _ in ready):
            # Before the look at what it stands for, or a second waking would be lost.
            self._waker.reset()
        self.check()
        return [(fd, events) for fd, events in ready if fd != ear]

    def _wake(self) -> None:
        with self._descriptor_lock:
            self._waker.wake()
