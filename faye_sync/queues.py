"""What one connection has to send and has not framed yet, in the order in which it leaves.

A command is framed as it is taken, so it is the connection's state of then that
counts: behind a close frame nothing is framed any more. Appending is safe from
any thread; what is taken, is taken under the writing lock."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from faye_sync.backlog import Backlog, Command
from faye_sync.driver.base import Sending
from faye_sync.errors import ProtocolError

# Queued messages are written in blocks of about this many octets, so that an urgent frame waits
# for no more than one block.
BLOCK = 16384

# Pings that wait for a peer which takes nothing.
URGENT_LIMIT = 1024


class Owner(Protocol):
    """Who is told what became of the octets. Every method returns at once."""

    def stalled(self) -> None:
        """The kernel took no more; call flush() when there is room again."""

    def drained(self) -> None:
        """Everything queued is with the kernel."""

    def torn(self) -> None:
        """A send ran out of time within a frame."""

    def broken(self, error: OSError) -> None:
        """The kernel says that the connection is gone."""

    def unframed(self, error: ProtocolError) -> None:
        """A message that had been taken cannot be framed: an extension failed."""


class Queues:
    """The newest pong, what is urgent, and the backlog of messages."""

    def __init__(self, sending: Sending, max_queue: int, owner: Owner) -> None:
        self._sending = sending
        self._owner = owner
        # Lists, because there is seldom more than one, and a deque that is empty takes 760 octets.
        self.pongs: list[Command] = []
        self.urgent: list[Command] = []
        # All that there are, for those who ask often whether there is anything.
        self.lines: list[Collection[object]] = [self.pongs, self.urgent]
        self.backlog = Backlog(max_queue, self.lines)
        # Set as the close frame is framed: nothing follows it.
        self.has_closed = False

    def __bool__(self) -> bool:
        return any(self.lines)

    def pong(self, data: bytes) -> None:
        """Queue a pong before all else."""
        # A flood of pings needs one answer: the newest.
        self.pongs[:] = ((self._sending.pong, (data,)),)

    def ping(self, data: bytes) -> None:
        """Queue a ping before all messages."""
        # To a peer that takes nothing pings may pile up; the newest are dropped then.
        if len(self.urgent) < URGENT_LIMIT:
            self.urgent.append((self._sending.ping, (data,)))

    def close(self, code: int | None, reason: str, *, after_backlog: bool) -> None:
        """Queue the close frame, before the backlog or behind it."""
        command = (self._close, (code, reason))
        if not (after_backlog and self.backlog.put_last(command)):
            self.urgent.append(command)

    def take_block(self, *, may_send: bool) -> bytes:
        """Frame all that is urgent, then messages up to a block where they may leave."""
        self._frame_urgent()
        size = 0
        while self.backlog and may_send and not self.has_closed and size < BLOCK:
            (method, arguments), octets = self.backlog.take()
            size += octets
            try:
                method(*arguments)
            except ProtocolError as error:
                self.backlog.clear()
                self._owner.unframed(error)
        return self._sending.data_to_send()

    def take_all(self, *, may_send: bool) -> bytes:
        """Frame everything that goes before a new message."""
        pieces = [self.take_block(may_send=may_send)]
        while self.backlog and may_send and not self.has_closed:
            pieces.append(self.take_block(may_send=may_send))
        return b"".join(pieces)

    def end(self) -> None:
        """Nothing is framed any more."""
        self.has_closed = True
        self.urgent.clear()
        self.pongs.clear()
        self.backlog.clear()

    def _frame_urgent(self) -> None:
        for queue in (self.pongs, self.urgent):
            while queue and not self.has_closed:
                method, arguments = queue.pop(0)
                method(*arguments)
        if self.has_closed:
            # What was queued since is forgotten too.
            self.end()

    def _close(self, code: int | None, reason: str) -> None:
        self.has_closed = True
        self._sending.close(code, reason)
        self.end()
