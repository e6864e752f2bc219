"""Read the frames of RFC 6455: octets of the peer in, events out.

Messages that came whole are taken by whole_messages.py. A header or control frame
that is cut off waits as it came, 131 octets at most; the payload of a data frame
never waits: it is unmasked, checked and appended to its message's one bytearray
as it comes, so memory follows octets, never frames. Messages for extensions to
unpack are handed out as they are, and streams piece by piece. Sections 5.2 to
5.6, 7, 8.1 and 9.2."""

from __future__ import annotations

from faye_sync.driver.base import Piece, Received
from faye_sync.driver.extension import Message
from faye_sync.driver.first_octet import CONTINUED, beginnings, head_of, illegal
from faye_sync.driver.frames import (
    CLOSE,
    CONTINUATION,
    CONTROL_BIT,
    FINAL_BIT,
    MASK_BIT,
    MAX_CONTROL,
    PING,
    RESERVED_BITS,
    TEXT,
    decode_close,
    decode_length,
)
from faye_sync.driver.masking import KEY_SIZE, apply_mask, extend, mask_from
from faye_sync.driver.unpacking import packed_limit
from faye_sync.driver.utf8 import Utf8Check, decode_text
from faye_sync.driver.whole_messages import take_messages
from faye_sync.errors import MessageTooBig, ProtocolError
from faye_sync.events import (
    CloseEvent,
    ErrorEvent,
    OpenEvent,
    PingEvent,
    PongEvent,
)

# Octets that a payload gets room for before any of them came.
ROOM = 65536


