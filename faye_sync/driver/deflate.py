"""The extension permessage-deflate: compressed messages, RFC 7692.

Which messages are compressed, and by what; deflate_terms.py holds what the two
sides agree on, deflate_codec.py how it is done. The two directions of a session
share nothing that changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from faye_sync.driver.deflate_codec import EMPTY, Deflater, Inflater
from faye_sync.driver.deflate_terms import Options, Terms, judge, offer_of, read, settle
from faye_sync.driver.engines import Engine, available, choose
from faye_sync.driver.extension import Decoder, Encoder, Extension, Message, Params, Session


@dataclass(frozen=True)
class PerMessageDeflate(Options, Extension):
    """Compress messages: permessage-deflate of RFC 7692.

    Pass one in ``extensions`` of WebSocket or Client, or the class itself for
    its defaults. One may serve any number of connections, from any thread.

    Args:
        level: How hard to compress, 0 to 9; -1 for the engine's own default,
            None for one that is fast and good. isal knows 0 to 3, of which 0
            compresses too; zlib-ng or zlib does the others.
        mem_level: Memory to use beside the window, 1 to 9.
        strategy: 0 to 4, as zlib counts; isal knows 0, zlib-ng or zlib does the
            others.
        no_context_takeover: Forget each message once it is sent: less memory
            between messages, more octets on the wire.
        max_window_bits: Of the window for what is sent, 8 to 15: 2**bits octets.
        request_no_context_takeover: Have the peer forget what it sent.
        request_max_window_bits: Have the peer use a window of so many bits, 8 to
            15; None and 15 leave it to the peer. A client refuses servers that
            do not comply; a server may ask only clients that let it.
        threshold: Octets from which on messages are compressed; what
            send(compress=) says comes first.

    Raises:
        ConfigurationError: An option is not allowed; names its value and what is.
    """

    name = "permessage-deflate"
    rsv1 = True

    @staticmethod
    def _engines() -> Sequence[Engine]:
        """Find what can do the work, the liked ones first; tests put one in its place."""
        return available()

    @property
    def engine(self) -> str:
        """Name what compresses: isal, zlib-ng or zlib. Safe from any thread."""
        return choose(self._engines(), self.level, self.strategy, self.max_window_bits).name

    def create_client_session(self, options: Mapping[str, Any]) -> ClientSession:
        """Make the session of one connection that a client opens. Safe from any thread.

        Args:
            options: max_length, the octets that an incoming message may have;
                inflating stops there.

        Returns:
            The session; it makes one offer.
        """
        return ClientSession(self, self._engines(), options["max_length"])

    def create_server_session(
        self, offers: Sequence[Params], options: Mapping[str, Any]
    ) -> ServerSession | None:
        """Make the session of one connection that a client asked a server for.

        Safe from any thread.

        Args:
            offers: The parameters of each offer, the liked ones first.
            options: As for create_client_session().

        Returns:
            The session, for the first offer without an unknown, repeated or
            illegal parameter; None without one.
        """
        for offer in map(read, offers):
            if offer is not None:
                return ServerSession(self, self._engines(), options["max_length"], offer)
        return None


class DeflateSession(Session):
    """What the sessions of both sides have in common.

    Attributes:
        terms: What both sides agreed on; None before.
    """

    # What is not marked by RSV1 is not compressed.
    only_marked = True

    terms: Terms | None = None
    _deflater: Deflater
    _inflater: Inflater

    def __init__(self, options: Options, engines: Sequence[Engine], max_length: int) -> None:
        self._options = options
        self._engines = engines
        self._max_length = max_length
        self._threshold = options.threshold

    def process_incoming_message(self, message: Message) -> Message:
        """Inflate a message that is marked as compressed.

        Raises:
            MessageTooBig: It has more octets than max_length allows.
            ProtocolError: With 1007: it is corrupt.
        """
        if message.rsv1:
            message.data = self._inflater.message(message.data, self._max_length)
        return message

    def process_outgoing_message(self, message: Message) -> Message:
        """Compress a message that is long enough, or that asks for it."""
        data, wanted = message.data, message.compress
        if wanted or (wanted is None and len(data) >= self._threshold):
            packed = self._deflater.message(data)
            # A window that is kept holds the message already, so the peer's must too.
            if len(packed) < len(data) or self._keeps:
                message.data = packed
                message.rsv1 = True
        return message

    def incoming_stream(self, message: Message) -> Decoder:
        """Begin to inflate a message of any size."""
        return _Inflating(self._inflater) if message.rsv1 else _AsItCame()

    def outgoing_stream(self, message: Message) -> Encoder:
        """Begin to compress a message of any size, unless it asks not to."""
        if message.compress is False:
            return _AsItIs()
        message.rsv1 = True
        return _Deflating(self._deflater)

    def outgoing_lost(self) -> bool:
        """Go on with an empty window: what is in ours the peer may not have."""
        self._deflater.close()
        return True

    def close(self) -> None:
        """Give the memory of both directions back."""
        if self.terms is not None:
            self._deflater.close()
            self._inflater.close()

    def _agree(self, terms: Terms) -> None:
        """Prepare both directions; their memory is asked for with the first message."""
        self.terms = terms
        self._keeps = terms.own_takeover
        options = self._options
        level, strategy, bits = options.level, options.strategy, terms.own_bits
        packs, unpacks = choose(self._engines, level, strategy, bits), self._engines[0]
        self._deflater = Deflater(
            partial(packs.compressor, level, bits, options.mem_level, strategy),
            sync=packs.module.Z_SYNC_FLUSH,
            keeps=terms.own_takeover,
        )
        self._inflater = Inflater(
            partial(unpacks.decompressor, terms.peer_bits),
            error=unpacks.module.error,
            keeps=terms.peer_takeover,
        )


class ServerSession(DeflateSession):
    """A server's part in one connection."""

    def __init__(
        self,
        options: Options,
        engines: Sequence[Engine],
        max_length: int,
        offer: Mapping[str, int],
    ) -> None:
        super().__init__(options, engines, max_length)
        terms, self._answer = settle(options, offer)
        self._agree(terms)

    def generate_response(self) -> Params:
        """Say what was agreed on."""
        return self._answer


