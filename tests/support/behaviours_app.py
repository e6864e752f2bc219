"""What the behaviours of tests/test_testing.py are shown with: one WSGI application, many paths."""

from __future__ import annotations

import base64
import time
from urllib.parse import parse_qs

from faye_sync import ConnectionClosed, EventSource, PerMessageDeflate, WebSocket, broadcast

room = set()
closes = []


def echo(ws):
    for message in ws:
        ws.send(message)


def welcome(ws):
    ws.send("welcome")
    echo(ws)


def note_close(ws):
    try:
        ws.receive()
    except ConnectionClosed as closed:
        closes.append(f"{closed.code} {closed.reason}")


def tell_closes(ws):
    ws.send("; ".join(closes))
    closes.clear()


def leave(ws):
    ws.send("before")
    ws.close(4002, "enough")


def end(ws):
    ws.send("last")


def fail(ws):
    ws.receive()
    raise LookupError("of the function")


def ping(ws):
    ws.ping("are you there", lambda: ws.send("answered"))
    for _ in ws:
        continue


def join(ws):
    room.add(ws)
    ws.send("joined")
    try:
        for message in ws:
            broadcast(room, message)
    finally:
        room.discard(ws)


def shout(ws):
    ws.send("x" * 100_000)
    ws.receive()


def in_parts(ws):
    ws.send_stream(iter(("one ", "two ", "three")))
    ws.receive()


def ask(ws):
    environ = ws.environ
    names = {"path": "PATH_INFO", "agent": "HTTP_X_AGENT", "cookie": "HTTP_COOKIE"}
    asked = {name: environ.get(key, "") for name, key in names.items()}
    for _ in ws:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        ws.send(f"{asked['path']} {query.get('q', [''])[0]} {asked['agent']} {asked['cookie']}")


TALKS = {
    "/echo": echo,
    "/welcome": welcome,
    "/note-close": note_close,
    "/closes": tell_closes,
    "/leave": leave,
    "/end": end,
    "/fail": fail,
    "/ping": ping,
    "/room": join,
    "/shout": shout,
    "/in-parts": in_parts,
}
OPTIONS = {
    "/protocols": {"protocols": ["soap", "chat"]},
    "/headers": {"headers": [("X-One", "1"), ("Set-Cookie", "seen=yes; Path=/")]},
    "/deflate": {"extensions": [PerMessageDeflate]},
    "/small": {"max_length": 100},
}


def talk(environ):
    path = environ["PATH_INFO"]
    ws = WebSocket(environ, **OPTIONS.get(path, {}))
    return ws.start(TALKS.get(path, ask if path.startswith("/ask") else echo))


def with_listeners(environ):
    ws = WebSocket(environ)
    ws.on("message", lambda event: ws.send(event.data))
    return ws


def within_the_call(environ):
    ws = WebSocket(environ)
    echo(ws)
    return ws


def refuse(environ):
    ws = WebSocket(environ)
    ws.reject(403, "not you", {"X-Why": "because"})
    return ws


def guarded(environ):
    ws = WebSocket(environ)
    allowed = f"Basic {base64.b64encode(b'ann:secret').decode()}"
    if environ.get("HTTP_AUTHORIZATION") != allowed:
        ws.reject(401, "who are you?", {"WWW-Authenticate": 'Basic realm="here"'})
    return ws.start(echo)


def feed(environ):
    first = int(environ.get("HTTP_LAST_EVENT_ID", "0")) + 1
    items = ({"data": f"event {number}", "id": number} for number in range(first, first + 3))
    return EventSource.stream(environ, items)


def slow_feed(environ):
    """One event at first, and a ping each 2 s behind it."""
    return EventSource(environ, ping=2.0)


def ticks(environ):
    def items():
        for number in range(1, 4):
            yield number
            time.sleep(0.5)

    return EventSource.stream(environ, items())


ANSWERS = {
    "/ticks": ticks,
    "/slow-feed": slow_feed,
    "/listeners": with_listeners,
    "/attached": within_the_call,
    "/refuse": refuse,
    "/guarded": guarded,
    "/feed": feed,
}


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/elsewhere":
        start_response("302 Found", [("Location", "/echo"), ("Content-Length", "0")])
        return []
    if path == "/missing":
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "7")])
        return [b"no page"]
    if path == "/page":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
        return [b"a page"]
    return ANSWERS.get(path, talk)(environ)(environ, start_response)
