"""A WebSocket client of a few lines that does what a test says, right or wrong, and nothing more.

It knows the protocol from RFC 6455 alone, so that the library's own reading of it is put to the
test. Every wait has a deadline."""

from __future__ import annotations

import base64
import os
import re
import socket
import struct
import time
from collections.abc import Iterable
from typing import NamedTuple

from tests.support.certificates import client_context

PATIENCE = 20.0  # seconds to wait for what should come at once

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, mask: bool = True) -> bytes:
    """Write one frame, as a client does unless mask is False."""
    size = len(payload)
    bit = 0x80 if mask else 0
    if size < 126:
        length = bytes((bit | size,))
    elif size < 65536:
        length = bytes((bit | 126,)) + struct.pack("!H", size)
    else:
        length = bytes((bit | 127,)) + struct.pack("!Q", size)
    key = os.urandom(4) if mask else b""
    return (
        bytes((0x80 * final | opcode,)) + length + key + (masked(payload, key) if mask else payload)
    )


def masked(payload: bytes, key: bytes) -> bytes:
    stream = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(
        len(payload), "big"
    )


def closing(code: int, reason: str = "") -> bytes:
    """Write a client's close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def request(
    path: str, port: int = 80, headers: Iterable[tuple[str, str]] = (), *, without: str = ""
) -> bytes:
    """Write the head of an opening handshake."""
    fields = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        **dict(headers),
    }
    fields.pop(without, None)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


class TlsAddress(NamedTuple):
    """Host and port of a server that speaks TLS."""

    host: str
    port: int


Address = tuple[str, int] | TlsAddress | str
"""Host and port, with TLS or without, or the path of a Unix socket."""


def connect(address: Address, timeout: float = PATIENCE) -> socket.socket:
    """Connect, with the TLS handshake where the address says so."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
    else:
        sock = socket.create_connection(tuple(address), timeout)
    try:
        sock.settimeout(timeout)
        if isinstance(address, str):
            sock.connect(address)
        if isinstance(address, TlsAddress):
            return client_context().wrap_socket(sock, server_hostname=address.host)
    except BaseException:
        sock.close()
        raise
    return sock


class Refused(Exception):
    """The server answered something else than 101; head and body tell what."""

    def __init__(self, head: str, body: bytes) -> None:
        super().__init__(head)
        self.head = head
        self.status = int(head.split()[1])
        self.body = body


class Peer:
    """One connection. Use it in a with statement."""

    def __init__(
        self,
        address: Address,
        path: str,
        *,
        early: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        without: str = "",
        send_buffer: int | None = None,
    ) -> None:
        """Connect and shake hands; early leaves in the same segment as the request."""
        self.sock = connect(address)
        self._tcp = self.sock.family != socket.AF_UNIX
        try:
            if self._tcp:
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if send_buffer is not None:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            self._held = bytearray()
            port = address[1] if self._tcp else 80
            self.sock.sendall(request(path, port, headers, without=without) + early)
            self.head = self._read_head()
        except BaseException:
            self.sock.close()
            raise

    def _read_head(self) -> str:
        while b"\r\n\r\n" not in self._held:
            self._read_more(time.monotonic() + PATIENCE)
        head, _, rest = bytes(self._held).partition(b"\r\n\r\n")
        self._held = bytearray(rest)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Refused(head.decode(), self._read_body(head.decode()))
        return head.decode()

    def _read_body(self, head: str) -> bytes:
        """Read what Content-Length says, or to the end where there is none."""
        found = re.search(r"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        return self._take(int(found[1]), time.monotonic() + PATIENCE) if found else self.rest()

    def _read_more(self, deadline: float) -> None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the library sent nothing in time")
        self.sock.settimeout(remaining)
        # A server with a tiny send buffer waits for each acknowledgement; a late one is 40 ms.
        if self._tcp:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError(f"the connection ended; unread were {bytes(self._held[:200])!r}")
        self._held += piece

    def send(self, octets: bytes) -> None:
        self.sock.settimeout(PATIENCE)
        self.sock.sendall(octets)

    def say(self, data: str | bytes) -> None:
        """Send a whole message."""
        is_text = isinstance(data, str)
        self.send(frame(TEXT, data.encode()) if is_text else frame(BINARY, data))

    def read_frame(self, timeout: float = PATIENCE) -> tuple[int, bytes]:
        """Read one frame: its opcode and payload. Fails on a fragment, a mask, a reserved bit."""
        deadline = time.monotonic() + timeout
        first, second = self._take(2, deadline)
        assert first & 0xF0 == 0x80, f"FIN alone may be set, got 0x{first:02x}"
        assert not second & 0x80, "a server must not mask"
        size = second
        if second == 126:
            size = struct.unpack("!H", self._take(2, deadline))[0]
        elif second == 127:
            size = struct.unpack("!Q", self._take(8, deadline))[0]
        return first & 0x0F, self._take(size, deadline)

    def _take(self, size: int, deadline: float) -> bytes:
        while len(self._held) < size:
            self._read_more(deadline)
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def read(self, timeout: float = PATIENCE) -> str | bytes:
        """Read a whole message, passing over pings; anything else fails the test."""
        opcode, payload = self.read_frame(timeout)
        while opcode == PING:
            self.send(frame(PONG, payload))
            opcode, payload = self.read_frame(timeout)
        assert opcode in (TEXT, BINARY), f"wanted a message, got opcode {opcode}: {payload!r}"
        return payload.decode() if opcode == TEXT else payload

    def read_close(self, timeout: float = PATIENCE) -> tuple[int, str]:
        """Read the close frame, passing over pings: its code and reason."""
        opcode, payload = self.read_frame(timeout)
        while opcode == PING:
            opcode, payload = self.read_frame(timeout)
        assert opcode == CLOSE, f"wanted a close frame, got opcode {opcode}: {payload[:200]!r}"
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    def answer_close(self) -> tuple[int, str]:
        """Answer the close frame that comes next; fails unless TCP ends after it."""
        code, reason = self.read_close()
        self.send(closing(code, reason))
        assert self.rest() == b""
        return code, reason

    def rest(self, timeout: float = PATIENCE) -> bytes:
        """Read to the end of the connection: all octets that were not read yet."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self._read_more(deadline)
        except (EOFError, ConnectionResetError):
            return bytes(self._held)

    def close(self, code: int = 1000) -> tuple[int, str]:
        """Close from this side; returns the answer, and fails unless TCP ends after it."""
        self.send(closing(code))
        answer = self.read_close()
        assert self.rest() == b""
        return answer

    def drop(self) -> None:
        """End TCP with a reset, as a crash or a pulled cable behind a proxy does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


def all_echo(peers: list[Peer], text: str) -> None:
    """Have all say something before any reads its answer, as an echo gives it."""
    for peer in peers:
        peer.say(text)
    assert [peer.read() for peer in peers] == [text] * len(peers)
