"""Frames of RFC 6455, built without the library, and octets cut for feeding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

# Of the example in section 5.7.
MASK = bytes.fromhex("37 fa 21 3d")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = None,
    length_size: int | None = None,
) -> bytes:
    """One frame; length_size (1, 2 or 8 octets) forces a length longer than need be."""
    size = length_size or shortest_length_size(len(payload))
    code = {1: len(payload), 2: 126, 8: 127}[size]
    extended = b"" if size == 1 else len(payload).to_bytes(size, "big")
    head = bytes((fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | code)) + extended
    return head + payload if mask is None else head + mask + masked(payload, mask)


def shortest_length_size(length: int) -> int:
    if length < 126:
        return 1
    return 2 if length < 65536 else 8


def masked(payload: bytes, mask: bytes) -> bytes:
    return bytes(octet ^ mask[index % 4] for index, octet in enumerate(payload))


def from_client(opcode: int, payload: bytes = b"", **options: object) -> bytes:
    """A frame as a client sends it."""
    return frame(opcode, payload, mask=MASK, **options)


def one_by_one(octets: bytes) -> Iterator[bytes]:
    return (octets[index : index + 1] for index in range(len(octets)))


def cut(octets: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut octets at places, which may come in any order, twice, or lie beyond the end."""
    edges = [0, *sorted(min(place, len(octets)) for place in places), len(octets)]
    return [octets[start:stop] for start, stop in pairwise(edges)]
