"""The library's own server of the client's stress: /key/attempt is a connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from faye_sync import ConnectionClosed, WebSocket
from tests.stress.client_visit import VisitRecord, Visits
from tests.stress.sender import pause

visits = Visits()


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path.startswith("/report/"):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [visits.report(path.rpartition("/")[2]).encode()]
    _, key, attempt = path.split("/")
    ws = WebSocket(environ, send_timeout=1.0, close_timeout=5.0)
    record = visits.begin(key, int(attempt))
    ws.on("close", lambda event: note_end(record, event))
    return ws.start(lambda ws: talk(ws, record))(environ, start_response)


def note_end(record: VisitRecord, event) -> None:
    if event.cause == "peer":
        record.client_code = event.code
    visits.end(record)


def talk(ws: WebSocket, record: VisitRecord) -> None:
    """Send and receive by turns, end as planned, and take what the client sent before its end."""
    try:
        converse(ws, record)
        END_BY.get(record.plan.ending, close)(ws, record)
    except (TimeoutError, ConnectionClosed):
        # The client took nothing for send_timeout, or was first.
        ws.close()
    for message in ws:
        record.take(message)


def converse(ws: WebSocket, record: VisitRecord) -> None:
    plan = record.plan
    end_at = time.monotonic() + plan.duration
    while time.monotonic() < end_at or plan.ending == "none":
        ws.send(record.next_message())
        take(ws, record, record.random.choice((0, plan.gap)))


def take(ws: WebSocket, record: VisitRecord, timeout: float) -> None:
    try:
        record.take(ws.receive(timeout))
    except TimeoutError:
        # Nothing has come.
        return


# --- ends -----------------------------------------------------------------------------------------------


def close(ws: WebSocket, record: VisitRecord) -> None:
    ws.close(record.plan.code, "enough")


def cut(ws: WebSocket, _: VisitRecord) -> None:
    """Do what the network does; no public name has it."""
    ws._link.stream.shut_down()


def stall(_: WebSocket, record: VisitRecord) -> None:
    pause(record.random.uniform(0.2, 1.5))


END_BY = {**dict.fromkeys(("fin", "reset", "torn"), cut), "stall": stall}
