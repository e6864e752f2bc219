"""text/event-stream: events to octets and back, pure (WHATWG HTML, section 9.2).

What encode() makes, EventParser gives back as it was, but for the ends of lines
in data, which become LF: all that the format can carry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from faye_sync.errors import EventSourceError
from faye_sync.events import ServerSentEvent

CONTENT_TYPE = "text/event-stream"

# A comment, which no client shows; the blank line has a client that reads by events see it at once.
PING = b":\n\n"

# As a number it is looked for five times as fast.
_CR = 13
_BOM = b"\xef\xbb\xbf"

# The only ends of lines there are: str.splitlines() knows seven more.
_LINE_END = re.compile(r"\r\n|\r|\n")
_NOT_IN_FIELD = re.compile(r"[\r\n\0]")

# Milliseconds with more digits than that are 30,000 years, and int() refuses 4,301 of them.
_MOST_DIGITS = 15

# A million in a second: the class's own constructor takes twice as long.
_Event = ServerSentEvent
_new = tuple.__new__


def is_event_stream(content_type: str) -> bool:
    """Tell whether a Content-Type is that of an event stream, parameters aside.

    Safe from any thread."""
    return content_type.partition(";")[0].strip(" \t").lower() == CONTENT_TYPE


def encode(
    data: str | float | None,
    event: str | None = None,
    id: str | int | None = None,  # the field's own name
    retry: float | None = None,
) -> bytes:
    """Encode one event. Safe from any thread.

    Args:
        data: Text, or a number; all ends of lines in it become LF. None for a
            block that is no event, with an id or a retry only.
        event: Its name; None for message.
        id: What a client resumes after; an empty one resets the client's, None
            leaves it.
        retry: Seconds that a client is to wait before it reconnects, 0 or more.

    Returns:
        The block with its blank line.

    Raises:
        TypeError: data is anything else, or another argument is.
        ValueError: event or id has CR, LF or NUL, or a text has a lone
            surrogate, none of which can be carried; or retry is out of range.
    """
    lines = []
    if event is not None:
        lines.append(f"event: {_field('event', event)}")
    if id is not None:
        lines.append(f"id: {_field('id', str(id) if _is_int(id) else id)}")
    if retry is not None:
        lines.append(f"retry: {_milliseconds(retry)}")
    if data is not None:
        text = _text(data)
        parts = _LINE_END.split(text) if "\n" in text or "\r" in text else (text,)
        lines += [f"data: {part}" for part in parts]
    try:
        return "\n".join((*lines, "", "")).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"an event cannot carry the lone surrogate {error.object[error.start]!a}: it has no UTF-8"
        ) from error


class EventParser:
    """Takes a stream apart as it comes, in pieces cut anywhere. For one thread.

    Attributes:
        last_event_id: What to resume after: the id of the last whole block.
        taken_id: The same, as far as the events of parse() were taken.
        has_given: Whether there was an event.
        failure: Set by an event over max_event_size; nothing is parsed behind it.
        is_stopped: Set by any thread to have parse() end behind the event that it is at.
    """

    def __init__(self, last_event_id: str = "", *, max_event_size: int = 2**26) -> None:
        self.last_event_id = last_event_id
        self.taken_id = last_event_id
        self.has_given = False
        self.failure: EventSourceError | None = None
        self.is_stopped = False
        self._limit = max_event_size
        self._retry: float | None = None
        # What may be the beginning of a BOM; None once the stream has begun.
        self._beginning: bytes | None = b""
        self._is_after_cr = False
        # Whether nothing of the above is under way, nor a block.
        self._is_between = False
        # Of the block whose blank line has not come, never empty ones; and how many octets they are.
        self._pieces: list[bytes] = []
        self._held = 0

    @property
    def retry(self) -> float | None:
        """Seconds to wait before reconnecting, as the stream said last; None before it did."""
        if self._pieces:
            # A line counts when it ends, not only with its block.
            whole, _, _ = b"".join(self._pieces).rpartition(b"\n")
            for line in whole.split(b"\n"):
                if line.startswith(b"retry:"):
                    self._take_retry(str(line[6:], "utf-8", "replace").removeprefix(" "))
        return self._retry

    def parse(self, chunks: Iterable[bytes]) -> Iterator[ServerSentEvent]:
        """Take all chunks of a stream, each when the events of the one before are done with.

        Args:
            chunks: As for feed().

        Yields:
            The events, each as soon as its blank line has come.

        Raises:
            EventSourceError: An event exceeds max_event_size.
        """
        for chunk in chunks:
            if _CR in chunk or self._is_after_cr:
                chunk = self._end_lines_by_lf(chunk)  # noqa: PLW2901  # the same, ended by LF
            if self._is_between and chunk[-2:] == b"\n\n" and len(chunk) <= self._limit:
                text = chunk[:-2].decode("utf-8", "replace")
                if "\n\n" not in text:
                    # One event, as most servers send them.
                    event = self._event(text)
                    if event is not None:
                        self.taken_id = event[2]
                        self.has_given = True
                        yield event
                        if self.is_stopped:
                            return
                    continue
                events = self._events(text)
            else:
                events = self._feed_cut(chunk)
            self.has_given = self.has_given or bool(events)
            for event in events:
                self.taken_id = event[2]
                yield event
                if self.is_stopped:
                    return
            self.taken_id = self.last_event_id
            if self.failure is not None:
                raise self.failure

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take octets.

        Args:
            chunk: The next of the stream. Its end needs no call: a block that is
                not whole is dropped.

        Returns:
            The events whose blank line has come.
        """
        if _CR in chunk or self._is_after_cr:
            chunk = self._end_lines_by_lf(chunk)
        return self._feed_cut(chunk)

    # --- octets to blocks -------------------------------------------------------------------------

    def _end_lines_by_lf(self, chunk: bytes) -> bytes:
        """A CR ends its line at once; an LF that comes right behind it ends none."""
        if not chunk:
            return chunk
        is_after_cr, self._is_after_cr = self._is_after_cr, chunk.endswith(b"\r")
        if is_after_cr:
            chunk = chunk.removeprefix(b"\n")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _feed_cut(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take octets that are cut anywhere, and whose lines end with LF alone."""
        if self._beginning is not None:
            chunk = self._begin(chunk)
        if self._held + len(chunk) > self._limit:
            events = self._feed_bounded(chunk)
        else:
            events = self._take(chunk)
        self._is_between = not self._pieces and self._beginning is None
        return events

    def _begin(self, chunk: bytes) -> bytes:
        """Leave out one BOM, of which the first octet may come alone."""
        chunk = (self._beginning or b"") + chunk
        if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
            self._beginning = chunk
            return b""
        self._beginning = None
        return chunk.removeprefix(_BOM)

    def _feed_bounded(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take no more at a time than fills the largest event."""
        events: list[ServerSentEvent] = []
        while chunk and self.failure is None:
            room = self._limit - self._held
            if room > 0:
                events += self._take(chunk[:room])
                chunk = chunk[room:]
            else:
                text = f"an event of the stream exceeds max_event_size {self._limit}"
                self.failure = EventSourceError(text)
        return events

    def _take(self, chunk: bytes) -> list[ServerSentEvent]:
        """Parse up to the last blank line and keep the rest."""
        if not self._pieces:
            # Blank lines between blocks.
            chunk = chunk.lstrip(b"\n")
        end = chunk.rfind(b"\n\n") + 2
        if end == 1 and chunk[:1] == b"\n" and self._pieces[-1][-1:] == b"\n":
            end = 1
        elif end == 1:
            if chunk:
                self._pieces.append(chunk)
                self._held += len(chunk)
            return []
        blocks = b"".join((*self._pieces, chunk[:end]))
        self._pieces, self._held = [], 0
        rest = chunk[end:]
        if rest:
            self._pieces.append(rest)
            self._held = len(rest)
        # An octet of LF is never part of another character, so none has been cut.
        return self._events(blocks[:-2].decode("utf-8", "replace"))

    # --- blocks to events -------------------------------------------------------------------------

    def _events(self, text: str) -> list[ServerSentEvent]:
        """Make the events of whole blocks, the last without its blank line."""
        blocks = text.split("\n\n")
        return [event for block in blocks if (event := self._event(block)) is not None]

    def _event(self, block: str) -> ServerSentEvent | None:
        """Make the event of one block; None where it has no data."""
        # The block that all streams of language models are made of.
        if block[:6] == "data: " and "\n" not in block:
            return _new(_Event, ("message", block[6:], self.last_event_id, None, None))
        if block[:4] == "id: ":
            # And the same to be resumed after.
            head, mark, value = block.partition("\ndata: ")
            if mark and "\n" not in value and "\n" not in head and "\0" not in head:
                own = self.last_event_id = head[4:]
                return _new(_Event, ("message", value, own, own, None))
        kind, own_id, text, more = "message", None, None, None
        for line in block.split("\n"):
            # With one space behind the colon, as nearly all are written.
            name, _, value = line.partition(": ")
            if name == "data":
                if text is None:
                    text = value
                elif more is None:
                    more = [text, value]
                else:
                    more.append(value)
            elif name == "id" and "\0" not in value:
                own_id = self.last_event_id = value
            elif name == "event":
                kind = value or "message"
            else:
                return self._event_of_any(block)
        if text is None:
            return None
        if more is not None:
            text = "\n".join(more)
        return _new(_Event, (kind, text, self.last_event_id, own_id, None))

    def _event_of_any(self, block: str) -> ServerSentEvent | None:
        """Make the event of one block, whatever its lines look like."""
        kind, own_id, retry = "message", None, None
        data: list[str] = []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name == "event":
                kind = value or "message"
            elif name == "id" and "\0" not in value:
                own_id = self.last_event_id = value
            elif name == "retry":
                retry = self._take_retry(value)
        if not data:
            return None
        return ServerSentEvent(kind, "\n".join(data), self.last_event_id, own_id, retry)

    def _take_retry(self, value: str) -> float | None:
        if not (value.isascii() and value.isdigit()):
            return None
        self._retry = int(value.lstrip("0")[:_MOST_DIGITS] or "0") / 1000
        return self._retry


def _text(data: object) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, (int, float)) and not isinstance(data, bool):
        return str(data)
    raise TypeError(
        f"an event carries str, int or float, got {type(data).__name__}; json.dumps(data) makes a "
        "str of most things"
    )


def _field(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} of an event is a str, got {type(value).__name__}")
    found = _NOT_IN_FIELD.search(value)
    if found is not None:
        raise ValueError(
            f"{name} of an event cannot have CR, LF or NUL, got {found.group()!a} in {value[:80]!a}"
        )
    return value


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _milliseconds(retry: object) -> int:
    is_number = isinstance(retry, (int, float)) and not isinstance(retry, bool)
    if not is_number:
        raise TypeError(f"retry of an event is in seconds, got {type(retry).__name__}")
    if not 0 <= retry < 10 ** (_MOST_DIGITS - 3):  # type: ignore[operator]  # it is a number
        raise ValueError(f"retry of an event is 0 seconds or more, and finite, got {retry!r}")
    return round(retry * 1000)  # type: ignore[operator]  # likewise
