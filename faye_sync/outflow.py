"""From an outbox to a client's socket that the library owns.

Whoever sends writes what the kernel takes, and never waits; housekeeping does
the rest: the head that the server wrote, room, pings, deadlines, and seeing the
client leave. No thread belongs to a stream."""

from __future__ import annotations

from typing import Protocol

from faye_sync import clock
from faye_sync.concurrency import leaf_lock, reentrant_lock
from faye_sync.farewell import Farewell
from faye_sync.housekeeping import housekeeper_of
from faye_sync.outbox import Outbox
from faye_sync.readiness import READ, WRITE
from faye_sync.sse import PING, is_event_stream
from faye_sync.transport.hijack import DRAIN_LIMIT, Taken
from faye_sync.transport.overhearing import Overheard

# Octets that a client may send behind its request; they are read and dropped.
DROPPED_LIMIT = 65536


class Told(Protocol):
    """The stream's owner, told on whatever thread it happens; it must not wait."""

    def opened(self) -> None:
        """The head is on its way."""

    def drained(self, *, was_full: bool = False) -> None:
        """Everything is with the kernel; was_full where it had to wait for that."""

    def ended(self, cause: str) -> None:
        """Nothing more goes out; told once."""

    def abandoned(self) -> None:
        """This is a forked child, where the stream is not to be used."""


