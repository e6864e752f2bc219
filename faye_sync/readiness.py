"""Wait for many descriptors at once, each armed for one event only.

One-shot, because whoever is told of an event decides afresh what to wait for.
A poller belongs to one thread; only a Waker may be used from others."""

from __future__ import annotations

import math
import select
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

READ = select.POLLIN | getattr(select, "POLLRDHUP", 0)
HANGUP = getattr(select, "POLLRDHUP", 0)
WRITE = select.POLLOUT

# Milliseconds that fit an int of C.
LONGEST = 2**31 - 1

# Of the same value as its EPOLL namesake; absent where epoll is.
_ONE_SHOT = getattr(select, "EPOLLONESHOT", 0)


class Poller(Protocol):
    """Arm descriptors, then wait for the first that is ready."""

    def arm(self, fd: int, interest: int) -> None:
        """Wait for READ, WRITE or HANGUP on fd until it came once."""

    def forget(self, fd: int) -> None:
        """Stop waiting for fd; call before it is closed."""

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Return descriptors with what they are ready for; an empty list at the timeout."""

    def close(self) -> None:
        """Give up the poller's own descriptor."""


class EpollPoller:
    """A Poller on Linux's epoll, which costs the same for one descriptor and 10,000."""

    def __init__(
        self, epoll: Any, wait_readable: Callable[[int, float | None], bool] | None = None
    ) -> None:
        self._epoll = epoll
        self._wait_readable = wait_readable
        self._known: set[int] = set()

    def arm(self, fd: int, interest: int) -> None:
        if fd in self._known:
            self._epoll.modify(fd, interest | _ONE_SHOT)
        else:
            self._epoll.register(fd, interest | _ONE_SHOT)
            self._known.add(fd)

    def forget(self, fd: int) -> None:
        if fd in self._known:
            self._known.discard(fd)
            self._epoll.unregister(fd)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        if self._wait_readable is None:
            # In seconds here, and the same limit.
            ready = self._epoll.poll(None if timeout is None else min(timeout, LONGEST // 1000))
        else:
            # An epoll is itself a descriptor that a hub can wait for.
            ready = (
                self._epoll.poll(0) if self._wait_readable(self._epoll.fileno(), timeout) else ()
            )
        return list(ready)

    def close(self) -> None:
        self._epoll.close()


class PollPoller:
    """A Poller on poll(2), for systems without epoll."""

    def __init__(self, poll: Any) -> None:
        self._poll = poll

    def arm(self, fd: int, interest: int) -> None:
        self._poll.register(fd, interest)

    def forget(self, fd: int) -> None:
        with suppress(KeyError):
            self._poll.unregister(fd)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        ready: list[tuple[int, int]] = self._poll.poll(milliseconds(timeout))
        for fd, _ in ready:
            self.forget(fd)
        return ready

    def close(self) -> None:
        """Nothing to give up: poll(2) has no descriptor."""


def milliseconds(timeout: float | None) -> int | None:
    """Convert seconds for poll(2), rounding up so that no wait ends early.

    A wait longer than poll(2) can be asked for ends after 24 days."""
    return None if timeout is None else math.ceil(min(LONGEST, max(0.0, timeout * 1000)))
