"""Messages that wait: until the kernel takes them, or until those in parts are over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from faye_sync.concurrency import Event as Flag, reentrant_lock

# A method of the driver's sending half with its arguments.
Command = tuple[Callable[..., None], tuple[Any, ...]]


class Turn:
    """The right to send messages while all others wait."""

    def __init__(self, over: Flag, owner: object) -> None:
        self.over = over
        # The thread that has it; None for none, and once it is over.
        self.owner = owner
        # Something of its message has left, or will.
        self.has_begun = False

    def refuse(self, sender: object) -> None:
        """Refuse a send of the owner's own.

        Raises:
            RuntimeError: It is one.
        """
        if self.owner is not None and self.owner == sender:
            raise RuntimeError("a send() within the parts of send_stream() waits for itself")


class Backlog:
    """Messages that wait for room, bounded in octets. Safe from any thread."""

    def __init__(self, limit: int, lines: list[Any]) -> None:
        """Make an empty one.

        Args:
            limit: Octets that may wait.
            lines: Where its queue goes once there is one; most connections never need it.
        """
        self._limit = limit
        self._lines = lines
        self._entries: deque[tuple[Command, int]] | None = None
        self._octets_lock = reentrant_lock()
        self.octets = 0

    def __bool__(self) -> bool:
        return bool(self._entries)

    def put(self, command: Command, size: int, ahead: int) -> bool:
        """Append a message of size octets, of which so many wait ahead of the others.

        Returns:
            False when full; one larger than the limit passes where none waits.
        """
        with self._octets_lock:
            waiting = self.octets + ahead
            if waiting and waiting + size > self._limit:
                return False
            if self._entries is None:
                entries: deque[tuple[Command, int]] = deque()
                # First: a signal handler that raises in between must not leave it out of the lines.
                self._lines.append(entries)
                self._entries = entries
            self.octets += size
            self._entries.append((command, size))
            return True

    def put_last(self, command: Command) -> bool:
        """Append the close frame, which no limit keeps back; False when nothing waits."""
        with self._octets_lock:
            if not self._entries:
                return False
            self._entries.append((command, 0))
            return True

    def take(self) -> tuple[Command, int]:
        """Take the oldest.

        Raises:
            IndexError: Nothing waits.
        """
        with self._octets_lock:
            if not self._entries:
                raise IndexError("no message waits")
            command, size = self._entries.popleft()
            self.octets -= size
            return command, size

    def clear(self) -> None:
        """Forget all."""
        with self._octets_lock:
            if self._entries is not None:
                self._entries.clear()
            self.octets = 0
