"""Threads or greenlets: the only file that names either.

Which of the two is a property of each connection, decided when its socket is
known: a socket of gevent's, met on the thread of its hub, is served by
greenlets; every other by threads, real ones even where gevent patched
threading. Nothing here makes a lock at import time: one made before gevent
patches the process would stop its hub."""

from __future__ import annotations

import _thread
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from faye_sync.readiness import EpollPoller, Poller, PollPoller, milliseconds

T = TypeVar("T")

# What gevent's io watchers call them.
_READABLE, _WRITABLE = 1, 2

# A greenlet that ran this long without waiting lets the others run (seconds).
GREENLET_SLICE = 0.001
# The shortest wait that lets timers and sockets have their turn too (seconds).
MOMENT = 1e-6


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


class Concurrency(Protocol):
    """What a connection needs of the world it lives in."""

    def lock(self) -> Lock:
        """Make a lock that may be held while waiting."""

    def event(self) -> Event:
        """Make a flag to wait for."""

    def spawn(self, name: str, function: Callable[[], None]) -> None:
        """Run function on a daemon thread or a greenlet of its own."""

    def current(self) -> object:
        """Return what tells this thread or greenlet from every other."""

    def is_home(self) -> bool:
        """Tell whether the caller may touch this world's locks."""

    def post(self, job: Callable[[], object]) -> None:
        """Have job run at home; from any thread, without waiting."""

    def wait_readable(self, fd: int, timeout: float | None) -> bool:
        """Wait for octets or the end; False when timeout seconds passed first."""

    def wait_writable(self, fd: int, timeout: float | None) -> bool:
        """Wait for room; False when timeout seconds passed first."""

    def wait_any(self, fds: tuple[int, ...], timeout: float | None) -> bool:
        """Wait until one of fds is readable; False when timeout seconds passed first."""

    def breathe(self) -> None:
        """Let others run if the caller has not waited for a while."""

    def poller(self) -> Poller:
        """Make a poller to be used at home."""

    def abandon(self) -> None:
        """This is a forked child: end the waits, because their descriptors are about to close."""


def original(module: str, name: str) -> Any:
    """Fetch name as it was before gevent patched module."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return getattr(sys.modules[module], name)
    return monkey.get_original(module, name)


def leaf_lock() -> _thread.LockType:
    """Make a real lock for a few instructions without a wait, so it serves greenlets too."""
    lock: _thread.LockType = original("_thread", "allocate_lock")()
    return lock


class ThreadEvent:
    """A flag for real threads, built from raw locks.

    threading.Event cannot be had where gevent patched threading: its
    condition would be made of gevent's locks."""

    def __init__(self) -> None:
        self._flag = False
        self._waiters_lock = leaf_lock()
        self._waiters: list[_thread.LockType] = []

    def is_set(self) -> bool:
        return self._flag

    def set(self) -> None:
        with self._waiters_lock:
            self._flag = True
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.release()

    def clear(self) -> None:
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        with self._waiters_lock:
            if self._flag:
                return True
            waiter = leaf_lock()
            waiter.acquire()
            self._waiters.append(waiter)
        woken = waiter.acquire(True, -1 if timeout is None else max(0.0, timeout))
        if not woken:
            with self._waiters_lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        return woken or self._flag


class Threads:
    """Real threads, real locks, blocking waits."""

    def lock(self) -> Lock:
        return leaf_lock()

    def event(self) -> Event:
        return ThreadEvent()

    def spawn(self, name: str, function: Callable[[], None]) -> None:
        monkey = sys.modules.get("gevent.monkey")
        if monkey is not None and monkey.is_module_patched("threading"):
            original("_thread", "start_new_thread")(function, ())
        else:
            threading.Thread(target=function, name=name, daemon=True).start()

    def current(self) -> object:
        return original("_thread", "get_ident")()

    def is_home(self) -> bool:
        return True

    def post(self, job: Callable[[], object]) -> None:
        job()

    def wait_readable(self, fd: int, timeout: float | None) -> bool:
        return self._wait((fd,), select.POLLIN, timeout)

    def wait_writable(self, fd: int, timeout: float | None) -> bool:
        return self._wait((fd,), select.POLLOUT, timeout)

    def wait_any(self, fds: tuple[int, ...], timeout: float | None) -> bool:
        return self._wait(fds, select.POLLIN, timeout)

    def breathe(self) -> None:
        """Nothing to do: the interpreter switches threads by itself."""

    def poller(self) -> Poller:
        try:
            return EpollPoller(original("select", "epoll")())
        except AttributeError:
            return PollPoller(original("select", "poll")())

    def abandon(self) -> None:
        """Nothing to do: of all threads only the forking one is in the child."""

    @staticmethod
    def _wait(fds: tuple[int, ...], interest: int, timeout: float | None) -> bool:
        # poll, not select: select fails on descriptors above 1023.
        poll = original("select", "poll")()
        for fd in fds:
            poll.register(fd, interest)
        return bool(poll.poll(milliseconds(timeout)))


