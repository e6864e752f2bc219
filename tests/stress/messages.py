"""Numbered messages with a checksum, and the tally of those that came.

A message is "kind sender number checksum body", as text or binary, so whoever gets it can tell
whether it was lost, doubled, overtaken, torn, or changed from one kind into the other."""

from __future__ import annotations

from random import Random
from zlib import crc32

LARGEST = 100_000  # octets of a body, about
SHOWN = 5  # faults that are kept of each tally

_random = Random(1)
NOISE = _random.randbytes(2 * LARGEST)
# One to four octets a sign, so that a cut within a sign is common.
SIGNS = "".join(_random.choices("abc xyz 123 äöü €→ 😀", k=LARGEST))


def size_of(random: Random) -> int:
    """Draw a size: mostly a few octets, sometimes many, often near where the header grows."""
    chance = random.random()
    if chance < 0.7:
        return random.randrange(110)
    if chance < 0.9:
        return random.randrange(2000)
    if chance < 0.97:
        return 65536 + random.randrange(-40, 20)
    return random.randrange(LARGEST)


def make(sender: int, number: int, random: Random) -> str | bytes:
    """Make the message that this sender sends as its number-th, counted from 0."""
    size = size_of(random)
    if random.random() < 0.4:
        start = random.randrange(len(SIGNS) - size // 3)
        text = SIGNS[start : start + size // 3]
        return f"t {sender} {number} {check(sender, number, text.encode())} {text}"
    start = random.randrange(len(NOISE) - size)
    body = NOISE[start : start + size]
    return f"b {sender} {number} {check(sender, number, body)} ".encode() + body


def check(sender: int, number: int, body: bytes) -> int:
    return crc32(body, sender * 1_000_003 + number)


class Tally:
    """How many messages came of each sender, and what was wrong with them. For one thread."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.octets = 0
        self.faults: list[str] = []

    def take(self, data: str | bytes) -> None:
        octets = data.encode() if isinstance(data, str) else data
        self.octets += len(octets)
        try:
            kind, sender, number, checksum, body = octets.split(b" ", 4)
            self._count(int(sender), int(number))
            if check(int(sender), int(number), body) != int(checksum):
                self._fault(f"sender {int(sender)}: message {int(number)} is torn")
            if (kind == b"t") is not isinstance(data, str):
                self._fault(f"sender {int(sender)}: message {int(number)} changed its kind")
        except ValueError as error:
            self._fault(f"no message of ours: {octets[:60]!r} ({error})")

    def _count(self, sender: int, number: int) -> None:
        expected = self.counts.get(sender, 0)
        if number != expected:
            self._fault(f"sender {sender}: message {number} came where {expected} was due")
        self.counts[sender] = number + 1

    def _fault(self, text: str) -> None:
        if len(self.faults) < SHOWN:
            self.faults.append(text)
