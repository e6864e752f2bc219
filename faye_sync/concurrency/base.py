"""What a connection needs of the world it lives in, be it one of threads or of greenlets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from faye_sync.readiness import Poller


class Lock(Protocol):
    """What both worlds' locks have in common."""

    def acquire(self, blocking: bool = ..., timeout: Any = ..., /) -> bool:
        """Take the lock; False when it is held and there is no time to wait."""

    def release(self) -> None:
        """Give the lock back."""

    def __enter__(self) -> Any: ...

    def __exit__(self, kind: Any, error: Any, traceback: Any, /) -> Any: ...  # noqa: PYI036  # gevent's has none of the types


class Event(Protocol):
    """A flag that threads or greenlets wait for."""

    def is_set(self) -> bool:
        """Look at the flag."""

    def set(self) -> None:
        """Raise the flag and wake all who wait."""

    def clear(self) -> None:
        """Lower the flag."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the flag; False when timeout seconds passed first."""


class Lookout(Protocol):
    """What waits for one descriptor again and again, by one thread or greenlet at a time."""

    def wait(self, timeout: float | None) -> bool:
        """Wait for octets or the end; False when timeout seconds passed first."""

    def close(self) -> None:
        """Give up what it holds, before the descriptor is closed."""


class Concurrency(Protocol):
    """What a connection needs of the world it lives in."""

    def lock(self) -> Lock:
        """Make a lock that may be held while waiting."""

    def event(self) -> Event:
        """Make a flag to wait for."""

    def spawn(self, name: str, function: Callable[[], object]) -> None:
        """Run function on a daemon thread or a greenlet of its own."""

    def current(self) -> object:
        """Return what tells this thread or greenlet from every other."""

    def is_home(self) -> bool:
        """Tell whether the caller may touch this world's locks."""

    def post(self, job: Callable[[], object]) -> None:
        """Have job run at home; from any thread, without waiting."""

    def wait_readable(self, fd: int, timeout: float | None) -> bool:
        """Wait for octets or the end; False when timeout seconds passed first."""

    def lookout(self, fd: int) -> Lookout:
        """Make what waits like wait_readable(fd, timeout), and costs less each time."""

    def wait_writable(self, fd: int, timeout: float | None) -> bool:
        """Wait for room; False when timeout seconds passed first."""

    def wait_any(self, fds: tuple[int, ...], timeout: float | None) -> bool:
        """Wait until one of fds is readable; False when timeout seconds passed first."""

    def breathe(self) -> None:
        """Let others run if the caller has not waited for a while."""

    def poller(self, *, is_awaited: bool = False) -> Poller:
        """Make a poller to be used at home.

        A hub that has nothing else to do may end while it waits, unless somebody
        awaits what it waits for."""

    def abandon(self) -> None:
        """This is a forked child: end the waits, because their descriptors are about to close."""
