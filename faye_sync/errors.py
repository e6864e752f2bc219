"""Every error that faye_sync raises of its own.

The ground: imports nothing of the package. Deadlines raise the builtin
TimeoutError, and socket errors before a connection stands come as they are."""

from __future__ import annotations

from typing import Any


class FayeSyncError(Exception):
    """Base of every error of this library; catch it to catch them all."""


class ConfigurationError(FayeSyncError, ValueError):
    """Report an option, URL or header that cannot work, before anything was sent."""


class HijackError(FayeSyncError, RuntimeError):
    """Report a server whose socket cannot be had, and what to run instead."""


class HandshakeError(FayeSyncError, ConnectionError):
    """Report a server that did not open the WebSocket.

    Attributes:
        status_code: Of its answer; None when there was none that can be read.
        headers: Of its answer, a werkzeug Headers; None likewise.
        body: The first 64 KiB of its answer's body, as they came.
        history: The answers before it, as requests has them: redirects and 401s.
    """

    def __init__(
        self,
        message: str,
        status_code: int | None = None,
        headers: Any = None,
        body: bytes = b"",
        history: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.headers = headers
        self.body = body
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:
        details = (self.status_code, self.headers, self.body, self.history)
        return type(self), (self.args[0], *details), vars(self)


class ProxyError(HandshakeError):
    """Report a proxy that did not lead to the server; the attributes are of its answer."""


class ProtocolError(FayeSyncError):
    """Report octets of the peer that break RFC 6455.

    Attributes:
        code: The close code that goes on the wire (section 7.4.1).
    """

    def __init__(self, message: str, code: int = 1002) -> None:
        super().__init__(message)
        self.code = code


class MessageTooBig(ProtocolError):
    """Report a message over the limit; it was refused by its header, not read.

    Attributes:
        size: Octets the message had reached or announced.
        limit: Octets that max_length allows.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"message of {size} octets exceeds max_length {limit}", 1009)
        self.size = size
        self.limit = limit

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.size, self.limit), vars(self)


class ConnectionClosed(FayeSyncError, ConnectionError):
    """Report that the connection is closed, and why.

    Attributes:
        code: The close code; 1006 when no closing handshake took place.
        reason: The text beside the code, at most 123 octets of UTF-8.
        was_clean: True when both sides sent a close frame.
        cause: What ended it, in one of the words of CloseEvent.cause.
    """

    def __init__(
        self, code: int = 1006, reason: str = "", was_clean: bool = False, cause: str = "eof"
    ) -> None:
        text = f"connection closed with {code}"
        super().__init__(f"{text} ({cause}): {reason}" if reason else f"{text} ({cause})")
        self.code = code
        self.reason = reason
        self.was_clean = was_clean
        self.cause = cause

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.reason, self.was_clean, self.cause), vars(self)


class EventSourceError(FayeSyncError):
    """Report an event stream that did not open, or broke off, for good.

    Attributes:
        status_code: Of the answer; None when there was none.
        headers: Of the answer, a werkzeug Headers; None likewise.
        body: The first 64 KiB of the body of an answer that is no event stream.
    """

    def __init__(
        self,
        message: str,
        status_code: int | None = None,
        headers: Any = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.headers = headers
        self.body = body

    def __reduce__(self) -> tuple[Any, ...]:
        details = (self.status_code, self.headers, self.body)
        return type(self), (self.args[0], *details), vars(self)
