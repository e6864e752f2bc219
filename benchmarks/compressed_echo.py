"""What a compressed echo costs a server, beside the packages websockets and aiohttp.

    python benchmarks/compressed_echo.py [--rounds 7] [--messages 8192] [--unpinned] [--record]

64 messages of 4 KiB of JSON, no two alike, go round on 4 connections, each of
which waits for its echo before it sends the next. Each server is a process of
its own with its default compression: ours under Werkzeug, with each engine, and
the other packages' own; all but aiohttp have a thread per connection. They take turns, a round each,
and what counts is their CPU time as the kernel tells it. Client and servers
share one CPU, so that other work on the machine costs all of them the same.
Linux only."""

# ruff: noqa: D103, INP001, PLC0415, S101, S603, T201

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from results import record

CONNECTIONS = 4
SIZE = 4096
WORDS = ("alpha", "beta", "gamma", "delta", "symbol", "user", "value", "time", "open", "closed")
TICK = 1 / os.sysconf("SC_CLK_TCK")
TAIL = b"\0\0\xff\xff"
MASK = bytes(
    4
)  # legal, and leaves the octets as they are; the server has to do the work all the same
PATIENCE = 30.0  # seconds


# --- the servers, each in a process of its own ------------------------------------------------------


def serve_ours(listener: socket.socket, engine: str) -> None:
    """Serve with Werkzeug; a thread of the library's talks on each connection."""
    from werkzeug.serving import make_server

    from faye_sync import PerMessageDeflate, WebSocket
    from faye_sync.driver.engines import Engine, available

    class OnOneEngine(PerMessageDeflate):
        @classmethod
        def _engines(cls) -> Sequence[Engine]:
            return [known for known in available() if known.name == engine]

    deflate = OnOneEngine()

    def echo(ws: WebSocket) -> None:
        for message in ws:
            ws.send(message)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return WebSocket(environ, extensions=[deflate]).start(echo)(environ, start_response)

    server = make_server("127.0.0.1", 0, application, threaded=True, fd=listener.fileno())
    server.serve_forever()


def serve_websockets(listener: socket.socket, _: str) -> None:
    """Serve with websockets' server for threads, as it comes."""
    from websockets.sync.server import ServerConnection, serve

    def echo(ws: ServerConnection) -> None:
        for message in ws:
            ws.send(message)

    serve(echo, sock=listener).serve_forever()


