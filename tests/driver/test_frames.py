"""The layout of frames and of close payloads: RFC 6455 5.2, 5.5.1, 7.4."""

from __future__ import annotations

from enum import IntEnum

import pytest
from hypothesis import given, strategies as st

from faye_sync.driver.frames import (
    BINARY,
    CONTINUATION,
    MASK_BIT,
    TEXT,
    check_close,
    decode_close,
    decode_length,
    encode_close,
    encode_frame,
    encode_header,
    encode_text,
)
from faye_sync.errors import ProtocolError
from tests.support.wire import MASK, frame

# What stands behind the first octet, by the length it tells.
LENGTHS = [
    pytest.param(0, "00", id="0 in 7 bits"),
    pytest.param(1, "01", id="1 in 7 bits"),
    pytest.param(125, "7d", id="125 in 7 bits"),
    pytest.param(126, "7e 007e", id="126 in 16 bits"),
    pytest.param(127, "7e 007f", id="127 in 16 bits"),
    pytest.param(256, "7e 0100", id="256 in 16 bits"),
    pytest.param(65535, "7e ffff", id="65535 in 16 bits"),
    pytest.param(65536, "7f 0000000000010000", id="65536 in 64 bits"),
    pytest.param(2**32, "7f 0000000100000000", id="2**32 in 64 bits"),
    pytest.param(2**63 - 1, "7f 7fffffffffffffff", id="2**63-1 in 64 bits"),
]

REFUSED_LENGTHS = [
    pytest.param("7e 0000", "length 0 stands in 16 bits", id="0 in 16 bits"),
    pytest.param("7e 007d", "length 125 stands in 16 bits", id="125 in 16 bits"),
    pytest.param("7f 0000000000000000", "length below 65536", id="0 in 64 bits"),
    pytest.param("7f 000000000000007d", "length below 65536", id="125 in 64 bits"),
    pytest.param("7f 000000000000ffff", "length below 65536", id="65535 in 64 bits"),
    pytest.param("7f 000000000000", "length below 65536", id="six zeros of eight octets"),
    pytest.param("7f 80", "top bit", id="top bit alone"),
    pytest.param("7f 8000000000000000", "top bit", id="2**63"),
    pytest.param("7f ffffffffffffffff", "top bit", id="2**64-1"),
]

UNFINISHED_LENGTHS = [
    pytest.param("7e", id="16 bits, none there"),
    pytest.param("7e 00", id="16 bits, a zero may begin 126"),
    pytest.param("7f", id="64 bits, none there"),
    pytest.param("7f 7f", id="64 bits, top bit clear"),
    pytest.param("7f 0000000000", id="64 bits, five zeros may begin 65536"),
    pytest.param("7f 00000000000100", id="64 bits, the last is missing"),
]

FRAMES = [
    # The examples of RFC 6455 5.7.
    pytest.param(TEXT, b"Hello", {}, "81 05 48656c6c6f", id="text"),
    pytest.param(TEXT, b"Hello", {"mask_key": MASK}, "81 85 37fa213d 7f9f4d5158", id="masked text"),
    pytest.param(TEXT, b"Hel", {"final": False}, "01 03 48656c", id="first fragment"),
    pytest.param(CONTINUATION, b"lo", {}, "80 02 6c6f", id="last fragment"),
    pytest.param(BINARY, b"", {}, "82 00", id="empty"),
    pytest.param(BINARY, b"", {"mask_key": MASK}, "82 80 37fa213d", id="empty, yet with its key"),
    pytest.param(BINARY, b"\0", {"rsv": 4}, "c2 01 00", id="RSV1"),
    pytest.param(BINARY, b"\0", {"rsv": 2, "final": False}, "22 01 00", id="RSV2, not final"),
    pytest.param(BINARY, b"\0", {"rsv": 1}, "92 01 00", id="RSV3"),
    pytest.param(0x3, b"", {"rsv": 7}, "f3 00", id="an opcode without a table"),
]

