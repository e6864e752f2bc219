"""Where the time of a small message goes: what each layer adds to a bare recv and send.

    python benchmarks/small_message.py [--rounds 25]

One connection, messages of 32 octets to and fro. The client is another process
on the same CPU; the server's thread is here, and answers by ever more of the
library's layers, in turns. Tells the thread's CPU time for a message, the least
and the median of all rounds. Linux only."""

# ruff: noqa: D103, INP001, S603, T201

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import parse_headers
from statistics import median

from faye_sync import WebSocket
from faye_sync.driver.frames import BINARY, MASK_BIT, encode_frame, join_frame
from faye_sync.driver.whole_messages import take_messages

PAYLOAD = b"x" * 32
MASKED = encode_frame(BINARY, PAYLOAD, mask_key=b"\x37\xfa\x21\x3d")
PLAIN = encode_frame(BINARY, PAYLOAD)
FIRST = PLAIN[0]
BATCH = 1500  # messages
MOST = 2**20  # octets of a message

# Sends a frame, waits for octets, for ever; behind a handshake where it is told to.
CLIENT = """
import socket, sys
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
if sys.argv[3]:
    sock.sendall(bytes.fromhex(sys.argv[3]))
    sock.recv(4096)
frame = bytes.fromhex(sys.argv[2])
while True:
    sock.send(frame)
    if not sock.recv(65536):
        break
"""
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
Answer = Callable[[], object]


def accept(stack: ExitStack, handshake: bytes) -> socket.socket:
    """Start a client, and return the server's end of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-c", CLIENT, port, MASKED.hex(), handshake.hex()]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        sock, _ = listener.accept()
    stack.callback(process.wait)
    stack.callback(process.kill)
    stack.enter_context(sock)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def web_socket(sock: socket.socket) -> WebSocket:
    reader = sock.makefile("rb")
    method, path, protocol = reader.readline().decode().split()
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_PROTOCOL": protocol,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": reader,
        "werkzeug.socket": sock,
    }
    for name, value in parse_headers(reader).items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return WebSocket(environ, ping=None).accept()


def layers(bare: socket.socket, ws: WebSocket) -> dict[str, Answer]:
    """What each row does for one message; each but the first two has the one before within."""
    link = ws._link
    assert link is not None  # noqa: S101  # it was accepted
    stream, incoming, outgoing = link.stream, link.incoming, link.outgoing
    incoming.inbox.clear()

    def parse() -> bytes:
        messages: list[bytes] = []
        take_messages(stream.recv() or b"", 0, MASK_BIT, MOST, messages)
        return messages[0]

    def read() -> object:
        incoming.read()
        return incoming.inbox.popleft()

    return {
        "recv and send of a bare socket": lambda: bare.send(bare.recv(65536)),
        "the same by our stream": lambda: (stream.recv(), stream.send_now(PLAIN)),
        "parsing and framing": lambda: stream.send_now(join_frame(FIRST, parse(), None)),
        "reading lock, events, inbox": lambda: (read(), stream.send_now(PLAIN)),
        "receive(): one receiver, style, end": lambda: (ws.receive(), stream.send_now(PLAIN)),
        "writing lock, queues, tail": lambda: (ws.receive(), outgoing.send_whole(PAYLOAD, None)),
        "send(): state, deadline": lambda: ws.send(ws.receive()),
    }


def measure(answers: dict[str, Answer], rounds: int) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {name: [] for name in answers}
    for _ in range(rounds):
        for name, answer in answers.items():
            before = time.thread_time()
            for _ in range(BATCH):
                answer()
            costs[name].append(1e6 * (time.thread_time() - before) / BATCH)
    return costs


def run(rounds: int) -> None:
    with ExitStack() as stack:
        bare = accept(stack, b"")
        ws = web_socket(accept(stack, HANDSHAKE))
        costs = measure(layers(bare, ws), rounds)
        ws.close()
    print(f"{'us of CPU time for a message':38} least  median")
    for name, found in costs.items():
        print(f"{name:38} {min(found):5.2f}  {median(found):6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    # Not on the main thread, where handlers of signals cost a little more.
    thread = threading.Thread(target=run, args=(arguments.rounds,))
    thread.start()
    thread.join()


if __name__ == "__main__":
    main()
