"""What the servers' tests have connections do: /deed/name?option=value, and GET /result/name.

A deed is blocking code, run by start(function); its name is the test's own word for the connection.
What it returns is kept as the result of that name, with how the connection ended. The styles of
tests/support/app.py are here too."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from faye_sync import ConnectionClosed, EventSource, WebSocket, broadcast
from tests.servers import stream_app
from tests.support import app
from tests.support.app import MISTAKES, QUESTIONS, STYLES, Page, json_page, options_of
from tests.support.ledger import PATIENCE, Ledger
from tests.support.parallel import Event, in_parallel

BIG = 2**26  # octets, more than any socket's buffers take


results = Ledger()
connections = Ledger()
room: set[WebSocket] = set()


# --- deeds --------------------------------------------------------------------------------------------


def pattern(size: int, seed: int) -> bytes:
    """Octets that differ at every place, so that a swap or a loss shows."""
    block = hashlib.sha512(str(seed).encode()).digest() * 64
    return (block * (size // len(block) + 1))[:size]


def swap(ws: WebSocket) -> dict:
    """Send 8 MB before reading the 8 MB that the peer sends before reading ours."""
    size = int(ws.receive())
    ws.send(pattern(size, 1))
    return {"digest": hashlib.sha256(ws.receive()).hexdigest()}


def crowd(ws: WebSocket) -> dict:
    """Eight senders at once; each message begins with its sender, its number and its digest."""

    def sender(number: int) -> None:
        for count in range(200):
            body = os.urandom(64 * 1024 - 40)
            head = bytes((number, count)) + hashlib.sha256(body).digest()
            ws.send(head + body)

    senders = [in_parallel(lambda number=number: sender(number)) for number in range(8)]
    for each in senders:
        each.join()
    return {"sent": 8 * 200}


def overfill(ws: WebSocket) -> dict:
    """Send more than fits, to a peer that reads nothing."""
    started = time.monotonic()
    try:
        sent = ws.send(bytes(BIG))
    except (TimeoutError, ConnectionClosed) as error:
        return {"seconds": time.monotonic() - started, "error": repr(error)}
    return {"seconds": time.monotonic() - started, "error": None, "sent": sent}


def close(ws: WebSocket) -> dict:
    """Close, and wait for a peer that may not answer."""
    started = time.monotonic()
    ws.close(4000, "enough")
    returned = time.monotonic()
    closed = ws.wait_closed(PATIENCE)
    return {
        "close took": returned - started,
        "seconds": time.monotonic() - started,
        "closed": closed,
    }


def wait(ws: WebSocket) -> dict:
    """Wait for the connection to close, without receiving."""
    started = time.monotonic()
    ws.wait_closed(PATIENCE)
    return {"seconds": time.monotonic() - started}


def listen(ws: WebSocket) -> dict:
    """Receive to the end."""
    started = time.monotonic()
    got = list(ws)
    return {"seconds": time.monotonic() - started, "messages": len(got)}


def send_only(ws: WebSocket) -> dict:
    """Send a message every 50 ms until the connection closes; never receive."""
    count = 0
    pause = Event()
    try:
        while ws.send(str(count)):
            count += 1
            pause.wait(0.05)
    except ConnectionClosed as error:
        return {"sent": count, "code": error.code, "ended": time.time()}
    return {"sent": count, "code": None, "ended": time.time()}


DEEDS: dict[str, Callable[[WebSocket], Any]] = {
    "swap": swap,
    "crowd": crowd,
    "overfill": overfill,
    "close": close,
    "wait": wait,
    "listen": listen,
    "send-only": send_only,
}


def perform(ws: WebSocket, deed: str, name: str) -> None:
    """Run a deed on a thread of the library's own, and keep its result and its end."""
    ends = []
    ws.on("close", ends.append)

    def talk(ws: WebSocket) -> None:
        result = DEEDS[deed](ws)
        ws.close()
        ws.wait_closed()
        end = ends[0]
        ended = {"code": end.code, "reason": end.reason, "cause": end.cause, "clean": end.was_clean}
        results.put(name, {**ended, "opened": ws.opened_at, **result})

    ws.start(talk)
    connections.put(name, ws)


# --- callback style -----------------------------------------------------------------------------------


def join_room(ws: WebSocket, name: str) -> None:
    ends = []

    @ws.on("close")
    def leave(event):
        room.discard(ws)
        ends.append(event)
        results.put(name, {"code": event.code, "cause": event.cause})

    @ws.on("open")
    def join(event):
        room.add(ws)
        ws.send("welcome")

    connections.put(name, ws)


def be_busy(ws: WebSocket, name: str) -> None:
    """Answer each message, after as many seconds as it says."""

    @ws.on("message")
    def work(event):
        Event().wait(float(event.data))
        ws.send(f"worked {event.data}")

    ws.on("close", lambda event: results.put(name, {"code": event.code, "cause": event.cause}))


# --- what other requests do to a connection -----------------------------------------------------------


def poke(name: str) -> dict:
    """Ping and close a connection whose send is stalled, and see how long that takes."""
    ws = connections.get(name)
    started = time.monotonic()
    pinged = ws.ping("are you there?")
    after_ping = time.monotonic()
    ws.close(4000, "enough")
    return {
        "pinged": pinged,
        "ping took": after_ping - started,
        "close took": time.monotonic() - after_ping,
    }


def tell_room(name: str) -> dict:
    """Broadcast 40 times 100,000 octets."""
    started = time.monotonic()
    counts = [broadcast(list(room), bytes(100_000)) for _ in range(40)]
    return {"seconds": time.monotonic() - started, "counts": counts}


def state_of(name: str) -> dict:
    ws = connections.get(name)
    return {"state": ws.ready_state.name, "buffered": ws.buffered_amount, "latency": ws.latency}


ACTIONS: dict[str, Callable[[str], Any]] = {
    "result": results.get,
    "poke": poke,
    "tell-room": tell_room,
    "state": state_of,
}


def respond(environ: dict) -> WebSocket | EventSource | Page:
    path = environ["PATH_INFO"]
    if path.startswith("/streams/"):
        return stream_app.respond(environ)
    if path in QUESTIONS:
        return json_page(QUESTIONS[path]())
    _, what, name = path.split("/")
    if what in STYLES or what in MISTAKES:
        return app.respond(environ)
    if what in ACTIONS:
        return json_page(ACTIONS[what](name))
    ws = WebSocket(environ, **options_of(environ))
    if what == "room":
        join_room(ws, name)
    elif what == "busy":
        be_busy(ws, name)
    else:
        perform(ws, what, name)
    return ws


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    return respond(environ)(environ, start_response)
