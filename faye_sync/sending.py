"""The way out: frames in order from any thread, and who may wait for the kernel.

Only a send() waits while it holds the writing lock. Pings, pongs and closes
are urgent: they are queued as commands and written by whoever holds the lock
next, between frames. A command is framed as it is taken from its queue, with
the lock held, so the sending half of the driver needs no lock of its own.
A message that is sent in parts has a turn: messages of others wait until it is
over, while urgent frames pass. Whoever held the lock looks at the queues once
more AFTER releasing it: a frame queued meanwhile would else wait for the next
send."""

from __future__ import annotations

from collections.abc import Iterable

from faye_sync import clock
from faye_sync.backlog import Command, Turn
from faye_sync.concurrency import THREADS, WAIT, Concurrency, Lock, at_most, attempts
from faye_sync.deadlines import deadline_after, seconds_left
from faye_sync.driver.base import Sending
from faye_sync.errors import ProtocolError
from faye_sync.queues import Owner, Queues
from faye_sync.transport.stream import Stream


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
        self._attempts_to_write = attempts(self.writing_lock)
        self._is_on_threads = world is THREADS
        self.queues = Queues(sending, max_queue, owner)
        # Whose turn it is; None when everybody may send messages. Guarded by the writing lock.
        self._turn: Turn | None = None if sending.is_ready else Turn(world.event(), None)
        # Octets that must leave before all else: the kernel has part of their frame.
        self._tail: bytes | memoryview = b""
        # How many of those send_nowait() had queued.
        self._backlogged = 0
        self._was_stalled = False
        # The connection is over: no message leaves any more.
        self._is_cut = False
        # When the kernel last took a part of what it had refused (clock time).
        self.progressed_at = 0.0

    @property
    def unsent(self) -> int:
        """Octets that the kernel has not accepted yet."""
        return len(self._tail) + self.queues.backlog.octets

    @property
    def is_idle(self) -> bool:
        """True when there is nothing left to write."""
        return not (self._tail or self.queues)

    @property
    def _may_write(self) -> bool:
        """True when something is left that may leave now."""
        queues = self.queues
        is_free = self._turn is None or queues.has_closed
        return bool(self._tail or queues.urgent or queues.pongs or (queues.backlog and is_free))

    def _is_clear(self) -> bool:
        """True when a message may leave and nothing is in its way."""
        if self._tail or self._turn is not None or self._is_cut or self.queues.has_closed:
            return False
        return not any(self.queues.lines)

    def new_turn(self) -> Turn:
        """Make a turn of the calling thread's, for send()."""
        return Turn(self._world.event(), self._world.current())

    def prepare(self) -> None:
        """Make what the driver has to say first the tail, before any other thread is here."""
        self._tail = self._sending.data_to_send()

    def send(
        self, commands: Iterable[Command], timeout: float | None, turn: Turn | None = None
    ) -> bool:
        """Write messages in one go, waiting for room.

        Args:
            commands: Methods of the sending half with their arguments.
            timeout: Seconds for all of it, waiting for other senders included.
            turn: The sender's, which begins with this and lasts until end_turn();
                None for whole messages.

        Returns:
            True once the kernel has all octets; False when nothing may follow
            any more, because a close frame went out or the connection is gone.

        Raises:
            TimeoutError: The deadline passed. If a frame was torn by that, the
                owner has been told; else no octet of the messages has left.
            ProtocolError: An extension failed; the owner has been told.
        """
        deadline = None
        while True:
            held = False
            try:
                for held in self._attempts_to_write:
                    break
                if not held:
                    deadline = deadline or deadline_after(timeout)
                    limit = () if deadline is None else ((at_most(seconds_left(deadline)),),)
                    (held,) = map(self.writing_lock.acquire, WAIT, *limit)
                if not held:
                    raise TimeoutError(_late(timeout, "other senders held the connection"))
                other = self._turn
                if other is None or other is turn or self._is_cut:
                    return self._send_locked(commands, deadline, timeout, turn)
            finally:
                if held:
                    self.writing_lock.release()
                if self._was_stalled or not self.is_idle:
                    self.flush()
                self._world.breathe()
            other.refuse(self._world.current())
            deadline = deadline or deadline_after(timeout)
            if not other.over.wait(seconds_left(deadline)):
                raise TimeoutError(_late(timeout, "another message is being sent in parts"))

    def send_whole(self, data: object, timeout: float | None) -> bool | None:
        """Write one message where nothing else waits, which is nearly always; else like send().

        Returns:
            None where send() has to do it.
        """
        held = False
        try:
            for held in self._attempts_to_write:
                break
            octets = self._sending.whole(data) if held and self._is_clear() else None
            if isinstance(octets, tuple):
                return self._write(octets[1], 0, None, timeout, octets[0])
            return None if octets is None else self._write(octets, 0, None, timeout)
        finally:
            if held:
                self.writing_lock.release()
            if self._was_stalled or self._tail or any(self.queues.lines):
                self.flush()
            if not self._is_on_threads:
                self._world.breathe()

    def check_turn(self, turn: Turn | None) -> None:
        """Refuse a send within one's own parts; for those who have another thread send."""
        other = self._turn
        if other is not None and other is not turn:
            other.refuse(self._world.current())

    def end_turn(self, turn: Turn) -> None:
        """Let others send messages again."""
        turn.owner = None
        if not self._world.is_home():
            self._world.post(lambda: self.end_turn(turn))
            return
        if self._turn is turn:
            self._turn = None
        turn.over.set()
        self.flush()

    def cut(self) -> None:
        """The connection is over: have those who wait for their turn find out."""
        self._is_cut = True
        if self._turn is not None:
            self._turn.over.set()

    def reply(self, octets: bytes) -> None:
        """Write what lets messages follow, and let them."""
        self.queues.urgent.append((self._sending.reply, (octets,)))
        if self._turn is not None:
            self.end_turn(self._turn)

    def send_nowait(self, command: Command, size: int) -> bool:
        """Queue one message of size octets behind the others, and write what goes."""
        if not self.queues.backlog.put(command, size, self._backlogged):
            return False
        self.flush()
        return True

    def send_frame_nowait(self, frame: bytes) -> bool:
        """Write the frame of one message where nothing else waits; else like send_nowait()."""
        held = False
        try:
            for held in self._attempts_to_write:
                break
            if held and self._is_clear():
                self._tail = frame
                self._flush_locked()
                return True
        finally:
            if held:
                self.writing_lock.release()
            if self._was_stalled or self._tail or any(self.queues.lines):
                self.flush()
        return self.send_nowait((self._sending.framed, (frame,)), len(frame))

    def ping(self, data: bytes) -> None:
        """Queue a ping before all messages, and write what goes."""
        self.queues.ping(data)
        self.flush()

    def pong(self, data: bytes) -> None:
        """Queue a pong, instead of one that has not left yet, and write what goes."""
        self.queues.pong(data)
        self.flush()

    def close(self, code: int | None, reason: str, *, after_backlog: bool) -> None:
        """Queue the close frame, before what is queued or behind it, and write what goes."""
        # Behind half a message no other one can follow, so it need not wait for any.
        self.queues.close(code, reason, after_backlog=after_backlog and self._turn is None)
        self.flush()

    def drop_backlog(self) -> None:
        """Forget the messages that wait for room."""
        self.queues.backlog.clear()

    def flush(self) -> None:
        """Write what is queued and the kernel takes. Never waits."""
        if not self._world.is_home():
            self._world.post(self.flush)
            return
        while self._may_write:
            held = went = False
            try:
                for held in self._attempts_to_write:
                    break
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
            for held in self._attempts_to_write:
                break
            return held and self.is_idle and self._stream.end_writing()
        finally:
            if held:
                self.writing_lock.release()

    def _send_locked(
        self,
        commands: Iterable[Command],
        deadline: float | None,
        timeout: float | None,
        turn: Turn | None,
    ) -> bool:
        earlier = b"" if self.is_idle else self._take_all()
        if self.queues.has_closed or self._is_cut:
            return False
        self._turn = turn
        if turn is not None:
            turn.has_begun = True  # here, for a signal handler may raise anywhere below
        try:
            for method, arguments in commands:
                method(*arguments)
        except BaseException as error:
            # One that cannot be framed takes its fellows with it, and leaves the earlier ones.
            self._drop_framed()
            if isinstance(error, ProtocolError):
                self._owner.unframed(error)
            raise
        # The tail at once: a handler may raise below, and what extensions made of it has to leave.
        self._tail = octets = earlier + self._sending.data_to_send()
        return self._write(octets, len(earlier), deadline, timeout)

    def _write(
        self,
        octets: bytes,
        earlier: int,
        deadline: float | None,
        timeout: float | None,
        head: bytes = b"",
    ) -> bool:
        """Write what send() was given, behind so many octets that were queued earlier."""
        self._backlogged = 0
        try:
            self._give(octets, head)
            if not self._tail:
                return True
            self._write_rest(deadline or deadline_after(timeout))
        except OSError as error:
            self._give_up(error)
            return False
        if self._tail:
            self._take_back(octets, len(head) + len(octets) - len(self._tail), earlier)
            raise TimeoutError(_late(timeout, "the peer took no octets"))
        return True

    def _give(self, octets: bytes | memoryview, head: bytes = b"") -> None:
        """Give the kernel what it takes; the tail is the rest, whatever is raised.

        Args:
            octets: What is to be sent.
            head: Goes before that, which is bytes then.
        """
        counts: list[int] = []
        try:
            if head:
                count = self._stream.send_both_now(head, bytes(octets), counts) - len(head)
            else:
                count = self._stream.send_now(octets, counts)
            self._tail = b"" if count == len(octets) else _rest(octets, head, count)
        except BaseException:
            # Octets that went and are given again tear the stream as much as those that are lost.
            self._tail = _rest(octets, head, sum(counts) - len(head))
            raise

    def _write_rest(self, deadline: float | None) -> None:
        """Wait for room until all went or the deadline passed."""
        while self._tail:
            if not self._stream.wait_writable(seconds_left(deadline)):
                return
            self._give(self._tail)
            self.progressed_at = clock.monotonic()

    def _take_back(self, octets: bytes, sent: int, earlier: int) -> None:
        """Undo a send that came too late, unless part of it has left."""
        if sent + self._stream.committed > earlier:
            self._owner.torn()
        else:
            self._tail = octets[sent:earlier]
            self._backlogged = len(self._tail)
            self._drop_framed()

    def _drop_framed(self) -> None:
        """Forget messages that were framed and will not leave."""
        self._sending.data_to_send()
        if self._turn is not None:
            self._turn.has_begun = False
        if not self._sending.lost():
            self._owner.torn()

    def _flush_locked(self) -> bool:
        if not self._tail:
            self._tail = self.queues.take_block(may_send=self._turn is None)
        if not self._tail:
            return True
        before = len(self._tail)
        try:
            self._give(self._tail)
        except OSError as error:
            self._give_up(error)
            return False
        self._backlogged = len(self._tail)
        if not (self._tail or self._was_stalled):
            return True
        if self._backlogged < before or not self._was_stalled:
            self.progressed_at = clock.monotonic()
        if not self._tail:
            return True
        self._was_stalled = True
        self._owner.stalled()
        return False

    def _take_all(self) -> bytes:
        """Frame everything that goes before a new message; all of that is the tail now."""
        earlier = bytes(self._tail) + self.queues.take_all(may_send=self._turn is None)
        self._tail = earlier
        self._backlogged = len(earlier)
        return earlier

    def _give_up(self, error: OSError) -> None:
        self._tail = b""
        self._was_stalled = False
        self.queues.end()
        self._owner.broken(error)


def _rest(octets: bytes | memoryview, head: bytes, count: int) -> bytes | memoryview:
    """What is left when so many octets went, of the head if it is negative."""
    return head[count:] + octets if count < 0 else memoryview(octets)[count:]


def _late(timeout: float | None, why: str) -> str:
    return f"send did not finish within its deadline of {timeout} s: {why}"
