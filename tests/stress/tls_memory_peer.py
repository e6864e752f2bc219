"""The server's ends of streams over TLS in memory: python -m tests.stress.tls_memory_peer

Prints its port and who signed its certificate; serves a connection of each depth, each on a thread
that sends and receives at once, cuts records anywhere and changes its keys; and prints, by the
client's port, what was sent and received, in octets and as digests."""

from __future__ import annotations

import hashlib
import json
import os
import random
import select
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

from tests.support.certificates import certificate
from tests.support.key_update import update_keys
from tests.support.tls_layers import TlsServer, answer
from tests.support.tls_peer import server_context

PATIENCE = 60.0  # seconds without any progress
SIZES = (1, 125, 4_000, 16_384, 70_000)  # octets, each side of TLS's records
MARKER = bytes(range(32))  # ends each direction; that random octets hold it is out of question
DEPTHS = (1, 2, 1, 2)  # layers of TLS in each other
VERSIONS = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, *[ssl.TLSVersion.TLSv1_2] * 2)


class Duplex:
    """One connection: octets out until the client's marker came, then a marker too."""

    def __init__(self, server: TlsServer, changes_keys: bool) -> None:
        self._server = server
        self._changes_keys = changes_keys
        self._sealed = b""
        self._held = b""
        self._is_over = False
        self._has_ended = False
        self._sent, self._received = hashlib.sha256(), hashlib.sha256()
        self._octets = [0, 0]

    def run(self) -> dict:
        sock = self._server.sock
        sock.setblocking(False)
        while self._sealed or not self._has_ended:
            readable, writable, _ = select.select([sock], [sock], [], PATIENCE)
            assert readable or writable, f"stands still after {self._octets} octets"
            if readable:
                self._read(sock.recv(2**16))
            if writable:
                self._write()
        sock.settimeout(PATIENCE)
        assert self._server.rest() == b""
        self._server.say_goodbye()
        return {
            "sent": [self._octets[0], self._sent.hexdigest()],
            "received": [self._octets[1], self._received.hexdigest()],
        }

    def _read(self, octets: bytes) -> None:
        assert octets, f"the client left after {self._octets[1]} octets"
        held = self._held + self._server.open(octets)
        data, self._held = held[: -len(MARKER)], held[-len(MARKER) :]
        self._received.update(data)
        self._octets[1] += len(data)
        self._is_over = self._held == MARKER

    def _write(self) -> None:
        if not self._sealed and not self._has_ended:
            self._sealed = self._server.seal(self._next())
        end = random.randrange(1, len(self._sealed) + 1) if random.random() < 0.1 else None
        self._sealed = self._sealed[self._server.sock.send(self._sealed[:end]) :]

    def _next(self) -> bytes:
        if self._is_over:
            self._has_ended = True
            return MARKER
        if self._changes_keys and random.random() < 0.05:
            update_keys(self._server._tls)
        message = os.urandom(random.choice(SIZES))
        self._sent.update(message)
        self._octets[0] += len(message)
        return message


def main() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor(len(DEPTHS)) as pool,
    ):
        listener.settimeout(PATIENCE)
        print(listener.getsockname()[1], certificate().authority, flush=True)
        playing = {}
        for depth, version in zip(DEPTHS, VERSIONS, strict=True):
            sock, (_, port) = listener.accept()
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = answer(sock, depth, server_context(version))
            duplex = Duplex(server, version is ssl.TLSVersion.TLSv1_3)
            playing[port] = pool.submit(duplex.run)
        print(json.dumps({port: done.result() for port, done in playing.items()}))


if __name__ == "__main__":
    main()
