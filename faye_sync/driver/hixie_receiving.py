"""Read the frames of hixie-75 and hixie-76: octets of the peer in, events out.

Text stands between an octet below 0x80 and one of 0xFF; a frame that begins with
0x80 or more announces its length, and is skipped. Octets are looked at once,
however they are cut (draft-hixie-thewebsocketprotocol-76, 5.3)."""

from __future__ import annotations

from faye_sync.driver.base import Received, Reply
from faye_sync.driver.hixie_handshake import BODY_SIZE, proof_of
from faye_sync.errors import MessageTooBig, ProtocolError
from faye_sync.events import CloseEvent, ErrorEvent, OpenEvent

_END = 0xFF
_LONG = 0x80


class HixieReceiving:
    """The receiving half of a server. One thread at a time.

    After a close frame or a failure every further octet is ignored."""

    missing = 0

    def __init__(self, *, max_length: int, challenge: bytes | None = None) -> None:
        """Make the half of one draft.

        Args:
            max_length: Octets that a text may have, or a frame that is skipped.
            challenge: Of hixie-76: what its keys stand for, 8 octets; the body
                is awaited first. None for hixie-75, which has no close frame.
        """
        self._max_length = max_length
        self._challenge = challenge
        self._events: list[Received] = []
        self._is_over = False
        # What takes the next octets: returns where those begin that it leaves.
        self._take = self._take_type if challenge is None else self._take_body
        self._gathered = bytearray()
        self._length = 0
        self._may_close = False

    def start(self) -> None:
        """Tell that the handshake is done, where no body is awaited."""
        if self._challenge is None:
            self._events.append(OpenEvent())

    def events(self) -> list[Received]:
        """Hand out, once, what the octets so far amount to, in order."""
        events = self._events
        self._events = []
        return events

    def room(self) -> memoryview:
        """Make room for nothing: this version announces no lengths."""
        return memoryview(b"")

    def filled(self, count: int) -> None:
        """Take nothing."""

    def take(self, data: bytes) -> list[Received]:
        """Take octets, cut anywhere, and hand out what all so far amount to."""
        self.receive_data(data)
        return self.events()

    def receive_data(self, data: bytes) -> None:
        """Take octets as they came, cut anywhere.

        Never raises for what the peer sent: a failure is an ErrorEvent whose
        error is a ProtocolError, behind every event of the octets before."""
        position = 0
        try:
            while position < len(data) and not self._is_over:
                position = self._take(data, position)
        except ProtocolError as error:
            # A traceback holds the octets, and a user may keep the error for long.
            error.__traceback__ = None
            self._end(ErrorEvent(str(error), error))

    def receive_eof(self) -> None:
        """Take note that no octet will come any more: a CloseEvent with 1006, unless closed."""
        if not self._is_over:
            self._end(CloseEvent(1006, "", False, "eof"))

    def begin_stream(self) -> None:
        """Do nothing: the drafts hand out whole messages."""

    def resume(self) -> bool:
        """Return False: a message that was too large stays so."""
        return False

    def forget(self) -> None:
        """Give up what was read of a message."""
        self._gathered = bytearray()

    def _end(self, event: CloseEvent | ErrorEvent) -> None:
        self._events.append(event)
        self._is_over = True
        self.forget()

    def _take_body(self, data: bytes, position: int) -> int:
        stop = position + BODY_SIZE - len(self._gathered)
        self._gathered += data[position:stop]
        if len(self._gathered) == BODY_SIZE:
            body, self._gathered = bytes(self._gathered), bytearray()
            self._events += (Reply(proof_of(self._challenge or b"", body)), OpenEvent())
            self._take = self._take_type
        return stop

    def _take_type(self, data: bytes, position: int) -> int:
        first = data[position]
        self._may_close = first == _END and self._challenge is not None
        self._length = 0
        self._take = self._take_length if first & _LONG else self._take_text
        return position + 1

    def _take_text(self, data: bytes, position: int) -> int:
        end = data.find(_END, position)
        stop = len(data) if end < 0 else end
        if len(self._gathered) + stop - position > self._max_length:
            # Of the octet that is too many: what came behind it depends on how the octets are cut.
            raise MessageTooBig(self._max_length + 1, self._max_length)
        self._gathered += data[position:stop]
        if end >= 0:
            text, self._gathered = self._gathered.decode("utf-8", "replace"), bytearray()
            self._events.append(text)
            self._take = self._take_type
        return stop + 1

    def _take_length(self, data: bytes, position: int) -> int:
        octet = data[position]
        self._length = self._length << 7 | octet & 0x7F
        if self._length > self._max_length:
            raise MessageTooBig(self._length, self._max_length)
        if octet & _LONG:
            return position + 1
        if self._may_close and not self._length:
            self._end(CloseEvent(1000, "", True, "peer"))
        self._take = self._take_skipped if self._length else self._take_type
        return position + 1

    def _take_skipped(self, data: bytes, position: int) -> int:
        stop = min(len(data), position + self._length)
        self._length -= stop - position
        if not self._length:
            self._take = self._take_type
        return stop
