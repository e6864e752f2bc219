"""The application that the servers' tests run under: /style/what, and questions about the process.

Styles: callbacks, start, attached. Each `what` is written once as blocking code (TALKS) and, where
it differs, as listeners (LISTENERS)."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable

from faye_sync import WebSocket

OPTIONS = ("ping", "pong_timeout", "send_timeout", "close_timeout", "max_queue", "max_length")


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


TALKS: dict[str, Callable[[WebSocket], None]] = {
    "echo": echo,
    "raise": raising,
    "return": returning,
    "send": sender,
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


LISTENERS: dict[str, Callable[[WebSocket], None]] = {
    "echo": echo_listeners,
    "raise": raising_view,
    "raise-in-listener": raising_listener,
    "return": closing_listener,
}


def callbacks(ws: WebSocket, what: str) -> None:
    LISTENERS[what](ws)


def start(ws: WebSocket, what: str) -> None:
    ws.start(TALKS[what])


def attached(ws: WebSocket, what: str) -> None:
    TALKS[what](ws)


STYLES = {"callbacks": callbacks, "start": start, "attached": attached}


# --- questions ------------------------------------------------------------------------------------------


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def cpu() -> float:
    return time.process_time()


QUESTIONS: dict[str, Callable[[], object]] = {
    "/hello": lambda: "hello",
    "/threads": threads,
    "/descriptors": descriptors,
    "/cpu": cpu,
    "/pid": os.getpid,
}


def options_of(environ: dict) -> dict:
    """Options of WebSocket from the query: ?ping=none&close_timeout=1.5."""
    query = environ.get("QUERY_STRING", "")
    pairs = (pair.split("=", 1) for pair in query.split("&") if pair)
    return {
        name: None if value == "none" else (float(value) if "." in value else int(value))
        for name, value in pairs
        if name in OPTIONS
    }


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path in QUESTIONS:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(QUESTIONS[path]()).encode()]
    _, style, what = path.split("/")
    ws = WebSocket(environ, **options_of(environ))
    STYLES[style](ws, what)
    return ws(environ, start_response)
