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
        """Wait for octets, at most 64 KiB; empty at the end."""

    def send_all(self, data: bytes) -> None:
        """Wait until all of data is on its way."""


class SocketPipe:
    """A Pipe on a connected socket that never blocks."""

    def __init__(self, sock: PlainSocket, attempt: Attempt) -> None:
        self._sock = sock
        self._attempt = attempt

    def recv(self) -> bytes:
        while True:
            self._attempt.check()
            try:
                return self._sock.recv(CHUNK)
            except BlockingIOError:
                self._attempt.wait([(self._sock.fileno(), READ)])

    def send_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._attempt.check()
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                self._attempt.wait([(self._sock.fileno(), WRITE)])
