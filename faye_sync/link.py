"""One connection from its handshake to its end, below the public face.

Joins what comes in, what goes out, the closing handshake and the deadlines.
Events are handed out by handout.next(), to one owner; whatever ends the
connection is acted on when the owner has been handed all that came before it, by
housekeeping where no owner comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from faye_sync.backlog import Command, Turn
from faye_sync.concurrency import THREADS, Concurrency, Event as Flag, reentrant_lock
from faye_sync.driver.base import MESSAGES, Driver
from faye_sync.driver.frames import cut_reason
from faye_sync.errors import ConnectionClosed, MessageTooBig, ProtocolError
from faye_sync.events import (
    OPEN,
    STEPS,
    CloseEvent,
    DrainEvent,
    ErrorEvent,
    Event,
    ReadyState,
)
from faye_sync.farewell import Farewell
from faye_sync.handout import Handout
from faye_sync.housekeeping import housekeeper_of
from faye_sync.liveness import Liveness
from faye_sync.receiving import Incoming
from faye_sync.sending import Outgoing
from faye_sync.sorting import Sorting
from faye_sync.terms import Terms
from faye_sync.transport.stream import Stream
from faye_sync.watching import Watch


class Link:
    """One connection. Every method is safe from any thread unless it says otherwise."""

    def __init__(
        self,
        stream: Stream,
        driver: Driver,
        world: Concurrency,
        terms: Terms,
        listens: Callable[[str], bool],
    ) -> None:
        self.stream = stream
        self.driver = driver
        self.world = world
        self.terms = terms if driver.sending.has_ping else replace(terms, ping=None)
        self._listens = listens
        self.sorting = Sorting(self, listens)
        self.incoming = Incoming(
            stream, driver.receiving, world, self.sorting.sort, terms.max_queue
        )
        self.outgoing = Outgoing(stream, driver.sending, world, self, terms.max_queue)
        self.housekeeper = housekeeper_of(world)
        self.liveness = Liveness(self, self.terms)
        self.watch = Watch(self)
        self.state = OPEN
        self.final: CloseEvent | None = None
        # In a forked child: the threads of this connection are the parent's.
        self.is_abandoned = False
        self.closed: Flag = world.event()
        self.on_end: Callable[[Link], object] = lambda link: link.incoming.wake()
        # Reentrant, because a signal handler may close what its thread is closing.
        # Guards each step towards the end together with its close frame; never held over a wait.
        self._state_lock = reentrant_lock()
        self._ours: tuple[int, str] | None = None
        self._close_cause = ""
        # The first one counts.
        self._abort_causes: list[str] = []
        # What ends the connection once everything before it was handed out.
        self._ending: Event | None = None
        # None until one came.
        self.has_owner: bool | None = None
        self.handout = Handout(self)

    # --- the life of the connection -------------------------------------------------------------

    def begin(self, early: bytes) -> None:
        """Send the driver's answer, take the octets that came early, be looked after."""
        self.outgoing.prepare()
        # First: what meets its end while it is still being set up must not be kept for ever.
        self.housekeeper.enroll(self)
        self.outgoing.flush()
        with self.incoming.reading_lock:
            self.incoming.sort_events()
            if early:
                self.incoming.feed(early)
        self.housekeeper.post(self._settle_in)

    def give_up(self) -> None:
        """End a connection whose beginning failed, for want of a thread maybe."""
        try:
            self.abort("local")
            self.disown()
        except RuntimeError:
            # Housekeeping did not start, so nobody else knows of this one.
            self.housekeeper.live.discard(self)
            self.stream.close()

    @property
    def ready_state(self) -> ReadyState:
        """As users see it: CONNECTING while the peer has to prove itself."""
        if self.state is OPEN and not self.driver.sending.is_ready:
            return ReadyState.CONNECTING
        return self.state

    def is_open(self) -> bool:
        """True while messages flow both ways."""
        return self.state is OPEN

    def is_over(self) -> bool:
        """True once there is nothing left to read for anybody."""
        return self._ending is not None or self.final is not None

    def is_ended(self) -> bool:
        """True once the connection is closed: its farewell has the descriptor now."""
        return self.final is not None

    def close(self, code: int, reason: str, cause: str = "local") -> None:
        """Begin the closing handshake; returns at once. Does nothing the second time."""
        with self._state_lock:
            if ReadyState.CLOSING not in STEPS[self.state]:
                return
            self.state = ReadyState.CLOSING
            self._ours = (code, reason)
            self._close_cause = cause
            self.incoming.is_discarding = True
            # What send_nowait() took goes first; where that cannot be, the deadline ends it.
            self.outgoing.close(code, reason, after_backlog=cause == "local")
            sending = self.driver.sending
            if not (sending.has_close and sending.is_ready):
                # There is nothing that a peer could answer.
                self._end(CloseEvent(code, reason, False, cause))
        self.housekeeper.post(self.watch.for_answer)

    def abort(self, cause: str) -> None:
        """End without a closing handshake; wakes every thread that waits."""
        if self.final is not None:
            return
        # No lock: a write that fails calls this while the state lock is held.
        self._abort_causes.append(cause)
        self.stream.shut_down()
        self.housekeeper.post(self.watch.for_input)

    # --- for the owner ----------------------------------------------------------------------------

    def discard(self) -> None:
        """Drop the messages that wait and those to come."""
        self.handout.drops_messages = True
        self.incoming.is_discarding = True
        self.housekeeper.post(self.watch.for_input)

    def leave(self) -> None:
        """Say that the owner waits elsewhere, until it calls next() again."""
        self.has_owner = False
        self.housekeeper.post(self.look_for_end)

    def disown(self) -> None:
        """Say that no owner will read any more."""
        self.incoming.is_discarding = True
        self.leave()

    def closing_error(self) -> ConnectionClosed:
        """Make the error that says how the connection ended, or is about to."""
        if self.final is None:
            code, reason = self._ours or (1006, "")
            return ConnectionClosed(code, reason, False, self._close_cause or self._why_cut())
        final = self.final
        error = ConnectionClosed(final.code, final.reason, final.was_clean, final.cause)
        if isinstance(self._ending, ErrorEvent):
            error.__cause__ = self._ending.error
        return error

    def send(
        self, commands: list[Command], timeout: float | None, turn: Turn | None = None
    ) -> bool:
        """Send messages in one go, or return False when closing."""
        return self.state is OPEN and self.outgoing.send(commands, timeout, turn)

    def send_nowait(self, command: Command, size: int) -> bool:
        """Queue one message of size octets; False when full or closing."""
        return self.state is OPEN and self.outgoing.send_nowait(command, size)

    # --- told by Sorting, with the reading lock held -------------------------------------------------

    def ends_with(self, ending: CloseEvent | ErrorEvent) -> None:
        """This is what ends the connection, once all before it was handed out."""
        self._ending = ending

    # --- told by Handout, on the owner's thread ------------------------------------------------------

    def is_ending(self, event: object) -> bool:
        """Whether this is what ends the connection once all before it was handed out."""
        return event is self._ending

    def fail_with(self, failure: ErrorEvent) -> None:
        """Let this end the connection, and not what came after it."""
        self._ending = failure
        self.handout.drops_messages = self.incoming.is_discarding = True

    def revoke(self, failure: ErrorEvent) -> bool:
        """Go on after the refusal of a message for its size; False when there is no way back."""
        with self.incoming.reading_lock, self._state_lock:
            if self.final is not None or self._ending is not failure:
                return False
            if not self.driver.receiving.resume():
                return False
            self._ending = None
            self.incoming.sort_events()
        self.housekeeper.post(lambda: self.housekeeper.heat(self))
        return True

    # --- the end -----------------------------------------------------------------------------------

    def _fail(self, error: ErrorEvent) -> None:
        code = error.error.code if isinstance(error.error, ProtocolError) else 1011
        reason = cut_reason(error.message)
        self.outgoing.close(code, reason, after_backlog=False)
        self._end(CloseEvent(code, reason, False, "protocol"))

    def _answer(self, peers: CloseEvent) -> None:
        ours = self._ours
        if ours is not None:
            self._end(CloseEvent(*ours, True, self._close_cause))
            return
        self.outgoing.close(peers.code, peers.reason, after_backlog=False)
        self._end(CloseEvent(peers.code, peers.reason, True, "peer"))

    def _why_cut(self) -> str:
        if self._close_cause in ("shutdown", "queue full"):
            # The deadline of that close is a consequence, not the cause.
            return self._close_cause
        if self._abort_causes:
            return self._abort_causes[0]
        return "reset" if self.stream.error else "eof"

    def _end(self, final: CloseEvent) -> None:
        # First of all, because whoever finds it in the inbox asks whether it is the final one.
        self.final = final
        self.state = ReadyState.CLOSED
        self.incoming.inbox.append(final)
        self.outgoing.cut()
        self.closed.set()
        self.on_end(self)
        peer_is_gone = self._ending is not None and self._is_eof(self._ending)
        # Kept, because deadlines and descriptors know it weakly, or for a moment.
        self._farewell = Farewell(self, self.terms.close_timeout)
        self.housekeeper.post(lambda: self._farewell.begin(peer_is_gone))

    def gone(self) -> None:
        """Give up the descriptor, with both locks held; on housekeeping."""
        self.housekeeper.let_go(self)
        self.incoming.close()
        self.stream.close()
        self.driver.receiving.forget()
        self.handout.end_sessions(is_left=not self.has_owner)

    # --- told by Outgoing ---------------------------------------------------------------------------

    def stalled(self) -> None:
        """Have housekeeping flush when there is room again."""
        self.housekeeper.post(self.watch.for_room)

    def drained(self) -> None:
        """Tell the drain listeners, on the owner's thread."""
        if self._listens(DrainEvent.type):
            self.incoming.inbox.append(DrainEvent())
            self.incoming.wake()

    def torn(self) -> None:
        """A frame was left unfinished: nothing can follow it."""
        self.abort("send timeout")

    def broken(self, error: OSError) -> None:
        """The kernel refused octets; what the peer sent before is still read."""
        self.stream.error = self.stream.error or error
        self.abort("reset")

    def unframed(self, error: ProtocolError) -> None:
        """An extension failed: what it would make of later messages nobody could read."""
        self.housekeeper.post(lambda: self._fail_sending(error))

    # --- run by housekeeping ------------------------------------------------------------------------

    @property
    def turn(self) -> int:
        """Counts receipts."""
        return self.incoming.turn

    def fileno(self) -> int:
        """The descriptor, -1 once it was given up."""
        return self.stream.fileno()

    def neglected(self) -> None:
        """The owner does not read: do it on its behalf."""
        self.watch.neglected()

    def say_goodbye(self) -> None:
        """The process ends."""
        self.close(1001, self.terms.goodbye, "shutdown")

    def lingers(self, overdue: float) -> bool:
        """Whether the process should go on for this, so many seconds after its time."""
        linger = self.terms.linger
        return self.is_open() and (linger is None or overdue < linger)

    def see_off(self, timeout: float) -> None:
        """Wait so long, and no longer, for whoever keeps the last frame from leaving.

        Only a thread is interrupted while it holds the lock; a greenlet that
        holds it waits for a peer that takes nothing."""
        if self.world is THREADS:
            self.outgoing.flush_within(timeout)

    def abandon(self) -> None:
        """This is a forked child: close the copy, say nothing to the peer.

        The parent's locks may be held for ever here, so none is used again."""
        self.is_abandoned = True
        self._state_lock = reentrant_lock()
        self.final = self.final or CloseEvent(1006, "", False, "eof")
        self.state = ReadyState.CLOSED
        self.incoming.berth = None
        self.stream.close()

    def read_for_owner(self) -> None:
        """Take what lies in the kernel, unless the owner is reading."""
        self.watch.read_for_owner()

    def look_for_end(self) -> None:
        """Act on the end where no owner will; one who may still answer is given time."""
        if self._ending is None:
            return
        if not self._awaits_owner(self._ending):
            self.conclude()
        elif self.terms.close_timeout is not None:
            self.housekeeper.at(self.terms.close_timeout, self.conclude, self._ending)

    def conclude(self, ending: Event | None = None) -> None:
        """Act on what ends the connection. Does nothing the second time.

        Args:
            ending: What that was some time ago; if it is no more, nothing is done.
        """
        if ending is not None and ending is not self._ending:
            return
        ending = self._ending
        with self._state_lock:
            if self.final is not None:
                return
            if isinstance(ending, ErrorEvent):
                self._fail(ending)
            elif ending is not None and self._is_eof(ending):
                self._end(CloseEvent(1006, "", False, self._why_cut()))
            elif isinstance(ending, CloseEvent):
                self._answer(ending)

    def _fail_sending(self, error: ProtocolError) -> None:
        if not self.is_open():
            return
        self.sorting.keep_if_heard(ErrorEvent(str(error), error))
        self.incoming.wake()
        self.close(error.code, cut_reason(str(error)), "protocol")

    def _settle_in(self) -> None:
        # An end that came with the request is acted on at the first tick without an owner.
        self.housekeeper.heat(self)
        self.liveness.begin()
        if not self.driver.sending.is_ready and self.terms.pong_timeout is not None:
            self.housekeeper.at(self.terms.pong_timeout, self._expect_proof)

    def _expect_proof(self) -> None:
        """End the connection of a peer that never finished its handshake."""
        if not self.driver.sending.is_ready:
            self.abort("handshake")

    def _awaits_owner(self, ending: Event) -> bool:
        """Whether an owner may still answer what came before the end.

        A failure waits even for one who is busy with a message he took; a close
        does not, because a handler that only sends has to learn of it. A message
        that is too big waits for the first to come: he may want it as a stream."""
        if self._is_eof(ending) or not self.is_open():
            return False
        if self.has_owner is None and not self.incoming.is_discarding:
            return isinstance(ending, ErrorEvent) and isinstance(ending.error, MessageTooBig)
        if not self.has_owner or isinstance(ending, ErrorEvent):
            return bool(self.has_owner)
        return any(isinstance(event, MESSAGES) for event in list(self.incoming.inbox))

    @staticmethod
    def _is_eof(ending: Event) -> bool:
        return isinstance(ending, CloseEvent) and ending.cause == "eof"
