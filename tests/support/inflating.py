"""An inflater of our own (RFC 1951), slow and plain, that tells how far back it had to look."""

from __future__ import annotations

from collections.abc import Sequence

Codes = dict[tuple[int, int], int]

LENGTHS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115)
LENGTHS += (131, 163, 195, 227, 258)
LENGTH_BITS = (0,) * 8 + (1,) * 4 + (2,) * 4 + (3,) * 4 + (4,) * 4 + (5,) * 4 + (0,)
DISTANCE_BITS = (0, 0, *(bits for bits in range(14) for _ in "ab"))
DISTANCES = tuple(1 + sum(2**bits for bits in DISTANCE_BITS[:code]) for code in range(30))
ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
END = 256


def codes_of(lengths: Sequence[int]) -> Codes:
    """By length and code, the symbols (section 3.2.2)."""
    codes: Codes = {}
    code = 0
    for length in range(1, 16):
        for symbol, own in enumerate(lengths):
            if own == length:
                codes[length, code] = symbol
                code += 1
        code <<= 1
    return codes


FIXED = (codes_of([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), codes_of([5] * 30))


class Inflating:
    """Inflates whole blocks that end on a whole octet."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0  # in bits
        self.plain = bytearray()
        self.farthest = 0
        while self._at < len(data) * 8:
            self._block()

    def _take(self, count: int) -> int:
        octet, bit = divmod(self._at, 8)
        self._at += count
        assert self._at <= len(self._data) * 8, "ends within a block"
        return int.from_bytes(self._data[octet : octet + 4], "little") >> bit & (1 << count) - 1

    def _symbol(self, codes: Codes) -> int:
        code = 0
        for length in range(1, 16):
            code = code << 1 | self._take(1)
            if (length, code) in codes:
                return codes[length, code]
        raise AssertionError(f"no symbol has the code {code:b}")

    def _block(self) -> None:
        is_final, kind = self._take(1), self._take(2)
        assert not is_final, "no message of ours has a final block"
        if kind == 0:
            self._stored()
        else:
            self._compressed(*(FIXED if kind == 1 else self._dynamic()))

    def _stored(self) -> None:
        self._at += -self._at % 8
        length, inverse = self._take(16), self._take(16)
        assert length ^ inverse == 0xFFFF
        start = self._at // 8
        assert start + length <= len(self._data), "ends within a block"
        self.plain += self._data[start : start + length]
        self._at += 8 * length

    def _dynamic(self) -> tuple[Codes, Codes]:
        literals, distances, count = self._take(5) + 257, self._take(5) + 1, self._take(4) + 4
        own = [0] * 19
        for symbol in ORDER[:count]:
            own[symbol] = self._take(3)
        codes = codes_of(own)
        lengths: list[int] = []
        while len(lengths) < literals + distances:
            lengths += self._run(self._symbol(codes), lengths)
        return codes_of(lengths[:literals]), codes_of(lengths[literals:])

    def _run(self, symbol: int, lengths: list[int]) -> list[int]:
        if symbol < 16:
            return [symbol]
        if symbol == 16:
            return lengths[-1:] * (3 + self._take(2))
        return [0] * (3 + self._take(3) if symbol == 17 else 11 + self._take(7))

    def _compressed(self, literals: Codes, distances: Codes) -> None:
        while (symbol := self._symbol(literals)) != END:
            if symbol < END:
                self.plain.append(symbol)
                continue
            length = LENGTHS[symbol - 257] + self._take(LENGTH_BITS[symbol - 257])
            code = self._symbol(distances)
            distance = DISTANCES[code] + self._take(DISTANCE_BITS[code])
            assert distance <= len(self.plain), "looks back beyond the beginning"
            self.farthest = max(self.farthest, distance)
            for _ in range(length):
                self.plain.append(self.plain[-distance])
