"""What the WebSockets of frameworks share: giving back before each wait, headers for the 101."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from faye_sync.driver.handshake import is_owned
from faye_sync.streams import MessageStream
from faye_sync.websocket import WebSocket

Release = Callable[[], object]

# Of a framework's answer, and no headers of a 101 (RFC 9110 15.2).
_OF_CONTENT = frozenset(("content-length", "content-type", "transfer-encoding"))


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


def for_101(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Choose of a framework's headers those that can stand in a 101."""
    return [
        (name, value)
        for name, value in headers
        if not is_owned(name) and name.lower() not in _OF_CONTENT
    ]


def checked_release(release: Any) -> Release | None:
    """Refuse what cannot be called.

    Raises:
        TypeError: release is neither None nor callable.
    """
    if release is None or callable(release):
        return release  # type: ignore[no-any-return]  # callable() says no more
    raise TypeError(f"release takes a function, got {type(release).__name__}")
