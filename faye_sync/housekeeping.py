"""One thread per process, and one greenlet per gevent hub, that never waits for a user.

It runs deadlines, is told when sockets of absent owners become readable or
writable, and looks every TICK seconds, only while connections are hot, which
of them nobody reads any more. Everything but post() and enroll() belongs to its own
thread: other threads post a job and go on."""

from __future__ import annotations

import atexit
import heapq
import itertools
import logging
import math
import os
from collections import deque
from collections.abc import Callable
from types import MethodType
from typing import Any, Protocol, cast
from weakref import ref

from faye_sync import clock
from faye_sync.concurrency import Concurrency, reentrant_lock
from faye_sync.readiness import READ
from faye_sync.transport.waker import Waker

Job = Callable[[], object]
Deadline = tuple[float, int, ref[Any], Callable[..., object], tuple[object, ...]]

logger = logging.getLogger("faye_sync")

# Seconds; an owner without progress for one to two ticks is taken to be busy elsewhere.
TICK = 0.4

# How often housekeeping goes on after it was interrupted.
FAILURES = 100

# Seconds for all last frames together that wait for another sender when the process ends.
GOODBYE = 0.5


class Kept(Protocol):
    """A connection that housekeeping looks after."""

    @property
    def turn(self) -> int:
        """Counts receipts."""

    def fileno(self) -> int:
        """The descriptor, for as long as the connection is hot."""

    def neglected(self) -> None:
        """Nobody has read for a tick: watch on the owner's behalf."""

    def say_goodbye(self) -> None:
        """The process ends: close with 1001, without waiting."""

    def lingers(self, overdue: float) -> bool:
        """Whether the process should go on for this, so many seconds after its time."""

    def see_off(self, timeout: float) -> None:
        """Wait so long, and no longer, for whoever keeps the last frame from leaving."""

    def abandon(self) -> None:
        """This is a forked child: give up the copy of the descriptor, unseen by the peer."""


