"""The way in: octets are read and parsed by one thread at a time, whoever that is.

The reading lock is the right to read. The owner takes it in read() and waits
for octets while it holds it; housekeeping only tries it, in read_now(), so it
reads exactly when the owner is busy elsewhere. Events wait in the inbox, first
in first out, until the owner hands them out; it does that without the lock,
so that a busy listener does not keep pings from being answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from faye_sync import clock
from faye_sync.concurrency import Concurrency, Lock, attempts
from faye_sync.driver.base import MESSAGES, Piece, Received, Receiving, Waiting
from faye_sync.driver.extension import Message
from faye_sync.events import PingEvent, PongEvent
from faye_sync.transport.stream import Stream
from faye_sync.transport.waker import Waker

# Octets that an event costs beside its data, so that tiny ones cannot fill the memory.
EVENT_COST = 128

# Octets that a payload must lack for its next ones to be received in their place.
LARGE = 16384

# Octets that may wait while the owner has paused: enough to see pings and a close.
PAUSED_MARK = 65536


class Berth(Protocol):
    """The place of an owner whose thread is wanted elsewhere too."""

    @property
    def patience(self) -> float:
        """Seconds that the owner's thread may wait for octets, 0 or what the stream is told."""

    def rouse(self) -> None:
        """Something waits for the owner: have a thread come for it. Returns at once."""


class Incoming:
    """One connection's incoming side: many may look, one owner reads and hands out."""

    def __init__(
        self,
        stream: Stream,
        receiving: Receiving,
        world: Concurrency,
        sort: Callable[[Received], None],
        max_queue: int,
    ) -> None:
        self._stream = stream
        self._receiving = receiving
        self._sort = sort
        self._max_queue = max_queue
        self._unread_octets = 0
        self._waker: Waker | None = None
        self.reading_lock: Lock = world.lock()
        self.inbox: deque[Waiting] = deque()
        # Counts receipts; the only thing the hot path does for housekeeping.
        self.turn = 0
        # When the last message came (clock time), where somebody wants to know.
        self.notes_time = False
        self.message_at = 0.0
        # Octets that messages of an earlier connection take, for the same owner.
        self.carried = 0
        self.is_discarding = False
        self.is_paused = False
        # Where the owner comes back to, who then waits no longer than the stream lets him.
        self.berth: Berth | None = None
        # Something else than octets waits for the owner; whoever acts on it lowers the flag.
        self.is_woken = False

    @property
    def is_full(self) -> bool:
        """True when so much waits for the owner that reading has to stop."""
        mark = PAUSED_MARK if self.is_paused else self._max_queue
        if self._unread_octets + self.carried <= mark or self.is_discarding:
            return False
        self._unread_octets = self.cost()
        return self._unread_octets + self.carried > mark

    @property
    def has_news(self) -> bool:
        """True while something waits for the owner."""
        return bool(self.inbox) or self.is_woken

    def cost(self) -> int:
        """Add up the octets that wait for the owner."""
        return sum(map(_cost, list(self.inbox)))

    def read(self, timeout: float | None = None, *, wakeable: bool = False) -> bool:
        """Wait for octets and sort what they amount to; for the owner.

        Args:
            timeout: Seconds to wait; None waits for ever, or while the berth has patience.
            wakeable: Return also when wake() is called.

        Returns:
            False when the timeout, or the patience, passed first.
        """
        with self.reading_lock:
            if self.inbox:
                return True
            patience = timeout if self.berth is None else self.berth.patience
            if wakeable:
                return self._read_unless_woken(patience)
            if timeout is not None and not self._stream.wait_readable(timeout):
                return False
            if self._receiving.missing >= LARGE and self._stream.recv_into and patience != 0:
                return self._read_in_place(self._stream.recv_into)
            data = self._stream.recv() if patience != 0 else self._stream.recv_now()
            if data is None:
                return False
            self.feed(data)
            return True

    def read_now(self) -> bool:
        """Read what is there for an absent owner; False when the owner is reading."""
        held = False
        try:
            for held in attempts(self.reading_lock):
                break
            if held:
                self._read_for_owner()
            return held
        finally:
            if held:
                self.reading_lock.release()

    def feed(self, data: bytes) -> None:
        """Parse data, empty at the end, with the reading lock held."""
        if data:
            self.turn += 1
            self._put(self._receiving.take(data))
        else:
            self._receiving.receive_eof()
            self.sort_events()

    def begin_stream(self) -> None:
        """Have the message under way, or the next, come in pieces; for the owner."""
        with self.reading_lock:
            self._receiving.begin_stream()
            self.sort_events()

    def sort_events(self) -> None:
        """Put what the octets so far amount to where it belongs, with the reading lock held."""
        self._put(self._receiving.events())

    def wake(self) -> None:
        """Have the owner look up: from a read(wakeable=True) at once, else with the next octets.

        Safe from any thread."""
        self.is_woken = True
        if self._waker is not None:
            self._waker.wake()
        if self.berth is not None:
            self.berth.rouse()

    def close(self) -> None:
        """Give up the waker's descriptors, with the reading lock held."""
        if self._waker is not None:
            self._waker.close()
            self._waker = None

    def _put(self, events: list[Received]) -> None:
        for event in events:
            if not isinstance(event, MESSAGES):
                self._sort(event)
                continue
            if self.notes_time:
                self.message_at = clock.monotonic()
            if not self.is_discarding:
                self.inbox.append(event)

    def _read_in_place(self, recv_into: Callable[[memoryview], int | None]) -> bool:
        """Wait for octets of a large payload, and have the kernel put them where they belong."""
        with self._receiving.room() as room:
            count = recv_into(room)
        if count:
            self.turn += 1
        self._receiving.filled(count or 0)
        if count == 0:
            self._receiving.receive_eof()
        self.sort_events()
        return count is not None

    def _read_for_owner(self) -> None:
        if not self.inbox:
            self._unread_octets = 0
        data = self._stream.recv_now()
        if data is not None:
            before = len(self.inbox)
            self.feed(data)
            self._unread_octets += len(data) + EVENT_COST * (len(self.inbox) - before)
        if self.inbox and self.berth is not None:
            self.berth.rouse()

    def _read_unless_woken(self, timeout: float | None) -> bool:
        if self._waker is None:
            self._waker = Waker()
        if self.is_woken:
            # Perhaps by one who found no waker yet.
            return True
        if not self._stream.wait_any(self._waker.fileno(), timeout):
            return False
        self._waker.reset()
        data = self._stream.recv_now()
        if data is not None:
            self.feed(data)
        return True


def _cost(event: Waiting) -> int:
    if isinstance(event, (str, bytes)):
        return len(event) + EVENT_COST
    if isinstance(event, (Message, Piece, PingEvent, PongEvent)):
        return len(event.data) + EVENT_COST
    return EVENT_COST
