"""A client under TLS that sends and receives at once on one thread, so that OpenSSL is used as it
demands: python -m tests.stress.tls_peer port ca.pem seconds.

Prints what it sent and received, in octets and as digests, with what the server says of that."""

from __future__ import annotations

import hashlib
import json
import os
import random
import select
import socket
import ssl
import sys
import time

from tests.stress.tls_app import SIZES
from tests.support.peer import BINARY, CLOSE, PING, PONG, TEXT, closing, frame, request

PATIENCE = 60.0  # seconds without any progress
AHEAD = 200_000  # octets to hold ready for sending


class TlsPeer:
    """One connection, and the two digests."""

    def __init__(self, port: int, authority: str) -> None:
        context = ssl.create_default_context(cafile=authority)
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self.sock.setblocking(False)
        self.out = bytearray(request("/duplex", port))
        self.held = bytearray()
        self.sent, self.received = hashlib.sha256(), hashlib.sha256()
        self.figures = {"messages in": 0, "messages out": 0, "octets in": 0, "octets out": 0}
        self.answer: dict | None = None
        self.is_closed = False
        # OpenSSL wants what it could not write offered again, the same octets.
        self.offered = b""

    def write(self) -> bool:
        self.offered = self.offered or bytes(self.out[:65536])
        if not self.offered:
            return False
        try:
            count = self.sock.send(self.offered)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return False
        del self.out[:count]
        self.offered = b""
        return True

    def read(self) -> bool:
        try:
            piece = self.sock.recv(65536)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        assert piece, f"the connection ended; unread were {bytes(self.held[:200])!r}"
        self.held += piece
        return True

    def step(self) -> None:
        """Write and read what goes; wait where nothing does."""
        wrote, read = self.write(), self.read()
        if not wrote and not read:
            ready = select.select([self.sock], [self.sock] if self.out else [], [], PATIENCE)
            assert ready[0] or ready[1], f"nothing moved for {PATIENCE:.0f} s: {self.figures}"

    def frames(self) -> None:
        """Take whole frames of what was read."""
        while (taken := self._take_frame()) is not None:
            opcode, payload = taken
            if opcode == PING:
                self.out += frame(PONG, payload)
            elif opcode == BINARY:
                self.received.update(payload)
                self.figures["messages in"] += 1
                self.figures["octets in"] += len(payload)
            elif opcode == TEXT:
                self.answer = json.loads(payload)
            else:
                assert opcode == CLOSE, f"opcode {opcode}"
                self.is_closed = True

    def _take_frame(self) -> tuple[int, bytes] | None:
        held = self.held
        if len(held) < 2:
            return None
        assert held[0] & 0xF0 == 0x80, f"a torn stream: {bytes(held[:20]).hex()}"
        size, start = held[1], 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(held[2:start], "big")
        if len(held) < start + size:
            return None
        payload = bytes(held[start : start + size])
        opcode = held[0] & 0x0F
        del held[: start + size]
        return opcode, payload

    def say(self, message: bytes) -> None:
        self.sent.update(message)
        self.out += frame(BINARY, message)
        self.figures["messages out"] += 1
        self.figures["octets out"] += len(message)


def shake_hands(peer: TlsPeer) -> None:
    while b"\r\n\r\n" not in peer.held:
        peer.step()
    head, _, rest = bytes(peer.held).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    peer.held[:] = rest


def main(port: int, authority: str, seconds: float) -> None:
    peer = TlsPeer(port, authority)
    shake_hands(peer)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        while len(peer.out) < AHEAD:
            peer.say(os.urandom(random.choice(SIZES)))
        peer.step()
        peer.frames()
    peer.out += frame(TEXT, b"stop")
    while peer.answer is None:
        peer.step()
        peer.frames()
    peer.out += closing(1000)
    while not peer.is_closed:
        peer.step()
        peer.frames()
    own = {"sent": peer.sent.hexdigest(), "received": peer.received.hexdigest()}
    print(json.dumps({"figures": peer.figures, "peer": own, "server": peer.answer}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
