"""Decode the text of messages, and refuse what is no UTF-8 (RFC 6455 8.1).

A message that came whole is decoded at once. One that comes in pieces is checked
piece by piece, so that it is refused at the very octet that shows it is bad;
both ways refuse with the same words."""

from __future__ import annotations

from codecs import utf_8_decode

from faye_sync.errors import ProtocolError


def _not_utf8(position: int, octet: int) -> ProtocolError:
    return ProtocolError(f"text is not UTF-8 from octet {position} (0x{octet:02x}) on", 1007)


def decode_text(data: bytes | bytearray) -> str:
    """Decode one whole text message. Safe from any thread. RFC 6455 5.6.

    Args:
        data: The payload, unmasked; it may be empty.

    Returns:
        The text.

    Raises:
        ProtocolError: With code 1007; data is no UTF-8, ends within a
            character, or holds a surrogate.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(error.start, data[error.start]) from None


class Utf8Check:
    """Check text that comes in pieces, cut anywhere. One thread at a time."""

    __slots__ = ("_count", "_pending")

    def __init__(self) -> None:
        self._count = 0
        # The start of a character, 3 octets at most.
        self._pending = b""

    def feed(self, piece: bytes, *, is_final: bool) -> str:
        """Check the next octets of a text. RFC 6455 8.1.

        Args:
            piece: The octets, none at all included.
            is_final: True when the text ends with them; the next piece begins
                another text.

        Returns:
            The characters that ended with them.

        Raises:
            ProtocolError: With code 1007; these octets show that the text is
                no UTF-8, whatever may follow.
        """
        octets = self._pending + piece if self._pending else piece
        try:
            # The codec keeps what may yet become a character, and refuses all else at once...
            text, used = utf_8_decode(octets, "strict", is_final)
        except UnicodeDecodeError as error:
            raise _not_utf8(self._count + error.start, octets[error.start]) from None
        self._pending = octets[used:]
        # ...but for the first two octets of a surrogate, which "surrogatepass" would take.
        if b"\xed\xa0" <= self._pending < b"\xee":
            raise _not_utf8(self._count + used, self._pending[0])
        self._count = 0 if is_final else self._count + used
        return text