CODES = [
    pytest.param(0, False, False, id="0 none"),
    pytest.param(999, False, False, id="999 below all"),
    pytest.param(1000, True, True, id="1000 normal"),
    pytest.param(1001, True, True, id="1001 going away"),
    pytest.param(1002, True, False, id="1002 protocol error, the library's to send"),
    pytest.param(1003, True, True, id="1003 unsupported data"),
    pytest.param(1004, False, False, id="1004 reserved"),
    pytest.param(1005, False, False, id="1005 never on the wire: no code"),
    pytest.param(1006, False, False, id="1006 never on the wire: abnormal"),
    pytest.param(1007, True, True, id="1007 invalid payload"),
    pytest.param(1008, True, True, id="1008 policy"),
    pytest.param(1009, True, True, id="1009 too big"),
    pytest.param(1010, True, True, id="1010 extension missing"),
    pytest.param(1011, True, True, id="1011 internal error"),
    pytest.param(1012, True, True, id="1012 restart"),
    pytest.param(1013, True, True, id="1013 try again"),
    pytest.param(1014, True, True, id="1014 bad gateway"),
    pytest.param(1015, False, False, id="1015 never on the wire: TLS"),
    pytest.param(1016, False, False, id="1016 first unassigned"),
    pytest.param(1100, False, False, id="1100 unassigned"),
    pytest.param(2000, False, False, id="2000 of extensions"),
    pytest.param(2999, False, False, id="2999 last of extensions"),
    pytest.param(3000, True, True, id="3000 first of libraries"),
    pytest.param(3999, True, True, id="3999 last of libraries"),
    pytest.param(4000, True, True, id="4000 first of applications"),
    pytest.param(4999, True, True, id="4999 last of applications"),
    pytest.param(5000, False, False, id="5000 above all"),
    pytest.param(65535, False, False, id="65535 top"),
]


class Reason(IntEnum):
    KICKED = 4001


# --- lengths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length, octets", LENGTHS)
def test_a_length_is_written_in_as_few_octets_as_can_be(length, octets):
    assert encode_header(0x82, length, 0) == bytes.fromhex(f"82 {octets}")


@pytest.mark.parametrize("length, octets", LENGTHS)
def test_the_mask_bit_is_the_top_bit_of_the_second_octet(length, octets):
    header = encode_header(0x01, length, MASK_BIT)
    assert header[1] == bytes.fromhex(octets)[0] | 0x80
    assert header[2:] == bytes.fromhex(octets)[1:]


@pytest.mark.parametrize("length, octets", LENGTHS)
@pytest.mark.parametrize("mask_bit", [0, 0x80], ids=["plain", "masked"])
def test_a_length_is_read_from_any_position(length, octets, mask_bit):
    told = bytearray.fromhex(octets)
    told[0] |= mask_bit
    data = b"\x82" + bytes(told)
    assert decode_length(data, 1) == (length, len(data))
    assert decode_length(b"before" + data + b"behind", 7) == (length, 6 + len(data))


@pytest.mark.parametrize("octets, text", REFUSED_LENGTHS)
def test_a_length_with_needless_octets_or_its_top_bit_is_refused(octets, text):
    with pytest.raises(ProtocolError, match=text) as caught:
        decode_length(bytes.fromhex(octets), 0)
    assert caught.value.code == 1002


@pytest.mark.parametrize("octets", UNFINISHED_LENGTHS)
def test_a_length_waits_while_it_may_still_be_good(octets):
    assert decode_length(bytes.fromhex(octets), 0) is None


# --- frames ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode, payload, options, octets", FRAMES)
def test_a_frame_is_laid_out_as_the_rfc_draws_it(opcode, payload, options, octets):
    assert encode_frame(opcode, payload, **options) == bytes.fromhex(octets)


@given(
    opcode=st.integers(0, 15),
    payload=st.binary(max_size=300) | st.sampled_from((bytes(65535), bytes(65536))),
    final=st.booleans(),
    rsv=st.integers(0, 7),
    mask_key=st.none() | st.binary(min_size=4, max_size=4),
)
def test_a_frame_equals_what_another_builder_makes(opcode, payload, final, rsv, mask_key):
    expected = frame(opcode, payload, fin=final, rsv=rsv, mask=mask_key)
    assert encode_frame(opcode, payload, final=final, rsv=rsv, mask_key=mask_key) == expected


# --- close payloads -------------------------------------------------------------------------------


@pytest.mark.parametrize("code, is_receivable, is_sendable", CODES)
def test_close_codes_are_read_only_where_they_may_be_on_the_wire(code, is_receivable, is_sendable):
    payload = code.to_bytes(2, "big") + b"why"
    if is_receivable:
        assert decode_close(payload) == (code, "why")
        return
    with pytest.raises(ProtocolError, match=f"close code {code} is not allowed") as caught:
        decode_close(payload)
    assert caught.value.code == 1002


@pytest.mark.parametrize("code, is_receivable, is_sendable", CODES)
def test_users_close_only_with_codes_that_are_theirs(code, is_receivable, is_sendable):
    if is_sendable:
        check_close(code, "why")
        return
    with pytest.raises(ValueError, match=f"3000-4999, got {code}$"):
        check_close(code, "why")


@pytest.mark.parametrize("code", [-1, 2**40, 1000.0, "1000", None, True, [1000]], ids=repr)
def test_a_close_code_is_an_int_in_range_and_nothing_like_it(code):
    with pytest.raises(ValueError, match="close code must be"):
        check_close(code, "")


def test_a_close_code_may_be_of_an_int_enum():
    check_close(Reason.KICKED, "")
    assert encode_close(Reason.KICKED, "") == bytes.fromhex("0fa1")


