"""The greenthreads of one eventlet hub. eventlet is imported only where it is in use.

Linux only: the doorbell is an eventfd, the poller an epoll."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import ref

from faye_sync.concurrency.base import Event, Lock, Lookout
from faye_sync.concurrency.greenlets import GREENLET_SLICE
from faye_sync.concurrency.locks import get_ident, original
from faye_sync.concurrency.main import main_thread_check
from faye_sync.concurrency.threads import THREADS
from faye_sync.readiness import LONGEST, EpollPoller, Poller

# Seconds. An epoll hub that is to sleep longer raises OverflowError, and is dead.
LONGEST_TIMER = LONGEST // 1000


def is_green(sock: object) -> bool:
    """Tell whether sock is one of eventlet's, be it plain or with TLS."""
    return any(kind.__module__.startswith("eventlet.") for kind in type(sock).__mro__)


def hub_of_this_thread() -> Any:
    """Return the hub that runs in this thread, or None; eventlet's get_hub() would make one."""
    hubs = sys.modules.get("eventlet.hubs")
    return None if hubs is None else getattr(hubs._threadlocal, "hub", None)


def eventlet_hub_here() -> Any:
    """Return the hub of this thread; None where there is none and none is to be."""
    patcher = sys.modules.get("eventlet.patcher")
    hub = hub_of_this_thread()
    is_patched = patcher is not None and patcher.is_monkey_patched("socket")
    if hub is None and is_patched and main_thread_check()():
        from eventlet.hubs import get_hub

        return get_hub()
    return hub


class Wait:
    """One greenthread that waits, until the first of those who may end it does.

    The others find it ended. What is due in the same turn of the hub, a timer and
    a raised flag, or two descriptors, comes all the same: it would resume the
    greenthread in the midst of what it waits for next."""

    def __init__(self, hub: Any) -> None:
        import greenlet

        self._hub = hub
        self._greenthread = greenlet.getcurrent()
        self._outcome: bool | None = None
        self._timer: Any = None

    def end(self, outcome: bool) -> None:
        """Resume the greenthread; called in the hub."""
        if self._outcome is None:
            self._outcome = outcome
            self._greenthread.switch()

    def run(self, timeout: float | None) -> bool:
        """Wait for end(), or as with end(False) until timeout seconds passed."""
        if timeout is not None and timeout <= LONGEST_TIMER:
            self._timer = self._hub.schedule_call_global(max(0.0, timeout), self.end, False)
        try:
            while self._outcome is None:
                self._hub.switch()
            return self._outcome
        finally:
            self.drop()

    def drop(self) -> None:
        """See to it that nothing resumes the greenthread any more."""
        if self._outcome is None:
            self._outcome = False
        if self._timer is not None:
            self._timer.cancel()


class Ear:
    """Listens to one descriptor for all who wait for it: eventlet refuses a second listener.

    With TLS a reader may wait for room, and a sender beside it."""

    def __init__(self, hub: Any, interest: str, fd: int) -> None:
        self.waits: list[Wait] = []
        self._listener = listen(hub, interest, fd, self._hear)
        self._hub = hub

    def close(self) -> None:
        """Stop listening, unless the hub has done so itself."""
        listener = self._listener
        if self._hub.listeners[listener.evtype].get(listener.fileno) is listener:
            self._hub.remove(listener)

    def abandon(self) -> None:
        """Give up, in a forked child, what the parent goes on listening with."""
        forget(self._hub, self._listener)

    def _hear(self, _: object) -> None:
        for wait in tuple(self.waits):
            wait.end(True)


def listen(hub: Any, interest: str, fd: int, hear: Callable[[object], None]) -> Any:
    """Have hub call hear when fd is ready, or was closed and opened anew by somebody."""
    if fd in hub.listeners[interest]:
        # Left behind by one who waits for a descriptor that another closed; the number is ours now.
        hub.mark_as_reopened(fd)
    try:
        return hub.add(interest, fd, hear, hear, None)
    except Exception:
        # eventlet notes the listener before the kernel refuses the descriptor.
        hub.listeners[interest].pop(fd, None)
        raise


def forget(hub: Any, listener: Any) -> None:
    """Forget a listener in a forked child, whose hub shares its epoll set with the parent's."""
    hub.listeners[listener.evtype].pop(listener.fileno, None)


class ListenerLookout:
    """A Lookout that listens anew each time."""

    def __init__(self, world: Greenthreads, fd: int) -> None:
        self._world = world
        self._fd = fd

    def wait(self, timeout: float | None) -> bool:
        return self._world.wait_readable(self._fd, timeout)

    def close(self) -> None:
        """Nothing to give up: whoever waits listens."""


class GreenthreadEvent:
    """A flag for the greenthreads of one hub; eventlet's own Event can be raised only once."""

    def __init__(self, world: Greenthreads) -> None:
        self._world = world
        self._flag = False
        # A dict for its order, and because one that timed out is found at once.
        self._waits: dict[Wait, None] = {}

    def is_set(self) -> bool:
        return self._flag

    def set(self) -> None:
        self._flag = True
        waits, self._waits = self._waits, {}
        for wait in waits:
            self._world.soon(wait.end, True)

    def clear(self) -> None:
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        if self._flag:
            return True
        wait = Wait(self._world.hub)
        self._waits[wait] = None
        try:
            return wait.run(timeout) or self._flag
        finally:
            self._waits.pop(wait, None)


