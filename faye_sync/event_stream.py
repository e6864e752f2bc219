"""The events of a source of octets, each as soon as it is whole: parse_events()."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faye_sync.events import ServerSentEvent
from faye_sync.sse import EventParser
from faye_sync.terms import check_octets
from faye_sync.transport.chunks import chunks_of


def parse_events(
    source: Any, last_event_id: str = "", *, max_event_size: int = 2**26
) -> Iterator[ServerSentEvent]:
    """Yield the events of a stream, each as soon as its blank line has come.

    The end of the source is the end; a block that is not whole is dropped. The
    source is left open. For one thread at a time.

    Args:
        source: A response of requests (made with stream=True) or of urllib3, a
            binary file, or an iterable of bytes that are cut anywhere; one bytes
            object is a stream as a whole.
        last_event_id: What events have for last_event_id before the stream gives one.
        max_event_size: Octets of the largest event taken, as they came.

    Yields:
        The events (WHATWG HTML, section 9.2.6).

    Raises:
        EventSourceError: An event exceeds max_event_size; those before it came.
        TypeError: The source is none, or yields str, which has lost its octets.
        ConfigurationError: max_event_size is no number of octets.
        Exception: Whatever the source raises as it is read, as it is.
    """
    check_octets("max_event_size", max_event_size)
    parser = EventParser(last_event_id, max_event_size=max_event_size)
    return parser.parse(chunks_of(source))
