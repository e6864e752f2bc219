"""What an extension is (RFC 6455 9): the base classes for writing one.

An Extension makes a session for each connection. The session takes part in the
handshake, then every message passes through it, in the order of the answer on
the way out and in reverse on the way in. Any object with the same attributes and
methods is as good as a subclass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

Value = bool | int | float | str
# Parameters of one offer or answer: a flag is True, a parameter that comes more than once a list.
Params = Mapping[str, "Value | list[Value]"]


@dataclass(slots=True)
class Message:
    """One message on its way through the extensions, which may change it.

    Attributes:
        opcode: 1 for text, 2 for binary.
        data: The payload in octets; of text its UTF-8.
        rsv1: The first reserved bit of its first frame; so the others.
        rsv2: The second.
        rsv3: The third.
        compress: On the way out, what send(compress=) said; None otherwise.
    """

    opcode: int
    data: bytes
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False
    compress: bool | None = None


class Decoder(Protocol):
    """Unpacks one message that comes in pieces."""

    def feed(self, piece: bytes, *, is_final: bool) -> Iterator[bytes]:
        """Unpack the next octets, bit by bit as they are asked for.

        Raises:
            ProtocolError: They cannot be unpacked.
        """


class Encoder(Protocol):
    """Packs one message that leaves in parts."""

    def feed(self, piece: bytes) -> bytes:
        """Pack a part; returns what the next fragment holds, maybe nothing yet."""

    def finish(self) -> bytes:
        """Return what the last fragment holds."""


class Session:
    """One extension on one connection; this one passes every message as it is.

    The methods for incoming and for outgoing messages may run at the same time
    on two threads, each of them on one thread at a time."""

    # True: incoming messages without a reserved bit of this extension need not pass through it.
    only_marked: ClassVar[bool] = False

    def generate_offer(self) -> Params | Sequence[Params] | None:
        """Say what a client offers.

        Returns:
            Parameters; several of them, the liked ones first; None to offer nothing.
        """
        return {}

    def activate(self, params: Params) -> bool:
        """Judge a server's answer to the offer.

        Returns:
            True to agree; anything else fails the handshake.
        """
        return not params

    def generate_response(self) -> Params:
        """Say what a server answers.

        Returns:
            The parameters agreed on.
        """
        return {}

    def process_incoming_message(self, message: Message) -> Message:
        """Undo what the peer's session did to a message.

        Raises:
            ProtocolError: It cannot be; the connection is closed with its code.
                Any other exception closes it with 1010.
        """
        return message

    def process_outgoing_message(self, message: Message) -> Message:
        """Do to a message what the peer's session is to undo."""
        return message

    def incoming_stream(self, message: Message) -> Decoder | None:  # noqa: ARG002  # for those who can
        """Begin to unpack a message without data, which comes in pieces.

        Returns:
            What unpacks it; None to have it whole, by process_incoming_message().
        """
        return None

    def outgoing_stream(self, message: Message) -> Encoder | None:  # noqa: ARG002  # likewise
        """Begin to pack a message without data, whose reserved bits are set here.

        Returns:
            What packs it; None to have it whole, by process_outgoing_message().
        """
        return None

    def outgoing_lost(self) -> bool:
        """Note that messages were processed that never left.

        Returns:
            True when the next message will be understood all the same; False
            ends the connection.
        """
        return True

    def close(self) -> None:
        """Give up what the session holds, after the last message of either way."""


# Within Extension, Session is the attribute.
_Session = Session


class Extension:
    """Base class of extensions; see docs/extensions.rst for how to write one.

    Attributes:
        name: The token that stands for it in the handshake.
        type: What it transforms; only permessage exists.
        rsv1: Whether it owns the first reserved bit of a message's first frame.
        rsv2: The second likewise.
        rsv3: The third likewise.
    """

    name: str = ""
    type: str = "permessage"
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    # The base class of sessions, for those who have imported only this one.
    Session = Session

    def create_client_session(self, options: Mapping[str, Any]) -> _Session | None:
        """Make the session of one connection that a client opens.

        Args:
            options: max_length, the octets that an incoming message may have.

        Returns:
            The session; None to take no part in this connection.
        """
        raise NotImplementedError

    def create_server_session(
        self, offers: Sequence[Params], options: Mapping[str, Any]
    ) -> _Session | None:
        """Make the session of one connection that a client asked a server for.

        Args:
            offers: The parameters of each offer, the liked ones first.
            options: max_length, the octets that an incoming message may have.

        Returns:
            The session; None to decline.
        """
        raise NotImplementedError
