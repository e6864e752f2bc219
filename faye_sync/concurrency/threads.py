"""Real threads, also in a process that gevent or eventlet has patched."""

from __future__ import annotations

import _thread
import select
import threading
from collections.abc import Callable
from contextlib import suppress

from faye_sync import clock
from faye_sync.concurrency.base import Event, Lock, Lookout
from faye_sync.concurrency.locks import (
    at_most,
    get_ident,
    leaf_lock,
    original,
    threading_is_patched,
)
from faye_sync.concurrency.main import main_thread_check, wait_with_signals
from faye_sync.readiness import EpollPoller, Poller, PollPoller, milliseconds


class ThreadEvent:
    """A flag for real threads, built from raw locks.

    threading.Event cannot be had where threading is patched: its condition
    would be made of gevent's or eventlet's locks."""

    def __init__(self) -> None:
        self._flag = False
        # Whoever waits goes in here before it looks at the flag; set() does it the other way round.
        self._waiters: list[_thread.LockType] = []

    def is_set(self) -> bool:
        return self._flag

    def set(self) -> None:
        self._flag = True
        self.nudge()

    def nudge(self) -> None:
        """Wake all who wait, whatever the flag says."""
        while self._waiters:
            with suppress(IndexError):
                self._waiters.pop().release()

    def clear(self) -> None:
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        if self._flag:
            return True
        if timeout is not None and clock.waits is not None:
            return clock.waits.wait_for(self, timeout)
        return self.wait_once(timeout)

    def wait_once(self, timeout: float | None) -> bool:
        """Wait for the flag, or for nudge()."""
        waiter = leaf_lock()
        waiter.acquire()
        self._waiters.append(waiter)
        try:
            return self.is_set() or _acquire(waiter, timeout) or self.is_set()
        finally:
            # Unless set() has taken it.
            with suppress(ValueError):
                self._waiters.remove(waiter)


def _acquire(lock: _thread.LockType, timeout: float | None) -> bool:
    return wait_with_signals(
        lambda seconds: lock.acquire(True, at_most(seconds)), timeout, main_thread_check()
    )


class PollLookout:
    """A Lookout on poll(2)."""

    def __init__(self, fds: tuple[int, ...], interest: int = select.POLLIN) -> None:
        # poll, not select: select fails on descriptors above 1023.
        self._poll = original("select", "poll")()
        for fd in fds:
            self._poll.register(fd, interest)
        self._is_main_thread = main_thread_check()

    def wait(self, timeout: float | None) -> bool:
        return wait_with_signals(self._wait, timeout, self._is_main_thread)

    def _wait(self, timeout: float | None) -> bool:
        if timeout is not None and clock.waits is not None:
            return clock.waits.poll(self._poll, timeout)
        return bool(self._poll.poll(milliseconds(timeout)))

    def close(self) -> None:
        """Nothing to give up: poll(2) has no descriptor."""


class Threads:
    """Real threads, real locks, blocking waits."""

    def lock(self) -> Lock:
        return leaf_lock()

    def event(self) -> Event:
        return ThreadEvent()

    def spawn(self, name: str, function: Callable[[], object]) -> None:
        if threading_is_patched():
            original("_thread", "start_new_thread")(function, ())
        else:
            threading.Thread(target=function, name=name, daemon=True).start()

    def current(self) -> object:
        return get_ident()

    def is_home(self) -> bool:
        return True

    def post(self, job: Callable[[], object]) -> None:
        job()

    def wait_readable(self, fd: int, timeout: float | None) -> bool:
        return PollLookout((fd,)).wait(timeout)

    def lookout(self, fd: int) -> Lookout:
        return PollLookout((fd,))

    def wait_writable(self, fd: int, timeout: float | None) -> bool:
        return PollLookout((fd,), select.POLLOUT).wait(timeout)

    def wait_any(self, fds: tuple[int, ...], timeout: float | None) -> bool:
        return PollLookout(fds).wait(timeout)

    def breathe(self) -> None:
        """Nothing to do: the interpreter switches threads by itself."""

    def poller(self, *, is_awaited: bool = False) -> Poller:  # noqa: ARG002  # a thread lasts as long as its wait
        try:
            return EpollPoller(original("select", "epoll")())
        except AttributeError:
            return PollPoller(original("select", "poll")())

    def abandon(self) -> None:
        """Nothing to do: of all threads only the forking one is in the child."""


THREADS = Threads()
