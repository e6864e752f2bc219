"""Encoded events that wait for one client, in order and up to so many octets."""

from __future__ import annotations

from collections import deque

from faye_sync.concurrency import reentrant_lock

# Octets that are taken at once, unless one event is more.
PORTION = 65536


class Outbox:
    """A bounded queue of blocks. Every method is safe from any thread and never waits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Guards the blocks with their sum. Reentrant, for signal handlers that send.
        self._outbox_lock = reentrant_lock()
        self._blocks: deque[bytes] = deque()
        self.octets = 0

    def put(self, block: bytes) -> bool:
        """Append a block; False where it is too much. One that is too large passes alone."""
        with self._outbox_lock:
            if self._blocks and self.octets + len(block) > self._limit:
                return False
            self._blocks.append(block)
            self.octets += len(block)
        return True

    def take(self) -> bytes:
        """Take the first blocks as one, about a PORTION of them; empty where there is none."""
        taken: list[bytes] = []
        with self._outbox_lock:
            size = 0
            while self._blocks and (not taken or size + len(self._blocks[0]) <= PORTION):
                taken.append(self._blocks.popleft())
                size += len(taken[-1])
            self.octets -= size
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def clear(self) -> None:
        """Forget all blocks."""
        with self._outbox_lock:
            self._blocks.clear()
            self.octets = 0
