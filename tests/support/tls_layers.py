"""The server's end of layers of TLS, and a client's stream over them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from faye_sync.concurrency import THREADS, Concurrency
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.pipe import Pipe, SocketPipe
from faye_sync.transport.stream import set_no_delay
from faye_sync.transport.tls_client import TlsSettings
from faye_sync.transport.tls_memory import MemoryTlsStream, TlsPipe
from tests.support.certificates import client_context
from tests.support.local import tcp_pair
from tests.support.tls_peer import PATIENCE, TlsPeer, server_context

SETTINGS = TlsSettings(client_context(), "127.0.0.1")


class TlsServer(TlsPeer):
    """A TlsPeer that is a server, on a socket or within another."""

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, outer: TlsServer | None = None
    ) -> None:
        self.sock = sock
        self._outer = outer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    def seal(self, data: bytes) -> bytes:
        octets = super().seal(data)
        return octets if self._outer is None else self._outer.seal(octets)

    def open(self, octets: bytes) -> bytes:
        return super().open(octets if self._outer is None else self._outer.open(octets))

    def say_goodbye(self) -> None:
        super().say_goodbye()
        if self._outer is not None:
            self._outer.say_goodbye()

    def rest(self) -> bytes:
        data = super().rest()
        if self._outer is not None:
            assert self._outer.rest() == b""
        return data

    def _give(self, octets: bytes) -> None:
        if self._outer is None:
            super()._give(octets)
        elif octets:
            self._outer.say(octets)

    def _take(self) -> bytes:
        if self._outer is None:
            return super()._take()
        return self._outer._pump(self._outer._tls.read, 2**16)


def answer(sock: socket.socket, depth: int, context: ssl.SSLContext) -> TlsServer:
    """Do the server's side of so many handshakes in each other; returns the innermost."""
    server = None
    for _ in range(depth):
        server = TlsServer(sock, context, server)
        server.shake_hands()
    return server


@contextmanager
def layered(
    depth: int = 1,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    world: Concurrency = THREADS,
) -> Iterator[tuple[MemoryTlsStream, TlsServer]]:
    """A client's stream over so many layers of TLS, and the server's end."""
    theirs, ours = tcp_pair()
    theirs.settimeout(PATIENCE)
    set_no_delay(theirs)
    ours.setblocking(False)
    with theirs, ours, ThreadPoolExecutor(1) as pool, Attempt(THREADS, PATIENCE) as attempt:
        answering = pool.submit(answer, theirs, depth, server_context(version))
        pipe: Pipe = SocketPipe(ours, attempt)
        for _ in range(depth):
            pipe = TlsPipe(pipe, SETTINGS)
        stream = MemoryTlsStream(ours, pipe.codec, world)
        yield stream, answering.result(PATIENCE)
        stream.close()
