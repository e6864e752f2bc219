"""The way out: frames in order from any thread, and who may wait for the kernel.

Only a send() waits while it holds the writing lock. Pings, pongs and closes
are urgent: they are queued as commands and written by whoever holds the lock
next, between frames. A command is framed as it is taken from its queue, with
the lock held, so the sending half of the driver needs no lock of its own.
Whoever held the lock looks at the queues once more AFTER releasing it: a frame
queued meanwhile would else wait for the next send."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from faye_sync.concurrency import NO_WAIT, WAIT, Concurrency, Lock, at_most, reentrant_lock
from faye_sync.driver.base import Sending
from faye_sync.transport.stream import Stream

Command = tuple[Callable[..., None], tuple[Any, ...]]

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


class Backlog:
    """Messages that wait for room, bounded in octets. Safe from any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: deque[tuple[Command, int]] = deque()
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
            self.octets += size
            self._entries.append((command, size))
            return True

    def put_last(self, command: Command) -> bool:
        """Append the close frame, which no limit keeps back; False when nothing waits."""
        with self._octets_lock:
            if self._entries:
                self._entries.append((command, 0))
            return bool(self._entries)

    def take(self) -> tuple[Command, int]:
        """Take the oldest; the caller knows that there is one."""
        with self._octets_lock:
            command, size = self._entries.popleft()
            self.octets -= size
            return command, size

    def clear(self) -> None:
        """Forget all."""
        with self._octets_lock:
            self._entries.clear()
            self.octets = 0


