"""Which of isal, zlib-ng and zlib packs, and which unpacks.

They share one interface and read each other's output; they differ in speed, in
memory and in the settings they know. Raw DEFLATE only: RFC 1951, RFC 7692 7.2."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

# zlib and zlib-ng refuse to pack raw with a window of 8 bits, so it runs as one of 9.
_LEAST_BITS = 9


@dataclass(frozen=True, slots=True)
class Engine:
    """One of the three, and what it can do. Safe from any thread.

    Attributes:
        name: What pip calls it.
        levels: Those that it knows, beside -1 for its own default.
        level: The one to take where the user named none.
        strategies: Those that it knows.
        least_bits: The smallest window that nothing it packs looks out of.
        module: Has compressobj, decompressobj and the constants of zlib.
    """

    name: str
    levels: range
    level: int
    strategies: range
    least_bits: int
    module: Any

    def can(self, level: int | None, strategy: int, bits: int) -> bool:
        """Tell whether it knows these settings, None and -1 being any engine's."""
        knows_level = level is None or level == -1 or level in self.levels
        return knows_level and strategy in self.strategies and bits >= self.least_bits

    def compressor(self, level: int | None, bits: int, mem_level: int, strategy: int) -> Any:
        """Make what packs one direction of a connection, with no state yet.

        Args:
            level: One that it knows; None for ours, -1 for its own.
            bits: Of the window, 8 to 15.
            mem_level: 1 to 9, as zlib counts.
            strategy: One that it knows.

        Returns:
            A compressobj.
        """
        if level is None:
            level = self.level
        elif level == -1:
            # isal's is 2, and it refuses -1.
            level = self.module.Z_DEFAULT_COMPRESSION
        bits = max(bits, _LEAST_BITS)
        return self.module.compressobj(level, self.module.DEFLATED, -bits, mem_level, strategy)

    def decompressor(self, bits: int) -> Any:
        """Make what unpacks one direction, with no state yet.

        Args:
            bits: Of the window that the peer keeps to, 8 to 15.

        Returns:
            A decompressobj.
        """
        return self.module.decompressobj(-max(bits, _LEAST_BITS))


# Packing 64 JSON messages of 4 KiB: level 1 of isal takes 18 us each (to 27 %), level 2 of zlib-ng
# 34 us (26 %), level 1 of zlib 41 us (28 %). Level 2 of isal saves one octet in a hundred and takes
# 48 KiB more per connection; level 1 of zlib-ng takes 18 us, but saves less (35 %, and 41 % without
# context takeover).
#
# zlib and zlib-ng never look further back than 262 octets less than the window has, so that with 9
# bits they keep to 250, and thus to the 256 of 8 bits. isal uses all 512.
ZLIB = Engine("zlib", range(10), 1, range(5), 8, zlib)

_LIKED_FIRST = (
    ("isal.isal_zlib", ("isal", range(4), 1, range(1), 9)),
    ("zlib_ng.zlib_ng", ("zlib-ng", range(10), 2, range(5), 8)),
)


# An empty final block (RFC 1951 3.2.3), and an octet behind it.
_FINAL_BLOCK = b"\3\0"
_NEXT = b"\7"


def _installed() -> Iterator[Engine]:
    for path, traits in _LIKED_FIRST:
        try:
            module = import_module(path)
        except ImportError:
            # Of the extra named speed; zlib does the same, slower.
            continue
        if _reads_on(module):
            yield Engine(*traits, module)


def _reads_on(module: Any) -> bool:
    """Tell whether it hands back what stands behind a final block.

    isal before 1.9 and zlib-ng before 1.0 lose the last octets of it, and with
    them the beginning of a peer's next block."""
    decompressor = module.decompressobj(-_LEAST_BITS)
    decompressor.decompress(_FINAL_BLOCK + _NEXT)
    return bool(decompressor.unused_data == _NEXT)


@cache
def available() -> tuple[Engine, ...]:
    """Find the engines of this process, once. Safe from any thread.

    Returns:
        The fastest first; zlib is always the last. Not those that are too old.
    """
    return (*_installed(), ZLIB)


def choose(engines: Iterable[Engine], level: int | None, strategy: int, bits: int) -> Engine:
    """Choose what packs with these settings. Safe from any thread.

    Args:
        engines: Those to choose from, the liked ones first.
        level: None, or -1 to 9.
        strategy: 0 to 4.
        bits: Of the window, 8 to 15.

    Returns:
        The first that knows them; zlib where none does.
    """
    return next((engine for engine in engines if engine.can(level, strategy, bits)), ZLIB)