class GreenletEvent:
    """A flag for the greenlets of one hub: gevent's own, asked before it is waited for."""

    # gevent 26.9 lets wait() on a set flag queue behind those being woken, and forgets that queue
    # when the last of these times out in the same turn of the hub: the caller waits for ever.
    def __init__(self, event: Event) -> None:
        self._event = event

    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        self._event.clear()

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set() or self._event.wait(timeout) or self.is_set()


class Greenlets:
    """Greenlets of one gevent hub; gevent's locks even where nothing is patched.

    A real lock held across a switch would stop the whole hub."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._thread = hub.thread_ident
        self._get_ident = original("_thread", "get_ident")
        self._jobs: deque[Callable[[], object]] = deque()
        # Every watcher that a greenlet waits for at this moment.
        self._watchers: set[Any] = set()
        # unref'd: a hub that has nothing else to do may end.
        self._doorbell = hub.loop.async_(ref=False)
        self._doorbell.start(self._run_jobs)
        self._resumed_at = time.perf_counter()

    def lock(self) -> Lock:
        from gevent.lock import Semaphore

        lock: Lock = Semaphore(1)
        return lock

    def event(self) -> Event:
        from gevent.event import Event as HubEvent

        return GreenletEvent(HubEvent())

    def spawn(self, name: str, function: Callable[[], None]) -> None:
        import gevent

        gevent.spawn(function).name = name

    def current(self) -> object:
        import gevent

        return gevent.getcurrent()

    def is_home(self) -> bool:
        return bool(self._get_ident() == self._thread)

    def post(self, job: Callable[[], object]) -> None:
        self._jobs.append(job)
        self._doorbell.send()

    def wait_readable(self, fd: int, timeout: float | None) -> bool:
        return self._wait((fd,), _READABLE, timeout)

    def wait_writable(self, fd: int, timeout: float | None) -> bool:
        return self._wait((fd,), _WRITABLE, timeout)

    def wait_any(self, fds: tuple[int, ...], timeout: float | None) -> bool:
        return self._wait(fds, _READABLE, timeout)

    def breathe(self) -> None:
        # By elapsed time, not by count: a switch per message costs 40 %, none starves the rest.
        if time.perf_counter() - self._resumed_at > GREENLET_SLICE:
            import gevent

            # A callback of the hub itself has nobody to give way to. Not sleep(0): of such greenlets
            # gevent runs 50 in a row before it looks at timers and sockets.
            if gevent.getcurrent() is not self._hub:
                gevent.sleep(MOMENT)
            self._resumed_at = time.perf_counter()

    def poller(self) -> Poller:
        try:
            epoll = original("select", "epoll")()
        except AttributeError:
            from gevent.select import poll as greenlet_poll

            return PollPoller(greenlet_poll())
        return EpollPoller(epoll, self._wait_unnoticed)

    def abandon(self) -> None:
        # The hub lives on in the child, and libev aborts the process when a descriptor is closed
        # under a watcher. The greenlets that waited are never resumed.
        for watcher in self._watchers:
            watcher.stop()
        self._watchers.clear()
        self._jobs.clear()

    def _wait(
        self, fds: tuple[int, ...], events: int, timeout: float | None, ref: bool = True
    ) -> bool:
        from gevent import Timeout
        from gevent.hub import Waiter

        watchers = [self._hub.loop.io(fd, events, ref=ref) for fd in fds]
        self._watchers.update(watchers)
        waiter = Waiter(self._hub)
        try:
            with Timeout(timeout, False, ref=ref):
                for watcher in watchers:
                    watcher.start(waiter.switch, True)
                return bool(waiter.get())
            return False
        finally:
            for watcher in watchers:
                watcher.close()
            self._watchers.difference_update(watchers)
            self._resumed_at = time.perf_counter()

    def _wait_unnoticed(self, fd: int, timeout: float | None) -> bool:
        return self._wait((fd,), _READABLE, timeout, ref=False)

    def _run_jobs(self) -> None:
        # Runs in the hub itself, which must not wait: each job gets a greenlet.
        import gevent

        while self._jobs:
            gevent.spawn(self._jobs.popleft())


THREADS = Threads()
_greenlets: dict[int, Greenlets] = {}


def world_of(sock: object) -> Concurrency:
    """Choose threads or greenlets for a connection on sock.

    Args:
        sock: The socket that the WSGI server reads.

    Returns:
        The greenlets of this thread's hub when sock is gevent's, else threads.
    """
    hub = getattr(sock, "hub", None)
    ident = original("_thread", "get_ident")()
    if hub is None or getattr(hub, "thread_ident", None) != ident:
        return THREADS
    greenlets = _greenlets.get(ident)
    if greenlets is None or greenlets._hub is not hub:
        greenlets = _greenlets[ident] = Greenlets(hub)
    return greenlets


def call_home(world: Concurrency, function: Callable[[], T]) -> T:
    """Run function where world's locks may be touched, and wait for what it gives.

    Args:
        world: The world of the connection that function works on.
        function: Bounded by a deadline of its own, or by the connection's end.

    Returns:
        What function returns.

    Raises:
        BaseException: What function raises.
    """
    if world.is_home():
        return function()
    done = ThreadEvent()
    outcome: list[tuple[T | None, BaseException | None]] = []

    def job() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:
            outcome.append((None, error))
        finally:
            done.set()

    world.post(job)
    done.wait()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # None only where function returns None
