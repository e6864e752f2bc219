"""What one connection's owner takes: events in the order they came, messages unpacked.

Messages wait in the inbox as the wire had them. What extensions packed is
unpacked as the owner takes it, so that a small bomb waits small; where that
fails, the failure stands in the place of the message, and ends the connection."""

from __future__ import annotations

import logging
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, overload

from faye_sync.deadlines import seconds_left
from faye_sync.driver.base import MESSAGES, Driver, Piece, Waiting
from faye_sync.driver.extension import Message
from faye_sync.driver.frames import TEXT
from faye_sync.driver.unpacking import Unpacking
from faye_sync.errors import MessageTooBig, ProtocolError
from faye_sync.events import CloseEvent, ErrorEvent, Event
from faye_sync.receiving import Incoming

logger = logging.getLogger("faye_sync")


class Owner(Protocol):
    """The connection whose events are handed out."""

    driver: Driver
    incoming: Incoming
    final: CloseEvent | None
    # Set by whoever takes; it says that he reads, until he leaves.
    has_owner: bool | None

    def fileno(self) -> int:
        """The descriptor, -1 once it was given up."""

    def is_ending(self, event: object) -> bool:
        """Whether this is what ends the connection once all before it was handed out."""

    def conclude(self) -> None:
        """Act on what ends the connection."""

    def fail_with(self, failure: ErrorEvent) -> None:
        """Let this end the connection, and not what came after it."""

    def revoke(self, failure: ErrorEvent) -> bool:
        """Go on after the refusal of a message for its size; False when there is no way back."""


class Chunks:
    """A message that is taken bit by bit. One thread at a time."""

    def __init__(self, unpacking: Unpacking, begun: str | bytes | Message | Piece) -> None:
        """Begin with what next() handed out."""
        self.is_over = True
        # A part of it was dropped, because a later message was asked for.
        self.is_left = False
        self._head: Message | None = None
        # What an empty message has for its only chunk; None once there was another.
        self._nothing: str | bytes | None = None
        self._ready: Iterator[str | bytes] = iter(())
        if isinstance(begun, str | bytes):
            self._ready = iter((begun,))
            return
        self._head = begun.head if isinstance(begun, Piece) else begun
        self._nothing = "" if self._head.opcode == TEXT else b""
        self._pieces = unpacking.pieces(self._head)
        if isinstance(begun, Piece):
            self.take(begun)
        else:
            self._ready = self._pieces.feed(begun.data, is_final=True)

    def is_of(self, piece: Piece) -> bool:
        """Tell whether a piece is one of this message."""
        return piece.head is self._head

    def take(self, piece: Piece) -> None:
        """Take the next piece, once what was ready is taken."""
        self.is_over = piece.is_final
        self._ready = self._pieces.feed(piece.data, is_final=piece.is_final)

    def next(self) -> str | bytes | None:
        """Return what is ready next; None when more has to come, or nothing will.

        Raises:
            ProtocolError: It cannot be unpacked.
        """
        chunk = next(self._ready, None)
        if chunk is None and self.is_over:
            chunk = self._nothing
        if chunk is not None:
            self._nothing = None
        return chunk

    def drop(self) -> None:
        """Forget what is ready, for a later message that is wanted instead.

        What extensions learn from it for later messages stays.

        Raises:
            ProtocolError: It cannot be unpacked.
        """
        dropped = deque(self._ready, maxlen=1)
        self.is_left = self.is_left or not self.is_over or bool(dropped)


