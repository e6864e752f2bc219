"""What every protocol version offers: a receiving half and a sending half.

The halves share no mutable state, so a connection may drive each under a lock
of its own. Whoever drives them answers pings and closes: the receiving half
only tells of them, because an answer belongs to the sending half."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from faye_sync.driver.extension import Message
from faye_sync.driver.unpacking import Unpacking
from faye_sync.events import Event


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a message that is taken as a stream.

    Attributes:
        head: Opcode and reserved bits of the message; the same object in all of its pieces.
        data: Octets as the wire had them, unmasked.
        is_final: True for the last one.
    """

    head: Message
    data: bytes
    is_final: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What the sending half's reply() is to send before all else: the proof of hixie-76."""

    data: bytes


# What waits for the owner: messages, plain or not unpacked by extensions yet, and events.
Waiting = str | bytes | Event | Message | Piece
# Those of them that are a message, or a part of one.
MESSAGES = (str, bytes, Message, Piece)
# What the receiving half hands out.
Received = Waiting | Reply


class Receiving(Protocol):
    """Octets of the peer in, events out. One thread at a time."""

    # Octets that a payload still lacks; they may be received in their place, by room().
    missing: int

    def room(self) -> memoryview:
        """Make room for some of the octets that are missing; for no other use.

        Release it before filled() is called, which has to be the next call."""

    def filled(self, count: int) -> None:
        """Take so many octets that were received into room(), none at all included."""

    def receive_data(self, data: bytes) -> None:
        """Take octets as they came, cut anywhere."""

    def take(self, data: bytes) -> list[Received]:
        """Do what receive_data() and events() do, in one go."""

    def receive_eof(self) -> None:
        """Take note that no octet will come any more."""

    def events(self) -> list[Received]:
        """Hand out, once, what the octets so far amount to, in order."""

    def begin_stream(self) -> None:
        """Hand out as Pieces the message that is under way, or the next, whatever its size.

        One that comes whole may still be handed out whole."""

    def resume(self) -> bool:
        """Take back the refusal of a message for its size, and hand it out as Pieces.

        Returns:
            False when that was not what ended it.
        """

    def forget(self) -> None:
        """Give up what was kept for resume()."""


class Sending(Protocol):
    """Commands in, octets for the peer out. One thread at a time."""

    @property
    def frame_kind(self) -> str | None:
        """Halves of one kind take what frame() of another made; None where none may."""

    @property
    def is_ready(self) -> bool:
        """False while the peer has to prove itself: no message may leave before reply()."""

    @property
    def has_ping(self) -> bool:
        """Whether this version knows pings."""

    @property
    def has_binary(self) -> bool:
        """Whether this version knows binary messages."""

    @property
    def has_close(self) -> bool:
        """Whether this version knows a closing handshake."""

    def text(self, data: str, compress: bool | None = None) -> None:
        """Queue a text message; compress means something to extensions."""

    def binary(self, data: bytes | bytearray | memoryview, compress: bool | None = None) -> None:
        """Queue a binary message; compress means something to extensions."""

    def fragment(
        self,
        data: str | bytes | bytearray | memoryview,
        *,
        is_first: bool,
        is_final: bool,
        compress: bool | None = None,
    ) -> None:
        """Queue a part of a message: its first one says what it is, its last one may be empty."""

    def ping(self, data: bytes) -> None:
        """Queue a ping of at most 125 octets."""

    def pong(self, data: bytes) -> None:
        """Queue a pong of at most 125 octets."""

    def close(self, code: int | None, reason: str) -> None:
        """Queue the close frame; None for one without a code."""

    def lost(self) -> bool:
        """Note that the last messages were handed out, or dropped, and never left.

        Returns:
            False when none can follow that the peer would understand.
        """

    def reply(self, octets: bytes) -> None:
        """Queue the octets of a Reply, and let messages follow."""

    def framed(self, octets: bytes) -> None:
        """Queue octets that frame() made."""

    def frame(self, data: str | bytes | bytearray | memoryview) -> bytes | None:
        """Frame a message for every connection of this kind; None where there is no kind.

        Reads no state, so any thread may call it."""

    def whole(self, data: object) -> bytes | tuple[bytes, bytes] | None:
        """Frame a message that leaves now, a large one in two pieces.

        Returns:
            None where it has to be queued, or is none.
        """

    def data_to_send(self) -> bytes:
        """Hand out, once, the octets of all commands so far, in order."""


class Driver(Protocol):
    """One connection's protocol: the two halves, and what was agreed on."""

    @property
    def version(self) -> str:
        """hybi-13, hixie-76 or hixie-75."""

    @property
    def protocol(self) -> str:
        """The subprotocol agreed on, or an empty string."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """The names of the extensions agreed on, in order."""

    @property
    def receiving(self) -> Receiving:
        """The half that the reading lock guards."""

    @property
    def sending(self) -> Sending:
        """The half that the writing lock guards."""

    @property
    def unpacking(self) -> Unpacking:
        """What makes messages of Message and Piece; for the owner alone."""

    def start(self) -> None:
        """Queue the answer to the handshake, before any thread uses a half.

        The receiving half yields an OpenEvent once the connection is open."""

    def close_sessions(self) -> list[Exception]:
        """End what the extensions hold, after the last message; returns what they raised.

        Does nothing the second time."""


class ServerDriver(Driver, Protocol):
    """One connection of a server."""

    def add_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Have the 101 bear more headers; before start().

        Raises:
            ConfigurationError: One cannot stand in an answer.
        """