class Outgoing:
    """One connection's outgoing side. Every method is safe from any thread."""

    def __init__(
        self, stream: Stream, sending: Sending, world: Concurrency, owner: Owner, max_queue: int
    ) -> None:
        self._stream = stream
        self._sending = sending
        self._world = world
        self._owner = owner
        self.writing_lock: Lock = world.lock()
        self._urgent: deque[Command] = deque()
        # A flood of pings needs one answer: the newest.
        self._pong: deque[Command] = deque(maxlen=1)
        self._backlog = Backlog(max_queue)
        # Octets that must leave before all else: the kernel has part of their frame.
        self._tail: bytes | memoryview = b""
        # How many of those send_nowait() had queued.
        self._backlogged = 0
        self._was_stalled = False
        # Set as the close frame is framed, under the lock: nothing follows it.
        self.has_closed = False
        # When the kernel last took a part of what it had refused (clock time).
        self.progressed_at = 0.0

    @property
    def unsent(self) -> int:
        """Octets that the kernel has not accepted yet."""
        return len(self._tail) + self._backlog.octets

    @property
    def is_idle(self) -> bool:
        """True when there is nothing left to write."""
        return not (self._tail or self._urgent or self._pong or self._backlog)

    def prepare(self) -> None:
        """Make what the driver has to say first the tail, before any other thread is here."""
        self._tail = self._sending.data_to_send()

    def send(self, commands: Iterable[Command], timeout: float | None) -> bool:
        """Write messages in one go, waiting for room.

        Args:
            commands: Methods of the sending half with their arguments.
            timeout: Seconds for all of it, waiting for other senders included.

        Returns:
            True once the kernel has all octets; False when nothing may follow
            any more, because a close frame went out or the connection is gone.

        Raises:
            TimeoutError: The deadline passed. If a frame was torn by that, the
                owner has been told; else no octet of the messages has left.
        """
        deadline, held = None, False
        try:
            (held,) = map(self.writing_lock.acquire, NO_WAIT)
            if not held:
                deadline = _deadline(timeout)
                limit = () if timeout is None else ((at_most(timeout),),)
                (held,) = map(self.writing_lock.acquire, WAIT, *limit)
            if not held:
                raise TimeoutError(_late(timeout, "other senders held the connection"))
            return self._send_locked(commands, deadline, timeout)
        finally:
            if held:
                self.writing_lock.release()
            if self._was_stalled or not self.is_idle:
                self.flush()
            self._world.breathe()

    def send_nowait(self, command: Command, size: int) -> bool:
        """Queue one message of size octets behind the others, and write what goes."""
        if not self._backlog.put(command, size, self._backlogged):
            return False
        self.flush()
        return True

    def ping(self, data: bytes) -> None:
        """Queue a ping before all messages, and write what goes."""
        # To a peer that takes nothing pings may pile up; the newest are dropped then.
        if len(self._urgent) < URGENT_LIMIT:
            self._urgent.append((self._sending.ping, (data,)))
        self.flush()

    def pong(self, data: bytes) -> None:
        """Queue a pong, instead of one that has not left yet, and write what goes."""
        self._pong.append((self._sending.pong, (data,)))
        self.flush()

    def close(self, code: int | None, reason: str, *, after_backlog: bool) -> None:
        """Queue the close frame, before what is queued or behind it, and write what goes."""
        command = (self._close, (code, reason))
        if not (after_backlog and self._backlog.put_last(command)):
            self._urgent.append(command)
        self.flush()

    def drop_backlog(self) -> None:
        """Forget the messages that wait for room."""
        self._backlog.clear()

    def flush(self) -> None:
        """Write what is queued and the kernel takes. Never waits."""
        if not self._world.is_home():
            self._world.post(self.flush)
            return
        while not self.is_idle:
            held = went = False
            try:
                (held,) = map(self.writing_lock.acquire, NO_WAIT)
                went = held and self._flush_locked()
            finally:
                if held:
                    self.writing_lock.release()
            if not went:
                break
        if self._was_stalled and self.is_idle:
            self._was_stalled = False
            self._owner.drained()

    def flush_within(self, timeout: float) -> None:
        """Write what is queued and the kernel takes, waiting so long for a sender to be done."""
        if self.writing_lock.acquire(True, at_most(timeout)):
            self.writing_lock.release()
            self.flush()

    def end(self) -> bool:
        """Write what is left and end this direction; False while either needs room."""
        self.flush()
        # Under the lock, because what a sender has just taken is in no queue.
        held = False
        try:
            (held,) = map(self.writing_lock.acquire, NO_WAIT)
            return held and self.is_idle and self._stream.end_writing()
        finally:
            if held:
                self.writing_lock.release()

    def _send_locked(
        self, commands: Iterable[Command], deadline: float | None, timeout: float | None
    ) -> bool:
        earlier = b"" if self.is_idle else self._take_all()
        if self.has_closed:
            return False
        try:
            for method, arguments in commands:
                method(*arguments)
        except BaseException:
            # One that cannot be framed takes its fellows with it, and leaves the earlier ones.
            self._sending.data_to_send()
            raise
        octets = earlier + self._sending.data_to_send() if earlier else self._sending.data_to_send()
        self._tail = octets
        self._backlogged = 0
        try:
            self._give(octets)
            if not self._tail:
                return True
            self._write_rest(deadline or _deadline(timeout))
        except OSError as error:
            self._give_up(error)
            return False
        if self._tail:
            self._take_back(octets, len(octets) - len(self._tail), len(earlier))
            raise TimeoutError(_late(timeout, "the peer took no octets"))
        return True

    def _give(self, octets: bytes | memoryview) -> None:
        """Give the kernel what it takes of the tail; the tail is the rest, whatever is raised."""
        counts: list[int] = []
        try:
            count = self._stream.send_now(octets, counts)
            self._tail = memoryview(octets)[count:] if count < len(octets) else b""
        except BaseException:
            # Octets that went and are given again tear the stream as much as those that are lost.
            self._tail = memoryview(octets)[sum(counts) :]
            raise

    def _write_rest(self, deadline: float | None) -> None:
        """Wait for room until all went or the deadline passed."""
        while self._tail:
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._stream.wait_writable(remaining):
                return
            self._give(self._tail)
            self.progressed_at = time.monotonic()

    def _take_back(self, octets: bytes, sent: int, earlier: int) -> None:
        """Undo a send that came too late, unless part of it has left."""
        if sent + self._stream.committed > earlier:
            self._owner.torn()
        else:
            self._tail = octets[sent:earlier]
            self._backlogged = len(self._tail)

    def _flush_locked(self) -> bool:
        if not self._tail:
            self._tail = self._take_block()
        if not self._tail:
            return True
        before = len(self._tail)
        try:
            self._give(self._tail)
        except OSError as error:
            self._give_up(error)
            return False
        if len(self._tail) < before or not self._was_stalled:
            self.progressed_at = time.monotonic()
        self._backlogged = len(self._tail)
        if self._tail:
            self._was_stalled = True
            self._owner.stalled()
        return not self._tail

    def _take_block(self) -> bytes:
        """Frame all that is urgent, then messages up to a block."""
        self._frame_urgent()
        size = 0
        while self._backlog and not self.has_closed and size < BLOCK:
            (method, arguments), octets = self._backlog.take()
            method(*arguments)
            size += octets
        return self._sending.data_to_send()

    def _take_all(self) -> bytes:
        """Frame everything that goes before a new message; all of that is the tail now."""
        pieces = [bytes(self._tail), self._take_block()]
        while self._backlog and not self.has_closed:
            pieces.append(self._take_block())
        self._tail = earlier = b"".join(pieces)
        self._backlogged = len(earlier)
        return earlier

    def _frame_urgent(self) -> None:
        for queue in (self._pong, self._urgent):
            while queue and not self.has_closed:
                method, arguments = queue.popleft()
                method(*arguments)
        if self.has_closed:
            self._forget_queues()

    def _close(self, code: int | None, reason: str) -> None:
        self.has_closed = True
        self._sending.close(code, reason)
        self._forget_queues()

    def _forget_queues(self) -> None:
        self._urgent.clear()
        self._pong.clear()
        self._backlog.clear()

    def _give_up(self, error: OSError) -> None:
        self.has_closed = True
        self._tail = b""
        self._was_stalled = False
        self._forget_queues()
        self._owner.broken(error)


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _late(timeout: float | None, why: str) -> str:
    return f"send did not finish within its deadline of {timeout} s: {why}"
