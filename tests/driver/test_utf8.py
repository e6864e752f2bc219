"""Text of messages: refused at the very octet that shows it is no UTF-8 (RFC 6455 8.1)."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings, strategies as st

from faye_sync.driver.utf8 import Utf8Check, decode_text
from faye_sync.errors import ProtocolError
from tests.support.wire import cut, one_by_one

# The grammar of RFC 3629 section 4, and what may become a character yet.
CHARACTER = (
    rb"[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]"
    rb"|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
BEGUN = (
    rb"[\xc2-\xdf]"
    rb"|\xe0[\xa0-\xbf]?|[\xe1-\xec\xee\xef][\x80-\xbf]?|\xed[\x80-\x9f]?"
    rb"|\xf0(?:[\x90-\xbf][\x80-\xbf]?)?|[\xf1-\xf3][\x80-\xbf]{0,2}|\xf4(?:[\x80-\x8f][\x80-\xbf]?)?"
)
COMPLETABLE = re.compile(rb"(?:%b)*(?:%b)?" % (CHARACTER, BEGUN))

# Octets, how many of them come before the bad character, and how many show that it is bad.
BAD = [
    pytest.param("80", 0, 1, id="continuation first"),
    pytest.param("61 bf", 1, 2, id="continuation after a letter"),
    pytest.param("c0", 0, 1, id="overlong lead c0"),
    pytest.param("c1", 0, 1, id="overlong lead c1"),
    pytest.param("c3 28", 0, 2, id="two octets, the second missing"),
    pytest.param("e0 9f", 0, 2, id="overlong in three octets"),
    pytest.param("e2 82 41", 0, 3, id="three octets, the third missing"),
    pytest.param("ed a0", 0, 2, id="high surrogate"),
    pytest.param("ed bf", 0, 2, id="low surrogate"),
    pytest.param("61 ed a0", 1, 3, id="surrogate after a letter"),
    pytest.param("cebae1bdb9cf83cebcceb5 eda080 656469746564", 11, 13, id="surrogate within words"),
    pytest.param("f0 8f", 0, 2, id="overlong in four octets"),
    pytest.param("f0 90 80 c0", 0, 4, id="four octets, the fourth missing"),
    pytest.param("f4 90", 0, 2, id="above U+10FFFF"),
    pytest.param("cebae1bdb9cf83cebcceb5 f4908080 656469746564", 11, 13, id="above within words"),
    pytest.param("f5", 0, 1, id="lead f5"),
    pytest.param("f8", 0, 1, id="five octets"),
    pytest.param("fe", 0, 1, id="lead fe"),
    pytest.param("c3a9 ff", 2, 3, id="lead ff after a character"),
]

CUT_SHORT = [
    pytest.param("c3", 0, id="one of two"),
    pytest.param("61 e2", 1, id="one of three"),
    pytest.param("e2 82", 0, id="two of three"),
    pytest.param("c3a9 f0", 2, id="one of four"),
    pytest.param("f0 9f", 0, id="two of four"),
    pytest.param("f0 9f 98", 0, id="three of four"),
]

GOOD = [
    pytest.param("", id="empty"),
    pytest.param("00", id="NUL"),
    pytest.param("7f", id="the last of one octet"),
    pytest.param("c280 dfbf", id="the ends of two octets"),
    pytest.param("e0a080 efbfbf", id="the ends of three octets, a noncharacter"),
    pytest.param("ed9fbf ee8080", id="the neighbours of the surrogates"),
    pytest.param("f0908080 f48fbfbf", id="the ends of four octets"),
    pytest.param("efbbbf 61", id="a byte order mark stays"),
]

# Good characters, bad octets, and beginnings, so that examples break in interesting places.
PIECES = st.lists(
    st.text(max_size=3).map(str.encode)
    | st.binary(max_size=2)
    | st.sampled_from([bytes.fromhex(row.values[0]) for row in BAD + CUT_SHORT + GOOD]),
    max_size=8,
).map(b"".join)


def refused_at(octets: bytes, *, is_final: bool = False) -> tuple[int, str] | None:
    """Feed octet by octet: how many it took to refuse, and the words; None if all went well."""
    check = Utf8Check()
    for index in range(len(octets)):
        is_last = is_final and index + 1 == len(octets)
        try:
            check.feed(octets[index : index + 1], is_final=is_last)
        except ProtocolError as error:
            return index + 1, str(error)
    return None


def completable(octets: bytes) -> bool:
    return COMPLETABLE.fullmatch(octets) is not None


@pytest.mark.parametrize("octets, start, shown", BAD)
def test_bad_text_is_refused_at_the_octet_that_shows_it(octets, start, shown):
    data = bytes.fromhex(octets)
    words = f"text is not UTF-8 from octet {start} (0x{data[start]:02x}) on"
    assert refused_at(data) == (shown, words)


@pytest.mark.parametrize("octets, start, shown", BAD)
def test_bad_text_is_refused_by_both_ways_with_the_same_words_and_1007(octets, start, shown):
    data = bytes.fromhex(octets)
    with pytest.raises(ProtocolError) as at_once:
        decode_text(data)
    with pytest.raises(ProtocolError) as by_piece:
        Utf8Check().feed(data, is_final=False)
    assert str(at_once.value) == str(by_piece.value)
    assert at_once.value.code == by_piece.value.code == 1007


@pytest.mark.parametrize("octets, start", CUT_SHORT)
def test_text_that_ends_inside_a_character_is_refused_at_its_end(octets, start):
    data = bytes.fromhex(octets)
    words = f"text is not UTF-8 from octet {start} (0x{data[start]:02x}) on"
    assert refused_at(data) is None
    assert refused_at(data, is_final=True) == (len(data), words)
    with pytest.raises(ProtocolError, match=re.escape(words)):
        decode_text(data)


def test_an_empty_last_piece_shows_that_a_character_is_cut_short():
    check = Utf8Check()
    check.feed(b"\xe2\x82", is_final=False)
    with pytest.raises(ProtocolError, match="from octet 0"):
        check.feed(b"", is_final=True)


@pytest.mark.parametrize("octets", GOOD)
def test_good_text_passes_by_both_ways(octets):
    data = bytes.fromhex(octets)
    assert refused_at(data, is_final=True) is None
    assert decode_text(data).encode() == data
    assert decode_text(bytearray(data)) == data.decode()


def test_a_check_begins_anew_with_every_text():
    check = Utf8Check()
    check.feed(b"caf\xc3", is_final=False)
    check.feed(b"\xa9", is_final=True)
    with pytest.raises(ProtocolError, match="from octet 1 "):
        check.feed(b"a\xa9", is_final=False)


def test_places_are_counted_from_the_beginning_of_the_text():
    check = Utf8Check()
    for _ in range(1000):
        check.feed("€€".encode()[:5], is_final=False)
        check.feed("€".encode()[2:], is_final=False)
    with pytest.raises(ProtocolError, match=r"from octet 6000 \(0xff\) on"):
        check.feed(b"\xff", is_final=False)


def test_every_pair_of_octets_is_refused_exactly_when_nothing_can_complete_it():
    wrong = [
        (first, second)
        for first in range(256)
        for second in range(256)
        if completable(bytes((first, second))) is not (refused_at(bytes((first, second))) is None)
    ]
    assert wrong == []


@pytest.mark.parametrize("lead", [0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4], ids=hex)
def test_every_third_octet_is_refused_exactly_when_nothing_can_complete_it(lead):
    sequences = [
        bytes((lead, second, third))
        for second in (0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF)
        for third in range(256)
    ]
    wrong = [
        octets for octets in sequences if completable(octets) is (refused_at(octets) is not None)
    ]
    assert wrong == []


@settings(max_examples=400)
@given(octets=PIECES, places=st.lists(st.integers(0, 40), max_size=6))
@example(octets=b"\xf0\x9f\x98\x80", places=[1, 2, 3])
@example(octets=b"a\xed\xa0\x80", places=[2])
def test_a_check_agrees_with_decode_at_any_cut(octets, places):
    check = Utf8Check()
    pieces = cut(octets, places)
    try:
        for piece in pieces[:-1]:
            check.feed(piece, is_final=False)
        check.feed(pieces[-1], is_final=True)
    except ProtocolError as error:
        with pytest.raises(ProtocolError, match=re.escape(str(error))):
            decode_text(octets)
    else:
        assert decode_text(octets) == octets.decode()


@settings(max_examples=400)
@given(octets=PIECES, places=st.lists(st.integers(0, 40), max_size=6))
def test_the_piece_that_makes_text_hopeless_is_the_one_refused(octets, places):
    check = Utf8Check()
    seen = b""
    for piece in cut(octets, places):
        seen += piece
        if completable(seen):
            check.feed(piece, is_final=False)
            continue
        with pytest.raises(ProtocolError):
            check.feed(piece, is_final=False)
        break


@given(st.text(max_size=50))
def test_any_text_passes_octet_by_octet(text):
    check = Utf8Check()
    for octet in one_by_one(text.encode()):
        check.feed(octet, is_final=False)
    check.feed(b"", is_final=True)
    assert decode_text(text.encode()) == text
