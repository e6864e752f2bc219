"""A body in chunks, taken apart as it comes (RFC 9112 7.1).

http.client does it with some calls for each chunk, and a server of events sends
one for each event: so here all that came at once is taken apart at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from faye_sync.errors import EventSourceError

# The end of a chunk, and the line that begins the next; some servers fill up with blanks.
_BETWEEN = re.compile(rb"\r?\n([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
# Octets that a line may have, extensions and all.
_LONGEST = 4096


def without_chunks(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Yield what is in the chunks of a body. For one thread.

    What follows on the last chunk is left unread.

    Args:
        read: Waits for the next octets behind the head; empty at the end.

    Yields:
        Octets, never none, as soon as they came, whether or not their chunk is whole.

    Raises:
        EventSourceError: The body broke off, or is none in chunks.
        Exception: What read raises, as it is.
    """
    # The end of the head stands where that of a chunk would.
    held, left = b"\r\n", 0
    while octets := read():
        pieces, held, to_come = _taken_apart(held + octets, left)
        if body := b"".join(pieces):
            yield body
        if to_come is None:
            return
        left = to_come
    raise EventSourceError("the event stream broke off before its last chunk")


def _taken_apart(octets: bytes, left: int) -> tuple[list[bytes], bytes, int | None]:
    """Cut octets into what was sent and what frames it.

    Args:
        octets: As they came.
        left: How many the chunk under way has still to come.

    Returns:
        What was sent; what cannot be told yet; and the new left, None behind the last chunk.
    """
    pieces = [octets[:left]] if left else []
    at = left
    while at <= len(octets):
        found = _BETWEEN.match(octets, at)
        if found is None:
            return pieces, _line_to_come(octets[at:]), 0
        left = int(found[1], 16)
        if not left:
            return pieces, b"", None
        start = found.end()
        at = start + left
        pieces.append(octets[start:at])
    return pieces, b"", at - len(octets)


def _line_to_come(held: bytes) -> bytes:
    """Refuse the beginning of what can be no line between chunks."""
    if b"\n" in held[2:] or len(held) > _LONGEST:
        raise EventSourceError(f"the event stream broke off: {held[:40]!r} is between its chunks")
    return held
