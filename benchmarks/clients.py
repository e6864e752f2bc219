"""What a message costs a client, beside the packages that block and the bare socket.

    python benchmarks/clients.py [--rounds 5] [--record]
    python benchmarks/clients.py NAME WORKLOAD PORT

The server is another process, on the same CPU: servers.py, whose /echo answers
and whose /sink drops octets and answers text. Each client is a process of its
own for each figure, and tells its own CPU time. Linux only."""

# ruff: noqa: D103, INP001, PLC0415, S603, T201

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from results import record
from suite import running

HERE = Path(__file__).parent
MEBI = 2**20
SMALL, LARGE = b"x" * 32, b"x" * MEBI
KEY = b"\x37\xfa\x21\x3d"


# --- the clients: each gives send(message) and receive() -------------------------------------------------


class Raw:
    """Frames that were masked before; knows the sizes of answers."""

    def __init__(self, port: int, path: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.sock.recv(1)
        self.frames = {message: masked(message) for message in (SMALL, LARGE, "end")}

    def send(self, message: str | bytes) -> None:
        self.sock.sendall(self.frames[message])

    def receive(self) -> bytes:
        return self.sock.recv(65536)


def masked(message: str | bytes) -> bytes:
    from faye_sync.driver.frames import BINARY, TEXT, encode_frame

    if isinstance(message, str):
        return encode_frame(TEXT, message.encode(), mask_key=KEY)
    return encode_frame(BINARY, message, mask_key=KEY)


def faye_sync(port: int, path: str) -> tuple[Callable[..., Any], Callable[[], Any]]:
    from faye_sync import Client

    client = Client(f"ws://127.0.0.1:{port}{path}").connect()
    return client.send, client.receive


def websocket_client(port: int, path: str) -> tuple[Callable[..., Any], Callable[[], Any]]:
    import websocket

    client = websocket.create_connection(
        f"ws://127.0.0.1:{port}{path}",
        sockopt=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
    )

    def send(message: str | bytes) -> None:
        opcode = websocket.ABNF.OPCODE_TEXT if message == "end" else websocket.ABNF.OPCODE_BINARY
        client.send(message, opcode)

    return send, client.recv


def websockets(port: int, path: str) -> tuple[Callable[..., Any], Callable[[], Any]]:
    from websockets.sync.client import connect

    client = connect(f"ws://127.0.0.1:{port}{path}", compression=None).__enter__()
    return client.send, client.recv


def simple_websocket(port: int, path: str) -> tuple[Callable[..., Any], Callable[[], Any]]:
    from simple_websocket import Client

    client = Client(f"ws://127.0.0.1:{port}{path}")
    return client.send, client.receive


def raw(port: int, path: str) -> tuple[Callable[..., Any], Callable[[], Any]]:
    client = Raw(port, path)
    return client.send, client.receive


CLIENTS: dict[str, Callable[[int, str], tuple[Callable[..., Any], Callable[[], Any]]]] = {
    "raw": raw,
    "faye_sync": faye_sync,
    "faye_sync pure": faye_sync,
    "websocket-client": websocket_client,
    "websockets": websockets,
    "simple-websocket": simple_websocket,
}


# --- what they do -----------------------------------------------------------------------------------------


def go_round(send: Callable[..., Any], receive: Callable[[], Any], count: int) -> None:
    for _ in range(count):
        send(SMALL)
        receive()


def pour(send: Callable[..., Any], receive: Callable[[], Any], count: int) -> None:
    for _ in range(count):
        send(LARGE)
    # It is answered behind all of them.
    send("end")
    receive()


WORKLOADS: dict[str, tuple[str, Callable[..., None], int]] = {
    "32 B to and fro": ("/echo", go_round, 3000),
    "1 MiB sent": ("/sink", pour, 40),
}


def measure_here(name: str, workload: str, port: int) -> float:
    """Microseconds of this process's CPU time for a message."""
    path, work, count = WORKLOADS[workload]
    send, receive = CLIENTS[name](port, path)
    work(send, receive, count // 10)
    before = time.process_time()
    work(send, receive, count)
    return 1e6 * (time.process_time() - before) / count


def measure(name: str, workload: str, port: int) -> float | None:
    """The same in a process of its own; None where the client cannot be had."""
    run = subprocess.run(
        [sys.executable, __file__, name, workload, str(port)],
        env={**os.environ, "FAYE_SYNC_PURE": "1" if name.endswith(" pure") else ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode and "ModuleNotFoundError" in run.stderr:
        return None
    if run.returncode:
        sys.exit(f"clients.py: {name} did not bear {workload!r}:\n{run.stderr}")
    # The last line: a library may print.
    return float(run.stdout.split()[-1])


def compare(workload: str, rounds: int) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {name: [] for name in CLIENTS}
    with running("faye_sync") as server:
        if server is None:
            sys.exit("clients.py: the server did not start")
        cpu = sorted(os.sched_getaffinity(0))[:1]
        for task in (0, *server.tasks()):
            os.sched_setaffinity(task, cpu)
        for _ in range(rounds):
            for name, found in costs.items():
                cost = measure(name, workload, server.port)
                if cost is not None:
                    found.append(cost)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help="keep the figures, for page.py")
    parser.add_argument("one", nargs="*", help="a client, a workload and a port, to measure here")
    arguments = parser.parse_args()
    if arguments.one:
        name, workload, port = arguments.one
        print(measure_here(name, workload, int(port)), flush=True)
        # Some have threads that last until somebody closes.
        os._exit(0)
    for workload in WORKLOADS:
        costs = compare(workload, arguments.rounds)
        print(f"\n{workload}: CPU us of the client for a message", flush=True)
        for name, found in costs.items():
            print(f"  {name:18}", " ".join(f"{cost:9.2f}" for cost in sorted(found)))
        if arguments.record:
            record(
                f"Client: {workload}",
                costs,
                unit="us of the client's CPU time for a message",
                limit="raw",
                command="python benchmarks/clients.py",
            )


if __name__ == "__main__":
    main()
