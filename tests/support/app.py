"""The application that the servers' tests run under: /style/what, and questions about the process.

Styles: callbacks, start, attached. Each `what` is written once as blocking code (TALKS) and, where
it differs, as listeners (LISTENERS)."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from faye_sync import PerMessageDeflate, WebSocket


def number(text: str) -> float | int | None:
    return None if text == "none" else (float(text) if "." in text else int(text))


NUMBERS = (
    "ping",
    "pong_timeout",
    "send_timeout",
    "close_timeout",
    "max_queue",
    "max_length",
    "linger",
)
EXTENSIONS = {"deflate": PerMessageDeflate}
OPTIONS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(NUMBERS, number),
    "protocols": lambda text: text.split(","),
    "extensions": lambda text: [EXTENSIONS[name] for name in text.split(",")],
    "park": lambda text: text == "yes",
}


class Deliberate(Exception):
    """A handler's own mistake."""


# --- blocking code, for start and attached ----------------------------------------------------------


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


def raising(ws: WebSocket) -> None:
    ws.send(ws.receive())
    raise Deliberate("the handler failed on purpose")


def returning(ws: WebSocket) -> None:
    ws.send(ws.receive())


def sender(ws: WebSocket) -> None:
    """Send only, until nobody takes it any more."""
    count = 0
    while not ws.closed and ws.send(str(count)):
        count += 1
        ws.wait_closed(0.05)


def parting(ws: WebSocket) -> None:
    part(ws, ws.receive())


def part(ws: WebSocket, message: str) -> None:
    """Close as the peer asks: "4001 the reason"."""
    code, _, reason = message.partition(" ")
    ws.close(int(code), reason)


TALKS: dict[str, Callable[[WebSocket], None]] = {
    "echo": echo,
    "raise": raising,
    "return": returning,
    "send": sender,
    "part": parting,
}


# --- listeners ----------------------------------------------------------------------------------------


def echo_listeners(ws: WebSocket) -> None:
    ws.on("message", lambda event: ws.send(event.data))


def raising_view(ws: WebSocket) -> None:
    ws.send("welcome")
    raise Deliberate("the view failed on purpose")


def raising_listener(ws: WebSocket) -> None:
    @ws.on("message")
    def fail(event):
        raise Deliberate("the listener failed on purpose")

    ws.on("error", lambda event: ws.send(f"error: {event.error}"))


def closing_listener(ws: WebSocket) -> None:
    @ws.on("message")
    def answer(event):
        ws.send(event.data)
        ws.close()


def no_listeners(ws: WebSocket) -> None:
    """Take no message at all."""


LISTENERS: dict[str, Callable[[WebSocket], None]] = {
    "silent": no_listeners,
    "echo": echo_listeners,
    "raise": raising_view,
    "raise-in-listener": raising_listener,
    "return": closing_listener,
    "part": lambda ws: ws.on("message", lambda event: part(ws, event.data)),
}


def callbacks(ws: WebSocket, what: str) -> None:
    LISTENERS[what](ws)


def start(ws: WebSocket, what: str) -> None:
    ws.start(TALKS[what])


def attached(ws: WebSocket, what: str) -> None:
    TALKS[what](ws)


def rejected(ws: WebSocket, what: str) -> None:
    ws.reject(401, "who are you?", {"WWW-Authenticate": "Basic"})


STYLES = {"callbacks": callbacks, "start": start, "attached": attached, "rejected": rejected}


# --- views that answer with a page instead ----------------------------------------------------------


def forgotten(ws: WebSocket) -> None:
    ws.receive()


def unopened(ws: WebSocket) -> None:
    ws.on("message", print)


MISTAKES: dict[str, Callable[[WebSocket], None]] = {"forgotten": forgotten, "unopened": unopened}


# --- questions ------------------------------------------------------------------------------------------


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def cpu() -> float:
    return time.process_time()


CLOSES: dict[str, list] = {}
"""How the connections with ?note=name in their query ended, by that name."""


def note_close(ws: WebSocket, name: str | None) -> None:
    if name is None:
        return

    @ws.on("close")
    def note(event):
        CLOSES[name] = [event.code, event.reason, event.was_clean, event.cause]


QUESTIONS: dict[str, Callable[[], object]] = {
    "/hello": lambda: "hello",
    "/threads": threads,
    "/descriptors": descriptors,
    "/cpu": cpu,
    "/pid": os.getpid,
    "/closes": lambda: CLOSES,
}


def query_of(environ: dict) -> dict[str, str]:
    return dict(parse_qsl(environ.get("QUERY_STRING", "")))


def options_of(environ: dict) -> dict:
    """Options of WebSocket from the query: ?ping=none&close_timeout=1.5&extensions=deflate."""
    query = query_of(environ)
    return {name: OPTIONS[name](text) for name, text in query.items() if name in OPTIONS}


# --- the application ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """An answer that is no WebSocket."""

    body: bytes
    content_type: str

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        # Without a length the peer would wait for the end of a connection that is kept alive.
        size = str(len(self.body))
        start_response("200 OK", [("Content-Type", self.content_type), ("Content-Length", size)])
        return [self.body]


def json_page(value: object) -> Page:
    return Page(json.dumps(value).encode(), "application/json")


def respond(environ: dict) -> WebSocket | Page:
    """Answer a request, in plain WSGI or in a view of a framework."""
    path = environ["PATH_INFO"]
    if path in QUESTIONS:
        return json_page(QUESTIONS[path]())
    _, style, what = path.split("/")
    ws = WebSocket(environ, **options_of(environ))
    if style in MISTAKES:
        MISTAKES[style](ws)
        return Page(b"a page", "text/plain")
    note_close(ws, query_of(environ).get("note"))
    STYLES[style](ws, what)
    return ws


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    return respond(environ)(environ, start_response)
