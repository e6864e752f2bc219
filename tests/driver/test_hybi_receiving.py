"""Frames in, events out: RFC 6455 5, 7 and 8.1, at the octet and in the order that counts."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings, strategies as st

from faye_sync.driver.extension import Message
from faye_sync.driver.frames import join_frame
from faye_sync.driver.hybi_receiving import ROOM, HybiReceiving
from faye_sync.errors import MessageTooBig, ProtocolError
from faye_sync.events import (
    CloseEvent,
    ErrorEvent,
    Event,
    OpenEvent,
    PingEvent,
    PongEvent,
)
from tests.support.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    cut,
    frame,
    from_client,
    one_by_one,
)

LOST = CloseEvent(1006, "", False, "eof")


def half_of(*, require_masking: bool, max_length: int, allowed_rsv: int) -> HybiReceiving:
    half = HybiReceiving(require_masking=require_masking, max_length=max_length)
    half.extend(allowed_rsv, packs_all=False)
    return half


def server(max_length: int = 2**26 - 1, allowed_rsv: int = 0) -> HybiReceiving:
    return half_of(require_masking=True, max_length=max_length, allowed_rsv=allowed_rsv)


def client(max_length: int = 2**26 - 1, allowed_rsv: int = 0) -> HybiReceiving:
    return half_of(require_masking=False, max_length=max_length, allowed_rsv=allowed_rsv)


def comparable(event: Event) -> object:
    """Errors are alike when their words and codes are."""
    if not isinstance(event, ErrorEvent):
        return event
    assert isinstance(event.error, ProtocolError)
    assert event.message == str(event.error)
    return type(event.error), event.error.code, event.message


def told(half: HybiReceiving, pieces: Iterable[bytes]) -> list[object]:
    events = []
    for piece in pieces:
        half.receive_data(piece)
        events += half.events()
    return [comparable(event) for event in events]


def failure(half: HybiReceiving, octets: bytes) -> ProtocolError:
    """Feed octets that end in a failure, and return it."""
    half.receive_data(octets)
    last = half.events()[-1]
    assert isinstance(last, ErrorEvent)
    assert isinstance(last.error, ProtocolError)
    return last.error


# --- what is good ---------------------------------------------------------------------------------

# Frames of a server, so without masks.
GOOD = [
    pytest.param("81 05 48656c6c6f", ["Hello"], id="text"),
    pytest.param("81 00", [""], id="empty text"),
    pytest.param("82 00", [b""], id="empty binary"),
    pytest.param("82 03 00ff80", [b"\0\xff\x80"], id="binary"),
    pytest.param("81 01 61  82 01 62", ["a", b"b"], id="two"),
    pytest.param("01 03 48656c  80 02 6c6f", ["Hello"], id="two fragments"),
    pytest.param("02 00  00 00  80 00", [b""], id="three empty fragments"),
    pytest.param("01 00  80 01 61", ["a"], id="empty first fragment"),
    pytest.param("01 01 61  80 00", ["a"], id="empty last fragment"),
    pytest.param("01 02 e282  80 01 ac", ["€"], id="character over two fragments"),
    pytest.param(
        "01 01 f0  00 01 9f  00 00  00 01 98  80 01 80",
        ["😀"],
        id="character over five fragments",
    ),
    pytest.param("89 00", [PingEvent(b"")], id="empty ping"),
    pytest.param("89 02 ff00", [PingEvent(b"\xff\0")], id="ping of any octets"),
    pytest.param("8a 01 78", [PongEvent(b"x")], id="pong nobody asked for"),
    pytest.param(
        "01 01 61  89 01 31  00 01 62  8a 01 32  80 01 63",
        [PingEvent(b"1"), PongEvent(b"2"), "abc"],
        id="control frames between fragments",
    ),
    pytest.param(
        "01 01 c3  89 02 c328  80 01 a9",
        [PingEvent(b"\xc3("), "é"],
        id="ping inside a character, its payload no text",
    ),
    pytest.param("88 00", [CloseEvent(1000, "", True, "peer")], id="empty close"),
    pytest.param("88 02 03e9", [CloseEvent(1001, "", True, "peer")], id="close with a code"),
    pytest.param(
        "88 05 0fa0 c3a921", [CloseEvent(4000, "é!", True, "peer")], id="close with a reason"
    ),
    pytest.param(
        "01 01 61  88 02 03e8",
        [CloseEvent(1000, "", True, "peer")],
        id="close inside a fragmented message",
    ),
]


@pytest.mark.parametrize("octets, events", GOOD)
def test_good_frames_become_events(octets, events):
    data = bytes.fromhex(octets)
    assert told(client(), [data]) == events
    assert told(client(), one_by_one(data)) == events


def test_the_masked_frame_of_the_rfc_is_read():
    # Section 5.7: FIN text, masked, 5 octets, key 37fa213d, "Hello".
    assert told(server(), [bytes.fromhex("81 85 37fa213d 7f9f4d5158")]) == ["Hello"]


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 65535, 65536, 65537])
@pytest.mark.parametrize("mask", [None, bytes(4), MASK], ids=["plain", "zero mask", "masked"])
def test_a_message_of_any_size_is_read(size, mask):
    payload = bytes(index % 251 for index in range(size))
    half = client() if mask is None else server()
    octets = frame(BINARY, payload, mask=mask)
    assert told(half, [octets + frame(PING, b"!", mask=mask)]) == [
        payload,
        PingEvent(b"!"),
    ]


@pytest.mark.parametrize("size", [0, 1, 125])
def test_a_control_frame_may_have_125_octets(size):
    assert told(server(), [from_client(PING, b"x" * size)]) == [PingEvent(b"x" * size)]


def test_messages_are_text_as_str_and_binary_as_bytes_in_whole_and_in_fragments():
    events = told(
        client(),
        [bytes.fromhex("81 01 61  01 01 61  80 00  82 01 61  02 01 61  80 00")],
    )
    assert [type(message) for message in events] == [str, str, bytes, bytes]


def test_the_open_event_comes_first_and_every_event_once():
    half = server()
    half.start()
    half.receive_data(from_client(TEXT, b"a"))
    assert half.events() == [OpenEvent(), "a"]
    assert half.events() == []


def test_no_octets_are_no_event():
    half = server()
    half.receive_data(b"")
    half.receive_data(from_client(TEXT, b"abc")[:7])
    half.receive_data(b"")
    half.receive_data(from_client(TEXT, b"abc")[7:])
    assert half.events() == ["abc"]


# --- what is bad ----------------------------------------------------------------------------------

# Frames of a server, how many of the octets show the failure, its code, and a piece of its text.
BAD = [
    pytest.param("c1", 1, 1002, "reserved bits 0x40", id="RSV1"),
    pytest.param("a2", 1, 1002, "reserved bits 0x20", id="RSV2"),
    pytest.param("91", 1, 1002, "reserved bits 0x10", id="RSV3"),
    pytest.param("f1", 1, 1002, "reserved bits 0x70", id="all reserved bits"),
    pytest.param("c9", 1, 1002, "reserved bits 0x40", id="RSV1 on a ping"),
    pytest.param("01 00 c0", 3, 1002, "reserved bits 0x40", id="RSV1 on a continuation"),
    *(
        pytest.param(f"8{opcode:x}", 1, 1002, f"opcode {opcode} is unknown", id=f"opcode {opcode}")
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ),
    pytest.param("01 00 83", 3, 1002, "opcode 3 is unknown", id="opcode 3 within a message"),
    pytest.param("08", 1, 1002, "close frame is not final", id="close not final"),
    pytest.param("09", 1, 1002, "ping frame is not final", id="ping not final"),
    pytest.param("0a", 1, 1002, "pong frame is not final", id="pong not final"),
    pytest.param("80", 1, 1002, "no message to continue", id="last fragment first"),
    pytest.param("00", 1, 1002, "no message to continue", id="middle fragment first"),
    pytest.param("81 00 80", 3, 1002, "no message to continue", id="continuation after a whole"),
    pytest.param("01 00 80 00 00", 5, 1002, "no message to continue", id="continuation after all"),
    pytest.param("01 00 81", 3, 1002, "text frame came where", id="text within a message"),
    pytest.param("01 00 01", 3, 1002, "text frame came where", id="new text within a message"),
    pytest.param("01 00 82", 3, 1002, "binary frame came where", id="binary within a message"),
    pytest.param("02 00 02", 3, 1002, "binary frame came where", id="new binary within a message"),
    pytest.param("81 80", 2, 1002, "must not be masked", id="masked text"),
    pytest.param("89 80", 2, 1002, "must not be masked", id="masked ping"),
    pytest.param("02 00 80 80", 4, 1002, "must not be masked", id="masked continuation"),
    pytest.param("89 7e", 2, 1002, "more than 125", id="ping of 126 or more"),
    pytest.param("8a 7f", 2, 1002, "more than 125", id="pong of 65536 or more"),
    pytest.param("88 7e", 2, 1002, "more than 125", id="close of 126 or more"),
    pytest.param("82 7e 0000", 4, 1002, "stands in 16 bits", id="0 in 16 bits"),
    pytest.param("82 7e 007d", 4, 1002, "stands in 16 bits", id="125 in 16 bits"),
    pytest.param("82 7f 000000000000", 8, 1002, "in 64 bits", id="65535 or less in 64 bits"),
    pytest.param("82 7f 80", 3, 1002, "top bit", id="top bit of 64"),
    pytest.param("88 01 03", 3, 1002, "1 octet", id="close of one octet"),
    pytest.param("88 02 03ed", 4, 1002, "close code 1005", id="close with 1005"),
    pytest.param("88 02 03ee", 4, 1002, "close code 1006", id="close with 1006"),
    pytest.param("88 02 03f7", 4, 1002, "close code 1015", id="close with 1015"),
    pytest.param("88 02 0000", 4, 1002, "close code 0 ", id="close with 0"),
    pytest.param("88 03 03e8 ff", 5, 1007, "close reason", id="close reason no UTF-8"),
    pytest.param("81 01 ff", 3, 1007, "octet 0 (0xff)", id="text no UTF-8"),
    pytest.param("81 01 c3", 3, 1007, "octet 0 (0xc3)", id="text cut inside a character"),
    pytest.param("81 04 61 ff", 4, 1007, "octet 1 (0xff)", id="in an unfinished frame"),
    pytest.param("81 04 c3 28", 4, 1007, "octet 0 (0xc3)", id="second octet unfinished"),
    pytest.param("81 06 61 eda0", 5, 1007, "octet 1 (0xed)", id="surrogate unfinished"),
    pytest.param("81 04 c0", 3, 1007, "octet 0 (0xc0)", id="overlong unfinished"),
    pytest.param("81 04 e09f", 4, 1007, "octet 0 (0xe0)", id="overlong in three unfinished"),
    pytest.param("81 06 f490", 4, 1007, "octet 0 (0xf4)", id="above U+10FFFF unfinished"),
    pytest.param("81 7e 0100 61 ff", 6, 1007, "octet 1 (0xff)", id="16-bit length unfinished"),
    pytest.param("81 7f 0000000000010000 ff", 11, 1007, "octet 0", id="64-bit length unfinished"),
    pytest.param("01 01 61  00 02 ff", 6, 1007, "octet 1 (0xff)", id="in a later fragment"),
    pytest.param("01 01 c3  00 01 28", 6, 1007, "octet 0 (0xc3)", id="over two fragments"),
    pytest.param("01 01 ed  80 02 a0", 6, 1007, "octet 0 (0xed)", id="surrogate over two"),
    pytest.param("01 02 61c3  80 00", 6, 1007, "octet 1 (0xc3)", id="an empty end inside one"),
    pytest.param("01 00  80 01 c3", 5, 1007, "octet 0 (0xc3)", id="an end inside a character"),
    pytest.param("01 01 61  89 00  80 02 ff", 8, 1007, "octet 1 (0xff)", id="behind a ping"),
]


@pytest.mark.parametrize("octets, shown, code, text", BAD)
def test_a_failure_is_told_at_the_octet_that_shows_it(octets, shown, code, text):
    data = bytes.fromhex(octets)
    before = client()
    before.receive_data(data[: shown - 1])
    assert not any(isinstance(event, ErrorEvent) for event in before.events())
    error = failure(before, data[shown - 1 : shown])
    assert (error.code, text in str(error)) == (code, True), str(error)


@pytest.mark.parametrize("octets, shown, code, text", BAD)
def test_a_failure_is_the_same_however_the_octets_come(octets, shown, code, text):
    data = bytes.fromhex(octets) + b"\x81\x01a"
    whole = told(client(), [data])
    assert told(client(), one_by_one(data)) == whole
    assert whole[-1][1] == code


@pytest.mark.parametrize(
    "octets",
    ["81 00", "82 01 61", "89 00", "01 00", "88 00", "82 7e 0100"],
    ids=lambda row: row[:2],
)
def test_an_unmasked_frame_to_a_server_fails_with_1002(octets):
    half = server()
    half.receive_data(bytes.fromhex(octets)[:1])
    assert half.events() == []
    error = failure(half, bytes.fromhex(octets)[1:2])
    assert (error.code, str(error)) == (
        1002,
        "frame has mask bit 0; the peer's frames must be masked",
    )


def test_a_masked_frame_to_a_client_fails_in_these_words():
    error = failure(client(), bytes.fromhex("81 80"))
    assert str(error) == "frame has mask bit 1; the peer's frames must not be masked"


@pytest.mark.parametrize("place", range(1, 12))
def test_bad_utf8_is_seen_through_the_mask_at_any_offset(place):
    payload = b"a" * (place - 1) + b"\xff" + b"a" * 20
    octets = from_client(TEXT, payload)
    half = server()
    # Two octets of header, four of key, the good ones.
    half.receive_data(octets[: 6 + place - 1])
    assert half.events() == []
    error = failure(half, octets[6 + place - 1 : 6 + place])
    assert (error.code, f"octet {place - 1} (0xff)" in str(error)) == (1007, True)


def test_binary_messages_are_not_checked_for_utf8():
    assert told(client(), one_by_one(bytes.fromhex("02 01 c3  80 01 ff"))) == [b"\xc3\xff"]


def test_a_text_after_a_fragmented_one_is_checked_from_its_own_beginning():
    half = client()
    half.receive_data(bytes.fromhex("01 02 c3a9  80 01 61  01 01 61"))
    assert half.events() == ["éa"]
    assert "octet 1 (0xff)" in str(failure(half, bytes.fromhex("80 01 ff")))


def test_what_came_before_a_failure_is_handed_out_before_it():
    data = bytes.fromhex("81 01 61  89 01 62  02 01 63  80 00  83 00")
    assert told(client(), [data]) == [
        "a",
        PingEvent(b"b"),
        b"c",
        (ProtocolError, 1002, "opcode 3 is unknown; 0, 1, 2, 8, 9 and 10 are allowed"),
    ]


@pytest.mark.parametrize("first", ["81 01 61", "81 7e 007e", "82 01 61"])
def test_small_good_messages_before_bad_text_are_kept(first):
    good = bytes.fromhex(first)
    good += b"x" * 126 if good[1] == 126 else b""
    events = told(client(), [good + bytes.fromhex("81 01 ff")])
    assert len(events) == 2
    assert isinstance(events[0], (str, bytes))


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("88 00", id="a close"),
        pytest.param("88 02 03e8", id="a close inside a message"),
        pytest.param("83", id="a bad opcode"),
        pytest.param("81 02 ff", id="bad text, its frame unfinished"),
        pytest.param("82 7f 7fffffffffffffff", id="a length over the limit"),
        pytest.param("88 01 03", id="a bad close"),
    ],
)
@pytest.mark.parametrize("is_at_once", [True, False], ids=["at once", "later"])
def test_octets_after_a_close_or_a_failure_are_ignored(end, is_at_once):
    later = bytes.fromhex("81 01 61  89 00  88 00  83")
    half = client()
    half.receive_data(bytes.fromhex(end) + (later if is_at_once else b""))
    assert len(half.events()) == 1
    half.receive_data(later)
    half.receive_eof()
    assert half.events() == []


def test_a_failure_keeps_neither_the_octets_nor_their_traceback():
    error = failure(client(), bytes.fromhex("81 01 ff"))
    assert error.__traceback__ is error.__context__ is error.__cause__ is None


@pytest.mark.parametrize("allowed_rsv", [0, 1, 2, 4, 6, 7])
@pytest.mark.parametrize("is_within", [False, True], ids=["between messages", "within a message"])
def test_of_all_first_octets_only_the_legal_ones_pass(is_within, allowed_rsv):
    wrong = []
    for first in range(256):
        half = client(allowed_rsv=allowed_rsv)
        half.receive_data(b"\x01\x00" if is_within else b"")
        half.receive_data(bytes((first,)))
        if bool(half.events()) is is_legal(first, is_within, allowed_rsv):
            wrong.append(hex(first))
    assert wrong == []


def is_legal(first: int, is_within: bool, allowed_rsv: int) -> bool:
    is_final, rsv, opcode = bool(first & 0x80), first >> 4 & 7, first & 15
    if opcode in (TEXT, BINARY):
        return not is_within and rsv & allowed_rsv == rsv
    if opcode == CONTINUATION:
        return is_within and not rsv
    return opcode in (CLOSE, PING, PONG) and is_final and not rsv


@pytest.mark.parametrize("first", ["91", "a1", "c1"])
def test_no_reserved_bit_is_allowed_unless_said_so(first):
    half = HybiReceiving(require_masking=False, max_length=1)
    assert failure(half, bytes.fromhex(first)).code == 1002


def test_a_message_may_bear_a_bit_that_an_extension_owns():
    # FIN RSV1 text "a"; RSV1 binary "b" in two fragments.
    data = bytes.fromhex("c1 01 61  42 01 62  80 00")
    assert told(client(allowed_rsv=4), [data]) == [
        Message(1, b"a", rsv1=True),
        Message(2, b"b", rsv1=True),
    ]


@pytest.mark.parametrize(
    "octets, bits",
    [
        pytest.param("41 00  c0", "40", id="on a continuation"),
        pytest.param("c9", "40", id="on a control frame"),
        pytest.param("c3", "40", id="on an unknown opcode"),
        pytest.param("f1", "30", id="beside bits that nobody owns"),
    ],
)
def test_an_owned_bit_is_refused_where_it_has_no_meaning(octets, bits):
    error = failure(client(allowed_rsv=4), bytes.fromhex(octets))
    assert str(error) == f"reserved bits 0x{bits} may not be set on this frame"


# --- limits ---------------------------------------------------------------------------------------

LIMITS = [0, 1, 2, 124, 125, 126, 127, 65535, 65536]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_a_message_exactly_at_the_limit_passes(limit, opcode):
    payload = b"x" * limit
    message = payload.decode() if opcode == TEXT else payload
    assert told(server(limit), [from_client(opcode, payload)]) == [message]
    assert told(server(limit), one_by_one(from_client(opcode, payload))) == [message]


@pytest.mark.parametrize("limit", LIMITS)
def test_a_message_one_octet_over_the_limit_is_refused_by_its_header(limit):
    half = server(limit)
    # Header without key and payload.
    error = failure(half, from_client(BINARY, b"x" * (limit + 1))[: -4 - limit - 1])
    assert isinstance(error, MessageTooBig)
    assert (error.code, error.size, error.limit) == (1009, limit + 1, limit)


@pytest.mark.parametrize("limit", LIMITS)
def test_the_sum_of_fragments_counts(limit):
    good = frame(BINARY, b"x" * limit, fin=False) + frame(CONTINUATION, b"")
    assert told(client(limit), [good]) == [b"x" * limit]
    bad = frame(BINARY, b"x" * limit, fin=False) + frame(CONTINUATION, b"x", fin=False)[:2]
    error = failure(client(limit), bad)
    assert isinstance(error, MessageTooBig)
    assert (error.size, error.limit) == (limit + 1, limit)


def test_the_greatest_length_is_refused_without_reserving_memory():
    error = failure(client(), bytes.fromhex("82 7f 7fffffffffffffff"))
    assert isinstance(error, MessageTooBig)
    assert error.size == 2**63 - 1


def test_a_ping_inside_a_big_message_does_not_count():
    data = frame(BINARY, b"abc", fin=False) + frame(PING, b"x" * 125) + frame(CONTINUATION, b"d")
    assert told(client(4), [data]) == [PingEvent(b"x" * 125), b"abcd"]


def test_control_frames_have_no_limit_but_their_own():
    assert told(client(0), [frame(PING, b"x" * 125) + frame(CLOSE, b"\x03\xe8bye")]) == [
        PingEvent(b"x" * 125),
        CloseEvent(1000, "bye", True, "peer"),
    ]


def test_every_message_has_the_limit_for_itself():
    whole = frame(BINARY, b"abcd")
    parts = frame(BINARY, b"ab", fin=False) + frame(CONTINUATION, b"cd")
    assert told(client(4), [whole + parts + whole + parts]) == [b"abcd"] * 4


def test_the_limit_of_a_text_counts_octets_not_characters():
    assert told(client(4), [frame(TEXT, "éé".encode())]) == ["éé"]
    assert isinstance(failure(client(3), frame(TEXT, "éé".encode())), MessageTooBig)


def many_fragments(count: int, payload: bytes) -> bytes:
    middle = from_client(CONTINUATION, payload, fin=False)
    first = from_client(TEXT, payload, fin=False)
    return first + middle * (count - 2) + from_client(CONTINUATION, payload)


def test_65536_fragments_of_one_octet_cost_memory_by_octets_not_by_frames():
    data = many_fragments(65536, b"x")
    pieces = cut(data, range(0, len(data), 4096))
    half = server()
    tracemalloc.start()
    try:
        for piece in pieces[:-1]:
            half.receive_data(piece)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The octets, and the spare room of a bytearray.
    assert kept < 2 * 65536
    half.receive_data(pieces[-1])
    assert half.events() == ["x" * 65536]


@pytest.mark.parametrize("end", ["83", "88 00", ""], ids=["failure", "close", "end of octets"])
def test_what_there_is_of_a_message_is_let_go_when_the_connection_is_over(end):
    half = client()
    tracemalloc.start()
    try:
        half.receive_data(frame(BINARY, bytes(1_000_000), fin=False))
        half.receive_data(bytes.fromhex(end))
        half.receive_eof()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(half.events()) == 1
    assert kept < 10_000


def test_4_mib_in_65536_fragments_take_linear_time():
    data = many_fragments(65536, b"x" * 64)
    half = server()
    start = time.process_time()
    half.receive_data(data)
    # Linear it takes 0.1 s; copying what there is for every fragment, minutes.
    assert time.process_time() - start < 10
    assert half.events() == ["x" * 2**22]


def test_a_header_or_control_frame_that_waits_costs_its_own_octets_only():
    half = client()
    half.receive_data(frame(BINARY, bytes(100_000), fin=False))
    tracemalloc.start()
    try:
        half.receive_data(frame(CONTINUATION, b"", fin=False) * 1000 + frame(PING, b"x" * 125)[:-1])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1024


# --- the end of octets ----------------------------------------------------------------------------

ENDINGS = [
    pytest.param("", [LOST], id="before any octet"),
    pytest.param("81 01 61", ["a", LOST], id="between messages"),
    pytest.param("81", [LOST], id="inside a header"),
    pytest.param("82 7e 01", [LOST], id="inside a length"),
    pytest.param("82 02 61", [LOST], id="inside a payload"),
    pytest.param("01 02 61c3", [LOST], id="between fragments, inside a character"),
    pytest.param("89 02 61", [LOST], id="inside a ping"),
    pytest.param("88 02 03", [LOST], id="inside a close"),
    pytest.param("88 00", [CloseEvent(1000, "", True, "peer")], id="after a close"),
    pytest.param("83", [(ProtocolError, 1002)], id="after a failure"),
]


@pytest.mark.parametrize("octets, events", ENDINGS)
def test_the_end_of_octets_is_a_close_event_unless_the_connection_was_over(octets, events):
    half = client()
    half.receive_data(bytes.fromhex(octets))
    half.receive_eof()
    half.receive_eof()
    half.receive_data(bytes.fromhex("81 01 61"))
    seen = [comparable(event) for event in half.events()]
    assert [event[:2] if isinstance(event, tuple) else event for event in seen] == events


# --- properties -----------------------------------------------------------------------------------

SMALL = st.sampled_from((0, 1, 2, 3, 124, 125, 126, 127, 300))
LARGE = st.sampled_from((699, 700, 701, 65535, 65536, 65537))


@st.composite
def messages(draw: st.DrawFn, sizes: st.SearchStrategy[int]) -> tuple[list[tuple], list[Event]]:
    """Frames (opcode, payload, fin) of one message, controls between them, and their events."""
    opcode = draw(st.sampled_from((TEXT, BINARY)))
    size = draw(sizes)
    unit = draw(st.sampled_from(("a", "é", "€", "😀", "\0")) if opcode == TEXT else st.just("\1\2"))
    payload = unit.encode() * (size // len(unit.encode())) + b"x" * (size % len(unit.encode()))
    pieces = cut(payload, draw(st.lists(st.integers(0, size), max_size=3)))
    frames: list[tuple] = []
    events: list[Event] = []
    for index, piece in enumerate(pieces):
        frames.append((opcode if index == 0 else CONTINUATION, piece, index + 1 == len(pieces)))
        if draw(st.booleans()):
            control = draw(st.sampled_from((PING, PONG)))
            data = draw(st.binary(max_size=5) | st.just(b"x" * 125))
            frames.append((control, data, True))
            events.append(PingEvent(data) if control == PING else PongEvent(data))
    message = payload.decode() if opcode == TEXT else payload
    # A control frame behind the last fragment comes after the message.
    last = len(events) - 1 if frames[-1][0] in (PING, PONG) else len(events)
    return frames, [*events[:last], message, *events[last:]]


@st.composite
def conversations(
    draw: st.DrawFn, sizes: st.SearchStrategy[int], count: int
) -> tuple[bool, bytes, list[Event]]:
    """Whether to a server, the octets of some good messages, their events."""
    is_to_server = draw(st.booleans())
    octets, events = b"", []
    for frames, its_events in draw(st.lists(messages(sizes), min_size=1, max_size=count)):
        for opcode, payload, fin in frames:
            mask = draw(st.binary(min_size=4, max_size=4)) if is_to_server else None
            octets += frame(opcode, payload, fin=fin, mask=mask)
        events += its_events
    if draw(st.booleans()):
        octets += frame(CLOSE, b"\x03\xe9bye", mask=MASK if is_to_server else None)
        events.append(CloseEvent(1001, "bye", True, "peer"))
    return is_to_server, octets, events


def assert_told_at_any_cut(conversation, places):
    is_to_server, octets, events = conversation
    make = server if is_to_server else client
    assert told(make(), [octets]) == events
    assert told(make(), one_by_one(octets)) == events
    assert told(make(), cut(octets, places)) == events


@given(conversation=conversations(SMALL, 5), places=st.lists(st.integers(0, 2000), max_size=8))
def test_good_frames_give_their_events_at_any_cut(conversation, places):
    assert_told_at_any_cut(conversation, places)


@settings(max_examples=30)
@given(conversation=conversations(LARGE, 2), places=st.lists(st.integers(0, 140_000), max_size=8))
def test_good_large_frames_give_their_events_at_any_cut(conversation, places):
    assert_told_at_any_cut(conversation, places)


def told_in_place(half: HybiReceiving, octets: bytes, counts: list[int]) -> list[object]:
    """What half tells of octets that come so many at once, in their place where they may."""
    events: list[object] = []
    position = turn = 0
    while position < len(octets):
        count = counts[turn % len(counts)]
        turn += 1
        if half.missing:
            with half.room() as room:
                count = min(count, len(room), len(octets) - position)
                room[:count] = octets[position : position + count]
            half.filled(count)
        else:
            half.receive_data(octets[position : position + count])
        position += count
        events += map(comparable, half.events())
    return events


@settings(max_examples=100, deadline=None)
@given(
    octets=st.lists(
        st.tuples(
            st.sampled_from((0x01, 0x80, 0x81, 0x82, 0x89)),
            st.one_of(st.binary(max_size=300), st.just("grün".encode() * 40)),
        ),
        max_size=5,
    ).map(lambda frames: b"".join(join_frame(*frame, b"mask") for frame in frames)),
    counts=st.lists(st.integers(1, 120), min_size=1, max_size=9),
)
def test_octets_received_in_their_place_tell_the_same(octets, counts):
    half = server(allowed_rsv=0)
    expected = told(server(), [octets])
    assert told_in_place(half, octets, counts) == expected


def test_nothing_received_into_the_room_changes_nothing():
    half = server()
    octets = join_frame(0x82, b"x" * 1000, b"mask")
    half.receive_data(octets[:500])
    half.room().release()
    half.filled(0)
    half.receive_data(octets[500:])
    assert half.events() == [b"x" * 1000]


def test_a_length_that_is_only_announced_takes_no_memory():
    half = server()
    half.receive_data(bytes.fromhex("82 ff 0000000003ffffff") + b"mask")
    with half.room() as room:
        assert len(room) == ROOM
    half.filled(0)
    assert half.events() == []


# Headers that say something, good or bad, with few octets, so that random input gets far.
HEADS = st.tuples(
    st.sampled_from(bytes.fromhex("00 01 02 80 81 82 88 89 8a c1 83 09")),
    st.sampled_from((0, 1, 2, 5, 125, 126, 127)),
)


@st.composite
def noise(draw: st.DrawFn, mask_bit: int) -> bytes:
    parts = st.binary(max_size=6) | HEADS.map(lambda head: bytes((head[0], head[1] | mask_bit)))
    good = st.sampled_from(
        tuple(
            frame(opcode, payload, fin=fin, mask=MASK if mask_bit else None)
            for opcode, payload, fin in (
                (TEXT, b"caf\xc3", False),
                (CONTINUATION, b"\xa9", True),
                (CONTINUATION, b"", False),
                (BINARY, b"\xff", True),
                (PING, b"", True),
                (TEXT, b"", True),
            )
        )
    )
    return b"".join(draw(st.lists(parts | good, max_size=12)))


@settings(max_examples=600)
@given(data=st.data(), is_to_server=st.booleans(), places=st.lists(st.integers(0, 60), max_size=6))
def test_any_octets_give_the_same_events_at_any_cut_and_never_raise(data, is_to_server, places):
    octets = data.draw(noise(0x80 if is_to_server else 0))
    make = server if is_to_server else client
    options = {"max_length": 150, "allowed_rsv": 4}
    whole = told(make(**options), [octets])
    assert told(make(**options), one_by_one(octets)) == whole
    assert told(make(**options), cut(octets, places)) == whole


@settings(max_examples=300)
@given(octets=st.binary(max_size=80), is_to_server=st.booleans())
@example(octets=bytes.fromhex("81 7f 00 00"), is_to_server=False)
def test_wholly_random_octets_never_raise(octets, is_to_server):
    make = server if is_to_server else client
    whole = told(make(), [octets])
    assert told(make(), one_by_one(octets)) == whole
