"""Write the frames of RFC 6455: commands in, octets for the peer out.

Each message is one frame, and nothing of the caller's is kept: what he may still
change is copied before it is measured. Sections 5.1 to 5.6."""

from __future__ import annotations

from faye_sync.driver.frames import (
    BINARY,
    CLOSE,
    MAX_CONTROL,
    OPCODE_NAMES,
    PING,
    PONG,
    TEXT,
    encode_close,
    encode_frame,
    encode_text,
)
from faye_sync.driver.masking import MaskPool


class HybiSending:
    """The sending half of either side. One thread at a time, except for frame()."""

    __slots__ = ("_pool", "_queue", "frame_kind")

    def __init__(self, *, masking: bool) -> None:
        """Make the half of a client, which masks, or of a server, which must not.

        Args:
            masking: True for a client (section 5.1).
        """
        self._pool = MaskPool() if masking else None
        self.frame_kind = None if masking else "hybi"
        self._queue: list[bytes] = []

    def text(self, data: str) -> None:
        """Queue a text message.

        Raises:
            TypeError: data is no str.
            ValueError: data holds a lone surrogate.
        """
        self._queue_frame(TEXT, _text_octets(data))

    def binary(self, data: bytes | bytearray | memoryview) -> None:
        """Queue a binary message: of a memoryview its octets, whatever its format.

        Raises:
            TypeError: data is none of the three.
        """
        self._queue_frame(BINARY, _octets(data))

    def ping(self, data: bytes) -> None:
        """Queue a ping of at most 125 octets.

        Raises:
            TypeError: data is no octets.
            ValueError: data is longer.
        """
        self._queue_control(PING, _octets(data))

    def pong(self, data: bytes) -> None:
        """Queue a pong of at most 125 octets.

        Raises:
            TypeError: data is no octets.
            ValueError: data is longer.
        """
        self._queue_control(PONG, _octets(data))

    def close(self, code: int | None, reason: str) -> None:
        """Queue the close frame; None for one without a code.

        Never raises for its reason: one over 123 octets is cut (section 5.5.1)."""
        self._queue_control(CLOSE, encode_close(code, reason))

    def framed(self, octets: bytes) -> None:
        """Queue octets that frame() made."""
        self._queue.append(octets)

    def frame(self, data: str | bytes | bytearray | memoryview) -> bytes | None:
        """Frame a message for many connections; None for a client.

        A client masks every frame with a key of its own (section 5.3). Reads no
        state, so any thread may call it.

        Raises:
            TypeError: data is neither str nor octets.
            ValueError: data holds a lone surrogate.
        """
        if self._pool is not None:
            return None
        if isinstance(data, str):
            return encode_frame(TEXT, encode_text(data))
        return encode_frame(BINARY, _octets(data))

    def data_to_send(self) -> bytes:
        """Hand out, once, the octets of all commands so far, in order."""
        queue = self._queue
        if len(queue) == 1:
            return queue.pop()
        octets = b"".join(queue)
        queue.clear()
        return octets

    def _queue_frame(self, opcode: int, payload: bytes) -> None:
        key = None if self._pool is None else self._pool.take()
        self._queue.append(encode_frame(opcode, payload, mask_key=key))

    def _queue_control(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size > MAX_CONTROL:
            name = OPCODE_NAMES[opcode]
            raise ValueError(f"{name} has {size} octets; {MAX_CONTROL} are allowed")
        self._queue_frame(opcode, payload)


def _text_octets(data: str) -> bytes:
    if not isinstance(data, str):
        raise TypeError(f"text message must be a str, got {type(data).__name__}")
    return encode_text(data)


def _octets(data: bytes | bytearray | memoryview) -> bytes:
    # A bytearray may be resized by another thread between its length and its octets.
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    if isinstance(data, memoryview):
        return data.tobytes()
    allowed = "bytes, bytearray or memoryview"
    raise TypeError(f"data must be {allowed}, got {type(data).__name__}")