def serve_aiohttp(listener: socket.socket, _: str) -> None:
    """Serve with aiohttp's event loop, as it comes."""
    from aiohttp import web

    async def echo(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
        return ws

    app = web.Application()
    app.add_routes([web.get("/", echo)])
    web.run_app(app, sock=listener, print=None)


SERVERS = {
    "faye_sync": serve_ours,
    "websockets": serve_websockets,
    "aiohttp": serve_aiohttp,
}
PEERS = ("websockets", "aiohttp")


@dataclass
class Contender:
    """A server that runs, and what its rounds took: microseconds for each message."""

    name: str
    engine: str
    port: int
    pid: int
    rounds: list[float] = field(default_factory=list)
    sent: int = 0  # octets of all echoes of one round, as they were on the wire

    def cpu(self) -> float:
        """The CPU seconds of the process until now, all threads together."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK


@contextmanager
def running(name: str, engine: str) -> Iterator[Contender]:
    """Start a server on a socket that it inherits."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()
        command = [sys.executable, __file__, "--serve", name, engine, str(fd)]
        process = subprocess.Popen(command, pass_fds=[fd], stderr=subprocess.DEVNULL)
    try:
        yield Contender(name, engine, port, process.pid)
    finally:
        process.kill()
        process.wait()


# --- the client: octets that are made once, and the least that finds the end of an answer ------------


def message(seed: int) -> bytes:
    """One message: records as an application sends them."""
    source = random.Random(seed)  # noqa: S311  # the same each time
    records = [
        {
            source.choice(WORDS): source.randrange(10**6),
            "name": f"{source.choice(WORDS)}{source.randrange(1000)}",
            "price": round(source.random() * 1000, 2),
            "ok": source.random() < 0.5,
        }
        for _ in range(80)
    ]
    return json.dumps(records).encode()[:SIZE]


MESSAGES = [message(seed) for seed in range(64)]


def frames(bits: int) -> list[bytes]:
    """One turn of all messages, packed with context takeover and framed.

    The first looks back at nothing and the others at nothing before it, so turn
    after turn can be sent with the same octets."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -bits)
    framed = []
    for plain in MESSAGES:
        packed = (compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        framed.append(b"\xc1\xfe" + struct.pack("!H", len(packed)) + MASK + packed)
    return framed


class Connection:
    """One of a browser's, as far as the server can tell."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.sock.recv(1)
        assert b"permessage-deflate" in head, head
        named = re.search(rb"client_max_window_bits=(\d+)", head)
        self.frames = frames(int(named[1]) if named else 15)

    def read(self) -> bytes:
        """Read one frame, which has to be a compressed text of 126 octets to 64 KiB; its payload."""
        held = self.sock.recv(65536)
        assert held[:2] == b"\xc1\x7e", held[:2]
        whole = 4 + int.from_bytes(held[2:4], "big")
        while len(held) < whole:
            held += self.sock.recv(65536)
        assert len(held) == whole
        return held[4:]

    def check(self) -> int:
        """See one turn come back as it was sent; the octets of the echoes."""
        decompressor, size = zlib.decompressobj(-15), 0
        for framed, plain in zip(self.frames, MESSAGES, strict=True):
            self.sock.sendall(framed)
            packed = self.read()
            assert decompressor.decompress(packed + TAIL) == plain
            size += len(packed)
        return size


def play(contender: Contender, messages: int) -> None:
    """Play one round on connections of its own, and take note of what it took."""
    with ExitStack() as stack:
        connections = [Connection(contender.port) for _ in range(CONNECTIONS)]
        for connection in connections:
            stack.callback(connection.sock.close)
            contender.sent = connection.check()
        turns = max(1, messages // len(MESSAGES) // CONNECTIONS)
        begun = contender.cpu()
        for _ in range(turns):
            for number in range(len(MESSAGES)):
                for connection in connections:
                    connection.sock.sendall(connection.frames[number])
                for connection in connections:
                    connection.read()
        took = contender.cpu() - begun
    contender.rounds.append(took / (turns * len(MESSAGES) * CONNECTIONS) * 1e6)


# --- the table ----------------------------------------------------------------------------------------


def engines() -> list[str]:
    from faye_sync.driver.engines import available

    return [engine.name for engine in available()]


def level(engine: str) -> str:
    from faye_sync.driver.engines import available

    return next(str(known.level) for known in available() if known.name == engine)


def machine() -> str:
    """What this was measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    names = (*PEERS, "werkzeug", "isal", "zlib-ng")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    cpu = f"{os.cpu_count()} x {model[1] if model else platform.machine()}"
    return (
        f"{cpu}; Python {platform.python_version()}, {versions}, zlib {zlib.ZLIB_RUNTIME_VERSION}"
    )


def show(contenders: Sequence[Contender]) -> None:
    base = median(contenders[0].rounds)
    print(
        f"{'server':12}{'engine':10}{'level':>6}{'us/message':>12}{'least':>8}{'most':>8}", end=""
    )
    print(f"{'octets':>8}{'ratio':>8}")
    for one in contenders:
        middle = median(one.rounds)
        how = level(one.engine) if one.name == "faye_sync" else "own"
        row = f"{one.name:12}{one.engine:10}{how:>6}{middle:12.1f}{min(one.rounds):8.1f}"
        octets = one.sent / len(MESSAGES)
        print(f"{row}{max(one.rounds):8.1f}{octets:8.0f}{middle / base:8.2f}")


def keep(contenders: Sequence[Contender]) -> None:
    """Keep the figures, ours by the engine that a connection gets where all are installed."""
    costs = {}
    for place, one in enumerate(contenders):
        is_another_engine = one.name == "faye_sync" and place
        costs[f"{one.name} {one.engine}" if is_another_engine else one.name] = one.rounds
    record(
        "Server: 4 KiB of JSON, compressed",
        costs,
        unit="us of the server's CPU time for a message",
        command="python benchmarks/compressed_echo.py",
    )


def main() -> None:
    """Let all take turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of each server")
    parser.add_argument("--messages", type=int, default=8192, help="in each round")
    parser.add_argument("--unpinned", action="store_true", help="use all CPUs")
    parser.add_argument("--record", action="store_true", help="keep the figures, for page.py")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        name, engine, descriptor = asked.serve
        SERVERS[name](socket.socket(fileno=int(descriptor)), engine)
        return
    if not asked.unpinned:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with ExitStack() as stack:
        wanted = [("faye_sync", engine) for engine in engines()]
        wanted += [(peer, "zlib") for peer in PEERS]
        contenders = [stack.enter_context(running(*one)) for one in wanted]
        for one in contenders:
            # The first round imports, and warms up.
            play(one, len(MESSAGES))
            one.rounds.clear()
        for _ in range(asked.rounds):
            for one in contenders:
                play(one, asked.messages)
    show(contenders)
    if asked.record:
        keep(contenders)
    print(f"CPU of the server's process; the median of {asked.rounds} rounds, taken in turns, of")
    print(f"{asked.messages} messages of 4 KiB; octets: of one echo, on the wire. {machine()}")


if __name__ == "__main__":
    main()
