"""Plays a case of tests/driver/vectors through a driver.

A player does by the driver what a connection does: it answers pings and closes, keeps messages back
until the peer has proved itself, tells of failures in both directions, and opens with the first
command. Octets that come before that came with the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import h11
from werkzeug.wsgi import get_current_url

from faye_sync.driver.base import Driver, Reply
from faye_sync.driver.frames import cut_reason
from faye_sync.driver.handshake import is_websocket
from faye_sync.driver.versions import refusal_of, server_driver
from faye_sync.events import (
    CloseEvent,
    ErrorEvent,
    OpenEvent,
    PingEvent,
    PongEvent,
)

VECTORS = Path(__file__).parents[1] / "driver" / "vectors"

MAX_LENGTH = 2**26 - 1

Case = dict[str, Any]
Step = dict[str, Any]


def cases_of(title: str) -> list[Case]:
    """The cases of one file."""
    return json.loads((VECTORS / f"{title}.json").read_text(encoding="utf-8"))["cases"]


@dataclass
class Outcome:
    """What one step led to."""

    out: bytes = b""
    events: list[list] = field(default_factory=list)
    returns: object = None
    state: str | None = None
    raises: str | None = None
    refusal: list | None = None


def environ_of(request: dict) -> dict[str, Any]:
    """The environ that a WSGI server makes of a request."""
    path, _, query = request.get("target", "/").partition("?")
    headers = request["headers"]
    return {
        "REQUEST_METHOD": request.get("method", "GET"),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path),
        "QUERY_STRING": query,
        "SERVER_NAME": "www.example.com",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        **{f"HTTP_{name.upper().replace('-', '_')}": headers[name] for name in headers},
    }


def url_of(environ: dict[str, Any]) -> str:
    """The URL of a request, as WebSocket.url has it."""
    return f"ws{get_current_url(environ).removeprefix('http')}"


class Player:
    """One connection's core, as small as can be."""

    def __init__(self) -> None:
        self.driver: Driver | None = None
        self.state: str | None = "connecting"
        self.outcome = Outcome()
        self._ours: tuple[int, str] | None = None
        self._waiting: list[Callable[[], None]] = []
        self._callbacks: dict[bytes, str] = {}

    def do(self, step: Step, pieces: Iterable[bytes] = ()) -> Outcome:
        """Take a step, whose octets come in pieces."""
        self.outcome = Outcome()
        try:
            self.outcome.returns = getattr(self, step["do"])(step, pieces)
        except (TypeError, ValueError) as error:
            self.outcome.raises = str(error)
        self.flush()
        self.outcome.state = self.state
        return self.outcome

    def begin(self) -> bool:
        """Open, unless that was done; False when there is no sending any more."""
        raise NotImplementedError

    # --- steps

    def frame(self, step: Step, _: object) -> bool:
        control = step.get("type")
        if control == "pong":
            return self.pong(step, ())
        if control == "close":
            return self.close({"reason": step["text"], **step}, ())
        return self._send(lambda: self._message(data_of(step)))

    def ping(self, step: Step, _: object) -> bool:
        data = step["number"] if "number" in step else step.get("text", "").encode()
        if not self._opened().sending.has_ping or self.state != "open":
            return False
        if "callback" in step:
            self._callbacks[data] = step["callback"]
        self.driver.sending.ping(data)
        return True

    def pong(self, step: Step, _: object) -> bool:
        data = step.get("text", "").encode()
        return self._send(lambda: self.driver.sending.pong(data))

    def close(self, step: Step, _: object) -> bool:
        code, reason = step.get("code", 1000), step.get("reason", "")
        sending = self._opened().sending
        if self._ours is not None or self.state == "closed":
            return False
        self._ours = code, reason
        self.state = "closing"
        sending.close(code, reason)
        if not (sending.has_close and sending.is_ready):
            self._end(code, reason)
        return True

    def parse(self, _: Step, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.feed(piece)

    # --- a connection's duties

    def feed(self, data: bytes) -> None:
        self.driver.receiving.receive_data(data)
        self.take_events()

    def take_events(self) -> None:
        for event in self.driver.receiving.events():
            self._handlers[type(event)](self, event)

    def flush(self) -> None:
        if self.driver is not None:
            self.outcome.out += self.driver.sending.data_to_send()

    def tell(self, *event: object) -> None:
        self.outcome.events.append(list(event))

    def _opened(self) -> Driver:
        self.begin()
        return self.driver

    def _send(self, command: Callable[[], None]) -> bool:
        sending = self._opened().sending
        if self.state not in ("open", "connecting"):
            return False
        if sending.is_ready:
            command()
        else:
            self._waiting.append(command)
        return True

    def _message(self, data: object) -> None:
        sending = self.driver.sending
        (sending.binary if isinstance(data, bytes) else sending.text)(data)

    def _on_open(self, _: OpenEvent) -> None:
        self.state = "open"
        self.tell("open")

    def _on_reply(self, reply: Reply) -> None:
        self.driver.sending.reply(reply.data)
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            command()

    def _on_message(self, data: str | bytes) -> None:
        if self.state == "open":
            told = ("text", data) if isinstance(data, str) else ("binary", data.hex())
            self.tell("message", *told)

    def _on_ping(self, event: PingEvent) -> None:
        self.driver.sending.pong(event.data)
        self.tell("ping", event.data.decode(errors="replace"))

    def _on_pong(self, event: PongEvent) -> None:
        callback = self._callbacks.pop(event.data, None)
        if callback is not None:
            self.tell("pong_callback", callback)
        self.tell("pong", event.data.decode(errors="replace"))

    def _on_error(self, event: ErrorEvent) -> None:
        self.tell("error", event.message)
        reason = cut_reason(event.message)
        self._answer(event.error.code, reason)
        self._end(event.error.code, reason)

    def _on_close(self, event: CloseEvent) -> None:
        self._answer(event.code, event.reason)
        self._end(*(self._ours or (event.code, event.reason)))

    def _answer(self, code: int, reason: str) -> None:
        if self._ours is None:
            self.driver.sending.close(code, reason)

    def _end(self, code: int, reason: str) -> None:
        self.state = "closed"
        self.tell("close", code, reason)

    _handlers: ClassVar = {
        OpenEvent: _on_open,
        Reply: _on_reply,
        str: _on_message,
        bytes: _on_message,
        PingEvent: _on_ping,
        PongEvent: _on_pong,
        ErrorEvent: _on_error,
        CloseEvent: _on_close,
    }


def data_of(step: Step) -> object:
    """What a step sends: str, bytes, or a number."""
    if "hex" in step:
        return bytes.fromhex(step["hex"])
    return step["number"] if "number" in step else step["text"]


class ServerPlayer(Player):
    """A server's connection, from its request on."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        options = case["options"]
        is_draft = case["driver"].startswith("draft")
        self._allow_drafts = is_draft or options.get("allow_drafts", False)
        self._protocols = options.get("protocols", ())
        self._require_masking = options.get("require_masking", case["driver"] == "http")
        self._environ = environ_of(case["request"])
        self.url = url_of(self._environ)
        self._headers: list[tuple[str, str]] = []
        self._early: list[bytes] = []
        self._refused = refusal_of(self._environ, allow_drafts=self._allow_drafts)

    def final(self) -> dict[str, object]:
        self.driver = self.driver or self._make()
        return {
            "state": self.state,
            "version": self.driver.version,
            "protocol": self.driver.protocol,
            "url": self.url,
        }

    def set_header(self, step: Step, _: object) -> bool:
        self._headers.append((step["name"], step["value"]))
        return True

    def start(self, _: Step, __: object) -> bool:
        return self.begin()

    def parse(self, step: Step, pieces: Iterable[bytes]) -> None:
        if self.driver is None:
            self._early += pieces
        else:
            super().parse(step, pieces)

    def begin(self) -> bool:
        if self.driver is not None:
            return False
        if self._refused is not None:
            text = self._refused.text
            self.outcome.refusal = [self._refused.status, text]
            self.tell("error", text)
            self._end(1002, text)
            return False
        self.driver = self._make()
        self.driver.start()
        self.take_events()
        for piece in self._early:
            self.feed(piece)
        return True

    def _make(self) -> Driver:
        return server_driver(
            self._environ,
            url=self.url,
            protocols=self._protocols,
            headers=self._headers,
            max_length=MAX_LENGTH,
            allow_drafts=self._allow_drafts,
            require_masking=self._require_masking,
        )


class TcpPlayer(Player):
    """Takes the octets of a request; h11 stands for the WSGI server."""

    def __init__(self, _: Case) -> None:
        super().__init__()
        self._server = h11.Connection(our_role=h11.SERVER)

    def parse_each_byte(self, _: Step, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self._server.receive_data(piece)
            event = self._server.next_event()
            if isinstance(event, h11.Request) and is_websocket(environ_of(request_of(event))):
                self.tell("connect")

    def final(self) -> dict[str, object]:
        return {"state": self.state}


def request_of(event: h11.Request) -> dict[str, Any]:
    return {
        "method": event.method.decode(),
        "target": event.target.decode(),
        "headers": {name.decode(): value.decode() for name, value in event.headers},
    }