@pytest.mark.parametrize(
    "reason, text",
    [
        pytest.param("x" * 124, "has 124 octets of UTF-8; 123 are allowed", id="124 octets"),
        pytest.param("é" * 62, "has 124 octets of UTF-8; 123 are allowed", id="62 signs of two"),
        pytest.param("a\ud800", "lone surrogate", id="a lone surrogate"),
        pytest.param(b"bye", "must be a str", id="bytes"),
        pytest.param(None, "must be a str", id="None"),
    ],
)
def test_a_reason_that_cannot_be_sent_is_refused(reason, text):
    with pytest.raises(ValueError, match=text):
        check_close(1000, reason)


@pytest.mark.parametrize("reason", ["", "x" * 123, "é" * 61, "€" * 41, "😀" * 30], ids=len)
def test_a_reason_of_at_most_123_octets_is_allowed_and_sent_whole(reason):
    check_close(1000, reason)
    assert decode_close(encode_close(1000, reason)) == (1000, reason)


@pytest.mark.parametrize(
    "code, reason, payload",
    [
        pytest.param(None, "", b"", id="no code"),
        pytest.param(None, "lost", b"", id="no code, so no reason either"),
        pytest.param(1000, "", b"\x03\xe8", id="code alone"),
        pytest.param(1011, "é", b"\x03\xf3\xc3\xa9", id="reason in UTF-8"),
        pytest.param(1000, "x" * 124, b"\x03\xe8" + b"x" * 123, id="124 octets cut to 123"),
        pytest.param(1000, "é" * 62, b"\x03\xe8" + b"\xc3\xa9" * 61, id="cut before two octets"),
        pytest.param(
            1000, "x€" * 31, b"\x03\xe8" + b"x\xe2\x82\xac" * 30 + b"x", id="before three"
        ),
        pytest.param(1000, "x" + "😀" * 31, b"\x03\xe8x" + "😀".encode() * 30, id="before four"),
        pytest.param(1000, "a\udc80b", b"\x03\xe8a?b", id="a lone surrogate is told as ?"),
    ],
)
def test_a_close_payload_is_written_without_fail(code, reason, payload):
    assert encode_close(code, reason) == payload


@given(st.text(st.characters(), max_size=200))
def test_any_reason_fits_a_close_frame_and_is_read_back_from_its_beginning(reason):
    payload = encode_close(1000, reason)
    assert len(payload) <= 125
    told = reason.encode("utf-8", "replace").decode()
    assert told.startswith(decode_close(payload)[1])


def test_an_empty_close_payload_reads_as_1000():
    assert decode_close(b"") == (1000, "")


def test_one_octet_is_no_close_payload():
    with pytest.raises(ProtocolError, match="1 octet; 0 or 2 to 125") as caught:
        decode_close(b"\x03")
    assert caught.value.code == 1002


@pytest.mark.parametrize(
    "reason, position, octet",
    [
        pytest.param("ff", 0, "ff", id="no such octet"),
        pytest.param("6f6b c080", 2, "c0", id="overlong NUL"),
        pytest.param("6f6b eda080", 2, "ed", id="a surrogate"),
        pytest.param("6f6b e282", 2, "e2", id="cut inside a character"),
        pytest.param("6f6b f4908080", 2, "f4", id="above U+10FFFF"),
    ],
)
def test_a_reason_that_is_no_utf8_is_refused_with_1007(reason, position, octet):
    expected = rf"close reason is not UTF-8 from octet {position} \(0x{octet}\) on"
    with pytest.raises(ProtocolError, match=expected) as caught:
        decode_close(bytes.fromhex(f"03e8 {reason}"))
    assert caught.value.code == 1007


def test_a_bad_code_is_told_before_a_bad_reason():
    with pytest.raises(ProtocolError, match="close code 1005") as caught:
        decode_close(bytes.fromhex("03ed ff"))
    assert caught.value.code == 1002


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, octets",
    [
        pytest.param("", "", id="empty"),
        pytest.param("a\0b", "61 00 62", id="NUL"),
        pytest.param("é€😀", "c3a9 e282ac f09f9880", id="two, three and four octets"),
        pytest.param("\ufeff", "efbbbf", id="a byte order mark stays"),
        pytest.param("\U0010ffff", "f48fbfbf", id="the last code point"),
    ],
)
def test_text_becomes_utf8(text, octets):
    assert encode_text(text) == bytes.fromhex(octets)


@pytest.mark.parametrize(
    "text, found",
    [
        pytest.param("\ud800", r"'\\ud800' at index 0", id="high half"),
        pytest.param("ab\udfff", r"'\\udfff' at index 2", id="low half"),
        pytest.param(
            "\ud83d\ude00", r"'\\ud83d' at index 0", id="a pair of halves is no character"
        ),
    ],
)
def test_half_of_a_surrogate_pair_is_refused_with_its_place(text, found):
    with pytest.raises(ValueError, match=found):
        encode_text(text)
