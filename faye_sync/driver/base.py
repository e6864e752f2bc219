"""What every protocol version offers: a receiving half and a sending half.

The halves share no mutable state, so a connection may drive each under a lock
of its own. Whoever drives them answers pings and closes: the receiving half
only tells of them, because an answer belongs to the sending half."""

from __future__ import annotations

from typing import Protocol

from faye_sync.events import Event


class Receiving(Protocol):
    """Octets of the peer in, events out. One thread at a time."""

    def receive_data(self, data: bytes) -> None:
        """Take octets as they came, cut anywhere."""

    def receive_eof(self) -> None:
        """Take note that no octet will come any more."""

    def events(self) -> list[Event]:
        """Hand out, once, what the octets so far amount to, in order."""


class Sending(Protocol):
    """Commands in, octets for the peer out. One thread at a time."""

    @property
    def frame_kind(self) -> str | None:
        """Halves of one kind take what frame() of another made; None where none may."""

    def text(self, data: str) -> None:
        """Queue a text message."""

    def binary(self, data: bytes | bytearray | memoryview) -> None:
        """Queue a binary message."""

    def ping(self, data: bytes) -> None:
        """Queue a ping of at most 125 octets."""

    def pong(self, data: bytes) -> None:
        """Queue a pong of at most 125 octets."""

    def close(self, code: int | None, reason: str) -> None:
        """Queue the close frame; None for one without a code."""

    def framed(self, octets: bytes) -> None:
        """Queue octets that frame() made."""

    def frame(self, data: str | bytes | bytearray | memoryview) -> bytes | None:
        """Frame a message for every connection of this kind; None where there is no kind.

        Reads no state, so any thread may call it."""

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
    def receiving(self) -> Receiving:
        """The half that the reading lock guards."""

    @property
    def sending(self) -> Sending:
        """The half that the writing lock guards."""

    def start(self) -> None:
        """Queue the answer to the handshake, before any thread uses a half.

        The receiving half yields an OpenEvent once the connection is open."""
