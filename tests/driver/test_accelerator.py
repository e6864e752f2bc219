"""What is written in C gives the same results as what is written in Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from faye_sync.driver import accelerator
from faye_sync.driver.frames import MASK_BIT, join_frame_in_python
from faye_sync.driver.masking import (
    apply_mask_in_python,
    extend_in_python,
    mask_from_in_python,
)
from faye_sync.driver.whole_messages import take_messages_in_python

if os.environ.get("CI"):
    from faye_sync import _speedups as fast
else:
    fast = pytest.importorskip("faye_sync._speedups", reason="there was no compiler")

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "faye_sync" / "_speedups.c"
FUZZ = Path(__file__).with_name("fuzz_speedups.py")
PATIENCE = 100.0  # seconds

KEYS = st.binary(min_size=4, max_size=4)
SIZES = st.one_of(st.integers(0, 300), st.sampled_from((125, 126, 127, 65535, 65536, 70000)))
PAYLOADS = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(str.encode),
    SIZES.map(lambda size: b"\x80x" * (size // 2) + b"y" * (size % 2)),
)
FIRSTS = st.sampled_from((0x81, 0x82, 0x01, 0x80, 0x88, 0x89, 0xC1, 0x83))


def test_what_was_compiled_is_used_unless_it_is_not_wanted(monkeypatch):
    monkeypatch.delenv("FAYE_SYNC_PURE", raising=False)
    assert accelerator._load() is fast
    monkeypatch.setenv("FAYE_SYNC_PURE", "1")
    assert accelerator._load() is None


@settings(max_examples=300, deadline=None)
@given(data=PAYLOADS, key=KEYS, offset=st.integers(0, 9))
def test_masks_are_the_same(data, key, offset):
    expected = apply_mask_in_python(data, key, offset)
    assert fast.apply_mask(data, key, offset) == expected
    assert fast.apply_mask(bytearray(data), key, offset) == expected


@settings(max_examples=300, deadline=None)
@given(data=PAYLOADS, key=KEYS, offset=st.integers(0, 9), start=st.integers(0, 400))
def test_masks_in_their_place_are_the_same(data, key, offset, start):
    found, expected = bytearray(data), bytearray(data)
    start = min(start, len(data))
    mask_from_in_python(expected, start, key, offset)
    fast.mask_from(found, start, key, offset)
    assert found == expected


@pytest.mark.parametrize("count", [0, 1, 65536])
def test_an_array_grows_by_as_much(count):
    found, expected = bytearray(b"abc"), bytearray(b"abc")
    fast.extend(found, count)
    extend_in_python(expected, count)
    assert len(found) == len(expected) == 3 + count
    assert found[:3] == b"abc"


def test_an_array_that_is_looked_at_does_not_grow():
    array = bytearray(b"abc")
    with memoryview(array), pytest.raises(BufferError):
        fast.extend(array, 1)


@settings(max_examples=300, deadline=None)
@given(first=st.integers(0, 255), payload=PAYLOADS, key=st.none() | KEYS)
def test_frames_are_the_same(first, payload, key):
    assert fast.join_frame(first, payload, key) == join_frame_in_python(first, payload, key)


@settings(max_examples=500, deadline=None)
@given(
    frames=st.lists(st.tuples(FIRSTS, PAYLOADS, st.none() | KEYS), max_size=6),
    cut=st.integers(0, 20),
    start=st.integers(0, 3),
    is_masked=st.booleans(),
    limit=st.sampled_from((0, 10, 126, 2**20)),
)
@example([(0x81, b"\xff", b"abcd"), (0x82, b"", b"abcd")], 0, 0, True, 100)
def test_messages_are_the_same(frames, cut, start, is_masked, limit):
    octets = b"".join(join_frame_in_python(*frame) for frame in frames)
    assert_same_messages(octets[: max(0, len(octets) - cut)], start, is_masked, limit)


@pytest.mark.parametrize("is_masked", [True, False], ids=["masked", "plain"])
@pytest.mark.parametrize(
    "header",
    [
        "",
        "81",
        "82 80",
        "82 fe",
        "82 7e007d",
        "82 7e007e",
        "82 ff",
        "82 7f00000000",
        "82 7fffffff",
        "82 7f000000000000ffff",
        "82 7f0000000000010000",
        "82 ff8000000000000000",
        "c1 85",
    ],
)
def test_messages_are_the_same_behind_odd_headers(header, is_masked):
    octets = bytes.fromhex(header)
    for rest in (b"", b"x" * 3, b"x" * 20, b"x" * 70000):
        assert_same_messages(octets + rest, 0, is_masked, 2**20)


def assert_same_messages(octets: bytes, start: int, is_masked: bool, limit: int) -> None:
    start = min(start, len(octets))
    arguments = octets, start, MASK_BIT if is_masked else 0, limit
    expected: list[object] = []
    found: list[object] = []
    assert fast.take_messages(*arguments, found) == take_messages_in_python(*arguments, expected)
    assert found == expected
    assert [type(message) for message in found] == [type(message) for message in expected]


@pytest.mark.parametrize(
    "name, arguments, error",
    [
        ("apply_mask", (b"x",), TypeError),
        ("apply_mask", ("x", b"abcd"), TypeError),
        ("apply_mask", (b"x", b"abc"), ValueError),
        ("apply_mask", (b"x", b"abcd", "1"), TypeError),
        ("mask_from", (b"x", 0, b"abcd", 0), TypeError),
        ("mask_from", (bytearray(1), 2, b"abcd", 0), ValueError),
        ("mask_from", (bytearray(1), -1, b"abcd", 0), ValueError),
        ("mask_from", (bytearray(1), 0, b"abc", 0), ValueError),
        ("extend", (b"x", 1), TypeError),
        ("extend", (bytearray(1), -1), MemoryError),
        ("extend", (bytearray(1), "1"), TypeError),
        ("join_frame", (1, b"x"), TypeError),
        ("join_frame", (1, "x", None), TypeError),
        ("join_frame", (1, b"x", b"abc"), ValueError),
        ("take_messages", (b"x", 0, 0, 1), TypeError),
        ("take_messages", (bytearray(b"x"), 0, 0, 1, []), TypeError),
        ("take_messages", (b"x", 2, 0, 1, []), ValueError),
        ("take_messages", (b"x", -1, 0, 1, []), ValueError),
        ("take_messages", (b"x", 0, 0, -1, []), ValueError),
        ("take_messages", (b"\x82\0", 0, 0, 1, ()), SystemError),
    ],
)
def test_wrong_arguments_raise(name, arguments, error):
    with pytest.raises(error):
        getattr(fast, name)(*arguments)


def output_of(*arguments: str, **environment: str) -> str:
    """What a Python program says, that has to end well."""
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


def test_the_drivers_do_as_well_without_it():
    files = ("hybi_receiving", "hybi_sending", "hybi_client", "masking", "frames", "vectors")
    paths = [str(Path(__file__).with_name(f"test_{name}.py")) for name in files]
    output_of("-m", "pytest", "-q", "-p", "no:cacheprovider", *paths, FAYE_SYNC_PURE="1")


def sanitizer() -> str:
    """The path of gcc's AddressSanitizer."""
    if shutil.which("gcc"):
        command = ["gcc", "-print-file-name=libasan.so"]
        path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        # Without a folder where there is none.
        if Path(path).is_absolute():
            return path
    assert not os.environ.get("CI"), "gcc and its AddressSanitizer are part of a CI machine"
    return pytest.skip("needs gcc with AddressSanitizer")


def test_hostile_octets_touch_no_memory_but_their_own(tmp_path):
    preloaded = sanitizer()
    target = tmp_path / "_speedups.so"
    include = f"-I{sysconfig.get_path('include')}"
    flags = ["-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fPIC"]
    version = ["-DPy_LIMITED_API=0x030B0000"] if sys.version_info >= (3, 11) else []
    command = ["gcc", *flags, *version, "-shared", include, str(SOURCE), "-o", str(target)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    told = output_of(
        str(FUZZ),
        str(target),
        LD_PRELOAD=preloaded,
        # The interpreter frees little at its end, and its small objects are cut from arenas.
        ASAN_OPTIONS="detect_leaks=0",
        UBSAN_OPTIONS="halt_on_error=1",
        PYTHONMALLOC="malloc",
    )
    assert told.startswith("20000 rounds")
