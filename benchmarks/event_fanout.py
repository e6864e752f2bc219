"""What an event costs a server that sends it to a hundred streams, beside the usual ways.

    python benchmarks/event_fanout.py [--rounds 5] [--events 200] [--record]
    python benchmarks/event_fanout.py NAME

Each server is a process of its own, and sends an event to all who listen when
there is a line on its standard input; the next line comes when all have the
event. "generator" is what is written without a library: a queue for each
listener and a generator that waits on it. "raw" is the limit: one thread that
writes to every socket. What counts is the server's CPU time for an event that
reached one listener. Client and server share one CPU. Linux only."""

# ruff: noqa: D103, INP001, PLC0415, S603, T201

from __future__ import annotations

import argparse
import os
import queue
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from results import record
from servers import Environ, listen, on_gevent, on_werkzeug
from suite import ABSENT, Costs, Server

HERE = Path(__file__).parent
LISTENERS = 100
PATIENCE = 30.0  # seconds
TEXT = '{"symbol": "ACME", "price": 101.25, "volume": 1200, "at": "2026-01-01T12:00:00Z"}'
EVENT = f"id: 7\ndata: {TEXT}\n\n".encode()
MARK = TEXT[-40:].encode()  # in each event once, near its end, however its lines end
HEADERS = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

streams: set[Any] = set()


# --- the servers: each spreads an event for each line -------------------------------------------------


def on_each_line(spread: Callable[[], None]) -> None:
    """Call it on a thread of its own."""

    def run() -> None:
        for _ in sys.stdin:
            spread()

    threading.Thread(target=run, daemon=True).start()


def on_each_line_of_gevent(spread: Callable[[], None]) -> None:
    """Call it on a greenlet of its own."""
    import gevent
    from gevent.fileobject import FileObject

    def run() -> None:
        for _ in FileObject(sys.stdin.fileno(), "rb", close=False):
            spread()

    gevent.spawn(run)


def raw() -> None:
    def spread() -> None:
        for sock in tuple(streams):
            sock.sendall(EVENT)

    on_each_line(spread)
    listener = listen()
    while True:
        sock, _ = listener.accept()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(4096)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(HEAD)
        streams.add(sock)


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    from faye_sync import EventSource

    es = EventSource(environ, retry=None)
    streams.add(es)
    return es(environ, start_response)


def spread_ours() -> None:
    for es in tuple(streams):
        es.send(TEXT, id=7)


def generator(queue_class: Callable[[], Any]) -> Callable[..., Iterable[bytes]]:
    """The way without a library; the queue is that of the server's threads."""

    def answer(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        del environ
        start_response("200 OK", HEADERS)
        events = queue_class()
        streams.add(events)
        yield b":\n\n"  # lets the head leave
        while True:
            yield f"id: 7\ndata: {events.get()}\n\n".encode()

    return answer


def spread_by_queue() -> None:
    for events in tuple(streams):
        events.put(TEXT)


def ours() -> None:
    on_each_line(spread_ours)
    on_werkzeug(application)


def ours_on_gevent() -> None:
    on_each_line_of_gevent(spread_ours)
    on_gevent(application)


def generators() -> None:
    on_each_line(spread_by_queue)
    on_werkzeug(generator(queue.SimpleQueue))


def generators_on_gevent() -> None:
    from gevent.queue import SimpleQueue

    on_each_line_of_gevent(spread_by_queue)
    on_gevent(generator(SimpleQueue))


def aiohttp() -> None:
    import asyncio

    from aiohttp import web

    async def spread(lines: asyncio.StreamReader) -> None:
        while await lines.readline():
            for response in tuple(streams):
                await response.write(EVENT)

    async def feed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=dict(HEADERS))
        await response.prepare(request)
        streams.add(response)
        await asyncio.Event().wait()
        return response

    async def start(_: web.Application) -> None:
        lines = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        tasks.add(loop.create_task(spread(lines)))

    tasks: set[asyncio.Task[None]] = set()
    app = web.Application()
    app.add_routes([web.get("/feed", feed)])
    app.on_startup.append(start)
    web.run_app(app, sock=listen(), print=None)


