"""What opening and closing a connection costs a server, and what one takes while it says nothing.

    python benchmarks/connections.py [--rounds 5] [--record]

The servers are those of servers.py and servers.js. A cycle is TCP, the
handshake, a close frame and its answer, four at a time. Memory is what a process
has more with 500 open connections than with one. The clients are sockets of this
process, which costs the servers nothing. Linux only."""

# ruff: noqa: D103, INP001, T201

from __future__ import annotations

import argparse
import re
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from idle import begin, finish
from results import record
from suite import SERVERS, Server, running

CYCLES, AT_ONCE = 400, 4
IDLE = 500
SETTLED = 2.0  # seconds until a server has done what it does after a handshake
MASK = bytes(4)  # legal, and changes nothing
CLOSE = b"\x88\x82" + MASK + struct.pack("!H", 1000)


def cycle_some(port: int) -> None:
    """Open some connections, and close them all."""
    with ExitStack() as stack:
        socks = [stack.enter_context(begin(port)) for _ in range(AT_ONCE)]
        for sock in socks:
            finish(sock)
            sock.sendall(CLOSE)
        for sock in socks:
            read_to_end(sock)


def read_to_end(sock: socket.socket) -> None:
    try:
        # One that waits for the client to leave first is not waited for.
        while octets := sock.recv(4096):
            if octets[0] == CLOSE[0]:
                return
    except ConnectionResetError:
        return


def cycles(server: Server) -> float:
    """Microseconds of the server's CPU time for a connection's whole life."""
    for _ in range(5):
        cycle_some(server.port)
    before = server.cpu_time()
    for _ in range(CYCLES // AT_ONCE):
        cycle_some(server.port)
    return 1e6 * (server.cpu_time() - before) / CYCLES


def memory(server: Server) -> float:
    """Octets of memory for a connection that says nothing."""
    with ExitStack() as stack:
        finish(stack.enter_context(begin(server.port)))
        before = resident(server)
        for _ in range(IDLE):
            finish(stack.enter_context(begin(server.port)))
        time.sleep(SETTLED)
        return 1024 * (resident(server) - before) / IDLE


def resident(server: Server) -> int:
    """KiB that are in memory."""
    files = [Path(f"/proc/{process}/status") for process in server.processes()]
    text = "".join(file.read_text(encoding="ascii") for file in files)
    return sum(map(int, re.findall(r"^VmRSS:\s+(\d+)", text, re.MULTILINE)))


WORKLOADS: dict[str, tuple[Callable[[Server], float], str]] = {
    "Opened and closed": (cycles, "us of the server's CPU time for a connection"),
    "Idle": (memory, "octets for a connection"),
}


def compare(work: Callable[[Server], float], rounds: int) -> dict[str, list[float]]:
    names = [name for name in SERVERS if name not in ("raw whole", "raw each")]
    costs: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, found in costs.items():
            with running(name) as server:
                if server is not None:
                    found.append(work(server))
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help="keep the figures, for page.py")
    arguments = parser.parse_args()
    for title, (work, unit) in WORKLOADS.items():
        costs = compare(work, arguments.rounds)
        print(f"\n{title}: {unit}", flush=True)
        for name, found in costs.items():
            print(f"  {name:18}", " ".join(f"{cost:9.0f}" for cost in sorted(found)), flush=True)
        if arguments.record:
            record(
                f"Connections: {title.lower()}",
                costs,
                unit=unit,
                limit="raw",
                command="python benchmarks/connections.py",
            )


if __name__ == "__main__":
    main()
