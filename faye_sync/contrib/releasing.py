"""A WebSocket that gives back what its handler holds, before each wait for the peer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faye_sync.streams import MessageStream
from faye_sync.websocket import WebSocket

Release = Callable[[], object]


class ReleasingWebSocket(WebSocket):
    """What the WebSockets of frameworks have in common.

    Args:
        environ: As for WebSocket.
        *arguments: As for WebSocket.
        release: Called before each wait; None for nothing.
        **options: As for WebSocket.

    Raises:
        TypeError: release cannot be called; or as for WebSocket.
    """

    def __init__(
        self, environ: Any, *arguments: Any, release: Release | None = None, **options: Any
    ) -> None:
        self._release = checked_release(release)
        super().__init__(environ, *arguments, **options)

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Call release, then wait as WebSocket.receive() does.

        Args:
            timeout: As for WebSocket.receive().

        Returns:
            As WebSocket.receive().

        Raises:
            TimeoutError: As for WebSocket.receive().
            ConnectionClosed: As for WebSocket.receive().
            RuntimeError: As for WebSocket.receive().
        """
        self._let_go()
        return super().receive(timeout)

    def receive_stream(self, timeout: float | None = None) -> MessageStream:
        """Call release, then wait as WebSocket.receive_stream() does.

        Args:
            timeout: As for WebSocket.receive_stream().

        Returns:
            As WebSocket.receive_stream().

        Raises:
            TimeoutError: As for WebSocket.receive_stream().
            ConnectionClosed: As for WebSocket.receive_stream().
            RuntimeError: As for WebSocket.receive_stream().
        """
        self._let_go()
        return super().receive_stream(timeout)

    def _let_go(self) -> None:
        if self._release is not None:
            self._release()


def checked_release(release: Any) -> Release | None:
    """Refuse what cannot be called.

    Raises:
        TypeError: release is neither None nor callable.
    """
    if release is None or callable(release):
        return release  # type: ignore[no-any-return]  # callable() says no more
    raise TypeError(f"release takes a function, got {type(release).__name__}")