class ClientSession(DeflateSession):
    """A client's part in one connection."""

    def generate_offer(self) -> Params:
        """Say what is wanted."""
        return offer_of(self._options)

    def activate(self, params: Params) -> bool:
        """Judge the server's answer.

        Returns:
            False when a parameter is unknown, repeated or illegal, or is not
            what was asked for.
        """
        terms = judge(self._options, params)
        if terms is None:
            return False
        self._agree(terms)
        return True


class _Inflating:
    """Inflates one message that comes in pieces."""

    __slots__ = ("_has_begun", "_inflater")

    def __init__(self, inflater: Inflater) -> None:
        self._inflater = inflater
        self._has_begun = False

    def feed(self, piece: bytes, *, is_final: bool) -> Iterator[bytes]:
        """Inflate the next octets, at most 64 KiB at a time."""
        if piece:
            self._has_begun = True
            yield from self._inflater.unpack(piece)
        if is_final and self._has_begun:
            self._inflater.end()


class _Deflating:
    """Compresses one message that leaves in parts, each of which can be read at once."""

    __slots__ = ("_deflater",)

    def __init__(self, deflater: Deflater) -> None:
        self._deflater = deflater

    def feed(self, piece: bytes) -> bytes:
        """Compress a part."""
        return self._deflater.piece(piece) if piece else b""

    def finish(self) -> bytes:
        """End the message: behind a flush that is an empty block (RFC 7692 7.2.3.6)."""
        self._deflater.end()
        return EMPTY


class _AsItCame:
    """Hands on a message that came plain."""

    __slots__ = ()

    def feed(self, piece: bytes, *, is_final: bool) -> Iterator[bytes]:  # noqa: ARG002  # a Decoder
        """Return the piece."""
        return iter((piece,) if piece else ())


class _AsItIs:
    """Sends a message plain."""

    __slots__ = ()

    def feed(self, piece: bytes) -> bytes:
        """Return the piece."""
        return piece

    def finish(self) -> bytes:
        """Return nothing."""
        return b""
