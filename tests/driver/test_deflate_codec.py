"""Messages packed and unpacked by each engine: RFC 7692 7.2."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from itertools import islice

import pytest
from hypothesis import given, settings, strategies as st

from faye_sync.driver.deflate_codec import EMPTY, Deflater, Inflater
from faye_sync.driver.engines import choose
from faye_sync.errors import MessageTooBig, ProtocolError
from tests.support.deflating import EACH_ENGINE, ENGINES, LIMIT, MIB, bomb, rows
from tests.support.wire import cut, one_by_one

KIB = 2**10
EACH = pytest.mark.parametrize("name", EACH_ENGINE)
EACH_WAY = pytest.mark.parametrize("keeps", [True, False], ids=["takeover", "no takeover"])

# Octets that repeat and octets that do not, so that blocks of all kinds come about.
MESSAGE = st.lists(
    st.binary(max_size=40)
    | st.text(max_size=20).map(str.encode)
    | st.integers(1, 3000).map(bytes)
    | st.builds(rows, st.integers(0, 2000), st.integers(0, 3)),
    max_size=4,
).map(b"".join)
PLACES = st.lists(st.integers(0, 600), max_size=5)
INSTALLED = st.sampled_from(sorted(ENGINES))


def deflater(name: str, *, keeps: bool = True, bits: int = 15) -> Deflater:
    engine = choose((ENGINES[name],), None, 0, bits)
    return Deflater(
        lambda: engine.compressor(None, bits, 8, 0), sync=engine.module.Z_SYNC_FLUSH, keeps=keeps
    )


def inflater(name: str, *, keeps: bool = True, bits: int = 15) -> Inflater:
    engine = ENGINES[name]
    return Inflater(lambda: engine.decompressor(bits), error=engine.module.error, keeps=keeps)


def unpacked(inflating: Inflater, pieces: list[bytes]) -> bytes:
    """What becomes of a message that comes in pieces."""
    pieces = [piece for piece in pieces if piece]
    plain = b"".join(octets for piece in pieces for octets in inflating.unpack(piece))
    if pieces:
        inflating.end()
    return plain


def refusal(inflating: Inflater, packed: bytes, limit: int = LIMIT) -> ProtocolError | bytes:
    """What it is refused with, or what becomes of it."""
    try:
        return inflating.message(packed, limit)
    except ProtocolError as error:
        return error


def stored(data: bytes) -> bytes:
    """A stored block (RFC 1951 3.2.4)."""
    size = len(data)
    return b"\0" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + data


HELLO = "f248cdc9c90700"
FINAL_HELLO = "f348cdc9c90700"
# Hello once more, by looking back at the last one.
HELLO_AGAIN = "f200110000"

# One message of each connection; the RFC's examples are those of 7.2.3.1 and 7.2.3.3 to 7.2.3.6.
MESSAGES = [
    pytest.param(HELLO, b"Hello", id="one block"),
    pytest.param("000500faff48656c6c6f00", b"Hello", id="a stored block"),
    pytest.param(FINAL_HELLO + "00", b"Hello", id="a final block"),
    pytest.param("f248050000 00ffff cac9c90700", b"Hello", id="two blocks"),
    pytest.param("00", b"", id="empty"),
    pytest.param("", b"", id="no octet at all"),
    pytest.param("020000 00ffff 00", b"", id="blocks without octets"),
    pytest.param(FINAL_HELLO, b"Hello", id="a final block and no more"),
    pytest.param(FINAL_HELLO + FINAL_HELLO + "00", b"HelloHello", id="two final blocks"),
    pytest.param(FINAL_HELLO + HELLO, b"HelloHello", id="a block behind a final one"),
    pytest.param("010500faff48656c6c6f", b"Hello", id="a final stored block"),
    pytest.param("0300", b"", id="a final block without octets"),
    pytest.param("0300" * 9000 + "00", b"", id="many of them"),
    pytest.param(
        "000500faff48656c6c6f 000000ffff 000500faff48656c6c6f00", b"HelloHello", id="stored blocks"
    ),
]

# Several messages of one connection; the first of these is 7.2.3.2.
SEQUENCES = [
    pytest.param([HELLO, HELLO_AGAIN], id="the window outlives the message"),
    pytest.param([HELLO, "", "00", HELLO_AGAIN], id="and messages without octets"),
    pytest.param([HELLO, "00", HELLO, HELLO_AGAIN], id="whatever comes between"),
    pytest.param([FINAL_HELLO + "00", HELLO, HELLO_AGAIN], id="a final block begins anew"),
    pytest.param([FINAL_HELLO, HELLO, HELLO_AGAIN], id="a final block and no more begins anew"),
]


@EACH
@EACH_WAY
@pytest.mark.parametrize("packed, plain", MESSAGES)
def test_a_message_is_unpacked_however_its_blocks_are_laid(packed, plain, keeps, name):
    data = bytes.fromhex(packed)
    assert inflater(name, keeps=keeps).message(data, LIMIT) == plain
    assert unpacked(inflater(name, keeps=keeps), [data]) == plain
    if len(data) < KIB:
        assert unpacked(inflater(name, keeps=keeps), list(one_by_one(data))) == plain


@EACH
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_messages_look_back_at_those_before(sequence, name):
    whole, in_pieces = inflater(name), inflater(name)
    for packed in sequence:
        data = bytes.fromhex(packed)
        plain = b"Hello" if len(data) > 1 else b""
        assert whole.message(data, LIMIT) == plain
        assert unpacked(in_pieces, list(one_by_one(data))) == plain


@EACH
def test_without_takeover_there_is_nothing_to_look_back_at(name):
    inflating = inflater(name, keeps=False)
    assert inflating.message(bytes.fromhex(HELLO), LIMIT) == b"Hello"
    with pytest.raises(ProtocolError, match="corrupt"):
        inflating.message(bytes.fromhex(HELLO_AGAIN), LIMIT)


@EACH
def test_a_final_block_empties_the_window(name):
    inflating = inflater(name)
    assert inflating.message(bytes.fromhex(FINAL_HELLO + "00"), LIMIT) == b"Hello"
    with pytest.raises(ProtocolError, match="corrupt"):
        inflating.message(bytes.fromhex(HELLO_AGAIN), LIMIT)


CORRUPT = [
    pytest.param("07", "corrupt: .*block", id="a block of no kind"),
    pytest.param("f248cdc9c907ff", "corrupt: .*", id="a bad distance"),
    pytest.param("0001000100 41", "corrupt: .*block", id="a stored block of no length"),
    pytest.param("ffffffff", "corrupt: .*block", id="all ones"),
    pytest.param(HELLO_AGAIN, "corrupt: .*(distance|lookback)", id="looks back at nothing"),
    pytest.param(HELLO + "07", "ends within a block: .*block", id="garbage behind the blocks"),
    pytest.param(FINAL_HELLO + "07", "corrupt: .*block", id="garbage behind a final block"),
    pytest.param("f248cdc9c907", "ends within a block", id="without its last octet"),
    pytest.param("000500faff48656c", "ends within a block", id="within a stored block"),
    pytest.param("000500fa", "ends within a block", id="within its header"),
    pytest.param("f248cd", "ends within a block", id="within a packed block"),
    pytest.param("f34bcd", "ends within a block", id="within a final block"),
    pytest.param("010500faff48656c", "ends within a block", id="within a final stored block"),
    pytest.param(FINAL_HELLO + "f248", "ends within a block", id="behind a final block"),
]


@EACH
@EACH_WAY
@pytest.mark.parametrize("packed, words", CORRUPT)
def test_what_is_corrupt_is_refused_with_1007_in_the_engines_words(packed, words, keeps, name):
    data = bytes.fromhex(packed)
    with pytest.raises(ProtocolError, match=f"^compressed message (is )?{words}") as whole:
        inflater(name, keeps=keeps).message(data, LIMIT)
    with pytest.raises(ProtocolError, match=f"^compressed message (is )?{words}") as in_pieces:
        unpacked(inflater(name, keeps=keeps), list(one_by_one(data)))
    assert whole.value.code == in_pieces.value.code == 1007


@EACH
def test_what_came_before_a_corrupt_octet_is_handed_out_first(name):
    inflating = inflater(name)
    assert list(inflating.unpack(bytes.fromhex("000500faff48656c6c6f"))) == [b"Hello"]
    pieces = inflating.unpack(stored(b"more") + b"\7")
    with pytest.raises(ProtocolError):
        list(pieces)


@EACH
@EACH_WAY
def test_a_message_cut_short_is_refused_or_the_beginning_of_the_whole(keeps, name):
    # Where windows are kept an engine cannot always tell; what it hands out was meant all the same.
    messages = [rows(700), b"word " * 9 + random.Random(1).randbytes(60), bytes(900)]
    accepted = cuts = 0
    for plain in messages:
        packed = deflater(name).message(plain)
        for size in range(1, len(packed)):
            cuts += 1
            found = refusal(inflater(name, keeps=keeps), packed[:size])
            if isinstance(found, bytes):
                accepted += 1
                assert plain.startswith(found)
            else:
                assert found.code == 1007
    assert accepted <= (cuts // 5 if keeps else 0)


@EACH
@EACH_WAY
@settings(max_examples=60)
@given(data=st.binary(min_size=1, max_size=300), limit=st.integers(0, 5000))
def test_any_octets_are_a_message_or_a_protocol_error(name, keeps, data, limit):
    found = refusal(inflater(name, keeps=keeps), data, limit)
    if isinstance(found, bytes):
        assert len(found) <= limit
    else:
        assert found.code == (1009 if isinstance(found, MessageTooBig) else 1007)


@EACH
@settings(max_examples=100)
@given(plain=MESSAGE, index=st.integers(0), octet=st.integers(0, 255))
def test_one_wrong_octet_is_a_message_or_a_protocol_error(name, plain, index, octet):
    packed = bytearray(deflater(name).message(plain))
    packed[index % len(packed)] = octet
    for other in ENGINES:
        found = refusal(inflater(other), bytes(packed))
        assert isinstance(found, bytes) or found.code == 1007


@EACH
@EACH_WAY
@settings(max_examples=60)
@given(
    messages=st.lists(MESSAGE, max_size=5), other=INSTALLED, bits=st.integers(8, 15), places=PLACES
)
def test_every_engine_unpacks_what_this_one_packs(name, keeps, messages, other, bits, places):
    packing = deflater(name, keeps=keeps, bits=bits)
    whole = inflater(other, keeps=keeps, bits=bits)
    in_pieces = inflater(other, keeps=keeps, bits=bits)
    for plain in messages:
        packed = packing.message(plain)
        assert whole.message(packed, len(plain)) == plain
        assert unpacked(in_pieces, cut(packed, places)) == plain


@EACH
@EACH_WAY
@settings(max_examples=60)
@given(messages=st.lists(st.lists(MESSAGE, max_size=3), max_size=4), other=INSTALLED)
def test_a_message_packed_in_parts_is_readable_after_each_of_them(name, keeps, messages, other):
    packing, reading = deflater(name, keeps=keeps), inflater(other, keeps=keeps)
    whole = inflater(other, keeps=keeps)
    for parts in messages:
        fragments = []
        for part in filter(None, parts):
            fragments.append(packing.piece(part))
            assert b"".join(reading.unpack(fragments[-1])) == part
        packing.end()
        fragments.append(EMPTY)
        assert list(reading.unpack(EMPTY)) == []
        reading.end()
        assert whole.message(b"".join(fragments), LIMIT) == b"".join(parts)


@EACH
def test_an_empty_message_is_one_octet_and_changes_nothing(name):
    packing, inflating = deflater(name), inflater(name)
    for plain in (b"", rows(500), b"", b"", rows(500)):
        packed = packing.message(plain)
        assert inflating.message(packed, LIMIT) == plain
        assert plain or packed == b"\0"


@EACH
def test_a_second_time_the_same_message_takes_a_few_octets_with_takeover_alone(name):
    with_window, without = deflater(name), deflater(name, keeps=False)
    plain = random.Random(2).randbytes(2000)
    assert len(with_window.message(plain)) > 2000
    assert len(with_window.message(plain)) < 100
    assert without.message(plain) == without.message(plain)


@EACH
def test_after_close_packing_begins_with_an_empty_window(name):
    packing = deflater(name)
    first = packing.message(rows(500))
    packing.close()
    assert packing.message(rows(500)) == first


def test_nothing_is_made_before_it_is_needed_nor_kept_without_takeover():
    made = []

    def make(kind: str) -> object:
        made.append(kind)
        return (zlib.compressobj if kind == "out" else zlib.decompressobj)(wbits=-15)

    for keeps in (True, False):
        packing = Deflater(lambda: make("out"), sync=zlib.Z_SYNC_FLUSH, keeps=keeps)
        inflating = Inflater(lambda: make("in"), error=zlib.error, keeps=keeps)
        assert made == []
        packed = packing.message(b"Hello")
        assert made == ["out"]
        inflating.message(packed, 5)
        inflating.message(packing.message(b"Hello"), 5)
        assert made == (["out", "in"] if keeps else ["out", "in", "out", "in"])
        made.clear()


@EACH
@EACH_WAY
@pytest.mark.parametrize("size", [1, 5, 256, KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB])
def test_the_limit_is_kept_to_the_octet(size, keeps, name):
    for plain in (bytes(size), random.Random(size).randbytes(size)):
        packed = deflater(name).message(plain)
        assert inflater(name, keeps=keeps).message(packed, size) == plain
        with pytest.raises(MessageTooBig) as error:
            inflater(name, keeps=keeps).message(packed, size - 1)
        assert (error.value.size, error.value.limit) == (size, size - 1)


@EACH
@pytest.mark.parametrize("limit", [0, 1, KIB, 64 * KIB, MIB])
def test_a_bomb_ends_with_the_first_octet_too_many(limit, name):
    with pytest.raises(MessageTooBig, match=f"message of {limit + 1} octets exceeds") as error:
        inflater(name).message(bomb(2), limit)
    assert (error.value.size, error.value.code) == (limit + 1, 1009)


@EACH
@pytest.mark.parametrize("limit", [MIB, LIMIT], ids=["1 MiB", "the default"])
def test_a_bomb_of_512_mib_takes_less_than_1_mib_beyond_the_limit(limit, name):
    packed = bomb(512)
    assert len(packed) < 0.51 * MIB
    inflating = inflater(name)
    tracemalloc.start()
    with pytest.raises(MessageTooBig):
        inflating.message(packed, limit)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < limit + MIB / 2


@EACH
def test_many_tiny_final_blocks_take_no_more_than_their_octets(name):
    # Each of them is three octets on the wire and a piece of one octet, which takes 40 as bytes.
    packed = bytes.fromhex("4b0400") * 60_000 + b"\0"
    inflating = inflater(name)
    tracemalloc.start()
    with pytest.raises(MessageTooBig):
        inflating.message(packed, 50_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000


@EACH
def test_a_bomb_in_pieces_is_unpacked_no_further_than_it_is_asked_for(name):
    inflating = inflater(name)
    packed = bomb(512)
    tracemalloc.start()
    pieces = inflating.unpack(packed)
    sizes = [len(piece) for piece in islice(pieces, 40)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(sizes) == {64 * KIB}
    assert peak < MIB / 2


@EACH
def test_pieces_have_at_most_64_kib_and_are_never_empty(name):
    plain = rows(300 * KIB) + bytes(MIB)
    packed = deflater(name).message(plain)
    pieces = list(inflater(name).unpack(packed))
    assert b"".join(pieces) == plain
    assert all(0 < len(piece) <= 64 * KIB for piece in pieces)


@EACH
def test_no_more_than_16_kib_are_taken_in_at_a_time(name):
    # What is left over is copied each time: of half a MiB taken in at once, 64 GiB in all.
    taken = []

    class Counting:
        def __init__(self) -> None:
            self._decompressor = ENGINES[name].decompressor(15)

        def __getattr__(self, attribute: str) -> object:
            return getattr(self._decompressor, attribute)

        def decompress(self, data: bytes, room: int) -> bytes:
            taken.append(len(data))
            return self._decompressor.decompress(data, room)

    inflating = Inflater(Counting, error=ENGINES[name].module.error, keeps=True)
    plain = random.Random(3).randbytes(100 * KIB) + bytes(40 * MIB)
    packed = deflater(name).message(plain)
    assert inflating.message(packed, LIMIT) == plain
    assert max(taken) <= 16 * KIB