class GreenthreadLock:
    """eventlet's semaphore of one, for any timeout: those too long for its hub are for ever."""

    def __init__(self) -> None:
        from eventlet.semaphore import Semaphore

        self._semaphore = Semaphore(1)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        limit = timeout if timeout <= LONGEST_TIMER else -1
        return bool(self._semaphore.acquire(blocking, limit))

    def release(self) -> None:
        self._semaphore.release()

    def __enter__(self) -> None:
        self._semaphore.acquire()

    def __exit__(self, *_: object) -> None:
        self._semaphore.release()


class Greenthreads:
    """Greenthreads of one eventlet hub; eventlet's locks even where nothing is patched.

    A real lock held across a switch would stop the whole hub."""

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self._thread = get_ident()
        self._jobs: deque[Callable[[], object]] = deque()
        # What a fork ends in the child: who waits here, and who is yet to begin.
        self._waits: set[Wait] = set()
        self._forks = 0
        self._ears: dict[tuple[str, int], Ear] = {}
        self._resumed_at = time.perf_counter()
        self._hang_doorbell()

    def lock(self) -> Lock:
        return GreenthreadLock()

    def event(self) -> Event:
        return GreenthreadEvent(self)

    def spawn(self, name: str, function: Callable[[], object]) -> None:
        if self.is_home():
            from eventlet.greenthread import GreenThread

            greenthread = GreenThread(self.hub.greenlet)
            greenthread.name = name
            self.soon(greenthread.switch, self._begin, (self._forks, function), {})
        else:
            self.post(function)

    def current(self) -> object:
        import greenlet

        # Whoever is remembered must not live on for that.
        return ref(greenlet.getcurrent())

    def is_home(self) -> bool:
        return bool(get_ident() == self._thread)

    def post(self, job: Callable[[], object]) -> None:
        self._jobs.append(job)
        self._ring()

    def lookout(self, fd: int) -> Lookout:
        return ListenerLookout(self, fd)

    def wait_readable(self, fd: int, timeout: float | None) -> bool:
        # The hub fires timers before it looks at sockets: at the timeout, look once more.
        return self._wait((fd,), self.hub.READ, timeout) or THREADS.wait_readable(fd, 0)

    def wait_writable(self, fd: int, timeout: float | None) -> bool:
        return self._wait((fd,), self.hub.WRITE, timeout) or THREADS.wait_writable(fd, 0)

    def wait_any(self, fds: tuple[int, ...], timeout: float | None) -> bool:
        return self._wait(fds, self.hub.READ, timeout) or THREADS.wait_any(fds, 0)

    def breathe(self) -> None:
        # By elapsed time, not by count: see Greenlets. A timer of 0 lets eventlet look at sockets
        # and the other timers first. The hub itself, as in a signal handler, cannot wait.
        if time.perf_counter() - self._resumed_at > GREENLET_SLICE:
            if not self._is_in_hub():
                self._wait((), self.hub.READ, 0)
            self._resumed_at = time.perf_counter()

    def poller(self, *, is_awaited: bool = False) -> Poller:  # noqa: ARG002  # eventlet's hub ends with its thread
        return EpollPoller(original("select", "epoll")(), self.wait_readable)

    def abandon(self) -> None:
        # The hub may live on in the child. The greenthreads that waited are never resumed.
        self._forks += 1
        for wait in self._waits:
            wait.drop()
        for ear in self._ears.values():
            ear.abandon()
        self._waits.clear()
        self._ears.clear()
        self._jobs.clear()
        forget(self.hub, self._bell_listener)
        os.close(self._bell)
        self._hang_doorbell()

    def soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Have the hub call function; from home only."""
        self.hub.schedule_call_global(0, function, *arguments)
        if self._is_in_hub():
            # Perhaps a signal handler, in a hub that sleeps: only a descriptor wakes that.
            self._ring()

    def _is_in_hub(self) -> bool:
        import greenlet

        return bool(greenlet.getcurrent() is self.hub.greenlet)

    def _wait(self, fds: tuple[int, ...], interest: str, timeout: float | None) -> bool:
        wait = Wait(self.hub)
        self._waits.add(wait)
        try:
            for fd in fds:
                self._join(interest, fd, wait)
            return wait.run(timeout)
        finally:
            self._waits.discard(wait)
            for fd in fds:
                self._leave(interest, fd, wait)
            self._resumed_at = time.perf_counter()

    def _begin(self, forks: int, function: Callable[[], object]) -> None:
        if forks == self._forks:
            function()

    def _join(self, interest: str, fd: int, wait: Wait) -> None:
        ear = self._ears.get((interest, fd))
        if ear is None:
            ear = self._ears[interest, fd] = Ear(self.hub, interest, fd)
        ear.waits.append(wait)

    def _leave(self, interest: str, fd: int, wait: Wait) -> None:
        ear = self._ears.get((interest, fd))
        if ear is not None and wait in ear.waits:
            ear.waits.remove(wait)
            if not ear.waits:
                del self._ears[interest, fd]
                ear.close()

    def _hang_doorbell(self) -> None:
        # Not a pipe: os.read and os.write wait where eventlet patched them.
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # A listener, not a greenthread that waits: it keeps nothing alive.
        self._bell_listener = listen(self.hub, self.hub.READ, self._bell, self._answer)

    def _ring(self) -> None:
        os.eventfd_write(self._bell, 1)

    def _answer(self, _: object) -> None:
        # Runs in the hub itself, which must not wait: each job gets a greenthread.
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            # Just after a fork it may be the parent's that rang.
            return
        while self._jobs:
            self.spawn("faye-sync-job", self._jobs.popleft())
