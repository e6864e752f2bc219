"""From one connection's messages to whatever takes them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from faye_sync.driver.frames import SENDABLE_CODES
from faye_sync.errors import ConnectionClosed
from faye_sync.events import CloseEvent, MessageEvent

logger = logging.getLogger("faye_sync")


class Source(Protocol):
    """The connection whose messages are handed on."""

    id: str

    def on(self, name: str, listener: Callable[[Any], object]) -> object:
        """Add a listener."""

    def off(self, name: str, listener: Callable[[Any], object]) -> object:
        """Remove a listener."""


class Pipe:
    """Hands on messages until either end is closed. Runs on the source's reading thread."""

    def __init__(self, source: Source, target: Any, *, ends: bool) -> None:
        """Prepare; begin() begins.

        Args:
            source: A connection.
            target: Anything with send() or write().
            ends: Whether the target is closed when the source is.

        Raises:
            TypeError: target has neither.
        """
        take = getattr(target, "send", None) or getattr(target, "write", None)
        if not callable(take):
            raise TypeError(
                f"pipe() takes something with send() or write(), got {type(target).__name__}"
            )
        self._source = source
        self._target = target
        self._take = take
        self._ends = ends

    def begin(self) -> None:
        """Listen to the source."""
        self._source.on(MessageEvent.type, self._hand_on)
        if self._ends:
            self._source.on(CloseEvent.type, self._end_with)

    def _hand_on(self, event: MessageEvent) -> None:
        try:
            is_taken = self._take(event.data) is not False
        except ConnectionClosed:
            is_taken = False
        except BaseException:
            # What follows would no longer be what the source said.
            self._stop()
            self._end(1011, "")
            raise
        if not is_taken:
            self._stop()
            logger.warning(
                "%s takes no more, so messages of connection %s are not handed on any longer",
                type(self._target).__name__,
                self._source.id,
            )

    def _stop(self) -> None:
        self._source.off(MessageEvent.type, self._hand_on)

    def _end_with(self, event: CloseEvent) -> None:
        if event.code in SENDABLE_CODES:
            self._end(event.code, event.reason)
        else:
            self._end(1011, "")

    def _end(self, code: int, reason: str) -> None:
        if not self._ends:
            return
        if hasattr(self._target, "close_code"):
            # A WebSocket; its end() knows no code.
            self._target.close(code, reason)
            return
        end = getattr(self._target, "end", None) or getattr(self._target, "close", None)
        if end is not None:
            end()
