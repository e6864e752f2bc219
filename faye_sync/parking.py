"""A thread for each active connection, not for each connection.

Who reads in callback style has a thread of the pool while something comes. After
IDLE seconds of silence, or when others wait for a thread, the connection parks:
its thread goes to another, and housekeeping reads for it as for any absent owner,
which costs no thread for a ping or half a message. What is to be handed out has it
served again, by one thread at a time as ever. The pool has no limit, because
listeners may block for as long as they like; it grows only while nobody takes what
waits, for thousands of threads that are ready to run would fight for the
interpreter."""

from __future__ import annotations

import itertools
import logging
import os
from collections import deque
from collections.abc import Callable
from typing import Protocol

from faye_sync.concurrency import THREADS, Lock, leaf_lock
from faye_sync.housekeeping import housekeeper_of
from faye_sync.receiving import Incoming
from faye_sync.transport.stream import Stream
from faye_sync.watching import Watch

Job = Callable[[], object]

logger = logging.getLogger("faye_sync")

# Seconds without an octet after which a connection gives its thread back.
IDLE = 1.0

# Seconds that what waits may be taken by threads that run already, before there are more.
PATIENCE = 0.002

# How many threads stay though nothing waits for them, and for how many seconds.
SPARE = 4
SPARE_TIME = 3.0

# Seconds until threads are tried again where none can be started.
RETRY = 1.0


class Pool:
    """Threads for whoever is to be served. give() and start() are safe from any thread.

    Threads are called and started on housekeeping alone, so that one decides how
    many there are; they put themselves away."""

    def __init__(self) -> None:
        self._housekeeper = housekeeper_of(THREADS)
        self._waiting: deque[Job] = deque()
        # Each a lock that its thread waits for.
        self._spare: deque[Lock] = deque()
        self._workers: set[Lock] = set()
        self._numbers = itertools.count(1)
        # Counts what was taken; one more or less makes no difference.
        self._taken = 0
        self._taken_before = 0
        self._is_watched = False

    @property
    def is_wanted(self) -> bool:
        """True while something waits for a thread."""
        return bool(self._waiting)

    def start(self, job: Job) -> None:
        """Have a first job of its kind run; else like give().

        Raises:
            RuntimeError: There is no thread, and none can be started.
        """
        if not self._workers:
            self._start_worker()
        self.give(job)

    def give(self, job: Job) -> None:
        """Have job run soon on one of the threads; returns at once."""
        self._waiting.append(job)
        if not self._is_watched or len(self._waiting) == 1:
            self._housekeeper.post(self._look)

    # --- on housekeeping --------------------------------------------------------------------------

    def _look(self) -> None:
        """Call one thread for what has come, unless more of it comes than is taken."""
        if self._waiting and (not self._is_watched or len(self._waiting) == 1):
            self._call(1)

    def _call(self, count: int) -> None:
        """Call so many threads, first those that are there, and see whether that was enough."""
        patience = PATIENCE
        try:
            for _ in range(count):
                if self._spare:
                    self._spare.pop().release()
                elif not self._housekeeper.is_ending:
                    self._start_worker()
        except RuntimeError:
            logger.exception("no thread could be started; connections wait: %d", len(self._waiting))
            patience = RETRY
        if not self._is_watched:
            self._is_watched = True
            self._taken_before = self._taken
            self._housekeeper.at(patience, self._grow)

    def _grow(self) -> None:
        # First: whoever gives looks at it behind what he gave.
        self._is_watched = False
        if self._waiting:
            is_stuck = self._taken == self._taken_before
            self._call(max(1, len(self._workers) // 4) if is_stuck else 0)

    # --- the threads --------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        bell = leaf_lock()
        bell.acquire()
        self._workers.add(bell)
        name = f"faye-sync-pool-{next(self._numbers)}"
        try:
            THREADS.spawn(name, lambda: self._work(bell))
        except BaseException:
            self._workers.discard(bell)
            raise

    def _work(self, bell: Lock) -> None:
        try:
            while (job := self._take(bell)) is not None:
                job()
                # Or the connection that was served last would live on here.
                del job
        finally:
            self._workers.discard(bell)

    def _take(self, bell: Lock) -> Job | None:
        """Wait for a job; None when there are threads enough without this one."""
        while True:
            try:
                job = self._waiting.popleft()
            except IndexError:
                if len(self._spare) >= SPARE or not self._is_called(bell):
                    return None
                continue
            self._taken += 1
            return job

    def _is_called(self, bell: Lock) -> bool:
        """Wait to be called; False when that is over."""
        # Whoever gives just now does not see this one, and starts another.
        self._spare.append(bell)
        if bell.acquire(True, SPARE_TIME):
            return True
        try:
            self._spare.remove(bell)
        except ValueError:
            # It was taken for a call, which is as good as here.
            return bell.acquire()
        return False


_pools: list[Pool] = []


def _pool() -> Pool:
    """Return the one pool of this process, made at the first call."""
    if not _pools:
        # Two threads may be first at once: both take what the list has first.
        _pools.append(Pool())
    return _pools[0]


# A forked child has none of the threads.
os.register_at_fork(after_in_child=_pools.clear)


class Served(Protocol):
    """One link, whose events a thread of the pool hands out."""

    stream: Stream
    incoming: Incoming
    watch: Watch


class Berth:
    """One connection's place in the pool: it is served by one thread, or parked."""

    def __init__(self, serve: Callable[[], Served | None]) -> None:
        """Make the place of a connection that nobody serves yet.

        Args:
            serve: Hands out what comes; returns the link of which nothing more does, None at the
                connection's end.
        """
        self._serve = serve
        # Holds one entry while parked: whoever takes that has the connection served.
        self._parked: list[None] = []

    @property
    def patience(self) -> float:
        """Seconds that the thread which serves may wait for octets: none if others need it."""
        return 0.0 if _pool().is_wanted else IDLE

    def begin(self) -> None:
        """Have the connection served for the first time.

        Raises:
            RuntimeError: There is no thread, and none can be started.
        """
        _pool().start(self._run)

    def take_in(self, link: Served) -> None:
        """Serve this link from now on, whose thread may leave when nothing comes."""
        link.stream.limit_silence(IDLE)
        link.incoming.berth = self

    def rouse(self) -> None:
        """Have the connection served, unless it is. Safe from any thread; returns at once."""
        try:
            self._parked.pop()
        except IndexError:
            return
        _pool().give(self._run)

    def _run(self) -> None:
        link = self._serve()
        if link is None:
            return
        # First parked, then looked at: whoever brings something does it the other way round.
        self._parked.append(None)
        if link.incoming.has_news:
            self.rouse()
        else:
            link.watch.await_input()