SERVERS: dict[str, Callable[[], None]] = {
    "raw": raw,
    "faye_sync": ours,
    "faye_sync gevent": ours_on_gevent,
    "generator": generators,
    "generator gevent": generators_on_gevent,
    "aiohttp": aiohttp,
}
ON_NODE = "faye-websocket"


@contextmanager
def running(name: str) -> Iterator[Server | None]:
    """Run a server; None where it cannot be had."""
    if name == ON_NODE:
        command = ["node", str(HERE / "servers.js"), "feed"]
    else:
        command = [sys.executable, __file__, name]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            port = process.stdout.readline() if process.stdout else ""
            if not port:
                _, errors = process.communicate()
                if not ABSENT.search(errors):
                    sys.exit(f"event_fanout.py: {name} did not start:\n{errors}")
            yield Server(name, process, int(port)) if port else None
        finally:
            process.kill()


# --- the client ---------------------------------------------------------------------------------------


def subscribe(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    sock.sendall(
        b"GET /feed HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
        b"Connection: keep-alive\r\n\r\n"
    )
    return sock


class Audience:
    """All listeners, and what each one has had of the event that is on its way."""

    def __init__(self, socks: list[socket.socket]) -> None:
        self._selector = selectors.DefaultSelector()
        self._seen = dict.fromkeys(socks, b"")
        for sock in socks:
            self._selector.register(sock, selectors.EVENT_READ)

    def await_event(self) -> None:
        """Return when all have one whole event more."""
        missing = set(self._seen)
        while missing:
            ready = self._selector.select(PATIENCE)
            if not ready:
                sys.exit(f"event_fanout.py: {len(missing)} listeners wait in vain")
            for key, _ in ready:
                sock = key.fileobj
                assert isinstance(sock, socket.socket)  # noqa: S101  # for the type alone
                octets = sock.recv(65536)
                if not octets:
                    sys.exit("event_fanout.py: the server ended a stream")
                _, is_whole, rest = (self._seen[sock] + octets).rpartition(MARK)
                self._seen[sock] = rest
                if is_whole:
                    missing.discard(sock)


def measure(server: Server, count: int) -> float:
    """Microseconds of the server's CPU time for an event that reached one listener."""
    cpu = sorted(os.sched_getaffinity(0))[:1]
    for task in (0, *server.tasks()):
        os.sched_setaffinity(task, cpu)
    with ExitStack() as stack:
        socks = [stack.enter_context(subscribe(server.port)) for _ in range(LISTENERS)]
        audience = Audience(socks)
        tell = server.process.stdin
        assert tell is not None  # noqa: S101  # it is a pipe

        def spread(events: int) -> None:
            for _ in range(events):
                tell.write("\n")
                tell.flush()
                audience.await_event()

        wait_until_all_listen(socks)
        spread(count // 10)
        before = server.cpu_time()
        spread(count)
        return 1e6 * (server.cpu_time() - before) / count / LISTENERS


def wait_until_all_listen(socks: list[socket.socket]) -> None:
    """The head of an answer leaves when the server has begun with the stream, or soon after."""
    for sock in socks:
        sock.recv(1, socket.MSG_PEEK)


def compare(rounds: int, count: int) -> Costs:
    costs: Costs = {name: [] for name in (*SERVERS, ON_NODE)}
    for _ in range(rounds):
        for name, found in costs.items():
            with running(name) as server:
                if server is not None:
                    found.append(measure(server, count))
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=200, help="in each round")
    parser.add_argument("--record", action="store_true", help="keep the figures, for page.py")
    parser.add_argument("serve", nargs="?", help="a server, to run here")
    arguments = parser.parse_args()
    if arguments.serve:
        SERVERS[arguments.serve]()
        return
    costs = compare(arguments.rounds, arguments.events)
    unit = "us of the server's CPU time for an event to one of them"
    print(f"An event to {LISTENERS} streams: {unit}; median, least, most")
    for name, found in costs.items():
        if found:
            print(f"  {name:18} {median(found):9.2f} {min(found):9.2f} {max(found):9.2f}")
    if arguments.record:
        record(
            f"Server: an event to {LISTENERS} streams",
            costs,
            unit=unit,
            limit="raw",
            command="python benchmarks/event_fanout.py",
        )


if __name__ == "__main__":
    main()
