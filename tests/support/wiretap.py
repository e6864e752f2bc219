"""What stands on the wire between a client and a server: a relay that writes down all octets.

With it a test sees which messages were compressed, and how far back they look, whoever sent them."""

from __future__ import annotations

import socket
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.support.peer import CLOSE, masked

PATIENCE = 20.0  # seconds to wait for what should come at once
TAIL = b"\0\0\xff\xff"  # what RFC 7692 7.2.1 has a sender leave out


@dataclass(frozen=True)
class Sent:
    """One message, or a control frame: all of its frames, joined."""

    opcode: int
    is_compressed: bool
    payload: bytes
    frames: int = 1


@dataclass
class Way:
    """One direction of a connection."""

    octets: bytearray = field(default_factory=bytearray)

    @property
    def head(self) -> str:
        return bytes(self.octets).partition(b"\r\n\r\n")[0].decode()

    def everything(self) -> list[Sent]:
        """All messages and control frames, each where it ended."""
        done, gathered = [], None
        for first, payload in frames_of(bytes(self.octets).partition(b"\r\n\r\n")[2]):
            opcode, is_marked = first & 15, bool(first & 0x40)
            if opcode >= CLOSE:
                done.append(Sent(opcode, is_marked, payload))
                continue
            sent = Sent(opcode, is_marked, payload)
            if gathered:
                assert opcode == 0, "a message begins within another"
                assert not is_marked, "RSV1 belongs to the first frame (RFC 7692 6)"
                joined = gathered.payload + payload
                sent = Sent(gathered.opcode, gathered.is_compressed, joined, gathered.frames + 1)
            gathered = None if first & 0x80 else sent
            if gathered is None:
                done.append(sent)
        return done

    def messages(self) -> list[Sent]:
        return [sent for sent in self.everything() if sent.opcode < CLOSE]


def frames_of(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """The first octet and the payload, without its mask, of every whole frame."""
    at = 0
    while at + 2 <= len(octets):
        first, second = octets[at : at + 2]
        size, at = second & 127, at + 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(octets[at : at + wide], "big"), at + wide
        key = octets[at : at + 4] if second & 128 else b""
        at += len(key)
        payload = octets[at : at + size]
        if len(payload) < size:
            return
        yield first, masked(payload, key) if key else payload
        at += size


def inflated(messages: Sequence[Sent], bits: int = 15, *, keeps: bool = True) -> list[bytes]:
    """Inflate what is compressed of one direction with a window of so many bits, and no more.

    Octet by octet: zlib looks into what it gave out by the same call, however far back it is.
    """
    plain = []
    decompressor = zlib.decompressobj(-bits)
    for message in messages:
        if not message.is_compressed:
            plain.append(message.payload)
            continue
        if not keeps:
            decompressor = zlib.decompressobj(-bits)
        plain.append(b"".join(_octets(decompressor, message.payload + TAIL)))
    return plain


def _octets(decompressor: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    while octet := decompressor.decompress(data, 1):
        yield octet
        data = decompressor.unconsumed_tail


class Wiretap:
    """A relay to a server for one connection. Use it in a with statement."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.client, self.server = Way(), Way()
        self._relay = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            # It was closed before anybody came.
            return
        with client, socket.create_connection(("127.0.0.1", self._target), PATIENCE) as server:
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(PATIENCE)
            back = threading.Thread(target=_pump, args=(server, client, self.server))
            back.start()
            _pump(client, server, self.client)
            back.join()

    def __enter__(self) -> Wiretap:
        self._relay.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Both sides have closed by now; that wakes what waits for a client that never came.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._relay.join(PATIENCE)
        assert not self._relay.is_alive()


def _pump(source: socket.socket, target: socket.socket, way: Way) -> None:
    """Move octets until their end, and pass that on."""
    try:
        while piece := source.recv(65536):
            way.octets += piece
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side left; the other shall know.
        for sock in (source, target):
            _reset(sock)


def _reset(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It is over already.
        return
