"""Synchronous WebSocket and EventSource for WSGI applications and plain scripts."""

from faye_sync.broadcast import broadcast
from faye_sync.client import Client
from faye_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    FayeSyncError,
    HandshakeError,
    HijackError,
    MessageTooBig,
    ProtocolError,
    ProxyError,
)
from faye_sync.events import (
    CloseEvent,
    ErrorEvent,
    MessageEvent,
    OpenEvent,
    PingEvent,
    PongEvent,
    ReadyState,
    ReconnectEvent,
)
from faye_sync.reconnect import Reconnect
from faye_sync.websocket import WebSocket

__all__ = [
    "Client",
    "CloseEvent",
    "ConfigurationError",
    "ConnectionClosed",
    "ErrorEvent",
    "FayeSyncError",
    "HandshakeError",
    "HijackError",
    "MessageEvent",
    "MessageTooBig",
    "OpenEvent",
    "PingEvent",
    "PongEvent",
    "ProtocolError",
    "ProxyError",
    "ReadyState",
    "Reconnect",
    "ReconnectEvent",
    "WebSocket",
    "broadcast",
]
