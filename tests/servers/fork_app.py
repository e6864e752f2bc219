"""Handlers that fork: /style/what, with the styles of tests/support/app.py.

The child lives until GET /end, unless `what` says that it ends at once."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable
from multiprocessing import get_context

from faye_sync import ConnectionClosed, EventSource, WebSocket
from tests.support.app import STYLES, TALKS, Deliberate, json_page

ears: list[tuple[int, int]] = []
"""The pipes that children listen at."""


def listen(ear: int) -> None:
    """What a child does: wait for an octet, and end without a turn of the hub.

    A child whose hub goes on accepts connections as its parent does, and closes them as it ends:
    from Python 3.13 on a child of multiprocessing runs the exit hooks."""
    os.read(ear, 1)
    os._exit(0)


def fork(ws: WebSocket) -> None:
    """Have a child that lives on, and say its pid."""
    ws.accept()
    pipe = os.pipe()
    child = get_context("fork").Process(target=listen, args=pipe[:1])
    child.start()
    ears.append(pipe)
    ws.send(str(child.pid))


def fork_and_echo(ws: WebSocket) -> None:
    fork(ws)
    for message in ws:
        ws.send(message)


def fork_and_raise(ws: WebSocket) -> None:
    fork(ws)
    ws.receive()
    raise Deliberate("the handler failed on purpose")


def is_refused(ws: WebSocket) -> bool:
    """Whether the connection, which is the parent's, takes nothing in a child."""
    try:
        return not ws.send("never sent")
    except ConnectionClosed:
        return True


def exit_in_child(ws: WebSocket) -> None:
    """Have a child that ends at once, the way an interpreter ends."""
    ws.accept()
    pid = os.fork()
    if not pid:
        status = 0 if is_refused(ws) and ws.closed else 1
        atexit._run_exitfuncs()
        os._exit(status)
    _, status = os.waitpid(pid, 0)
    ws.send(f"ended with {status}")
    for message in ws:
        ws.send(message)


TALKS.update({"fork": fork_and_echo, "fork-raise": fork_and_raise, "fork-exit": exit_in_child})


def end() -> int:
    """Have the children end; returns how many that were."""
    count = len(ears)
    while ears:
        ear, mouth = ears.pop()
        os.write(mouth, b"\0")
        os.close(ear)
        os.close(mouth)
    return count


def use_in_child(es: EventSource) -> str:
    """Have a child try the parent's stream and end the way an interpreter ends; what it found."""
    pid = os.fork()
    if not pid:
        found = es.closed, es.send("never sent"), es.ready_state
        atexit._run_exitfuncs()
        os._exit(0 if found == (True, False, 3) else 1)
    _, status = os.waitpid(pid, 0)
    es.send(f"ended with {status}")
    return "done"


streams: list[EventSource] = []


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/stream":
        streams.append(EventSource(environ))
        return streams[-1](environ, start_response)
    if path == "/stream-and-fork":
        return json_page(use_in_child(streams[-1]))(environ, start_response)
    if path == "/end":
        return json_page(end())(environ, start_response)
    _, style, what = path.split("/")
    ws = WebSocket(environ)
    STYLES[style](ws, what)
    return ws(environ, start_response)