class SocketOutflow:
    """One stream on a socket. Every method is safe from any thread unless it says otherwise."""

    # Of what housekeeping keeps: nobody reads for a stream, so none is ever hot.
    turn = 0

    def __init__(
        self,
        taken: Taken,
        outbox: Outbox,
        told: Told,
        ping: float | None,
        send_timeout: float | None,
    ) -> None:
        self.stream = taken.stream
        self.world = taken.world
        self.housekeeper = housekeeper_of(taken.world)
        self._far_end = taken.far_end
        self._overheard: Overheard | None = Overheard(taken.far_end)
        self._outbox = outbox
        self._told = told
        self._ping = ping
        self._send_timeout = send_timeout
        # Held by whoever writes; only ever tried. A leaf: writing never waits.
        self.writing_lock = leaf_lock()
        # The farewell's, for whom reading is housekeeping's.
        self.reading_lock = leaf_lock()
        self._tail = memoryview(b"")
        self._written_at = clock.monotonic()
        self._is_begun = False
        # Set under the writing lock, and taken back by housekeeping when there is room.
        self._expects_room = False
        self._was_full = False
        self._has_deadline = False
        self._is_relaying = False
        # Guards the step to the end, which is told once.
        self._end_lock = reentrant_lock()
        self._ending = ""
        self._is_cut = False
        self._is_leaving = False
        self._dropped = 0
        self._farewell = Farewell(self, send_timeout)

    @property
    def incoming(self) -> SocketOutflow:
        """What the farewell takes for the way in."""
        return self

    @property
    def outgoing(self) -> SocketOutflow:
        """What the farewell takes for the way out."""
        return self

    def begin(self) -> None:
        """Be looked after, and write from when the server has written its head.

        Raises:
            RuntimeError: The housekeeping thread could not be started.
        """
        self.housekeeper.enroll(self)
        try:
            self.housekeeper.post(self._listen)
        except RuntimeError:
            self.housekeeper.live.discard(self)
            self.stream.close()
            self._far_end.close()
            raise

    def wake(self) -> None:
        """Write what the kernel takes of the outbox; returns at once."""
        # What is queued while the lock is held is seen by whoever lets it go.
        while (
            self._has_work()
            and self._is_begun
            and not self._expects_room
            and self.writing_lock.acquire(False)
        ):
            try:
                self._write()
            except OSError:
                self.cut("reset")
                return
            finally:
                self.writing_lock.release()

    def close(self, cause: str = "local") -> None:
        """End the stream behind what is queued; returns at once."""
        with self._end_lock:
            if self._ending:
                return
            self._ending = cause
        if self._is_begun:
            self.wake()
            self.housekeeper.post(self._leave_when_idle)

    def cut(self, cause: str) -> None:
        """End the stream now, whatever is queued."""
        with self._end_lock:
            if self._is_cut or self._is_leaving:
                return
            self._is_cut = True
            self._ending = cause
        self._outbox.clear()
        self.stream.shut_down()
        self.housekeeper.post(self._leave)

    # --- writing ----------------------------------------------------------------------------------

    def _has_work(self) -> bool:
        return bool(self._tail or self._outbox.octets)

    def _write(self) -> None:
        """Write what the kernel takes, with the lock held."""
        while self._tail or self._outbox.octets:
            if not self._tail:
                self._tail = memoryview(self._outbox.take())
            sent = self.stream.send_now(self._tail)
            if not sent:
                self._expects_room = self._was_full = True
                self.housekeeper.post(self._await_room)
                return
            self._tail = self._tail[sent:]
            self._written_at = clock.monotonic()
        was_full, self._was_full = self._was_full, False
        self._told.drained(was_full=was_full)
        if self._ending:
            self.housekeeper.post(self._leave_when_idle)

    def end(self) -> bool:
        """End the connection's way out; False while it needs room. For the farewell."""
        self.wake()
        if not self.writing_lock.acquire(False):
            return False
        try:
            return not self._has_work() and self.stream.end_writing()
        finally:
            self.writing_lock.release()

    # --- on housekeeping: the beginning -----------------------------------------------------------

    def _listen(self, _: int = 0) -> None:
        """Take what the server writes until it drops its end."""
        overheard = self._overheard
        if overheard is None:
            return
        overheard.listen()
        if not self._is_begun and not self._is_leaving:
            if overheard.status is not None:
                self._begin_with(overheard)
            elif overheard.is_over:
                # Not even a head: the server met an error of its own, and has logged it.
                self.cut("handshake")
        if self._is_begun or self._is_leaving:
            self._relay(overheard.whole())
        if not overheard.is_over:
            self.housekeeper.arm(self._far_end.fileno(), READ, self._listen)
            return
        self._overheard = None
        self.housekeeper.forget(self._far_end.fileno())
        self._far_end.close()
        if self._is_relaying:
            self.close("handshake")

    def _begin_with(self, overheard: Overheard) -> None:
        self._written_at = clock.monotonic()
        content_type = overheard.headers.get("Content-Type", "")
        if overheard.status == 200 and is_event_stream(content_type):
            self._tail = memoryview(overheard.head())
            self._told.opened()
            if self._ping is not None:
                self.housekeeper.at(self._ping, self._keep_alive)
        else:
            # A middleware has another answer, which goes to the client as it is, and alone.
            self._is_relaying = True
            # Its own, for a sender may still be at the other.
            self._outbox = Outbox(DRAIN_LIMIT)
            self._told.ended("handshake")
        self._is_begun = True
        self.wake()
        self._watch_client()
        if self._ending:
            self._leave_when_idle()

    def _relay(self, octets: bytes) -> None:
        """Send on what the server wrote, where that is the answer."""
        if not self._is_relaying or self._is_leaving or not octets:
            return
        if self._outbox.put(octets):
            self.wake()
        else:
            self.cut("queue full")

    # --- on housekeeping: the client --------------------------------------------------------------

    def _watch_client(self, events: int = READ) -> None:
        """See whether the client has left; what it sends is dropped."""
        if self._is_leaving:
            return
        data = self.stream.recv_now() if events & ~WRITE else None
        while data:
            self._dropped += len(data)
            if self._dropped > DROPPED_LIMIT:
                self.cut("protocol")
                return
            data = self.stream.recv_now()
        if data is not None:
            self.cut("eof" if self.stream.error is None else "reset")
        else:
            self._arm()

    def _await_room(self) -> None:
        if self._is_leaving:
            return
        if not self._has_deadline:
            self._has_deadline = True
            self._expect_progress()
        self._arm()

    def _arm(self) -> None:
        interest = READ | WRITE if self._expects_room else READ
        self.housekeeper.arm(self.stream.fileno(), interest, self._ready)

    def _ready(self, events: int) -> None:
        if events & WRITE and self._expects_room:
            self._expects_room = False
            self.wake()
        self._watch_client(events)

    def _keep_alive(self) -> None:
        if self._ping is None or self._ending:
            return
        rest = self._written_at + self._ping - clock.monotonic()
        if rest <= 0:
            if not self._has_work():
                self._outbox.put(PING)
                self.wake()
            rest = self._ping
        self.housekeeper.at(rest, self._keep_alive)

    def _expect_progress(self) -> None:
        """Cut a client that takes nothing for as long as send_timeout."""
        if self._send_timeout is None or self._is_leaving or not self._has_work():
            self._has_deadline = False
            return
        rest = self._written_at + self._send_timeout - clock.monotonic()
        if rest <= 0:
            self.cut("send timeout")
        else:
            self.housekeeper.at(rest, self._expect_progress)

    # --- on housekeeping: the end -----------------------------------------------------------------

    def _leave_when_idle(self) -> None:
        if self._is_begun and not self._has_work():
            self._leave()

    def _leave(self) -> None:
        with self._end_lock:
            if self._is_leaving:
                return
            self._is_leaving = True
        self._told.ended(self._ending)
        self._farewell.begin(self._is_cut)

    def gone(self) -> None:
        """Give up the descriptor, with both locks held; for the farewell."""
        self.housekeeper.let_go(self)
        self.stream.close()

    # --- for housekeeping, as of all that it keeps ------------------------------------------------

    def fileno(self) -> int:
        """The client's descriptor."""
        return self.stream.fileno()

    def neglected(self) -> None:
        """Nothing to do: a stream is never hot."""

    def say_goodbye(self) -> None:
        """The process ends: end the stream, whose client comes again and resumes."""
        self.close("shutdown")

    def lingers(self, overdue: float) -> bool:  # noqa: ARG002  # its client resumes elsewhere
        """No process goes on for a stream."""
        return False

    def see_off(self, timeout: float) -> None:  # noqa: ARG002  # nobody keeps the lock for long
        """Write what the kernel takes, for the last time."""
        self.wake()

    def abandon(self) -> None:
        """This is a forked child: close the copies, say nothing to the client."""
        self._end_lock = reentrant_lock()
        self._ending, self._is_leaving = "eof", True
        self.stream.close()
        self._told.abandoned()
