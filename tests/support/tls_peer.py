"""A TLS client of a few lines that decides which octets of a record leave, and when.

It uses the standard library's TLS alone, so that the library's own is put to the test."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tests.support.certificates import certificate, client_context
from tests.support.local import tcp_pair

PATIENCE = 20.0  # seconds to wait for what should come at once
RECORD = 16384  # octets of the largest record: RFC 8446 5.1


class TlsPeer:
    """The client's end, on one thread."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context().wrap_bio(self._in, self._out, server_hostname="127.0.0.1")

    def shake_hands(self) -> None:
        self._pump(self._tls.do_handshake)

    def seal(self, data: bytes) -> bytes:
        """Make the records of data, and send none of them."""
        for start in range(0, len(data), RECORD):
            self._tls.write(data[start : start + RECORD])
        return self._out.read()

    def open(self, octets: bytes) -> bytes:
        """Take octets of the wire; returns what the records that are whole now hold."""
        self._in.write(octets)
        pieces = []
        try:
            while piece := self._tls.read(2**20):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return b"".join(pieces)
        return b"".join(pieces)

    def say(self, data: bytes) -> None:
        for start in range(0, len(data), 2**20):
            self.sock.sendall(self.seal(data[start : start + 2**20]))

    def say_goodbye(self) -> None:
        """Send a close_notify."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            # The other's own has not come, which nobody waits for.
            self._give(self._out.read())

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self._pump(self._tls.read, count - len(data))
        return data

    def rest(self) -> bytes:
        """Read to the close_notify; raises SSLEOFError where TCP ends without one."""
        data = b""
        while piece := self._pump(self._tls.read, 2**20):
            data += piece
        return data

    def _pump(self, method: Callable[..., Any], *arguments: Any) -> Any:
        while True:
            try:
                return method(*arguments)
            except ssl.SSLWantReadError:
                self._give(self._out.read())
                octets = self._take()
                if octets:
                    self._in.write(octets)
                else:
                    self._in.write_eof()
            finally:
                self._give(self._out.read())

    def _give(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def _take(self) -> bytes:
        return self.sock.recv(2**16)


def server_context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate().chain, certificate().key)
    context.maximum_version = version
    return context


@contextmanager
def connected(
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> Iterator[tuple[ssl.SSLSocket, TlsPeer]]:
    """The server's TLS socket and its peer, after the handshake."""
    server, client = tcp_pair()
    client.settimeout(PATIENCE)
    peer = TlsPeer(client)
    with client, ThreadPoolExecutor(1) as pool:
        wrapping = pool.submit(server_context(version).wrap_socket, server, server_side=True)
        peer.shake_hands()
        with wrapping.result(PATIENCE) as sock:
            assert sock.version() == version.name.replace("_", ".")
            yield sock, peer


def fill(stream: Any, piece: bytes = b"f" * RECORD) -> int:
    """Send until the kernel refuses a record; returns how many octets it took."""
    sent = 0
    while went := stream.send_now(piece):
        sent += went
    return sent


def in_thread(function: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Call function on a thread of its own; what it returns is appended to the list."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    return thread, results
