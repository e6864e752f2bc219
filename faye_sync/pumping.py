"""From an iterable of the user's to a stream, with the iterable waiting while the client is slow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from faye_sync.events import ServerSentEvent
from faye_sync.sse import PING, encode

_KEYS = ("data", "event", "id", "retry")


class Target(Protocol):
    """The stream that is filled."""

    def offer(self, block: bytes) -> bool:
        """Queue a block; False once closed."""

    def wait_for_room(self) -> None:
        """Wait until the client has taken most of what is queued, or has left."""

    def failed(self, text: str, error: Exception) -> None:
        """Tell of an exception."""

    def close(self) -> None:
        """End behind what is queued."""


class Pump:
    """Takes items one by one; for one thread."""

    def __init__(self, iterable: Iterable[Any], target: Target) -> None:
        self._iterable = iterable
        self._items: Iterator[Any] | None = None
        self._target = target
        self._is_stopped = False

    def advance(self) -> bool:
        """Queue one more event; False when there is none, or none is wanted."""
        try:
            if self._items is None:
                self._items = iter(self._iterable)
            block = block_of(next(self._items))
        except StopIteration:
            return False
        except Exception as error:
            self._target.failed("the iterable of the stream raised", error)
            return False
        return self._target.offer(block)

    def run(self) -> None:
        """Queue all events, each when there is room, and end the stream; the body of a thread."""
        try:
            while self.advance():
                self._target.wait_for_room()
        finally:
            self.stop()
            self._target.close()

    def stop(self) -> None:
        """Close the iterable, where it can be closed; once."""
        close = getattr(self._iterable, "close", None)
        if close is None or self._is_stopped:
            return
        self._is_stopped = True
        try:
            close()
        except Exception as error:
            self._target.failed("the iterable of the stream raised when it was closed", error)


def block_of(item: Any) -> bytes:
    """Encode an item of an iterable.

    Args:
        item: str or a number as data, a mapping of encode()'s keywords, a
            ServerSentEvent, or None for a ping.

    Returns:
        Its block.

    Raises:
        TypeError: It is none of these, or lacks its data.
        ValueError: As encode() raises it.
    """
    if item is None:
        return PING
    if isinstance(item, ServerSentEvent):
        return encode(item.data, None if item.type == "message" else item.type, item.id, item.retry)
    if not isinstance(item, Mapping):
        return encode(item)
    unknown = [key for key in item if key not in _KEYS]
    if unknown:
        raise TypeError(f"an event has {', '.join(_KEYS)}, got {unknown[0]!r}; json.dumps(it)?")
    return encode(**{"data": None, **item})