class HybiReceiving:
    """The receiving half of either side. One thread at a time.

    After a close frame or a failure every further octet is ignored."""

    __slots__ = (
        "_allowed_rsv",
        "_beginnings",
        "_events",
        "_filled",
        "_head",
        "_held",
        "_is_final",
        "_is_over",
        "_is_streaming",
        "_key",
        "_mask_bit",
        "_max_length",
        "_message",
        "_offset",
        "_opcode",
        "_packed_limit",
        "_packs",
        "_packs_all",
        "_rest",
        "_utf8",
        "missing",
    )

    def __init__(self, *, require_masking: bool, max_length: int) -> None:
        """Make the half of a server or of a client.

        Args:
            require_masking: True for a server, which takes masked frames only;
                False for a client, which takes unmasked ones only (section 5.1).
            max_length: Octets that a message may have.
        """
        self._mask_bit = MASK_BIT if require_masking else 0
        self._max_length = max_length
        self._packed_limit = packed_limit(max_length)
        self._allowed_rsv = 0
        self._packs_all = False
        self._beginnings = beginnings(0)
        self._events: list[Received] = []
        self._is_over = False
        # Where the next message that does not come whole is a stream, or the one under way is.
        self._is_streaming = False
        # From the header on that was refused for its size.
        self._held = b""
        # What there is of a header or a control frame.
        self._rest = b""
        # The message that has begun: CONTINUATION when none has; whether extensions unpack it.
        self._opcode = CONTINUATION
        self._packs = False
        self._head = Message(CONTINUATION, b"")
        self._message = bytearray()
        self._utf8 = Utf8Check()
        # Its frame whose payload has not all come, if missing is above 0.
        self.missing = 0
        self._offset = 0
        self._key = b""
        self._is_final = False
        # Where the octets begin that are being received in their place.
        self._filled = 0

    def extend(self, allowed_rsv: int, *, packs_all: bool) -> None:
        """Take note of the extensions agreed on, before the first octet.

        allowed_rsv are the reserved bits that they own, RSV1 being 4: messages that
        bear one are handed out packed; where packs_all is set, all messages are."""
        self._allowed_rsv = allowed_rsv
        self._packs_all = packs_all
        self._beginnings = beginnings(allowed_rsv)

    def start(self) -> None:
        """Tell that the handshake is done: the next event is an OpenEvent."""
        self._events.append(OpenEvent())

    def events(self) -> list[Received]:
        """Hand out, once, what the octets so far amount to, in order."""
        events = self._events
        self._events = []
        return events

    def take(self, data: bytes) -> list[Received]:
        """Take octets as they came, cut anywhere, and hand out what all so far amount to."""
        position = 0
        if not (
            self._opcode or self._rest or self._is_over or self._is_streaming or self._packs_all
        ):
            # The way of nearly all: messages that came whole, and nothing else.
            position = take_messages(data, 0, self._mask_bit, self._max_length, self._events)
        if position < len(data):
            self._receive(data, position)
        events, self._events = self._events, []
        return events

    def room(self) -> memoryview:
        """Make room for some of the octets that are missing, in their place.

        As much as has come already, but not less than ROOM: what a peer only
        announces takes no memory."""
        start = len(self._message)
        extend(self._message, min(self.missing, max(ROOM, start)))
        self._filled = start
        return memoryview(self._message)[start:]

    def filled(self, count: int) -> None:
        """Take so many octets that were received into room()."""
        start, self._filled = self._filled, 0
        del self._message[start + count :]
        try:
            self._take_from(start)
        except ProtocolError as error:
            self._fail(error)

    def receive_data(self, data: bytes) -> None:
        """Take octets as they came, cut anywhere.

        Never raises for what the peer sent: a failure is an ErrorEvent whose
        error is a ProtocolError, behind every event of the octets before."""
        self._receive(data, 0)

    def _receive(self, data: bytes, position: int) -> None:
        if self._is_over:
            return
        try:
            self._take(data, position)
        except ProtocolError as error:
            self._fail(error)

    def begin_stream(self) -> None:
        """Hand out as Pieces the message that is under way, or the next, whatever its size.

        One that comes whole in one frame of one packet is handed out whole."""
        self._is_streaming = True
        if self._opcode and self._message:
            message, self._message = self._message, bytearray()
            self._add_piece(bytes(message), is_final=False)

    def resume(self) -> bool:
        """Take back the refusal of a message for its size, and hand it out as Pieces.

        Returns:
            False when that was not what ended it.
        """
        held, self._held = self._held, b""
        if not held:
            return False
        self._is_over = False
        self.begin_stream()
        self.receive_data(held)
        return True

    def forget(self) -> None:
        """Give up what was kept for resume()."""
        self._held = b""
        self._message = bytearray()

    def receive_eof(self) -> None:
        """Take note that no octet will come any more.

        Without a close frame or failure before, that is a CloseEvent with code
        1006 (section 7.1.5)."""
        if not self._is_over:
            self._end(CloseEvent(1006, "", False, "eof"))

    def _fail(self, error: ProtocolError) -> None:
        # A traceback holds the frames of the parser, and with them the octets, while a user may
        # keep the error for as long as he likes.
        error.__traceback__ = error.__context__ = None
        self._end(ErrorEvent(str(error), error))

    def _end(self, event: CloseEvent | ErrorEvent) -> None:
        self._events.append(event)
        self._is_over = True
        self._rest = b""
        if not self._held:
            self._message = bytearray()

    def _take(self, data: bytes, position: int) -> None:
        if self.missing:
            position = self._take_payload(data, 0)
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        end = len(data)
        while position < end and not self._is_over:
            if not (self._opcode or self._is_streaming or self._packs_all):
                position = take_messages(
                    data, position, self._mask_bit, self._max_length, self._events
                )
            if position < end:
                position = self._take_frame(data, position)

    def _take_frame(self, data: bytes, position: int) -> int:
        """Take a frame of any kind, or what there is of it; returns where the next begins."""
        first = data[position]
        if first not in (CONTINUED if self._opcode else self._beginnings):
            is_continued = bool(self._opcode)
            raise illegal(first, is_continued=is_continued, allowed_rsv=self._allowed_rsv)
        header = self._read_header(data, position)
        if header is None:
            return self._wait(data, position)
        length, start = header
        if not first & CONTROL_BIT:
            return self._take_data(first, data, start, length)
        if start + length > len(data):
            return self._wait(data, position)
        payload = self._unmask(data, start, start + length)
        self._take_control(first & 0x0F, payload)
        return start + length

    def _wait(self, data: bytes, position: int) -> int:
        self._rest = data[position:]
        return len(data)

    def _read_header(self, data: bytes, position: int) -> tuple[int, int] | None:
        """Length of the payload and where it begins; None while octets are missing."""
        if len(data) - position < 2:
            return None
        is_control = data[position] & CONTROL_BIT
        second = data[position + 1]
        if second & MASK_BIT != self._mask_bit:
            must = "must" if self._mask_bit else "must not"
            text = f"frame has mask bit {second >> 7}; the peer's frames {must} be masked"
            raise ProtocolError(text)
        if is_control and second & 0x7F > MAX_CONTROL:
            raise ProtocolError(f"control frame announces more than {MAX_CONTROL} octets")
        found = decode_length(data, position + 1)
        if found is None:
            return None
        length, start = found
        if not (is_control or self._is_streaming):
            self._check_size(data, position, length)
        if self._mask_bit:
            start += KEY_SIZE
        return (length, start) if start <= len(data) else None

    def _check_size(self, data: bytes, position: int, length: int) -> None:
        size = len(self._message) + length
        if size <= self._max_length:
            return
        packs = self._packs if self._opcode else self._is_packed(data[position])
        if not packs or size > self._packed_limit:
            self._held = data[position:]
            raise MessageTooBig(size, self._max_length)

    def _is_packed(self, first: int) -> bool:
        return self._packs_all or bool(first & RESERVED_BITS)

    def _unmask(self, data: bytes, start: int, stop: int) -> bytes:
        payload = data[start:stop]
        return apply_mask(payload, data[start - KEY_SIZE : start]) if self._mask_bit else payload

    def _take_control(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            code, reason = decode_close(payload)
            self._end(CloseEvent(code, reason, True, "peer"))
        else:
            self._events.append(PingEvent(payload) if opcode == PING else PongEvent(payload))

    def _take_data(self, first: int, data: bytes, start: int, length: int) -> int:
        stop = start + length
        is_final = bool(first & FINAL_BIT)
        if not self._opcode:
            self._packs = self._is_packed(first)
            if is_final and stop <= len(data):
                self._is_streaming = False
                self._deliver(first, self._unmask(data, start, stop))
                return stop
            self._opcode = first & 0x0F
            self._head = head_of(first)
        self._is_final = is_final
        self.missing = length
        self._offset = 0
        self._key = data[start - KEY_SIZE : start] if self._mask_bit else b""
        return self._take_payload(data, start)

    def _take_payload(self, data: bytes, position: int) -> int:
        start = len(self._message)
        self._message += memoryview(data)[position : position + self.missing]
        size = len(self._message) - start
        self._take_from(start)
        return position + size

    def _take_from(self, start: int) -> None:
        """Take the message's octets from start on, which have just come."""
        message = self._message
        size = len(message) - start
        if self._key:
            mask_from(message, start, self._key, self._offset)
        self.missing -= size
        self._offset += size
        is_complete = self._is_final and not self.missing
        if self._opcode == TEXT and not self._packs:
            self._utf8.feed(bytes(memoryview(message)[start:]), is_final=is_complete)
        if self._is_streaming:
            self._message = bytearray()
            self._add_piece(bytes(message), is_final=is_complete)
        if is_complete:
            self._finish_message()

    def _add_piece(self, data: bytes, *, is_final: bool) -> None:
        if data or is_final:
            self._events.append(Piece(self._head, data, is_final))

    def _finish_message(self) -> None:
        opcode, self._opcode = self._opcode, CONTINUATION
        if self._is_streaming:
            self._is_streaming = False
            return
        message, self._message = self._message, bytearray()
        if self._packs:
            self._head.data = bytes(message)
            self._events.append(self._head)
        else:
            self._deliver(opcode, message)

    def _deliver(self, first: int, payload: bytes | bytearray) -> None:
        if self._packs:
            self._events.append(head_of(first, bytes(payload)))
        elif first & TEXT:
            self._events.append(decode_text(payload))
        else:
            self._events.append(bytes(payload))