class Housekeeper:
    """The event loop of one world. Only post() and enroll() are for other threads."""

    def __init__(self, world: Concurrency) -> None:
        self._world = world
        self._poller = world.poller()
        self._jobs: deque[Job] = deque()
        self._deadlines: list[Deadline] = []
        self._order = itertools.count()
        self._armed: dict[int, Callable[[int], object]] = {}
        self._hot: dict[Kept, int] = {}
        self._next_tick = 0.0
        self._asleep = False
        self._failures = 0
        self._start_lock = reentrant_lock()
        self._started = False
        self._bell = Waker()
        self.live: set[Kept] = set()
        # The interpreter ends, and takes no new threads.
        self.is_ending = False
        self.arm(self._bell.fileno(), READ, self._answer_bell)

    def post(self, job: Job) -> None:
        """Have job run soon on housekeeping's own thread or greenlet. Safe from any thread."""
        if not self._started:
            self._start()
        self._jobs.append(job)
        if self._asleep:
            self._bell.wake()

    def at(self, seconds: float, method: Callable[..., object], *arguments: object) -> None:
        """Call a bound method after so many seconds. No cancelling: it looks for itself.

        Its object is held weakly: a connection that is gone does not wait for its deadlines."""
        due = clock.monotonic() + seconds
        bound = cast("MethodType", method)
        # Not a WeakMethod, which is three objects, and collected like those of a cycle.
        entry = (due, next(self._order), ref(bound.__self__), bound.__func__, arguments)
        heapq.heappush(self._deadlines, entry)

    def arm(self, fd: int, interest: int, job: Callable[[int], object]) -> None:
        """Run job once with what fd became ready for, instead of what was armed before."""
        self._armed[fd] = job
        self._poller.arm(fd, interest)

    def forget(self, fd: int) -> None:
        """Stop watching fd; call before it is closed."""
        self._armed.pop(fd, None)
        self._poller.forget(fd)

    def enroll(self, kept: Kept) -> None:
        """Have a connection told when the process ends or forks. Safe from any thread.

        At once, and not by a job: the process may end before that is run."""
        self.live.add(kept)

    def heat(self, kept: Kept) -> None:
        """Expect the owner to read; look again at the next tick."""
        if not self._hot:
            self._next_tick = clock.monotonic() + TICK
        self._hot[kept] = kept.turn

    def seconds_to_next(self) -> float:
        """Return the seconds to the next deadline or tick, inf where there is none."""
        due = self._deadlines[0][0] if self._deadlines else math.inf
        return max(0.0, min(due, self._next_tick if self._hot else math.inf) - clock.monotonic())

    def let_go(self, kept: Kept) -> None:
        """Stop looking after a connection; its descriptor is about to be closed."""
        self._hot.pop(kept, None)
        self.live.discard(kept)
        self.forget(kept.fileno())

    def say_goodbye(self) -> None:
        """Close all connections with 1001, without waiting."""
        for kept in list(self.live):
            kept.say_goodbye()

    def abandon(self) -> None:
        """Give up, in a forked child, copies that belong to the parent.

        The epoll set is shared with the parent: the child may only close it."""
        self._world.abandon()
        self._poller.close()
        self._bell.close()
        for kept in self.live:
            kept.abandon()

    def _start(self) -> None:
        with self._start_lock:
            if self._started:
                return
            # Within the lock, so that where it fails the next one tries again.
            self._world.spawn("faye-sync-housekeeping", self._run)
            self._started = True

    def _run(self) -> None:
        while True:
            try:
                self._turn()
            except Exception:
                # On a hub any signal handler may raise here. One that raises must not end the
                # deadlines of all connections; what fails each time is better ended than endless.
                self._failures += 1
                logger.exception("housekeeping: interrupted, %d of %d", self._failures, FAILURES)
                if self._failures > FAILURES:
                    raise

    def _turn(self) -> None:
        for fd, interest in self._wait():
            job = self._armed.pop(fd, None)
            if job is not None:
                self._do(job, interest)
        for _ in range(len(self._jobs)):
            self._do(self._jobs.popleft())
        self._meet_deadlines()
        self._tick()

    def _wait(self) -> list[tuple[int, int]]:
        # Asleep first, then look at the jobs: post() looks the other way round.
        self._asleep = True
        try:
            left = self.seconds_to_next()
            return self._poller.wait(0 if self._jobs else None if left == math.inf else left)
        finally:
            self._asleep = False

    def _answer_bell(self, _: int) -> None:
        self._bell.reset()
        self.arm(self._bell.fileno(), READ, self._answer_bell)

    def _meet_deadlines(self) -> None:
        now = clock.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, owner_of, function, arguments = heapq.heappop(self._deadlines)
            owner = owner_of()
            if owner is not None:
                self._do(function, owner, *arguments)

    def _tick(self) -> None:
        if not self._hot or clock.monotonic() < self._next_tick:
            return
        self._next_tick = clock.monotonic() + TICK
        for kept, seen in list(self._hot.items()):
            # Progress counts, not whether the lock is free: a busy owner holds it half of the time.
            if kept.turn != seen:
                self._hot[kept] = kept.turn
                continue
            del self._hot[kept]
            self._do(kept.neglected)

    def _do(self, job: Callable[..., object], *arguments: object) -> None:
        try:
            job(*arguments)
        except Exception:
            # One connection's fault must not end the deadlines of all others.
            logger.exception("housekeeping: %r failed; this is a bug in faye_sync", job)
        # Reading for 50 absent owners in one go would hold up a hub for half a second.
        self._world.breathe()


_housekeepers: dict[Concurrency, Housekeeper] = {}


def housekeeper_of(world: Concurrency) -> Housekeeper:
    """Return the one housekeeper of world, made at the first call. Safe from any thread."""
    housekeeper = _housekeepers.get(world)
    if housekeeper is None:
        if not _housekeepers:
            atexit.register(say_goodbye)
        # setdefault, because two threads may be first at once; the other's is collected.
        housekeeper = _housekeepers.setdefault(world, Housekeeper(world))
    return housekeeper


def all_kept() -> list[Kept]:
    """Return the connections of all worlds. Safe from any thread."""
    return [kept for housekeeper in list(_housekeepers.values()) for kept in list(housekeeper.live)]


def say_goodbye_soon() -> None:
    """Have all connections closed with 1001, each at home. Safe in a signal handler."""
    for housekeeper in list(_housekeepers.values()):
        housekeeper.post(housekeeper.say_goodbye)


def say_goodbye() -> None:
    """Close all connections with 1001 before the process ends, which is any moment now."""
    for housekeeper in list(_housekeepers.values()):
        housekeeper.is_ending = True
    live = all_kept()
    for kept in live:
        kept.say_goodbye()
    deadline = clock.monotonic() + GOODBYE
    for kept in live:
        kept.see_off(max(0.0, deadline - clock.monotonic()))


def _abandon() -> None:
    housekeepers = list(_housekeepers.values())
    _housekeepers.clear()
    for housekeeper in housekeepers:
        housekeeper.abandon()


os.register_at_fork(after_in_child=_abandon)
