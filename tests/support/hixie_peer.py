"""A client of hixie-75 and hixie-76, of a few lines, that does what a test says and nothing more.

It knows them from the drafts alone. Every wait has a deadline."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable

from tests.support.peer import PATIENCE, Address, Peer, connect

# The example of draft-hixie-thewebsocketprotocol-76, 1.3.
KEYS = {
    "Sec-WebSocket-Key1": "18x 6]8vM;54 *(5:  {   U1]8  z [  8",
    "Sec-WebSocket-Key2": "1_ tx7X d  <  nw  334J702) 7]o}` 0",
}
BODY = b"Tm[K T2u"
PROOF = b"fQJ,fN/4F4!~K~MH"

CLOSE = b"\xff\x00"


def request_75(path: str, **more: str) -> bytes:
    """Write the head of a request of hixie-75, with more fields."""
    fields = {
        "Upgrade": "WebSocket",
        "Connection": "Upgrade",
        "Host": "example.com",
        "Origin": "http://example.com",
        **more,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def request_76(path: str) -> bytes:
    """Write the head of a request of hixie-76, without its body."""
    return request_75(path, **KEYS)


def text(data: str) -> bytes:
    """Write one frame of text."""
    return b"\x00" + data.encode() + b"\xff"


def skipped(payload: bytes) -> bytes:
    """Write one frame that means nothing, of at most 127 octets."""
    return bytes((0x80, len(payload))) + payload


class HixiePeer(Peer):
    """One connection. Use it in a with statement."""

    def __init__(self, address: Address, pieces: Iterable[bytes]) -> None:
        """Connect, send each piece by itself, and read the head of the answer."""
        self.sock = connect(address)
        self._tcp = True
        self._held = bytearray()
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                self.send(piece)
            self.head = self._read_head()
        except BaseException:
            self.sock.close()
            raise

    def say(self, data: str) -> None:
        """Send a text message."""
        self.send(text(data))

    def take(self, size: int) -> bytes:
        """Read so many octets."""
        return self._take(size, time.monotonic() + PATIENCE)

    def read(self) -> str:
        """Read a text message; anything else fails the test."""
        self._begin()
        octets = bytearray()
        while (octet := self.take(1)) != b"\xff":
            octets += octet
        return octets.decode()

    def read_text(self, size: int) -> str:
        """Read a text message of so many octets, which may be large; else likewise."""
        self._begin()
        octets = self.take(size)
        assert self.take(1) == b"\xff", f"{octets[:200]!r} goes on"
        return octets.decode()

    def _begin(self) -> None:
        first = self.take(1)
        assert first == b"\x00", f"wanted a text, got {first + bytes(self._held[:200])!r}"

    def half_close(self) -> None:
        """End this direction."""
        self.sock.shutdown(socket.SHUT_WR)
