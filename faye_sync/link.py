"""One connection from its handshake to its end, below the public face.

Joins what comes in, what goes out, the closing handshake and the deadlines.
Events are handed out by next(), to one owner; whatever ends the connection is
acted on when the owner has been handed all that came before it, by housekeeping
where no owner comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from faye_sync.concurrency import Concurrency, Event as Flag, leaf_lock
from faye_sync.driver.base import Driver
from faye_sync.errors import ConnectionClosed, ProtocolError
from faye_sync.events import (
    CloseEvent,
    DrainEvent,
    ErrorEvent,
    Event,
    MessageEvent,
    PingEvent,
    PongEvent,
    ReadyState,
)
from faye_sync.farewell import Farewell
from faye_sync.housekeeping import housekeeper_of
from faye_sync.liveness import Liveness
from faye_sync.readiness import HANGUP, READ, WRITE
from faye_sync.receiving import Incoming
from faye_sync.sending import Command, Outgoing
from faye_sync.transport.stream import Stream

# RFC 6455 5.5: what fits beside the code in a control frame of 125 octets.
REASON_LIMIT = 123


@dataclass(frozen=True)
class Terms:
    """What a connection grants its peer: seconds, None for ever; octets."""

    ping: float | None = 20.0
    pong_timeout: float | None = 20.0
    send_timeout: float | None = 30.0
    close_timeout: float | None = 10.0
    max_queue: int = 2**24


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
        self.terms = terms
        self._listens = listens
        self.incoming = Incoming(stream, driver.receiving, world, self._sort, terms.max_queue)
        self.outgoing = Outgoing(stream, driver.sending, world, self, terms.max_queue)
        self.liveness = Liveness(self, terms.ping, terms.pong_timeout)
        self.housekeeper = housekeeper_of(world)
        self.state = ReadyState.OPEN
        self.final: CloseEvent | None = None
        self.closed: Flag = world.event()
        self.on_end: Callable[[], object] = self.incoming.wake
        # Guards state, final, _ours and the causes; never held across a wait.
        self._state_lock = leaf_lock()
        self._ours: tuple[int, str] | None = None
        self._close_cause = ""
        self._abort_cause = ""
        # What ends the connection once everything before it was handed out.
        self._ending: Event | None = None
        self._has_owner = False
        self._wants = 0
        self._watches_stall = False
        self._callbacks: deque[tuple[Event, Callable[[], object]]] = deque()

    # --- the life of the connection -------------------------------------------------------------

    def begin(self, early: bytes) -> None:
        """Send the driver's answer, take the octets that came early, be looked after."""
        self.outgoing.start()
        with self.incoming.reading_lock:
            for event in self.driver.receiving.events():
                self._sort(event)
            if early:
                self.incoming.feed(early)
        self.housekeeper.post(self._settle_in)

    def is_open(self) -> bool:
        """True while messages flow both ways."""
        return self.state is ReadyState.OPEN

    def is_over(self) -> bool:
        """True once there is nothing left to read for anybody."""
        return self._ending is not None or self.final is not None

    def close(self, code: int, reason: str, cause: str = "local") -> None:
        """Begin the closing handshake; returns at once. Does nothing the second time."""
        with self._state_lock:
            if self.state is not ReadyState.OPEN:
                return
            self.state = ReadyState.CLOSING
            self._ours = (code, reason)
            self._close_cause = cause
        self.incoming.is_discarding = True
        # What send_nowait() took is sent first; where that cannot be, the close deadline ends it.
        self.outgoing.close(code, reason, after_backlog=cause == "local")
        self.housekeeper.post(self._watch_close)

    def abort(self, cause: str) -> None:
        """End without a closing handshake; wakes every thread that waits."""
        with self._state_lock:
            if self.final is not None:
                return
            self._abort_cause = self._abort_cause or cause
        self.stream.shut_down()
        self.housekeeper.post(self._watch_input)

    # --- for the owner ----------------------------------------------------------------------------

    def next(self, timeout: float | None = None, *, wakeable: bool = False) -> Event | None:
        """Wait for the next event; for the owner alone.

        Returns:
            The event, a CloseEvent being the last there is; None at the
            timeout, or when wakeable and woken.
        """
        self._has_owner = True
        inbox = self.incoming.inbox
        while True:
            while inbox:
                event = inbox.popleft()
                if type(event) is MessageEvent:
                    return event
                if event is self._ending:
                    self._conclude()
                if event is not self._ending or isinstance(event, ErrorEvent):
                    return event
            if self.final is not None:
                return self.final
            if not self.incoming.read(timeout, wakeable=wakeable) or (wakeable and not inbox):
                return None

    def rest(self) -> list[Event]:
        """Take the events that listeners may still want, and leave the messages; for the owner."""
        inbox = self.incoming.inbox
        events = [inbox.popleft() for _ in range(len(inbox))]
        inbox.extend(event for event in events if isinstance(event, MessageEvent))
        return [event for event in events if not self._is_internal(event)]

    def discard(self) -> None:
        """Drop the messages that wait and those to come."""
        self.incoming.is_discarding = True
        self.housekeeper.post(self._watch_input)

    def disown(self) -> None:
        """Say that no owner will read any more."""
        self._has_owner = False
        self.incoming.is_discarding = True
        self.housekeeper.post(self._look_for_end)

    def callback_of(self, event: PongEvent) -> Callable[[], object] | None:
        """Take the callback of the ping that event answers; for the owner."""
        if self._callbacks and self._callbacks[0][0] is event:
            return self._callbacks.popleft()[1]
        return None

    def closing_error(self) -> ConnectionClosed:
        """Make the error that says how the connection ended, or is about to."""
        if self.final is None:
            code, reason = self._ours or (1006, "")
            return ConnectionClosed(
                code, reason, False, self._abort_cause or self._close_cause or "eof"
            )
        final = self.final
        error = ConnectionClosed(final.code, final.reason, final.was_clean, final.cause)
        if isinstance(self._ending, ErrorEvent):
            error.__cause__ = self._ending.error
        return error

    def send(self, commands: list[Command], timeout: float | None) -> bool:
        """Send messages in one go, or return False when closing."""
        return self.state is ReadyState.OPEN and self.outgoing.send(commands, timeout)

    def send_nowait(self, command: Command, size: int) -> bool:
        """Queue one message of size octets; False when full or closing."""
        return self.state is ReadyState.OPEN and self.outgoing.send_nowait(command, size)

    # --- told by Incoming, with the reading lock held ----------------------------------------------

    def _sort(self, event: Event) -> None:
        if isinstance(event, PingEvent):
            if self.final is None:
                self.outgoing.pong(event.data)
            self._keep_if_heard(event)
        elif isinstance(event, PongEvent):
            callback = self.liveness.answered(event.data)
            if callback is not None:
                self._callbacks.append((event, callback))
                self.incoming.inbox.append(event)
            else:
                self._keep_if_heard(event)
        else:
            if isinstance(event, CloseEvent | ErrorEvent):
                self._ending = event
            self.incoming.inbox.append(event)

    def _is_internal(self, event: Event) -> bool:
        """Messages are for receive(); the peer's close frame is told of by the final event."""
        is_frame = event is self._ending and isinstance(event, CloseEvent)
        return is_frame or isinstance(event, MessageEvent)

    def _keep_if_heard(self, event: Event) -> None:
        if self._listens(event.type):
            self.incoming.inbox.append(event)

    # --- the end -----------------------------------------------------------------------------------

    def _conclude(self) -> None:
        """Act on what ends the connection. Does nothing the second time."""
        ending = self._ending
        if isinstance(ending, ErrorEvent):
            code = ending.error.code if isinstance(ending.error, ProtocolError) else 1011
            reason = _cut(ending.message)
            self.outgoing.close(code, reason, after_backlog=False)
            self._end(CloseEvent(code, reason, False, "protocol"))
        elif isinstance(ending, CloseEvent) and ending.cause == "eof":
            self._end(CloseEvent(1006, "", False, self._why_cut()))
        elif isinstance(ending, CloseEvent):
            self._answer(ending)

    def _answer(self, peers: CloseEvent) -> None:
        with self._state_lock:
            ours = self._ours
            if ours is None:
                self._ours = (peers.code, peers.reason)
                self.state = ReadyState.CLOSING
        if ours is None:
            self.outgoing.close(peers.code, peers.reason, after_backlog=False)
            self._end(peers)
        else:
            self._end(CloseEvent(*ours, True, self._close_cause))

    def _why_cut(self) -> str:
        if self._close_cause in ("shutdown", "queue full"):
            # The deadline of that close is a consequence, not the cause.
            return self._close_cause
        return self._abort_cause or ("reset" if self.stream.error else "eof")

    def _end(self, final: CloseEvent) -> None:
        with self._state_lock:
            if self.final is not None:
                return
            self.incoming.inbox.append(final)
            self.final = final
            self.state = ReadyState.CLOSED
        self.closed.set()
        self.on_end()
        farewell = Farewell(self, self.terms.close_timeout)
        peer_is_gone = isinstance(self._ending, CloseEvent) and self._ending.cause == "eof"
        self.housekeeper.post(lambda: farewell.begin(peer_is_gone))

    def gone(self) -> None:
        """Give up the descriptor, with both locks held; on housekeeping."""
        self.housekeeper.let_go(self)
        self.incoming.close()
        self.stream.close()

    # --- told by Outgoing ---------------------------------------------------------------------------

    def stalled(self) -> None:
        """Have housekeeping flush when there is room again."""
        self.housekeeper.post(self._watch_room)

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

    # --- run by housekeeping ------------------------------------------------------------------------

    @property
    def turn(self) -> int:
        """Counts receipts."""
        return self.incoming.turn

    def fileno(self) -> int:
        """The descriptor, -1 once it was given up."""
        return self.stream.fileno()

    def neglected(self) -> None:
        """The owner does not read: watch for octets on its behalf."""
        if self.is_over():
            return
        if self.incoming.is_full:
            self._want(HANGUP)
            self.housekeeper.heat(self)
        else:
            self._want(READ)

    def say_goodbye(self) -> None:
        """The process ends."""
        self.close(1001, "the server is going away", "shutdown")

    def abandon(self) -> None:
        """This is a forked child: close the copy, say nothing to the peer."""
        self.final = self.final or CloseEvent(1006, "", False, "eof")
        self.state = ReadyState.CLOSED
        self.stream.close()

    def _settle_in(self) -> None:
        self.housekeeper.look_after(self)
        self.liveness.begin()
        self._look_for_end()

    def _want(self, interest: int) -> None:
        if self.final is None:
            self._wants |= interest
            self.housekeeper.arm(self.fileno(), self._wants, self._fired)

    def _fired(self, events: int) -> None:
        if self.final is not None:
            return
        wanted, self._wants = self._wants, 0
        if wanted & WRITE:
            if events & ~READ:
                self.outgoing.flush()
            else:
                self._want(WRITE)
        if wanted & (READ | HANGUP):
            if events & ~WRITE:
                self._read_for_owner()
            else:
                self._want(wanted & ~WRITE)

    def _read_for_owner(self) -> None:
        if self.is_over():
            return
        if not self.incoming.read_now():
            self.housekeeper.heat(self)
            return
        self._look_for_end()
        self.neglected()

    def _look_for_end(self) -> None:
        """Act on the end where no owner will; one that has messages before it gets time."""
        ending = self._ending
        if ending is None:
            return
        is_eof = isinstance(ending, CloseEvent) and ending.cause == "eof"
        inbox = self.incoming.inbox
        may_answer = self._has_owner and self.is_open() and inbox and inbox[0] is not ending
        if is_eof or not may_answer:
            self._conclude()
        elif self.terms.close_timeout is not None:
            self.housekeeper.at(self.terms.close_timeout, self._conclude)

    def _watch_input(self) -> None:
        if not self.is_over():
            self._want(READ)

    def _watch_close(self) -> None:
        self._watch_input()
        if self.terms.close_timeout is not None:
            self.housekeeper.at(self.terms.close_timeout, lambda: self.abort("close timeout"))

    def _watch_room(self) -> None:
        self._want(WRITE)
        if not self._watches_stall:
            self._watches_stall = True
            self._expect_progress()

    def _expect_progress(self) -> None:
        progress = self.outgoing.progress
        if self.terms.send_timeout is not None:
            self.housekeeper.at(self.terms.send_timeout, lambda: self._check_progress(progress))

    def _check_progress(self, progress: int) -> None:
        if self.outgoing.is_idle or self.final is not None:
            self._watches_stall = False
        elif self.outgoing.progress != progress:
            self._expect_progress()
        else:
            self.abort("send timeout")


def _cut(text: str) -> str:
    return text.encode()[:REASON_LIMIT].decode(errors="ignore")
