"""Pings: those of the keepalive, those of the user, and what a missing pong means; idleness.

Any octet received counts as life, and the pong deadline runs only while the
connection is being read: a full inbox is our delay, not the peer's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from faye_sync import clock
from faye_sync.concurrency import leaf_lock
from faye_sync.housekeeping import Housekeeper
from faye_sync.receiving import Incoming
from faye_sync.sending import Outgoing
from faye_sync.terms import Terms

# Pings whose pong is awaited; the oldest beyond it are taken to be lost.
AWAITED = 1024


class Owner(Protocol):
    """The connection whose life is watched."""

    housekeeper: Housekeeper
    incoming: Incoming
    outgoing: Outgoing

    def is_open(self) -> bool:
        """True while messages flow."""

    def is_over(self) -> bool:
        """True once there is nothing left to read for anybody."""

    def read_for_owner(self) -> None:
        """Take what lies in the kernel, unless the owner is reading."""

    def abort(self, cause: str) -> None:
        """End the connection without a closing handshake."""


class Liveness:
    """One connection's pings. ping() is safe from any thread, the rest runs as its docs say."""

    def __init__(self, owner: Owner, terms: Terms) -> None:
        self._owner = owner
        self._interval = terms.ping
        self._pong_timeout = terms.pong_timeout
        self._idle = terms.idle
        self._count = 0
        # When the next ping of the keepalive is due (clock time).
        self._ping_at = math.inf
        # Any thread may ping while another parses a pong.
        self._awaited_lock = leaf_lock()
        self._awaited: dict[bytes, tuple[float, Callable[[], object] | None]] = {}
        # Pings of the keepalive without an octet since: how many receipts there were, and when.
        self._unanswered: list[tuple[int, float]] = []
        self._was_full = False
        self.latency: float | None = None

    def begin(self) -> None:
        """Start the keepalive and the watch for idleness; on housekeeping."""
        if self._interval is not None:
            self._ping_at = clock.monotonic() + self._interval
            self._look_later()
        if self._idle is not None:
            self._owner.incoming.message_at = clock.monotonic()
            self._owner.incoming.notes_time = True
            self._owner.housekeeper.at(self._idle, self._look_for_message, self._idle)

    def ping(self, data: bytes, callback: Callable[[], object] | None = None) -> None:
        """Send a ping and remember what to do at its pong. Safe from any thread."""
        with self._awaited_lock:
            while len(self._awaited) >= AWAITED:
                del self._awaited[next(iter(self._awaited))]
            self._awaited[data] = (clock.monotonic(), callback)
        self._owner.outgoing.ping(data)

    def answered(self, data: bytes) -> Callable[[], object] | None:
        """Note a pong, and hand out the callback that waits for it; on the thread that parses."""
        with self._awaited_lock:
            sent_at, callback = self._awaited.pop(data, (None, None))
        if sent_at is not None:
            self.latency = clock.monotonic() - sent_at
        return callback

    def _look(self) -> None:
        """Judge what is overdue, ping where it is time to, and come back for what is next."""
        if self._overdue_at() <= clock.monotonic():
            self._judge()
        if self._ping_at <= clock.monotonic() and self._owner.is_open():
            self._keep_alive()
        self._look_later()

    def _look_later(self) -> None:
        owner = self._owner
        # One deadline for both: there may be thousands of connections that say nothing else.
        due = min(self._overdue_at(), self._ping_at if owner.is_open() else math.inf)
        if due < math.inf and not owner.is_over():
            owner.housekeeper.at(due - clock.monotonic(), self._look)

    def _keep_alive(self) -> None:
        incoming = self._owner.incoming
        self._count += 1
        self.ping(b"keepalive %d" % self._count)
        self._ping_at = clock.monotonic() + (self._interval or math.inf)
        if self._pong_timeout is not None:
            self._was_full = incoming.is_full
            self._unanswered.append((incoming.turn, clock.monotonic()))

    def _judge(self) -> None:
        """Drop a peer whose oldest ping without an octet since is overdue."""
        self._forgive_where_we_did_not_read()
        self._forget_answered()
        if self._overdue_at() <= clock.monotonic():
            # The pong of a peer whose owner is busy may lie in the kernel; so may the peer's end.
            self._owner.read_for_owner()
            self._forget_answered()
        if self._overdue_at() <= clock.monotonic() and not self._owner.is_over():
            self._owner.abort("ping timeout")

    def _look_for_message(self, idle: float) -> None:
        """End a connection on which pongs may come, but no messages."""
        owner, incoming = self._owner, self._owner.incoming
        if owner.is_over():
            return
        if incoming.is_full:
            incoming.message_at = clock.monotonic()
        left = incoming.message_at + idle - clock.monotonic()
        if left <= 0:
            owner.read_for_owner()
            left = incoming.message_at + idle - clock.monotonic()
        if left > 0:
            owner.housekeeper.at(left, self._look_for_message, idle)
        elif not owner.is_over():
            owner.abort("idle")

    def _overdue_at(self) -> float:
        """When the oldest unanswered ping is overdue (clock time); never when there is none."""
        if self._pong_timeout is None or not self._unanswered:
            return math.inf
        return self._unanswered[0][1] + self._pong_timeout

    def _forget_answered(self) -> None:
        unanswered = self._unanswered
        while unanswered and unanswered[0][0] != self._owner.incoming.turn:
            del unanswered[0]

    def _forgive_where_we_did_not_read(self) -> None:
        incoming = self._owner.incoming
        was_full, self._was_full = self._was_full, incoming.is_full
        if self._unanswered and (was_full or self._was_full):
            self._unanswered.clear()
            self._unanswered.append((incoming.turn, clock.monotonic()))
