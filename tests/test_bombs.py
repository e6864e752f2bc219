"""Half a mebibyte that inflates to 512: it ends with 1009, and costs little more than max_length."""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.support.deflating import EACH_ENGINE, LIMIT, MIB, bomb
from tests.support.heads import ACCEPT, accept_of, parse_head, switching
from tests.support.peer import BINARY, CLOSE, frame, request
from tests.support.program import Program
from tests.support.wiretap import frames_of

PATIENCE = 60.0  # seconds; a machine that has other work to do may inflate slowly
MARKED = 0x40  # RSV1: compressed
NAME = "Sec-WebSocket-Extensions"
PACKED = bomb(512)
BEYOND = MIB  # octets that it may cost, the half MiB of the bomb included


def packed(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def in_fragments(size: int) -> list[bytes]:
    return [PACKED[at : at + size] for at in range(0, len(PACKED), size)]


SHAPES = {"whole": [PACKED], "fragments": in_fragments(4096), "tiny-fragments": in_fragments(50)}


@pytest.fixture(scope="module")
def victim() -> Iterator[Program]:
    with Program("-m", "tests.support.bombed") as program:
        yield program


class Bomber:
    """The other side of the victim's connection: the client of a server, or the server."""

    def __init__(self, sock: socket.socket, side: str) -> None:
        self._sock = sock
        self._masks = side == "server"
        if self._masks:
            sock.sendall(request("/", headers=[(NAME, "permessage-deflate")]))
            assert "permessage-deflate" in self._read_head()
        else:
            key = parse_head(self._read_head().encode())["Sec-WebSocket-Key"]
            answer = switching(f"{NAME}: permessage-deflate".encode())
            sock.sendall(answer.replace(ACCEPT, accept_of(key)))

    def _read_head(self) -> str:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._sock.recv(1)
        return head[:-4].decode()

    def send(self, fragments: list[bytes]) -> None:
        """Send one compressed message."""
        last = len(fragments) - 1
        self._sock.sendall(
            b"".join(
                frame(0 if at else BINARY | MARKED, data, final=at == last, mask=self._masks)
                for at, data in enumerate(fragments)
            )
        )

    def read_something(self) -> None:
        assert self._sock.recv(65536)

    def read_to_the_end(self) -> list[tuple[int, bytes]]:
        """Read all frames up to the end of TCP."""
        octets = b""
        while piece := self._sock.recv(65536):
            octets += piece
        return list(frames_of(octets))


@contextmanager
def bomber_of(victim: Program, side: str, name: str, max_length: int) -> Iterator[Bomber]:
    """Let the victim open a connection on that side, with that engine; a first message is answered."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(PATIENCE)
        victim.say(f"{side} {name} {max_length} {listener.getsockname()[1]}")
        sock, _ = listener.accept()
    with closing(sock):
        sock.settimeout(PATIENCE)
        bomber = Bomber(sock, side)
        bomber.send([packed(b"the first message")])
        bomber.read_something()
        yield bomber


@pytest.mark.parametrize("name", EACH_ENGINE)
@pytest.mark.parametrize("max_length", [MIB, LIMIT], ids=["1 MiB", "the default"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", ["server", "client"])
def test_a_bomb_ends_with_1009_and_little_more_memory_than_max_length(
    victim, side, shape, max_length, name
):
    with bomber_of(victim, side, name, max_length) as bomber:
        bomber.send(SHAPES[shape])
        opcode, payload = bomber.read_to_the_end()[-1]
    reason = f"message of {max_length + 1} octets exceeds max_length {max_length}"
    assert (opcode & 15, payload) == (CLOSE, (1009).to_bytes(2, "big") + reason.encode())
    seen = json.loads(victim.read(PATIENCE))
    assert (seen["code"], seen["cause"]) == (1009, "protocol")
    assert seen["growth"] < max_length + BEYOND


def test_the_measure_sees_what_a_message_takes(victim):
    with bomber_of(victim, "server", "zlib", LIMIT) as bomber:
        bomber.send([bomb(8)])
        seen = json.loads(victim.read(PATIENCE))
    assert seen["received"] == 8 * MIB
    assert seen["growth"] > 8 * MIB
