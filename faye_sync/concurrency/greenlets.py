"""The greenlets of one gevent hub. gevent is imported only where it is in use."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

from faye_sync.concurrency.base import Event, Lock, Lookout
from faye_sync.concurrency.locks import get_ident, original
from faye_sync.concurrency.main import main_thread_check
from faye_sync.readiness import EpollPoller, Poller, PollPoller

# What gevent's io watchers call them.
_READABLE, _WRITABLE = 1, 2

# A greenlet that ran this long without waiting lets the others run (seconds).
GREENLET_SLICE = 0.001
# The shortest wait that lets timers and sockets have their turn too (seconds).
MOMENT = 1e-6


class GreenletEvent:
    """A flag for the greenlets of one hub; gevent's own is made for whoever waits first.

    Most flags are never waited for, and gevent's takes 600 octets."""

    def __init__(self) -> None:
        self._flag = False
        self._event: Event | None = None

    def is_set(self) -> bool:
        return self._flag

    def set(self) -> None:
        self._flag = True
        if self._event is not None:
            self._event.set()

    def clear(self) -> None:
        self._flag = False
        if self._event is not None:
            self._event.clear()

    def wait(self, timeout: float | None = None) -> bool:
        if self._event is None:
            from gevent.event import Event as HubEvent

            self._event = HubEvent()
        # Asked first: gevent 26.9 lets wait() on a set flag queue behind those being woken, and
        # forgets that queue when the last of these times out in the same turn of the hub.
        return self.is_set() or self._event.wait(timeout) or self.is_set()


class WatcherLookout:
    """A Lookout on a watcher that is kept: making one costs as much as all the rest of a wait."""

    def __init__(self, world: Greenlets, fd: int) -> None:
        self._world = world
        self._fd = fd
        self._watcher = world.hub.loop.io(fd, _READABLE)

    def wait(self, timeout: float | None) -> bool:
        if timeout is not None:
            return self._world.wait_readable(self._fd, timeout)
        self._world.wait_for(self._watcher)
        return True

    def close(self) -> None:
        self._watcher.close()


class Greenlets:
    """Greenlets of one gevent hub; gevent's locks even where nothing is patched.

    A real lock held across a switch would stop the whole hub."""

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self._thread = hub.thread_ident
        self._jobs: deque[Callable[[], object]] = deque()
        # All that greenlets wait for at this moment: watchers of descriptors, and a timer.
        self._waits: dict[Any, tuple[Sequence[Any], Any]] = {}
        self._pauses: set[Any] = set()
        self._forks = 0
        # unref'd: a hub that has nothing else to do may end.
        self._doorbell = hub.loop.async_(ref=False)
        self._doorbell.start(self._run_jobs)
        self._resumed_at = time.perf_counter()

    def lock(self) -> Lock:
        from gevent.lock import Semaphore

        lock: Lock = Semaphore(1)
        return lock

    def event(self) -> Event:
        return GreenletEvent()

    def spawn(self, name: str, function: Callable[[], object]) -> None:
        import gevent

        if self.is_home():
            gevent.spawn(self._begin, self._forks, function).name = name
        else:
            self.post(function)

    def current(self) -> object:
        import gevent

        # Whoever is remembered must not live on for that.
        return ref(gevent.getcurrent())

    def is_home(self) -> bool:
        return bool(get_ident() == self._thread)

    def post(self, job: Callable[[], object]) -> None:
        self._jobs.append(job)
        self._doorbell.send()

    def lookout(self, fd: int) -> Lookout:
        return WatcherLookout(self, fd)

    def wait_for(self, watcher: Any) -> None:
        """Wait until a watcher of the hub fires; for one greenlet at a time."""
        self._waits[watcher] = ((watcher,), None)
        try:
            self.hub.wait(watcher)
        finally:
            del self._waits[watcher]
            self._resumed_at = time.perf_counter()

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
            if gevent.getcurrent() is not self.hub:
                self._pause()
            self._resumed_at = time.perf_counter()

    def poller(self, *, is_awaited: bool = False) -> Poller:
        try:
            epoll = original("select", "epoll")()
        except AttributeError:
            from gevent.select import poll as greenlet_poll

            return PollPoller(greenlet_poll())
        return EpollPoller(epoll, self.wait_readable if is_awaited else self._wait_unnoticed)

    def abandon(self) -> None:
        # The hub lives on in the child, and libev aborts the process when a descriptor is closed
        # under a watcher. The greenlets that waited are never resumed.
        self._forks += 1
        for timer in self._pauses:
            timer.stop()
        for watchers, limit in self._waits.values():
            if limit is not None:
                limit.close()
            for watcher in watchers:
                watcher.stop()
        self._pauses.clear()
        self._waits.clear()
        self._jobs.clear()

    def _wait(
        self, fds: tuple[int, ...], events: int, timeout: float | None, *, is_noticed: bool = True
    ) -> bool:
        from gevent import Timeout
        from gevent.hub import Waiter

        waiter = Waiter(self.hub)
        watchers = [self.hub.loop.io(fd, events, ref=is_noticed) for fd in fds]
        limit = None if timeout is None else Timeout(timeout, ref=is_noticed)
        self._waits[waiter] = (watchers, limit)
        try:
            if limit is not None:
                limit.start()
            for watcher in watchers:
                watcher.start(waiter.switch, True)
            return bool(waiter.get())
        except Timeout as late:
            # A user's own passes.
            if late is not limit:
                raise
            return False
        finally:
            if limit is not None:
                limit.close()
            for watcher in watchers:
                watcher.close()
            self._waits.pop(waiter, None)
            self._resumed_at = time.perf_counter()

    def _pause(self) -> None:
        # gevent.sleep, but known to abandon().
        with self.hub.loop.timer(MOMENT) as timer:
            self._pauses.add(timer)
            try:
                self.hub.wait(timer)
            finally:
                self._pauses.discard(timer)

    def _begin(self, forks: int, function: Callable[[], object]) -> None:
        # Not in a child that was forked before this had its turn.
        if forks == self._forks:
            function()

    def _wait_unnoticed(self, fd: int, timeout: float | None) -> bool:
        return self._wait((fd,), _READABLE, timeout, is_noticed=False)

    def _run_jobs(self) -> None:
        # Runs in the hub itself, which must not wait: each job gets a greenlet.
        import gevent

        while self._jobs:
            gevent.spawn(self._begin, self._forks, self._jobs.popleft())


def gevent_hub() -> Any:
    """Return this thread's hub, for a server on gevent that shows none of its sockets."""
    import gevent

    return gevent.get_hub()


def gevent_hub_here() -> Any:
    """Return the hub of this thread; None where there is none and none is to be.

    In a patched process the main thread gets one by whatever it waits for first. Its
    other threads are real ones: those that threading makes there are greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    if "gevent" not in sys.modules:
        return None
    from gevent._hub_local import get_hub_if_exists

    hub = get_hub_if_exists()
    is_patched = monkey is not None and monkey.is_module_patched("socket")
    if hub is None and is_patched and main_thread_check()():
        return gevent_hub()
    return hub
