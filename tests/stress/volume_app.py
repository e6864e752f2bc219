"""Counts one message of any size, or sends it back as it comes, and tells what that took."""

from __future__ import annotations

from faye_sync import PerMessageDeflate, WebSocket
from tests.support.resident import resident_now, resident_peak


def count(ws: WebSocket) -> None:
    ws.send(str(sum(map(len, ws.receive_stream()))))


def echo(ws: WebSocket) -> None:
    ws.send_stream(ws.receive_stream())


DEEDS = {"/count": count, "/echo": echo}


def application(environ, start_response):
    if not WebSocket.is_websocket(environ):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ready"]

    def talk(ws: WebSocket) -> None:
        ws.receive()
        before = resident_now()
        DEEDS[environ["PATH_INFO"]](ws)
        ws.receive()
        ws.send(str(resident_peak() - before))
        ws.wait_closed(20)

    ws = WebSocket(environ, extensions=[PerMessageDeflate], send_timeout=60)
    return ws.start(talk)(environ, start_response)
