"""Masking of payloads, and the keys: RFC 6455 5.3 and 10.3."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from faye_sync.driver.masking import MaskPool, apply_mask
from tests.support.wire import masked

# Around the size from which the other way of masking is taken, and well beyond it.
SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 125, 698, 699, 700, 701, 702, 703, 704, 4099, 65537]

KEYS = [
    pytest.param(bytes.fromhex("37fa213d"), id="of the RFC's example"),
    pytest.param(bytes.fromhex("00000000"), id="all zero"),
    pytest.param(bytes.fromhex("ffffffff"), id="all one"),
    pytest.param(bytes.fromhex("01000000"), id="one octet only"),
    pytest.param(bytes.fromhex("00000080"), id="the top bit only"),
]


def octets(size: int) -> bytes:
    """Octets whose period is no multiple of a key's."""
    return bytes(index * 7 % 251 for index in range(size))


def test_the_example_of_the_rfc():
    # Section 5.7: "Hello".
    assert apply_mask(b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("7f9f4d5158")


@pytest.mark.parametrize("offset", range(9))
@pytest.mark.parametrize("size", SIZES)
def test_masking_goes_on_at_any_offset(size, offset):
    key = bytes.fromhex("0180ff5a")
    whole = octets(offset + size)
    assert apply_mask(whole[offset:], key, offset) == masked(whole, key)[offset:]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("size", [5, 703], ids=["short", "long"])
def test_every_key_masks_as_an_octet_by_octet_loop_does(size, key):
    assert apply_mask(octets(size), key) == masked(octets(size), key)


@pytest.mark.parametrize("size", [16, 1024], ids=["short", "long"])
def test_what_is_masked_stays_as_it_was_and_the_result_is_bytes(size):
    data = bytearray(octets(size))
    result = apply_mask(data, b"\1\2\3\4", 1)
    assert type(result) is bytes
    assert data == octets(size)


@given(
    data=st.binary(max_size=1500),
    key=st.binary(min_size=4, max_size=4),
    offset=st.integers(0, 2**40),
)
@example(data=b"\0" * 700, key=b"\0\0\0\1", offset=3)
def test_masking_twice_gives_the_data_back(data, key, offset):
    once = apply_mask(data, key, offset)
    assert once == masked(bytes(offset % 4) + data, key)[offset % 4 :]
    assert apply_mask(once, key, offset) == data


def test_no_key_is_drawn_twice_and_every_one_has_four_octets():
    pool = MaskPool()
    keys = [pool.take() for _ in range(3000)]
    assert {len(key) for key in keys} == {4}
    # 3000 of 2**32 keys: two alike in one run of a thousand, ten never.
    assert len(set(keys)) > 2990


def test_two_pools_share_no_key():
    ours, theirs = MaskPool(), MaskPool()
    assert {ours.take() for _ in range(50)}.isdisjoint(theirs.take() for _ in range(50))


def test_a_pool_hands_out_each_random_octet_once(monkeypatch):
    drawn = []

    def urandom(size: int) -> bytes:
        drawn.append(bytes((len(drawn) + index) % 256 for index in range(size)))
        return drawn[-1]

    monkeypatch.setattr("os.urandom", urandom)
    pool = MaskPool()
    keys = b"".join(pool.take() for _ in range(2500))
    assert b"".join(drawn).startswith(keys)
    assert len(drawn) > 1
