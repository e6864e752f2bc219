"""A client's end under TLS that one thread reads while others write, and whose records leave cut
anywhere and end anyhow, as a network and a crash leave them.

OpenSSL must not be entered by two threads at once, so each call of it is under a lock, and between
it and the socket are buffers: what waits, waits for the descriptor, outside of the lock."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from random import Random

from tests.support.peer import PATIENCE, Peer, TlsAddress, request

RECORD = 16384  # octets of the largest record: RFC 8446 5.1


class Truncated(Exception):
    """TCP ended without a close_notify before."""


def contexts_for(authority: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make contexts of a client that trusts this authority: TLS 1.3, and 1.2."""
    newest, older = (ssl.create_default_context(cafile=authority) for _ in range(2))
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    return newest, older


class TlsSocket:
    """What side.py uses of a socket. One thread at a time may read, and one may write."""

    def __init__(self, address: TlsAddress, context: ssl.SSLContext, random: Random) -> None:
        self._random = random
        self._lock = threading.Lock()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=address.host)
        # The rest of a record that is on its way, and how many octets of the caller's it holds.
        self._sealed = b""
        self._holds = 0
        self._was_told = False
        self._alert: ssl.SSLError | None = None
        self._sock = socket.create_connection(tuple(address), PATIENCE)
        self.family = self._sock.family
        self.fileno = self._sock.fileno
        self.settimeout = self._sock.settimeout
        self.setblocking = self._sock.setblocking
        self.setsockopt = self._sock.setsockopt
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._shake_hands()
        except BaseException:
            self._sock.close()
            raise

    def sendall(self, data: bytes) -> None:
        """Write all; only before another thread is here."""
        for start in range(0, len(data), RECORD):
            self._tls.write(data[start : start + RECORD])
        self._sock.sendall(self._out.read())

    def send(self, data: memoryview) -> int:
        """Write what goes; 0 while a record is on its way, whose octets have to come again."""
        with self._lock:
            if not self._sealed:
                self._holds = self._tls.write(data[: self._size()])
                self._sealed = self._out.read()
            is_cut = self._random.random() < 0.05
            end = self._random.randrange(1, len(self._sealed) + 1) if is_cut else None
            try:
                sent = self._sock.send(self._sealed[:end])
            except BlockingIOError:
                return 0
            self._sealed = self._sealed[sent:]
            taken = 0 if self._sealed else self._holds
        if is_cut and self._random.random() < 0.2:
            # The other end has a part of a record, and waits.
            select.select([], [], [], self._random.uniform(0, 0.05))
        return taken

    def recv(self, size: int) -> bytes:
        """Read what is there; empty at the end of TCP that a close_notify announced.

        Raises:
            BlockingIOError: No record is whole.
            Truncated: The end came unannounced, or with an alert: OpenSSL answers a torn record,
                and an end without a close_notify, by decode_error, and gives up the connection.
            SSLError: Anything else is wrong.
        """
        while self._alert is None:
            octets = self._sock.recv(size)
            with self._lock:
                data = self._open(octets)
            if data:
                return data
            if not octets and self._was_told:
                return b""
            if not octets:
                raise Truncated
        raise Truncated if "ALERT_DECODE_ERROR" in str(self._alert) else self._alert

    def shutdown(self, how: int) -> None:
        """End writing: with a close_notify, without, or in a record."""
        with self._lock:
            chance = self._random.random()
            if not self._sealed and chance < 0.7:
                self._say_goodbye() if chance < 0.4 else self._tear()
        self._sock.shutdown(how)

    def close(self) -> None:
        with self._lock:
            if not self._sealed and self._random.random() < 0.5:
                self._say_goodbye()
        self._sock.close()

    def _size(self) -> int:
        """Draw the size of a record: mostly the largest, sometimes a few octets."""
        return RECORD if self._random.random() < 0.9 else self._random.randrange(1, RECORD)

    def _open(self, octets: bytes) -> bytes:
        """Take octets of the wire, or their end; returns what the records that are whole hold."""
        if self._was_told and octets:
            raise AssertionError(f"after the close_notify came {octets[:60].hex()}")
        if octets:
            self._in.write(octets)
        else:
            self._in.write_eof()
        pieces = []
        try:
            while piece := self._tls.read(2**20):
                pieces.append(piece)
            self._was_told = True
        except ssl.SSLZeroReturnError:
            self._was_told = True
        except (ssl.SSLWantReadError, ssl.SSLEOFError):
            # No further record is whole.
            return b"".join(pieces)
        except ssl.SSLError as error:
            # What was whole before it comes first.
            self._alert = error
            return b"".join(pieces)
        if self._in.pending:
            raise AssertionError(f"after the close_notify came {self._in.read(60).hex()}")
        return b"".join(pieces)

    def _say_goodbye(self) -> None:
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            # The server's own has not come, or something is wrong, which the reader has met.
            self._send_once(self._out.read())
        else:
            self._send_once(self._out.read())

    def _tear(self) -> None:
        self._tls.write(bytes(RECORD))
        self._send_once(self._out.read()[: self._random.randrange(1, RECORD)])

    def _send_once(self, octets: bytes) -> None:
        """Give the kernel what it takes; what it leaves is what a crash would leave."""
        try:
            self._sock.send(octets)
        except OSError:
            # No room, or the server was first.
            return

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._sock.sendall(self._out.read())
                octets = self._sock.recv(65536)
                if not octets:
                    raise EOFError("TCP ended within the TLS handshake") from None
                self._in.write(octets)
            else:
                self._sock.sendall(self._out.read())
                return


class TlsPeer(Peer):
    """A Peer on a TlsSocket, whose handshake is done."""

    def __init__(
        self, address: TlsAddress, path: str, early: bytes, context: ssl.SSLContext, random: Random
    ) -> None:
        self._held = bytearray()
        self._tcp = True
        self.sock = TlsSocket(address, context, random)
        try:
            self.sock.sendall(request(path, address.port) + early)
            self.head = self._read_head()
        except BaseException:
            self.sock.close()
            raise
