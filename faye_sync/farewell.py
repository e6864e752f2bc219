"""The orderly end of a TCP connection, walked by housekeeping so that no thread waits.

Last frame, SHUT_WR, read to the peer's end, close. Closing earlier with octets
unread would send a reset, which takes from the peer what we sent last."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from faye_sync.concurrency import Lock
from faye_sync.housekeeping import Housekeeper
from faye_sync.readiness import READ, WRITE
from faye_sync.transport.stream import Stream

# What a peer may still send, and how long it may take to leave (octets, seconds).
DRAIN_LIMIT = 2**20
DRAIN_TIMEOUT = 2.0

# What whoever is woken needs to be out of the descriptor, at first (seconds).
MOMENT = 0.001


class WayIn(Protocol):
    """Whoever reads holds its lock."""

    @property
    def reading_lock(self) -> Lock:
        """Held by whoever is in the descriptor to read."""


class WayOut(Protocol):
    """Whoever writes holds its lock."""

    @property
    def writing_lock(self) -> Lock:
        """Held by whoever is in the descriptor to write."""

    def end(self) -> bool:
        """Write what is left, and end this direction; False where that needs room first."""


class Leaver(Protocol):
    """A connection whose closing handshake is over."""

    housekeeper: Housekeeper

    @property
    def incoming(self) -> WayIn:
        """Its way in."""

    @property
    def outgoing(self) -> WayOut:
        """Its way out."""

    @property
    def stream(self) -> Stream:
        """Its socket."""

    def gone(self) -> None:
        """The locks are held: give up the descriptor."""


class Farewell:
    """Takes one connection from its last frame to a closed descriptor."""

    def __init__(self, leaver: Leaver, last_frame_timeout: float | None) -> None:
        self._leaver = leaver
        self._timeout = last_frame_timeout
        self._drained = 0
        self._has_ended = False
        self._is_over = False

    def begin(self, peer_is_gone: bool) -> None:
        """Start; on housekeeping, like all that follows."""
        if peer_is_gone:
            self._close()
            return
        if self._timeout is not None:
            self._leaver.housekeeper.at(self._timeout, self._give_up_writing)
        self._write()

    def _write(self, _: int = 0) -> None:
        if self._is_over:
            return
        self._has_ended = self._leaver.outgoing.end()
        if self._has_ended:
            self._leaver.housekeeper.at(DRAIN_TIMEOUT, self._close)
            self._drain()
        else:
            self._arm(WRITE, self._write)

    def _give_up_writing(self) -> None:
        if not self._has_ended:
            self._close()

    def _drain(self, _: int = 0) -> None:
        while not self._is_over:
            data = self._leaver.stream.recv_now()
            if data is None:
                self._arm(READ, self._drain)
                return
            self._drained += len(data)
            if not data or self._drained > DRAIN_LIMIT:
                self._close()

    def _arm(self, interest: int, job: Callable[[int], object]) -> None:
        self._leaver.housekeeper.arm(self._leaver.stream.fileno(), interest, job)

    def _close(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        leaver = self._leaver
        # Wakes a sender that still waits, so that its lock is free in a moment.
        leaver.stream.shut_down()
        self._let_go(MOMENT)

    def _let_go(self, moment: float) -> None:
        """Give up the descriptor once nobody is in it; housekeeping does not wait for that."""
        leaver = self._leaver
        with ExitStack() as held:
            for lock in (leaver.incoming.reading_lock, leaver.outgoing.writing_lock):
                if not lock.acquire(False):
                    leaver.housekeeper.at(moment, self._let_go, min(2 * moment, DRAIN_TIMEOUT))
                    return
                held.callback(lock.release)
            leaver.gone()
