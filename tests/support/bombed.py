"""A program that lets itself be bombed, and tells how much memory that took: tests/test_bombs.py.

For each line "side engine max_length port" it forks a child that opens one connection to that
port of loopback, as a client or by accepting what it connects to as a server does. The child takes
one message, answers it, receives the next, and prints how that ended, in JSON. Linux only."""

from __future__ import annotations

import gc
import io
import json
import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faye_sync import Client, ConnectionClosed, WebSocket
from tests.support.deflating import deflate_on
from tests.support.local import environ_of

PATIENCE = 60.0  # seconds; a machine that has other work to do may inflate slowly


CALLS: list[dict[str, Any]] = []


def memory(what: str) -> int:
    """Octets: VmRSS is what this process has in memory, VmHWM the most that it had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) * 1024


def forget_peak() -> None:
    """Have VmHWM begin anew."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def as_client(port: int, **options: Any) -> Client:
    return Client(f"ws://127.0.0.1:{port}/", open_timeout=PATIENCE, **options).connect()


def as_server(port: int, **options: Any) -> WebSocket:
    # Who is there is a client that was connected to, which is all the same to both.
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    sock.settimeout(None)
    environ = environ_of(sock, io.BufferedReader(sock.makefile("rb", 0), 512))
    # A server drops its socket when the call ends, and this one never does.
    CALLS.append(environ)
    return WebSocket(environ, **options).accept()


SIDES: dict[str, Callable[..., Client | WebSocket]] = {"client": as_client, "server": as_server}


def bombed(side: str, engine: str, max_length: int, port: int) -> dict[str, Any]:
    deflate = deflate_on(engine)
    ws = SIDES[side](port, extensions=[deflate], max_length=max_length)
    # What a first message makes is made before.
    first = ws.receive(PATIENCE)
    forget_peak()
    before = memory("VmRSS")
    ws.send(first)
    try:
        how = {"received": len(ws.receive(PATIENCE))}
    except ConnectionClosed as closed:
        how = {"code": closed.code, "cause": closed.cause}
    growth = memory("VmHWM") - before
    ws.close()
    return {**how, "growth": growth}


def main() -> None:
    for line in sys.stdin:
        side, engine, max_length, port = line.split()
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        print(json.dumps(bombed(side, engine, int(max_length), int(port))), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main()
