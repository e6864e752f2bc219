"""What housekeeping does about one connection's descriptor.

It reads for an owner who is busy elsewhere, flushes when there is room again,
and ends the connection when the peer lets a deadline pass. Everything here runs
on housekeeping."""

from __future__ import annotations

from typing import Protocol

from faye_sync import clock
from faye_sync.housekeeping import Housekeeper, Kept
from faye_sync.readiness import HANGUP, READ, WRITE
from faye_sync.receiving import Incoming
from faye_sync.sending import Outgoing


class Deadlines(Protocol):
    """The seconds that matter here; None is for ever."""

    @property
    def send_timeout(self) -> float | None:
        """How long the kernel may take no octet of what is queued."""

    @property
    def close_timeout(self) -> float | None:
        """How long the peer has to answer a close."""


class Owner(Kept, Protocol):
    """The connection that is watched."""

    housekeeper: Housekeeper
    incoming: Incoming
    outgoing: Outgoing

    @property
    def terms(self) -> Deadlines:
        """What it grants its peer."""

    def is_over(self) -> bool:
        """True once there is nothing left to read for anybody."""

    def is_ended(self) -> bool:
        """True once the connection is closed: its farewell has the descriptor now."""

    def look_for_end(self) -> None:
        """Act on an end that was read, where no owner will."""

    def abort(self, cause: str) -> None:
        """End the connection without a closing handshake."""


class Watch:
    """What one connection is armed for, and the deadlines of its peer."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._wants = 0
        self._expects_room = False

    def neglected(self) -> None:
        """The owner does not read: wait for octets on its behalf, unless too many wait for it."""
        owner = self._owner
        if owner.is_over():
            owner.look_for_end()
        elif owner.incoming.is_full:
            self._want(HANGUP)
            owner.housekeeper.heat(owner)
        else:
            self._want(READ)

    def await_input(self) -> None:
        """The owner does not read from now on. Safe from any thread."""
        # What is armed already fires after this, and finds nobody who reads.
        if not self._wants & READ:
            self._owner.housekeeper.post(self.for_input)

    def for_input(self) -> None:
        """Wait for octets, or for the end that an abort has made, whoever reads."""
        if self._owner.is_over():
            self._owner.look_for_end()
        else:
            self._want(READ)

    def for_answer(self) -> None:
        """A close frame is on its way: wait for the peer's, so long and no longer."""
        self.for_input()
        owner = self._owner
        if owner.terms.close_timeout is not None:
            owner.housekeeper.at(owner.terms.close_timeout, owner.abort, "close timeout")

    def for_room(self) -> None:
        """The kernel took no more: flush when it does, so long as it does within the deadline."""
        self._want(WRITE)
        if not self._expects_room:
            self._expects_room = True
            self._expect_progress()

    def read_for_owner(self) -> None:
        """Take what lies in the kernel, unless the owner is reading."""
        owner = self._owner
        if owner.is_over() or owner.incoming.read_now():
            self.neglected()
        else:
            owner.housekeeper.heat(owner)

    def _want(self, interest: int) -> None:
        if not self._owner.is_ended():
            self._wants |= interest
            self._owner.housekeeper.arm(self._owner.fileno(), self._wants, self._fired)

    def _fired(self, events: int) -> None:
        """Act on what is ready, and wait on for what is not; an error or hang-up is both."""
        if self._owner.is_ended():
            return
        wanted, self._wants = self._wants, 0
        can_write, can_read = events & ~READ, events & ~WRITE
        if wanted & WRITE and can_write:
            self._owner.outgoing.flush()
        if wanted & ~WRITE and can_read:
            self.read_for_owner()
        unmet = (0 if can_write else wanted & WRITE) | (0 if can_read else wanted & ~WRITE)
        if unmet:
            self._want(unmet)

    def _expect_progress(self) -> None:
        owner, timeout = self._owner, self._owner.terms.send_timeout
        if owner.outgoing.is_idle or owner.is_ended() or timeout is None:
            self._expects_room = False
            return
        remaining = owner.outgoing.progressed_at + timeout - clock.monotonic()
        if remaining > 0:
            owner.housekeeper.at(remaining, self._expect_progress)
        else:
            owner.abort("send timeout")
