"""What clients of the drafts talk to: /style/what?note=name, and GET /closed?note=name.

Styles and most of what they do are those of tests/support/app.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from faye_sync import WebSocket
from tests.servers.app import Ledger
from tests.support import app
from tests.support.app import Page, json_page, options_of, query_of

closed = Ledger()


def error_of(function: Callable[[], object]) -> str:
    try:
        function()
    except TypeError as error:
        return str(error)
    return "no TypeError"


def facts_of(ws: WebSocket) -> str:
    return json.dumps(
        {
            "version": ws.version,
            "url": ws.url,
            "protocol": ws.protocol,
            "extensions": ws.extensions,
            "state": ws.ready_state.name,
            "ping": ws.ping("are you there?"),
            "binary": error_of(lambda: ws.send(b"octets")),
            "parts": error_of(lambda: ws.send_stream([b"octets"])),
        }
    )


def facts(ws: WebSocket) -> None:
    """Say after the first message what a handler sees."""
    ws.receive()
    ws.send(facts_of(ws))
    app.echo(ws)


def facts_listener(ws: WebSocket) -> None:
    ws.on("message", lambda event: ws.send(facts_of(ws)))


def greet(ws: WebSocket) -> None:
    """Send before anything is received, in one piece and in parts."""
    ws.send("one")
    ws.send_stream(["t", "w", "o"])
    ws.send_nowait("three")
    app.echo(ws)


def greeting_listener(ws: WebSocket) -> None:
    ws.send("one")
    ws.send_stream(["t", "w", "o"])
    ws.send_nowait("three")
    app.echo_listeners(ws)


def leave(ws: WebSocket) -> None:
    """Close before anything is received."""
    ws.close(4001, "not today")


app.TALKS.update(facts=facts, greet=greet, leave=leave)
app.LISTENERS.update(facts=facts_listener, greet=greeting_listener, leave=leave)


def take_note(ws: WebSocket, name: str | None) -> None:
    def note(event) -> None:
        closed.put(name, [event.code, event.reason, event.was_clean, event.cause])

    if name is not None:
        ws.on("close", note)


def respond(environ: dict) -> WebSocket | Page:
    path = environ["PATH_INFO"]
    note = query_of(environ).get("note")
    if path == "/closed":
        return json_page(closed.get(note))
    _, style, what = path.split("/")
    ws = WebSocket(environ, ["sample"], allow_drafts=True, **options_of(environ))
    take_note(ws, note)
    app.STYLES[style](ws, what)
    return ws


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    return respond(environ)(environ, start_response)
