"""Synchronous WebSocket and EventSource for WSGI applications and plain scripts."""

from faye_sync.broadcast import broadcast
from faye_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    FayeSyncError,
    HijackError,
    MessageTooBig,
    ProtocolError,
)
from faye_sync.events import (
    CloseEvent,
    ErrorEvent,
    MessageEvent,
    OpenEvent,
    PingEvent,
    PongEvent,
    ReadyState,
)
from faye_sync.websocket import WebSocket

__all__ = [
    "CloseEvent",
    "ConfigurationError",
    "ConnectionClosed",
    "ErrorEvent",
    "FayeSyncError",
    "HijackError",
    "MessageEvent",
    "MessageTooBig",
    "OpenEvent",
    "PingEvent",
    "PongEvent",
    "ProtocolError",
    "ReadyState",
    "WebSocket",
    "broadcast",
]
