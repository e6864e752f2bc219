"""isal, zlib-ng and zlib: which one is taken, and that each keeps to its window."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from faye_sync.driver.engines import ZLIB, available, choose
from tests.support.deflating import EACH_ENGINE, ENGINES, rows
from tests.support.inflating import Inflating

ROOT = Path(__file__).parents[2]
ISAL, ZLIB_NG = ENGINES.get("isal"), ENGINES.get("zlib-ng")
EVERY = [engine for engine in (ISAL, ZLIB_NG, ZLIB) if engine]
needs_both = pytest.mark.skipif(len(EVERY) < 3, reason="isal or zlib-ng is not installed")

CHOICES = [
    pytest.param(None, 0, 15, "isal", id="defaults"),
    pytest.param(-1, 0, 15, "isal", id="the engine's default"),
    pytest.param(0, 0, 15, "isal", id="the lowest level"),
    pytest.param(3, 0, 15, "isal", id="the highest level of isal"),
    pytest.param(4, 0, 15, "zlib-ng", id="a level that isal lacks"),
    pytest.param(9, 0, 15, "zlib-ng", id="the highest level"),
    pytest.param(None, 1, 15, "zlib-ng", id="a strategy"),
    pytest.param(2, 4, 15, "zlib-ng", id="a strategy and a level of isal"),
    pytest.param(None, 0, 9, "isal", id="a window of 9 bits"),
    pytest.param(None, 0, 8, "zlib-ng", id="a window of 8 bits"),
]


@needs_both
@pytest.mark.parametrize("level, strategy, bits, name", CHOICES)
def test_isal_is_liked_best_then_zlib_ng(level, strategy, bits, name):
    assert choose(EVERY, level, strategy, bits).name == name


@needs_both
@pytest.mark.parametrize("level, strategy, bits, name", CHOICES)
def test_zlib_does_what_isal_cannot_where_zlib_ng_is_not_installed(level, strategy, bits, name):
    chosen = choose((ISAL, ZLIB), level, strategy, bits)
    assert chosen is (ISAL if name == "isal" else ZLIB)


@needs_both
@pytest.mark.parametrize("level, strategy, bits", [row.values[:3] for row in CHOICES])
def test_zlib_ng_does_everything_where_isal_is_not_installed(level, strategy, bits):
    assert choose((ZLIB_NG, ZLIB), level, strategy, bits) is ZLIB_NG


def test_zlib_is_taken_where_no_engine_knows_the_settings():
    assert choose((), 9, 4, 8) is ZLIB


@needs_both
@pytest.mark.parametrize(
    "missing, found",
    [
        pytest.param((), ["isal", "zlib-ng", "zlib"], id="none"),
        pytest.param(("isal",), ["zlib-ng", "zlib"], id="isal"),
        pytest.param(("zlib_ng",), ["isal", "zlib"], id="zlib-ng"),
        pytest.param(("isal", "zlib_ng"), ["zlib"], id="both"),
    ],
)
def test_what_cannot_be_imported_is_done_without(missing, found):
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({missing!r}))\n"
        "from faye_sync.driver.engines import available\n"
        "print([engine.name for engine in available()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(found)


def test_an_engine_that_loses_what_follows_a_final_block_is_not_taken(tmp_path):
    # As isal does before 1.9: a module in its place that is zlib but for that.
    (tmp_path / "isal").mkdir()
    (tmp_path / "isal" / "__init__.py").touch()
    (tmp_path / "isal" / "isal_zlib.py").write_text(
        "import zlib\n"
        "class decompressobj:\n"
        "    unused_data = b''\n"
        "    def __init__(self, bits):\n"
        "        self.decompress = zlib.decompressobj(bits).decompress\n"
    )
    program = (
        "from faye_sync.driver.engines import available\n"
        "import isal.isal_zlib\n"
        "print(isal.isal_zlib.__file__, [engine.name for engine in available()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    path, _, names = done.stdout.strip().partition(" ")
    assert path == str(tmp_path / "isal" / "isal_zlib.py")
    assert "'isal'" not in names


def test_engines_are_looked_for_once_and_zlib_is_the_last():
    assert available() is available()
    assert available()[-1] is ZLIB


@pytest.mark.parametrize("name", EACH_ENGINE)
@pytest.mark.parametrize("level", [None, -1, 0, 1, 2, 3])
def test_every_level_that_an_engine_knows_packs_what_zlib_unpacks(name, level):
    compressor = ENGINES[name].compressor(level, 15, 8, 0)
    data = rows(20_000)
    packed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert zlib.decompressobj(-15).decompress(packed) == data


@pytest.mark.parametrize("name", EACH_ENGINE)
@pytest.mark.parametrize("mem_level", range(1, 10))
def test_every_mem_level_packs_what_zlib_unpacks(name, mem_level):
    compressor = ENGINES[name].compressor(None, 12, mem_level, 0)
    data = rows(20_000)
    packed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert zlib.decompressobj(-12).decompress(packed) == data


@pytest.mark.parametrize("name", EACH_ENGINE)
def test_no_level_named_is_one_that_packs_records_to_a_third(name):
    compressor = ENGINES[name].compressor(None, 15, 8, 0)
    messages = [rows(4096, seed) for seed in range(20)]
    packed = [compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH) for data in messages]
    assert sum(map(len, packed)) < sum(map(len, messages)) * 0.36


def far_apart(bits: int) -> list[bytes]:
    """Messages whose only repetitions lie from a little less to a little more than a window."""
    source = random.Random(bits)
    size = 2**bits
    periods = {size - 263, size - 262, size - 6, size - 5, size - 1, size, size + 1, size + 7}
    if bits <= 10:
        periods |= {size // 2, size // 2 + 1, size - 257, size - 256, 2 * size}
    messages = []
    for period in sorted(period for period in periods if period > 0):
        octets = source.randbytes(period)
        messages += [octets, octets + octets[:300]]
    return [*messages, bytes(3 * size), b"ab" * size]


@pytest.mark.parametrize("name", EACH_ENGINE)
@pytest.mark.parametrize("bits", range(8, 16))
def test_nothing_is_packed_that_looks_out_of_the_window(name, bits):
    engine = choose((ENGINES[name],), None, 0, bits)
    compressor = engine.compressor(None, bits, 8, 0)
    farthest = 0
    for messages in far_apart(bits), [rows(2**bits + 500, seed) for seed in range(3)]:
        packed = b"".join(
            compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH) for data in messages
        )
        inflating = Inflating(packed)
        assert inflating.plain == b"".join(messages)
        farthest = max(farthest, inflating.farthest)
        compressor = engine.compressor(None, bits, 8, 0)
    # Beyond half of it, except in the smallest, else the bits would be of no use.
    assert 2 ** (bits - 1) * 0.97 < farthest <= 2**bits


@pytest.mark.parametrize("bits", [8, 9, 10])
@pytest.mark.parametrize(
    "level, strategy", [(1, 0), (2, 0), (3, 0), (6, 0), (9, 0), (1, 1), (6, 4)]
)
@pytest.mark.parametrize("name", EACH_ENGINE)
def test_no_level_and_no_strategy_looks_out_of_a_small_window(name, bits, level, strategy):
    engine = choose((ENGINES[name],), level, strategy, bits)
    compressor = engine.compressor(level, bits, 8, strategy)
    messages = [*far_apart(bits), rows(3000)]
    packed = b"".join(
        compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH) for data in messages
    )
    inflating = Inflating(packed)
    assert inflating.plain == b"".join(messages)
    assert inflating.farthest <= 2**bits


@pytest.mark.parametrize("bits", range(8, 16))
@pytest.mark.parametrize("name", EACH_ENGINE)
def test_zlib_unpacks_with_no_more_than_that_window(name, bits):
    engine = choose((ENGINES[name],), None, 0, bits)
    compressor = engine.compressor(None, bits, 8, 0)
    decompressor = zlib.decompressobj(-bits)
    for data in far_apart(bits):
        packed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        plain = b""
        # In small steps: within one, zlib looks back in what it returns, however far.
        while step := decompressor.decompress(packed, 64):
            plain += step
            packed = decompressor.unconsumed_tail
        assert plain == data
