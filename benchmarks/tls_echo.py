"""What an echo under TLS costs a server, beside the peers and the bare socket.

    python benchmarks/tls_echo.py [--rounds 5] [--servers raw,faye_sync] [--record]

The servers are those of suite.py, with a certificate that is made on the spot.
One connection sends a message, waits for its echo, and sends the next. The
client is this process, which is not measured; both share one CPU. Linux only."""

# ruff: noqa: D103, INP001, T201

from __future__ import annotations

import argparse
import os
import socket
import ssl
import tempfile
from pathlib import Path
from statistics import median

import trustme
from results import record
from suite import GUNICORN, SERVERS, Costs, Server, running

# Octets of a message, and how many of them.
WORKLOADS = {"32 B": (32, 2000), "64 KiB": (65536, 200)}
# One bare loop is limit enough, and of gunicorn it would show no more than elsewhere.
LEFT_OUT = ("raw whole", "raw each", *GUNICORN)
KEY = b"\x37\xfa\x21\x3d"
PATIENCE = 30.0  # seconds


def masked(size: int) -> bytes:
    from faye_sync.driver.frames import BINARY, encode_frame  # noqa: PLC0415  # for this process alone

    return encode_frame(BINARY, bytes(size), mask_key=KEY)


def connect(port: int, authority: trustme.CA) -> ssl.SSLSocket:
    """Open a WebSocket, with the least that it takes."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secure = context.wrap_socket(sock, server_hostname="127.0.0.1")
    secure.sendall(
        b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += secure.recv(1)
    if b" 101 " not in head:
        raise SystemExit(f"tls_echo.py: the server answered {head!r}")
    return secure


def go_round(sock: ssl.SSLSocket, frame: bytes, answer: int, count: int) -> None:
    """Send as many frames, each behind the whole answer to the one before."""
    buffer = bytearray(answer)
    for _ in range(count):
        sock.sendall(frame)
        missing = memoryview(buffer)
        while missing:
            missing = missing[sock.recv_into(missing) :]


def measure(server: Server, authority: trustme.CA, size: int, count: int) -> float:
    """Microseconds of the server's CPU time for a message."""
    cpu = sorted(os.sched_getaffinity(0))[:1]
    for task in (0, *server.tasks()):
        os.sched_setaffinity(task, cpu)
    frame = masked(size)
    # The bare loop sends the frame back as it came, key and all.
    answer = len(frame) - (0 if server.name == "raw" else len(KEY))
    with connect(server.port, authority) as sock:
        go_round(sock, frame, answer, count // 4)
        before = server.cpu_time()
        go_round(sock, frame, answer, count)
        return 1e6 * (server.cpu_time() - before) / count


def compare(title: str, names: list[str], rounds: int) -> Costs:
    size, count = WORKLOADS[title]
    authority = trustme.CA()
    costs: Costs = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "server.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        for _ in range(rounds):
            for name, found in costs.items():
                with running(name, str(certificate)) as server:
                    if server is not None:
                        found.append(measure(server, authority, size, count))
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help="keep the figures, for page.py")
    parser.add_argument("--servers", default=",".join(SERVERS))
    arguments = parser.parse_args()
    names = [name for name in arguments.servers.split(",") if name not in LEFT_OUT]
    for title in WORKLOADS:
        costs = compare(title, names, arguments.rounds)
        print(f"\n{title} under TLS: CPU us of the server for a message, median, least, most")
        for name, found in costs.items():
            if found:
                print(f"  {name:18} {median(found):9.2f} {min(found):9.2f} {max(found):9.2f}")
        if arguments.record:
            record(
                f"Server: {title} under TLS",
                costs,
                unit="us of the server's CPU time for a message",
                limit="raw",
                command="python benchmarks/tls_echo.py",
            )


if __name__ == "__main__":
    main()
