"""Pack and unpack the messages of one direction, as RFC 7692 7.2 lays them out.

A message is DEFLATE blocks, flushed to a whole octet by an empty stored block
whose last four octets are not sent. Codecs are made at the first message that
needs them; without context takeover they go with each message."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from faye_sync.errors import MessageTooBig, ProtocolError

# Octets that are unpacked at a time, and taken in at a time: what did not fit is copied for the
# next time, so a bomb taken in as a whole would be copied once for every 64 KiB that it becomes.
_CHUNK = 2**16
_SLICE = 2**14
# Pieces below this are put together: a million pieces of one octet take 40 MB.
_SMALL = 2**10

EMPTY = b"\0"
_TAIL = b"\0\0\xff\xff"
# No engine tells whether a block is still open behind the tail. Eight empty blocks more are nothing
# to a window, but an open block reads them as data or breaks on them: of all places to cut a
# message short 95 in 100 show at once, the others when the next message comes.
_TAIL_AND_PROBE = _TAIL + 8 * (b"\0" + _TAIL)
# Where the window goes with the message, a final block shows them all.
_TAIL_AND_END = _TAIL + b"\1" + _TAIL


class Deflater:
    """Packs one direction. One thread at a time."""

    __slots__ = ("_compressor", "_keeps", "_make", "_sync")

    def __init__(self, make: Callable[[], Any], *, sync: int, keeps: bool) -> None:
        """Take note of how to pack; the engine's memory is not asked for yet.

        Args:
            make: Makes a compressobj of the engine.
            sync: The engine's Z_SYNC_FLUSH.
            keeps: True to keep the window for the next message: context takeover.
        """
        self._make = make
        self._sync = sync
        self._keeps = keeps
        self._compressor: Any = None

    def message(self, data: bytes) -> bytes:
        """Pack a whole message.

        Args:
            data: Its octets, none at all included.

        Returns:
            What stands in its frames.
        """
        if not data:
            # RFC 7692 7.2.3.6. zlib would flush nothing: it does so once only without data between.
            return EMPTY
        packed = self.piece(data)
        self.end()
        return packed[:-4]

    def piece(self, data: bytes) -> bytes:
        """Pack a part of a message so that the peer can read all of it at once.

        Args:
            data: At least one octet.

        Returns:
            What stands in a frame that is not the last; behind it EMPTY ends the message.
        """
        compressor = self._compressor
        if compressor is None:
            compressor = self._compressor = self._make()
        begun: bytes = compressor.compress(data)
        rest: bytes = compressor.flush(self._sync)
        return begun + rest

    def end(self) -> None:
        """Take note that the message is over."""
        if not self._keeps:
            self._compressor = None

    def close(self) -> None:
        """Give the engine's memory back."""
        self._compressor = None


class Inflater:
    """Unpacks one direction. One thread at a time; of no use after it raised."""

    __slots__ = ("_decompressor", "_error", "_keeps", "_make", "_tail")

    def __init__(self, make: Callable[[], Any], *, error: type[Exception], keeps: bool) -> None:
        """Take note of how to unpack; the engine's memory is not asked for yet.

        Args:
            make: Makes a decompressobj of the engine.
            error: What the engine raises.
            keeps: True when the peer keeps its window for its next message.
        """
        self._make = make
        self._error = error
        self._keeps = keeps
        self._tail = _TAIL_AND_PROBE if keeps else _TAIL_AND_END
        self._decompressor: Any = None

    def message(self, data: bytes, limit: int) -> bytes:
        """Unpack a whole message.

        Args:
            data: What stood in its frames, joined.
            limit: Octets that it may have when unpacked.

        Returns:
            The message.

        Raises:
            MessageTooBig: It has more; the first octet too many was the last that was unpacked.
            ProtocolError: With 1007: it is no DEFLATE, or ends within a block.
        """
        if not data:
            # Not what 7.2.3.6 says, but what zlib makes of an empty message: see Deflater.
            return b""
        plain, rest = self._step(data[:_SLICE], min(limit + 1, _CHUNK))
        if rest is not None or len(data) > _SLICE or len(plain) > limit:
            plain = b"".join(_grouped(self._go_on(plain, rest, data, limit)))
        self.end()
        return plain

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """Unpack a part of a message of any size, bit by bit as it is asked for.

        Args:
            data: At least one octet of its frames, cut anywhere.

        Yields:
            At most 64 KiB at a time, never nothing.

        Raises:
            ProtocolError: With 1007: it is no DEFLATE.
        """
        plain, rest = self._step(data[:_SLICE], _CHUNK)
        yield from filter(None, self._go_on(plain, rest, data, sys.maxsize))

    def end(self) -> None:
        """Take note that the message is over: one that had at least one octet.

        Raises:
            ProtocolError: With 1007: it ends within a block.
        """
        decompressor = self._decompressor
        if decompressor is None:
            # It ended with a final block, behind which nothing is open (RFC 7692 7.2.3.4).
            return
        try:
            more = decompressor.decompress(self._tail, 1)
        except self._error as error:
            raise ProtocolError(f"compressed message ends within a block: {error}", 1007) from None
        if more or decompressor.eof is self._keeps:
            raise ProtocolError("compressed message ends within a block", 1007)
        if not self._keeps:
            self._decompressor = None

    def close(self) -> None:
        """Give the engine's memory back."""
        self._decompressor = None

    def _step(self, data: bytes, room: int) -> tuple[bytes, bytes | None]:
        """Unpack room octets at most; with what is left of data, None once all of it was read."""
        decompressor = self._decompressor
        if decompressor is None:
            decompressor = self._decompressor = self._make()
        try:
            plain = decompressor.decompress(data, room)
        except self._error as error:
            raise ProtocolError(f"compressed message is corrupt: {error}", 1007) from None
        if decompressor.eof:
            # Behind a final block the next octet begins anew, with an empty window.
            self._decompressor = None
            return plain, decompressor.unused_data or None
        # An engine may have read all of data and still hold back what there was no room for.
        return plain, decompressor.unconsumed_tail if len(plain) == room else None

    def _go_on(self, plain: bytes, rest: bytes | None, data: bytes, limit: int) -> Iterator[bytes]:
        """Unpack all of data: its first step is done, and gave plain and rest."""
        size = start = 0
        while True:
            size += len(plain)
            if size > limit:
                raise MessageTooBig(size, limit)
            yield plain
            if rest is None:
                start += _SLICE
                if start >= len(data):
                    return
                rest = data[start : start + _SLICE]
            plain, rest = self._step(rest, min(limit + 1 - size, _CHUNK))


def _grouped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Put small pieces together, in order."""
    held = bytearray()
    for piece in pieces:
        if not held and len(piece) >= _SMALL:
            yield piece
            continue
        held += piece
        if len(held) >= _SMALL:
            yield bytes(held)
            held.clear()
    yield bytes(held)
