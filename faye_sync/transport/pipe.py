"""What is talked through while dialing: a socket, or TLS over another pipe.

Every wait is the attempt's, and so is the deadline, which counts also where
octets come without end."""

from __future__ import annotations

from _socket import socket as PlainSocket
from typing import Protocol

from faye_sync.readiness import READ, WRITE
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.stream import CHUNK


class Pipe(Protocol):
    """Octets both ways, each wait bounded by an attempt.

    Each method raises TimeoutError and CalledOff as the attempt does, and the
    OSErrors of the connection as they are."""

    def recv(self) -> bytes:
        """Wait for octets, at most a CHUNK; empty at the end."""

    def send_all(self, data: bytes) -> None:
        """Wait until all of data is on its way."""


class SocketPipe:
    """A Pipe on a connected socket that never blocks."""

    def __init__(self, sock: PlainSocket, attempt: Attempt) -> None:
        self._sock = sock
        self._attempt = attempt

    def recv(self) -> bytes:
        while (data := self._recv_now()) is None:
            self._attempt.wait([(self._sock.fileno(), READ)])
        return data

    def send_all(self, data: bytes) -> None:
        rest = memoryview(data)[self._send_now(data) :]
        while rest:
            self._attempt.wait([(self._sock.fileno(), WRITE)])
            rest = rest[self._send_now(rest) :]

    def _recv_now(self) -> bytes | None:
        # Nobody waits in here, or a deadline would be told as a consequence of BlockingIOError.
        self._attempt.check()
        try:
            return self._sock.recv(CHUNK)
        except BlockingIOError:
            return None

    def _send_now(self, data: bytes | memoryview) -> int:
        self._attempt.check()
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
