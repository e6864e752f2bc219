"""From what extensions packed to what the user gets: a message at once, or piece by piece.

Done by the connection's owner, as he takes the messages, so that what is small on
the wire and large in memory waits small. RFC 6455 5.6 and 8.1."""

from __future__ import annotations

from collections.abc import Iterator

from faye_sync.driver.extension import Decoder, Message
from faye_sync.driver.frames import TEXT
from faye_sync.driver.pipeline import Pipeline
from faye_sync.driver.utf8 import Utf8Check, decode_text
from faye_sync.errors import MessageTooBig


def packed_limit(max_length: int) -> int:
    """Return how many octets a message of max_length may have packed. Safe from any thread.

    What does not compress grows, by an eighth at most, with fixed Huffman codes
    (RFC 1951 3.2.6)."""
    return max_length + (max_length >> 3) + 64


class Unpacking:
    """The owner's part of a driver. One thread at a time; messages in the order they came."""

    __slots__ = ("_pipeline", "max_length", "packed_limit")

    def __init__(self, pipeline: Pipeline | None, max_length: int) -> None:
        """Make the part of one connection.

        Args:
            pipeline: The extensions agreed on; None where there are none.
            max_length: Octets that a message may have, unpacked.
        """
        self._pipeline = pipeline
        self.max_length = max_length
        self.packed_limit = packed_limit(max_length)

    def unpack(self, message: Message) -> str | bytes:
        """Unpack a whole message.

        Args:
            message: As the wire had it.

        Returns:
            What the user gets: str of text, bytes of a binary message.

        Raises:
            ProtocolError: An extension refused it, or it is text but no UTF-8.
            MessageTooBig: It has more than max_length octets.
        """
        if self._pipeline is not None:
            message = self._pipeline.incoming(message)
        data = message.data
        if len(data) > self.max_length:
            raise MessageTooBig(len(data), self.max_length)
        return decode_text(data) if message.opcode == TEXT else bytes(data)

    def pieces(self, head: Message) -> Pieces:
        """Begin to unpack a message that comes in pieces, of any size.

        Args:
            head: Its opcode and reserved bits.

        Returns:
            What takes its pieces.
        """
        decoder = None if self._pipeline is None else self._pipeline.incoming_stream(head)
        return Pieces(decoder, is_text=head.opcode == TEXT)


class Pieces:
    """Unpacks the pieces of one message. One thread at a time."""

    __slots__ = ("_decoder", "_text")

    def __init__(self, decoder: Decoder | None, *, is_text: bool) -> None:
        self._decoder = decoder
        self._text = Utf8Check() if is_text else None

    def feed(self, data: bytes, *, is_final: bool) -> Iterator[str | bytes]:
        """Unpack the next piece, bit by bit as it is asked for.

        Args:
            data: Octets as the wire had them, none at all included.
            is_final: True for the message's last piece.

        Yields:
            What there is of the message, never empty; text without half characters.

        Raises:
            ProtocolError: An extension refused it, or it is text but no UTF-8.
        """
        plain = (
            iter((data,)) if self._decoder is None else self._decoder.feed(data, is_final=is_final)
        )
        if self._text is None:
            yield from filter(None, plain)
            return
        for octets in plain:
            text = self._text.feed(octets, is_final=False)
            if text:
                yield text
        if is_final:
            self._text.feed(b"", is_final=True)
