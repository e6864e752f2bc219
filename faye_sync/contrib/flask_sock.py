"""What views written for flask-sock see: the members of simple-websocket's Server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faye_sync.contrib.flask_websocket import FlaskWebSocket
from faye_sync.errors import ConnectionClosed as NativeConnectionClosed
from faye_sync.events import ReadyState

# simple-websocket's names for options of WebSocket.
_RENAMED = {"subprotocols": "protocols", "ping_interval": "ping", "max_message_size": "max_length"}
# Options for machinery that there is none of here.
_WITHOUT_MEANING = frozenset(("receive_bytes", "thread_class", "event_class", "selector_class"))


class ConnectionClosed(NativeConnectionClosed):
    """Report that the connection is closed, in the words of simple-websocket.

    Attributes:
        code: The close code; 1006 when no closing handshake took place.
        reason: The close code again.
        message: The text beside the code.
        was_clean: True when both sides sent a close frame.
        cause: What ended it, in one of the words of CloseEvent.cause.
    """

    reason: Any

    def __init__(
        self, code: int = 1006, message: str = "", was_clean: bool = False, cause: str = "eof"
    ) -> None:
        super().__init__(code, message, was_clean, cause)
        self.reason = code
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.message, self.was_clean, self.cause), vars(self)


class SockWebSocket(FlaskWebSocket):
    """A WebSocket with the members that flask-sock's views use; the rest is as of WebSocket."""

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""
        return self.ready_state is ReadyState.OPEN

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol agreed on, or None."""
        return self.protocol or None

    @property
    def close_reason(self) -> Any:
        """The close code, None before; simple-websocket has it under this name."""
        return self.close_code

    @property
    def close_message(self) -> str | None:
        """The text beside the close code, None before."""
        return super().close_reason

    def receive(self, timeout: float | None = None) -> Any:
        """Wait for the next message.

        Args:
            timeout: Seconds to wait; None waits for ever, 0 only looks.

        Returns:
            str for a text message, bytes for a binary one; None when nothing
            came in time.

        Raises:
            ConnectionClosed: Closed, and all messages are handed out.
            RuntimeError: As for WebSocket.receive().
        """
        try:
            return super().receive(timeout)
        except TimeoutError:
            return None
        except NativeConnectionClosed as error:
            raise _translated(error) from error.__cause__

    def send(
        self, data: Any, *, compress: bool | None = None, timeout: float | None = None
    ) -> bool:
        """Send one message.

        Args:
            data: bytes, bytearray and memoryview are sent as binary, all else
                as the text that str() makes of it.
            compress: As for WebSocket.send().
            timeout: As for WebSocket.send().

        Returns:
            True once the kernel has it.

        Raises:
            TimeoutError: As for WebSocket.send().
            ConnectionClosed: Closing already.
            ValueError: A text has a lone surrogate.
        """
        message = data if isinstance(data, bytes | bytearray | memoryview) else str(data)
        try:
            return super().send(message, compress=compress, timeout=timeout)
        except NativeConnectionClosed as error:
            raise _translated(error) from error.__cause__

    # The names are simple-websocket's; by place they mean the same as WebSocket's.
    def close(self, reason: int | None = None, message: str | None = None) -> None:  # type: ignore[override]  # see above
        """Begin to close; returns at once, and does nothing the second time.

        Args:
            reason: The close code; None for 1000.
            message: The text beside it, at most 123 octets of UTF-8.

        Raises:
            ValueError: Either is not allowed on the wire.
        """
        super().close(1000 if reason is None else reason, message or "")


def options_of(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Read SOCK_SERVER_OPTIONS.

    Args:
        config: Options by simple-websocket's names, or by WebSocket's own.

    Returns:
        The options by WebSocket's names, and those that mean nothing here.
    """
    options, ignored = {}, []
    for name, value in config.items():
        if name in _WITHOUT_MEANING:
            ignored.append(name)
        elif name not in _RENAMED:
            options[name] = value
        elif value or name == "ping_interval":
            # 0 and None: no pings, but no limit, which is left at ours.
            options[_RENAMED[name]] = value or None
    return options, ignored


def _translated(error: NativeConnectionClosed) -> ConnectionClosed:
    return ConnectionClosed(error.code, error.reason, error.was_clean, error.cause)