class Handout:
    """One connection's events, for its owner alone."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        # Messages that wait are dropped too.
        self.drops_messages = False
        # The last message that was begun to be taken bit by bit.
        self._chunks: Chunks | None = None
        # Pieces of one whose stream nobody came for.
        self._gathered = bytearray()
        # The owner has had all there was.
        self._is_done = False
        # Only the first call does something: when there is no more message, or, at the latest, the
        # connection is forgotten.
        self._close_sessions: Callable[[], object] = list
        if owner.driver.extensions:
            self._close_sessions = weakref.finalize(self, close_sessions, owner.driver)

    def next_plain(self) -> str | bytes | None:
        """Wait for the next message where nothing else has to be done; the way of nearly all.

        Returns:
            The message; None where next() has to look."""
        owner, incoming = self._owner, self._owner.incoming
        owner.has_owner = True
        if incoming.is_woken or self.drops_messages or owner.final is not None:
            return None
        inbox = incoming.inbox
        if not inbox:
            incoming.read()
        if not inbox or not isinstance(message := inbox[0], (str, bytes)):
            return None
        inbox.popleft()
        return message

    @overload
    def next(
        self, deadline: float | None = None, *, wakeable: bool = False
    ) -> str | bytes | Event | None: ...

    @overload
    def next(
        self, deadline: float | None, *, wakeable: bool, chunks: Chunks | None, streams: bool
    ) -> Waiting | None: ...

    def next(
        self,
        deadline: float | None = None,
        *,
        wakeable: bool = False,
        chunks: Chunks | None = None,
        streams: bool = False,
    ) -> Waiting | None:
        """Wait for the next event until a clock time.

        Args:
            deadline: The clock time; None waits for ever.
            wakeable: Return also when Incoming.wake() is called.
            chunks: Whose next piece is wanted; they have taken it when it is returned.
            streams: Hand out messages as they came, for begin().

        Returns:
            The message or event, a CloseEvent being the last there is; None at
            the deadline, or when woken.
        """
        owner, inbox = self._owner, self._owner.incoming.inbox
        owner.has_owner = True
        while True:
            while inbox:
                event = inbox.popleft()
                if isinstance(event, (str, bytes)):
                    if self.drops_messages:
                        continue
                    return event
                taken = self._take(event, chunks, streams=streams)
                if taken is not None:
                    return taken
            if owner.final is not None:
                self._finish()
                return owner.final
            # Anew each time: a message that trickles in must not put the deadline off.
            timeout = seconds_left(deadline)
            if not owner.incoming.read(timeout, wakeable=wakeable):
                return None
            if not inbox and (owner.incoming.is_woken or timeout == 0):
                # Woken; or late, though octets go on to come that are no event.
                return None

    def begin(self, begun: str | bytes | Message | Piece) -> Chunks:
        """Take bit by bit what next(streams=True) handed out."""
        self._chunks = Chunks(self._owner.driver.unpacking, begun)
        return self._chunks

    def fail(self, error: ProtocolError) -> None:
        """Put a failure before all that came after it: the next event is its ErrorEvent."""
        # A traceback holds what was being unpacked, and a user may keep the error for long.
        error.__traceback__ = None
        failure = ErrorEvent(str(error), error)
        self._owner.fail_with(failure)
        self._owner.incoming.inbox.appendleft(failure)

    def end_sessions(self, *, is_left: bool) -> None:
        """End what extensions hold, once no message can leave or is unpacked any more.

        Called by the owner when he has had all, and by housekeeping when the
        descriptor is given up: whoever comes second does it.

        Args:
            is_left: True when there is no owner who may be unpacking just now.
        """
        if self._owner.fileno() >= 0:
            return
        inbox = self._owner.incoming.inbox
        if self._is_done or (
            is_left and not any(isinstance(event, MESSAGES) for event in list(inbox))
        ):
            self._close_sessions()

    def rest(self) -> list[Event]:
        """Take the events that listeners may still want, and leave the messages."""
        inbox = self._owner.incoming.inbox
        events: list[Event] = []
        for _ in range(len(inbox)):
            # At its new place first: whoever looks must not find it nowhere.
            if isinstance(inbox[0], MESSAGES):
                inbox.append(inbox[0])
            event = inbox.popleft()
            if not isinstance(event, MESSAGES) and not self._is_frame(event):
                events.append(event)
        return events

    def _take(self, event: Waiting, chunks: Chunks | None, *, streams: bool) -> Waiting | None:
        """Make of an event what the owner gets; None when he gets nothing of it."""
        if isinstance(event, Message | Piece):
            try:
                return self._take_message(event, chunks, streams=streams)
            except ProtocolError as error:
                self.fail(error)
                return None
        if event is self._owner.final:
            self._finish()
        if not self._owner.is_ending(event):
            return event
        if isinstance(event, ErrorEvent) and streams and self._owner.revoke(event):
            return None
        self._owner.conclude()
        return event if isinstance(event, ErrorEvent) else None

    def _finish(self) -> None:
        self._is_done = True
        self.end_sessions(is_left=False)

    def _take_message(
        self, event: Message | Piece, chunks: Chunks | None, *, streams: bool
    ) -> str | bytes | Message | Piece | None:
        if self.drops_messages:
            return None
        earlier = self._chunks
        if earlier is not None:
            if earlier is not chunks:
                earlier.drop()
            if isinstance(event, Piece) and earlier.is_of(event):
                earlier.take(event)
                return event if earlier is chunks else None
            self._chunks = None
        if isinstance(event, Message):
            return event if streams else self._owner.driver.unpacking.unpack(event)
        if not streams:
            return self._gather(event)
        # What a receive() had begun with, and gave up for want of time.
        gathered, self._gathered = bytes(self._gathered), bytearray()
        return Piece(event.head, gathered + event.data, event.is_final) if gathered else event

    def _gather(self, piece: Piece) -> str | bytes | None:
        """Join the pieces of a message that is wanted whole after all."""
        unpacking = self._owner.driver.unpacking
        self._gathered += piece.data
        if len(self._gathered) > unpacking.packed_limit:
            raise MessageTooBig(len(self._gathered), unpacking.max_length)
        if not piece.is_final:
            return None
        piece.head.data, self._gathered = bytes(self._gathered), bytearray()
        return unpacking.unpack(piece.head)

    def _is_frame(self, event: Event) -> bool:
        """Whether it is the peer's close frame, of which the final event tells."""
        return isinstance(event, CloseEvent) and self._owner.is_ending(event)


def close_sessions(driver: Driver) -> None:
    """End what extensions hold; there is nobody to tell of what they raise. Once only counts."""
    for error in driver.close_sessions():
        logger.error("an extension could not end its session", exc_info=error)
