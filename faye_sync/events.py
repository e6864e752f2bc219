"""What listeners are handed, and what the drivers yield: frozen values with a type.

The ground: imports nothing of the package. The type is the name under which
on() takes a listener."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple


class ReadyState(IntEnum):
    """The life of a connection, numbered as in the WHATWG WebSocket API."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


# What each state may become; docs/pictures/states.svg is drawn of this.
STEPS: dict[ReadyState, tuple[ReadyState, ...]] = {
    ReadyState.CONNECTING: (ReadyState.OPEN, ReadyState.CLOSED),
    ReadyState.OPEN: (ReadyState.CLOSING, ReadyState.CLOSED),
    ReadyState.CLOSING: (ReadyState.CLOSED,),
    ReadyState.CLOSED: (),
}

# For those who look often: before Python 3.12 each look at a member of an enum goes through a hook.
OPEN = ReadyState.OPEN


@dataclass(frozen=True, slots=True)
class OpenEvent:
    """The handshake is done; messages can flow."""

    type: ClassVar[str] = "open"


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """One whole message.

    Attributes:
        data: str of a text message, bytes of a binary one.
    """

    type: ClassVar[str] = "message"
    data: str | bytes

    def json(self) -> Any:
        """Parse the data as JSON.

        Returns:
            What json.loads gives.

        Raises:
            ValueError: The data is no JSON.
        """
        return json.loads(self.data)


@dataclass(frozen=True, slots=True)
class PingEvent:
    """The peer sent a ping; its pong is on the way already.

    Attributes:
        data: The payload, at most 125 octets.
    """

    type: ClassVar[str] = "ping"
    data: bytes


@dataclass(frozen=True, slots=True)
class PongEvent:
    """The peer sent a pong, asked for or not.

    Attributes:
        data: The payload, at most 125 octets.
    """

    type: ClassVar[str] = "pong"
    data: bytes


@dataclass(frozen=True, slots=True)
class DrainEvent:
    """Everything that had been queued for sending is with the kernel now."""

    type: ClassVar[str] = "drain"


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """Something went wrong; a close event follows where it ended the connection.

    Attributes:
        message: One sentence.
        error: The exception behind it.
    """

    type: ClassVar[str] = "error"
    message: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class CloseEvent:
    """The connection is closed; the last event there is.

    Attributes:
        code: The peer's close code when it closed first, ours when it answered
            ours or when we failed the connection, else 1006.
        reason: The text beside the code.
        was_clean: True when both sides sent a close frame.
        cause: One of peer, local, eof, reset, ping timeout, send timeout,
            close timeout, queue full, protocol, handshake, connect, idle,
            shutdown.
    """

    type: ClassVar[str] = "close"
    code: int
    reason: str
    was_clean: bool
    cause: str


@dataclass(frozen=True, slots=True)
class ReconnectEvent:
    """The connection is lost, or was not to be had: another attempt is about to be made.

    Attributes:
        attempt: Counts the attempts since the connection was last stable, from 1.
        delay: Seconds from now to the attempt.
        error: What ended the connection, or the attempt before.
    """

    type: ClassVar[str] = "reconnect"
    attempt: int
    delay: float
    error: BaseException


class ServerSentEvent(NamedTuple):
    """One event of a text/event-stream (WHATWG HTML, section 9.2).

    A named tuple, because one is made in a quarter of the time of a frozen
    dataclass, and a parser makes a million in a second.

    Attributes:
        type: Its name; message where the stream gave none.
        data: Its lines, joined by LF.
        last_event_id: The id that a client resumes after, of this or an earlier event.
        id: The id of this event itself; None if it has none.
        retry: Seconds to wait before reconnecting, where the event says so; else None.
    """

    type: str = "message"
    data: str = ""
    last_event_id: str = ""
    id: str | None = None
    retry: float | None = None

    def json(self) -> Any:
        """Parse the data as JSON.

        Returns:
            What json.loads gives.

        Raises:
            ValueError: The data is no JSON.
        """
        return json.loads(self.data)


Event = (
    OpenEvent
    | MessageEvent
    | PingEvent
    | PongEvent
    | DrainEvent
    | ErrorEvent
    | CloseEvent
    | ReconnectEvent
    | ServerSentEvent
)
