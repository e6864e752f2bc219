"""A client of event streams of a few lines that takes an answer apart by itself, octet for octet.

It knows HTTP and the format from RFC 9112 and the WHATWG's text alone, so that the library's own
reading of them is put to the test. Every wait has a deadline."""

from __future__ import annotations

import re
import socket
from typing import Any

from tests.support.peer import PATIENCE, Address, connect

Event = dict[str, str]


class StreamPeer:
    """One request and its answer. Use it in a with statement."""

    def __init__(
        self,
        address: Address,
        path: str,
        *,
        method: str = "GET",
        version: str = "1.1",
        receive_buffer: int | None = None,
        timeout: float = PATIENCE,
        **headers: str,
    ) -> None:
        self.sock = connect(address, timeout)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._held = b""
        self._body = b""
        self.is_over = False
        fields = {"Host": "127.0.0.1:80", "Accept": "text/event-stream", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.sock.sendall(f"{method} {path} HTTP/{version}\r\n{lines}\r\n".encode("latin-1"))
        try:
            self.head = self._until(b"\r\n\r\n").decode("latin-1")
        except BaseException:
            self.close()
            raise
        self.status = int(self.head.split()[1])
        self.is_chunked = bool(re.search(r"(?im)^transfer-encoding: *chunked", self.head))

    def header(self, name: str) -> str | None:
        """The value of a header, in any case; a name that comes twice is a fault."""
        found = re.findall(rf"(?im)^{name}: *(.*?) *\r?$", self.head)
        assert len(found) <= 1, self.head
        return found[0] if found else None

    def block(self) -> str:
        """Wait for the next block, a comment or a retry included; without its blank line."""
        while b"\n\n" not in self._body:
            self._more()
        block, _, self._body = self._body.partition(b"\n\n")
        return block.decode()

    def event(self) -> Event:
        """Wait for the next event: its fields; several lines of data are joined by LF."""
        while True:
            fields: Event = {}
            for line in self.block().split("\n"):
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                fields[name] = f"{fields[name]}\n{value}" if name in fields else value
            if "data" in fields:
                return fields

    def data(self) -> str:
        """Wait for the data of the next event."""
        return self.event()["data"]

    def rest(self) -> bytes:
        """Wait for the end; what is left of the body."""
        while not self.is_over:
            self._take()
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> StreamPeer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _more(self) -> None:
        assert not self.is_over, f"the stream ended behind {self._body!r}"
        self._take()

    def _take(self) -> None:
        if not self.is_chunked:
            octets, self._held = self._held or self.sock.recv(65536), b""
            self.is_over = not octets
            self._body += octets
            return
        size = int(self._until(b"\r\n"), 16)
        while len(self._held) < size + 2:
            octets = self.sock.recv(65536)
            assert octets, "the stream ended within a chunk"
            self._held += octets
        assert self._held[size : size + 2] == b"\r\n"
        self._body += self._held[:size]
        self._held = self._held[size + 2 :]
        self.is_over = size == 0

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._held:
            octets = self.sock.recv(65536)
            assert octets, f"the connection ended behind {self._held!r}"
            self._held += octets
        found, _, self._held = self._held.partition(mark)
        return found
