"""Streams over TLS in memory, each read and written at once by two threads or greenlets:
python -m tests.stress.tls_memory_app world port ca.pem seconds

Prints, by each connection's port, what was sent and received, in octets and as digests."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from importlib import import_module

from tests.stress.tls_memory_peer import DEPTHS, MARKER, SIZES

PATIENCE = 60.0  # seconds without any progress


class Half:
    """One direction of a connection."""

    def __init__(self) -> None:
        self.octets = 0
        self.digest = hashlib.sha256()

    def add(self, data: bytes) -> None:
        self.octets += len(data)
        self.digest.update(data)

    def told(self) -> list:
        return [self.octets, self.digest.hexdigest()]


def write(stream, half: Half, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        message = os.urandom(random.choice(SIZES))
        half.add(message)
        send_all(stream, message)
    send_all(stream, MARKER)


def send_all(stream, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[stream.send_now(rest) :]
        if rest:
            assert stream.wait_writable(PATIENCE), "no room"
    stream._world.breathe()


def read(stream, half: Half) -> None:
    """Receive to the marker, in each way there is."""
    held = b""
    while not held.endswith(MARKER):
        if random.random() < 0.1:
            assert stream.wait_readable(PATIENCE), "nothing came"
            piece = stream.recv_now()
        else:
            piece = stream.recv()
        assert piece, f"ended after {half.octets} octets: {stream.error}"
        held += piece
        half.add(held[: -len(MARKER)])
        held = held[-len(MARKER) :]


def end(stream) -> None:
    while not stream.end_writing():
        assert stream.wait_writable(PATIENCE), "no room for the close_notify"
    while stream.recv():
        continue
    assert stream.error is None, stream.error
    stream.close()


def connect(world, port: int, authority: str, depth: int) -> tuple[int, object]:
    from _socket import socket as PlainSocket  # noqa: N812

    from faye_sync.transport.attempt import Attempt
    from faye_sync.transport.pipe import SocketPipe
    from faye_sync.transport.stream import set_no_delay
    from faye_sync.transport.tls_client import TlsContexts
    from faye_sync.transport.tls_memory import MemoryTlsStream, TlsPipe

    settings = TlsContexts().of_option(None, authority, "127.0.0.1")
    sock = PlainSocket()
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    set_no_delay(sock)
    with Attempt(world, PATIENCE) as attempt:
        pipe = SocketPipe(sock, attempt)
        for _ in range(depth):
            pipe = TlsPipe(pipe, settings)
    return sock.getsockname()[1], MemoryTlsStream(sock, pipe.codec, world)


def run(world, jobs: list[Callable[[], None]]) -> None:
    """Run jobs at once, and raise what the first to fail raised."""
    left, done, errors = [len(jobs)], world.event(), []

    def play(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            errors.append(error)
        left[0] -= 1
        if errors or not left[0]:
            done.set()

    for job in jobs:
        world.spawn("stress", lambda job=job: play(job))
    assert done.wait(PATIENCE * 10), "stands still"
    if errors:
        raise errors[0]


def main(name: str, port: int, authority: str, seconds: float) -> None:
    if name == "threads":
        from faye_sync.concurrency import THREADS as world  # noqa: N811
    else:
        hub = import_module(f"tests.support.under_{name}")
        hub.patch()
        world = hub.world()
    streams = [connect(world, port, authority, depth) for depth in DEPTHS]
    sent, received = ([Half() for _ in streams] for _ in range(2))
    jobs = []
    for (_, stream), out, into in zip(streams, sent, received, strict=True):
        jobs.append(lambda stream=stream, half=out: write(stream, half, seconds))
        jobs.append(lambda stream=stream, half=into: read(stream, half))
    run(world, jobs)
    run(world, [lambda stream=stream: end(stream) for _, stream in streams])
    told = zip(streams, sent, received, strict=True)
    print(
        json.dumps(
            {port: {"sent": out.told(), "received": into.told()} for (port, _), out, into in told}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
