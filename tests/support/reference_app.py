"""This library's own server, as the paths of tests/support/reference_server.py want it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import sha256
from urllib.parse import parse_qsl

from faye_sync import WebSocket
from tests.support.parallel import Event

BIG = 8 * 2**20
CLOSES: dict[str, list] = {}


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


def head(ws: WebSocket) -> None:
    environ = ws.environ
    query = environ.get("QUERY_STRING")
    path = environ["PATH_INFO"] + (f"?{query}" if query else "")
    headers = [[name.lower(), value] for name, value in ws.headers]
    seen = {"path": path, "headers": headers, "protocol": ws.protocol or None}
    ws.send(json.dumps({**seen, "peer": list(ws.remote_address)}))
    echo(ws)


def ping(ws: WebSocket) -> None:
    answered = Event()

    def answer() -> None:
        answered.set()
        ws.send("answered")

    ws.ping(b"\x00\xff" * 62, answer)
    echo(ws)


def both(ws: WebSocket) -> None:
    ws.send(bytes(BIG))
    ws.send(sha256(ws.receive()).hexdigest())
    echo(ws)


def part(ws: WebSocket) -> None:
    code, _, reason = ws.receive().partition(" ")
    ws.close(int(code), reason)


def closes(ws: WebSocket) -> None:
    ws.send(json.dumps(CLOSES))


TALKS: dict[str, Callable[[WebSocket], None]] = {
    "/echo": echo,
    "/head": head,
    "/ping": ping,
    "/both": both,
    "/part": part,
    "/closes": closes,
}


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    ws = WebSocket(environ, ["chat", "mqtt"])
    note = dict(parse_qsl(environ.get("QUERY_STRING", ""))).get("note")

    @ws.on("close")
    def take_note(event):
        if note:
            CLOSES[note] = [event.code, event.reason]

    return ws.start(TALKS[environ["PATH_INFO"]])(environ, start_response)
