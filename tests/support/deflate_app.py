"""The library's own server with compression: /style/terms/what.

Styles: callbacks, start, attached. What: echo; parts, which sends a message on while it comes;
plain, which compresses nothing that it sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from faye_sync import PerMessageDeflate, WebSocket

TERMS: dict[str, PerMessageDeflate] = {
    "default": PerMessageDeflate(),
    "forgetting": PerMessageDeflate(no_context_takeover=True, request_no_context_takeover=True),
    "bits-9": PerMessageDeflate(max_window_bits=9, request_max_window_bits=9),
    "threshold-0": PerMessageDeflate(threshold=0),
}


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


def parts(ws: WebSocket) -> None:
    while not ws.closed:
        ws.send_stream(ws.receive_stream())


def plain(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message, compress=False)


TALKS: dict[str, Callable[[WebSocket], None]] = {"echo": echo, "parts": parts, "plain": plain}


def callbacks(ws: WebSocket, what: str) -> None:
    options = {"compress": False} if what == "plain" else {}
    ws.on("message", lambda event: ws.send(event.data, **options))


def start(ws: WebSocket, what: str) -> None:
    ws.start(TALKS[what])


def attached(ws: WebSocket, what: str) -> None:
    TALKS[what](ws)


STYLES = {"callbacks": callbacks, "start": start, "attached": attached}


def page(start_response: Callable) -> Iterable[bytes]:
    """What a browser opens first, for its script has to come from the origin that it talks to."""
    body = b"<!doctype html><title>compression</title>"
    fields = [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]
    start_response("200 OK", fields)
    return [body]


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/":
        return page(start_response)
    _, style, terms, what = environ["PATH_INFO"].split("/")
    ws = WebSocket(environ, extensions=[TERMS[terms]])
    STYLES[style](ws, what)
    return ws(environ, start_response)
