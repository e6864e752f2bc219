"""Synchronous WebSocket and EventSource for WSGI applications and plain scripts.

The clients come at their first use, because requests comes with them: a server's
process is spared that, and gevent may still be patching it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from faye_sync.broadcast import broadcast
from faye_sync.driver.deflate import PerMessageDeflate
from faye_sync.driver.extension import Extension
from faye_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    EventSourceError,
    FayeSyncError,
    HandshakeError,
    HijackError,
    MessageTooBig,
    ProtocolError,
    ProxyError,
)
from faye_sync.event_stream import parse_events
from faye_sync.events import (
    CloseEvent,
    ErrorEvent,
    MessageEvent,
    OpenEvent,
    PingEvent,
    PongEvent,
    ReadyState,
    ReconnectEvent,
    ServerSentEvent,
)
from faye_sync.eventsource import EventSource
from faye_sync.reconnect import Reconnect
from faye_sync.websocket import WebSocket

if TYPE_CHECKING:
    from faye_sync.client import Client
    from faye_sync.eventsource_client import EventSourceClient

__all__ = [
    "Client",
    "CloseEvent",
    "ConfigurationError",
    "ConnectionClosed",
    "ErrorEvent",
    "EventSource",
    "EventSourceClient",
    "EventSourceError",
    "Extension",
    "FayeSyncError",
    "HandshakeError",
    "HijackError",
    "MessageEvent",
    "MessageTooBig",
    "OpenEvent",
    "PerMessageDeflate",
    "PingEvent",
    "PongEvent",
    "ProtocolError",
    "ProxyError",
    "ReadyState",
    "Reconnect",
    "ReconnectEvent",
    "ServerSentEvent",
    "WebSocket",
    "broadcast",
    "parse_events",
]

_LATER = {
    "Client": "faye_sync.client",
    "EventSourceClient": "faye_sync.eventsource_client",
}


def __getattr__(name: str) -> Any:
    """Import what comes at its first use."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    """Name what there is, imported already or not."""
    return sorted({*globals(), *__all__})
