"""What many connections cost one gunicorn worker while they say nothing, and when all speak at once.

    python benchmarks/idle.py [--count 10000] [--ping SECONDS] [--style callbacks|blocking|attached]
                              [--worker gthread|gevent]

The clients are sockets of this process. Tells the worker's memory for a connection,
its threads, its CPU time in ten quiet seconds or, where there are pings, in the time
from the first of each connection to its second, and how long it takes to answer a
message from every client. Linux only, with `ulimit -n` above the count."""

# ruff: noqa: D103, INP001, S603, T201

from __future__ import annotations

import argparse
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faye_sync import WebSocket

HERE = Path(__file__).parent
QUIET = 10.0  # seconds, if there are no pings
SETTLED = 4.0  # seconds after which what began has ended
BATCH = 100  # handshakes under way at once
MESSAGE = b"\x81\x85\x00\x00\x00\x00hello"  # its mask changes nothing
ANSWER = b"\x81\x05hello"
PING = b"\x89"
HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


# --- the worker -----------------------------------------------------------------------------------------


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    seconds = float(os.environ["PING"])
    ws = WebSocket(environ, ping=seconds or None)
    return STYLES[os.environ["STYLE"]](ws)(environ, start_response)


def with_listeners(ws: WebSocket) -> WebSocket:
    ws.on("message", lambda event: ws.send(event.data))
    return ws


def with_a_thread(ws: WebSocket) -> WebSocket:
    return ws.start(echo)


def in_the_call(ws: WebSocket) -> WebSocket:
    echo(ws)
    return ws


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


STYLES = {"callbacks": with_listeners, "blocking": with_a_thread, "attached": in_the_call}


@dataclass
class Worker:
    """A worker of gunicorn, and where it listens."""

    pid: int
    port: int

    def status(self, field: str) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(rf"^{field}:\s+(\d+)", text, re.MULTILINE)
        return int(found[1]) if found else 0

    def cpu_time(self) -> float:
        # The kernel's number for the clock of another process: clock_getcpuclockid(3).
        return time.clock_gettime(~self.pid << 3 | 2)


@contextmanager
def worker(kind: str, style: str, ping: float) -> Iterator[Worker]:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        listener.set_inheritable(True)
        port = listener.getsockname()[1]
        options = ["--worker-connections", "100000"]
        if kind == "gthread":
            options += ["--threads", "4"]
        command = (sys.executable, "-m", "gunicorn", "--chdir", str(HERE), "--worker-class", kind)
        process = subprocess.Popen(
            [*command, *options, "--bind", f"fd://{listener.fileno()}", "idle:application"],
            env={**os.environ, "PING": str(ping), "STYLE": style},
            pass_fds=(listener.fileno(),),
            stderr=subprocess.DEVNULL,
        )
        try:
            # The first call has imported everything that a call needs.
            with open_one(port) as sock:
                answer(sock)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            yield Worker(int(children.read_text(encoding="ascii").split()[0]), port)
        finally:
            process.terminate()
            process.wait()


# --- the clients ------------------------------------------------------------------------------------------


def begin(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.sendall(HANDSHAKE)
    return sock


def finish(sock: socket.socket) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)


def open_one(port: int) -> socket.socket:
    sock = begin(port)
    finish(sock)
    return sock


def answer(sock: socket.socket) -> None:
    sock.sendall(MESSAGE)
    while not sock.recv(4096).endswith(ANSWER):
        continue


def open_all(port: int, count: int, stack: ExitStack) -> list[socket.socket]:
    socks: list[socket.socket] = []
    while len(socks) < count:
        batch = [stack.enter_context(begin(port)) for _ in range(min(BATCH, count - len(socks)))]
        for sock in batch:
            finish(sock)
        socks += batch
    return socks


class Ponging:
    """All clients of one poller: answers pings, and counts answers."""

    def __init__(self, socks: Iterable[socket.socket]) -> None:
        self._poller = select.epoll()
        self._socks = {sock.fileno(): sock for sock in socks}
        for fd in self._socks:
            self._poller.register(fd, select.EPOLLIN)
        self.answers = 0

    def run(self, seconds: float, enough: int | None = None) -> float:
        """Go on for so long, or until so many answers came; returns seconds."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds and self.answers != enough:
            for fd, _ in self._poller.poll(seconds - passed):
                self._take(self._socks[fd])
        return time.monotonic() - began

    def _take(self, sock: socket.socket) -> None:
        octets = sock.recv(4096)
        self.answers += octets.count(ANSWER)
        if octets[:1] == PING:
            payload = octets[2 : 2 + octets[1]]
            sock.sendall(bytes((0x8A, 0x80 | len(payload), 0, 0, 0, 0)) + payload)


def measure(server: Worker, count: int, ping: float) -> None:
    quiet = ping or QUIET
    memory = server.status("VmRSS")
    began = time.monotonic()
    with ExitStack() as stack:
        socks = open_all(server.port, count, stack)
        opened = time.monotonic() - began
        clients = Ponging(socks)
        clients.run(SETTLED)
        grown = server.status("VmRSS") - memory
        print(f"opened {count} connections in {opened:.1f} s")
        print(f"memory: {grown / 1024:.1f} MiB more, {grown * 1024 / count:.0f} octets for each")
        print(f"threads: {server.status('Threads')}")
        clients.run(ping)
        spent = server.cpu_time()
        clients.run(quiet)
        spent = server.cpu_time() - spent
        print(f"CPU time in {quiet:.0f} s: {spent * 1000:.1f} ms, {spent / quiet:.2%} of a core")
        spent = server.cpu_time()
        for sock in socks:
            sock.sendall(MESSAGE)
        seconds = clients.run(60, enough=count)
        spent = server.cpu_time() - spent
        print(
            f"all speak: {clients.answers} answers in {seconds:.2f} s behind the last message, "
            f"{1e6 * spent / count:.1f} us of CPU for each, {server.status('Threads')} threads"
        )
        clients.run(SETTLED)
        print(f"afterwards: {server.status('Threads')} threads")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--ping", type=float, default=20.0, help="seconds; 0 for none")
    parser.add_argument("--style", choices=STYLES, default="callbacks")
    parser.add_argument("--worker", choices=("gthread", "gevent"), default="gthread")
    arguments = parser.parse_args()
    with worker(arguments.worker, arguments.style, arguments.ping) as server:
        measure(server, arguments.count, arguments.ping)


if __name__ == "__main__":
    main()
