"""Throw odd octets at a build of the accelerator; run with AddressSanitizer loaded.

    python fuzz_speedups.py path/to/_speedups.so

Says how many rounds it went; each time the same ones."""

from __future__ import annotations

import importlib.util
import random
import sys

ROUNDS = 20000
HEADERS = (0x01, 0x80, 0x81, 0x81, 0x82, 0x82, 0x88, 0xC1, 0xFF)
LENGTHS = (0, 1, 7, 8, 9, 63, 125, 126, 127, 4095, 4096, 4097, 65535, 65536)


def load(path: str):
    spec = importlib.util.spec_from_file_location("_speedups", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def odd_octets(chance: random.Random, fast) -> bytes:
    """A few frames, some of them cut, longer than they say, or with an octet changed."""
    octets = bytearray()
    for _ in range(chance.randrange(4)):
        payload = chance.randbytes(chance.choice(LENGTHS[:10]))
        if chance.random() < 0.5:
            payload = payload.hex().encode()
        key = chance.choice((None, chance.randbytes(4)))
        octets += fast.join_frame(chance.choice(HEADERS), payload, key)
    if octets and chance.random() < 0.5:
        octets[chance.randrange(min(len(octets), 16))] = chance.randrange(256)
    return bytes(octets[: chance.randrange(len(octets) + 1)])


def one_round(chance: random.Random, fast) -> None:
    octets = odd_octets(chance, fast)
    position = chance.randrange(len(octets) + 1)
    for mask_bit in (0, 0x80):
        fast.take_messages(octets, position, mask_bit, chance.choice((0, 100, 2**40)), [])
    buffer = bytearray(chance.choice(LENGTHS))
    start = chance.randrange(len(buffer) + 1)
    fast.apply_mask(memoryview(buffer)[start:], b"abcd", chance.randrange(-9, 9))
    fast.mask_from(buffer, start, b"abcd", chance.randrange(-9, 9))
    fast.extend(buffer, chance.choice(LENGTHS))


def main(path: str) -> None:
    fast, chance = load(path), random.Random(6455)
    for _ in range(ROUNDS):
        one_round(chance, fast)
    print(f"{ROUNDS} rounds")


if __name__ == "__main__":
    main(*sys.argv[1:])
