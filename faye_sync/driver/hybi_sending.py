"""Write the frames of RFC 6455: commands in, octets for the peer out.

Each message is one frame, but for one that is given in parts; nothing of the
caller's is kept: what he may still change is copied before it is measured.
Sections 5.1 to 5.6 and 9.2."""

from __future__ import annotations

from faye_sync.driver.extension import Encoder, Message
from faye_sync.driver.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FINAL_BIT,
    MAX_CONTROL,
    OPCODE_NAMES,
    PING,
    PONG,
    TEXT,
    encode_close,
    encode_frame,
    encode_header,
    encode_text,
    join_frame,
)
from faye_sync.driver.masking import MaskPool
from faye_sync.driver.pipeline import Pipeline

# Octets of a payload that are not copied any more.
LARGE = 32768

_WHOLE_TEXT = FINAL_BIT | TEXT
_WHOLE_BINARY = FINAL_BIT | BINARY


class HybiSending:
    """The sending half of either side. One thread at a time, except for frame()."""

    __slots__ = ("_encoder", "_head", "_opcode", "_pool", "_queue", "frame_kind", "pipeline")

    is_ready = True
    has_ping = True
    has_binary = True
    has_close = True

    def __init__(self, *, masking: bool) -> None:
        """Make the half of a client, which masks, or of a server, which must not.

        Args:
            masking: True for a client (section 5.1).
        """
        self._pool = MaskPool() if masking else None
        self.frame_kind = None if masking else "hybi"
        # The extensions agreed on, set before the first message.
        self.pipeline: Pipeline | None = None
        self._queue: list[bytes] = []
        # Of the message that is given in parts: its kind, and how extensions take it.
        self._opcode = CONTINUATION
        self._head = Message(CONTINUATION, b"")
        self._encoder: Encoder | None = None

    def extend(self, pipeline: Pipeline) -> None:
        """Have extensions transform every message from now on."""
        self.pipeline = pipeline
        # What they make of a message may depend on the messages before it.
        self.frame_kind = None

    def text(self, data: str, compress: bool | None = None) -> None:
        """Queue a text message.

        Args:
            data: The text.
            compress: For the extensions: what the user asked for.

        Raises:
            TypeError: data is no str.
            ValueError: data holds a lone surrogate.
            ProtocolError: An extension failed.
        """
        payload = _text_octets(data)
        if self.pipeline is None:
            self._queue_frame(TEXT, payload)
        else:
            self._queue_packed(self.pipeline, Message(TEXT, payload, compress=compress))

    def binary(self, data: bytes | bytearray | memoryview, compress: bool | None = None) -> None:
        """Queue a binary message: of a memoryview its octets, whatever its format.

        Args:
            data: The octets.
            compress: For the extensions: what the user asked for.

        Raises:
            TypeError: data is none of the three.
            ProtocolError: An extension failed.
        """
        payload = _octets(data)
        if self.pipeline is None:
            self._queue_frame(BINARY, payload)
        else:
            self._queue_packed(self.pipeline, Message(BINARY, payload, compress=compress))

    def fragment(
        self,
        data: str | bytes | bytearray | memoryview,
        *,
        is_first: bool,
        is_final: bool,
        compress: bool | None = None,
    ) -> None:
        """Queue a part of a message; no other message may come between (section 5.4).

        Where nothing is to be sent yet, because an extension wants more, no
        frame is queued.

        Args:
            data: The part; its type must be that of the first.
            is_first: True for the first part, which says what the message is.
            is_final: True for the last part, which may be empty.
            compress: For the extensions, with the first part.

        Raises:
            TypeError: data is neither str nor octets.
            ValueError: data holds a lone surrogate.
            ProtocolError: An extension failed.
        """
        is_text = isinstance(data, str)
        payload = encode_text(data) if isinstance(data, str) else _octets(data)
        if is_first:
            self._begin(TEXT if is_text else BINARY, compress)
        if self._encoder is not None:
            payload = self._encoder.feed(payload) if payload else b""
            payload += self._encoder.finish() if is_final else b""
        if not (payload or is_final or (is_first and self._encoder is None)):
            return
        opcode, self._opcode = self._opcode, CONTINUATION
        self._queue_frame(opcode, payload, final=is_final, rsv=_bits(self._head) if opcode else 0)

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

    def lost(self) -> bool:
        """Note that the last messages were handed out, or dropped, and never left.

        Returns:
            False when an extension cannot go on after that.
        """
        return self.pipeline is None or self.pipeline.outgoing_lost()

    def reply(self, octets: bytes) -> None:
        """Queue octets as they are; hybi-13 has no such thing to say."""
        self.framed(octets)

    def framed(self, octets: bytes) -> None:
        """Queue octets that frame() made."""
        self._queue.append(octets)

    def frame(self, data: str | bytes | bytearray | memoryview) -> bytes | None:
        """Frame a message for many connections; None where each needs a frame of its own.

        A client masks every frame with a key of its own (section 5.3), and
        extensions may remember. Reads no state, so any thread may call it.

        Raises:
            TypeError: data is neither str nor octets.
            ValueError: data holds a lone surrogate.
        """
        if self.frame_kind is None:
            return None
        if isinstance(data, str):
            return encode_frame(TEXT, encode_text(data))
        return encode_frame(BINARY, _octets(data))

    def whole(self, data: object) -> bytes | tuple[bytes, bytes] | None:
        """Frame a message that leaves now, before anything else is framed.

        Returns:
            The frame, of a large one header and payload, because to join them
            costs more than a second piece. None where the message has to be
            queued: extensions want to see it, or it is of no common type.

        Raises:
            ValueError: data holds a lone surrogate.
        """
        if self.pipeline is not None:
            return None
        if isinstance(data, str):
            first, payload = _WHOLE_TEXT, encode_text(data)
        elif isinstance(data, bytes):
            first, payload = _WHOLE_BINARY, data
        else:
            return None
        if self._pool is not None:
            return join_frame(first, payload, self._pool.take())
        if len(payload) >= LARGE:
            return encode_header(first, len(payload), 0), payload
        return join_frame(first, payload, None)

    def data_to_send(self) -> bytes:
        """Hand out, once, the octets of all commands so far, in order."""
        queue = self._queue
        if len(queue) == 1:
            return queue.pop()
        octets = b"".join(queue)
        queue.clear()
        return octets

    def _begin(self, opcode: int, compress: bool | None) -> None:
        self._opcode = opcode
        self._head = Message(opcode, b"", compress=compress)
        if self.pipeline is not None:
            self._encoder = self.pipeline.outgoing_stream(self._head)

    def _queue_packed(self, pipeline: Pipeline, message: Message) -> None:
        packed = pipeline.outgoing(message)
        self._queue_frame(packed.opcode, packed.data, rsv=_bits(packed))

    def _queue_frame(
        self, opcode: int, payload: bytes, *, final: bool = True, rsv: int = 0
    ) -> None:
        key = None if self._pool is None else self._pool.take()
        self._queue.append(encode_frame(opcode, payload, final=final, rsv=rsv, mask_key=key))

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


def _bits(message: Message) -> int:
    return message.rsv1 << 2 | message.rsv2 << 1 | message.rsv3
