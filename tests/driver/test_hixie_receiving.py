"""Frames of the drafts in, events out, however the octets are cut."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterable

import pytest
from hypothesis import example, given, settings, strategies as st

from faye_sync.driver.base import Reply
from faye_sync.driver.hixie_handshake import proof_of
from faye_sync.driver.hixie_receiving import HixieReceiving
from faye_sync.errors import MessageTooBig, ProtocolError
from faye_sync.events import CloseEvent, ErrorEvent, OpenEvent
from tests.support.wire import cut, one_by_one

CHALLENGE = bytes.fromhex("1234567890abcdef")
BODY = b"Tm[K T2u"
OPENED = [Reply(proof_of(CHALLENGE, BODY)), OpenEvent()]
CLOSED = CloseEvent(1000, "", True, "peer")
LOST = CloseEvent(1006, "", False, "eof")


def half_75(max_length: int = 1000) -> HixieReceiving:
    return HixieReceiving(max_length=max_length)


def half_76(max_length: int = 1000) -> HixieReceiving:
    """One whose body has come."""
    half = HixieReceiving(max_length=max_length, challenge=CHALLENGE)
    half.receive_data(BODY)
    half.events()
    return half


BOTH = pytest.mark.parametrize(
    "make", [pytest.param(half_75, id="75"), pytest.param(half_76, id="76")]
)


def comparable(event: object) -> object:
    """Errors are alike when their words and codes are."""
    if not isinstance(event, ErrorEvent):
        return event
    assert isinstance(event.error, ProtocolError)
    assert event.message == str(event.error)
    return type(event.error), event.error.code, event.message


def told(half: HixieReceiving, pieces: Iterable[bytes]) -> list[object]:
    events = []
    for piece in pieces:
        half.receive_data(piece)
        events += half.events()
    return [comparable(event) for event in events]


def too_big(size: int, limit: int) -> tuple:
    return MessageTooBig, 1009, f"message of {size} octets exceeds max_length {limit}"


def memory_of(feed: Callable[[], object]) -> tuple[int, int]:
    """Octets that are kept after feeding, and the most that were at one time."""
    tracemalloc.start()
    try:
        feed()
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


def length(number: int) -> bytes:
    """A length as the drafts write it: seven bits an octet, the top bit on all but the last."""
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(0x80 | number & 0x7F)
    return bytes(reversed(octets))


def skipped(payload: bytes, first: int = 0x80) -> bytes:
    return bytes((first,)) + length(len(payload)) + payload


# --- frames -----------------------------------------------------------------------------------------

GOOD = [
    pytest.param("00 48656c6c6f ff", ["Hello"], id="text"),
    pytest.param("00 ff", [""], id="empty text"),
    pytest.param("00 c3a9 ff", ["é"], id="text in UTF-8"),
    pytest.param("00 61 ff 00 62 ff", ["a", "b"], id="two"),
    pytest.param("01 61 ff 7f 62 ff", ["a", "b"], id="of other types"),
    pytest.param("00 00 80 ff", ["\0\ufffd"], id="types within a text"),
    pytest.param("00 c3 28 c3 ff", ["\ufffd(\ufffd"], id="no UTF-8"),
    pytest.param("00 eda080 ff", ["\ufffd" * 3], id="half a surrogate pair"),
    pytest.param("00 61", [], id="a text that has not ended"),
    pytest.param("80 00 00 61 ff", ["a"], id="empty skipped frame"),
    pytest.param("fe 00 00 61 ff", ["a"], id="empty one that is almost a close"),
    pytest.param("80 03 616263 00 61 ff", ["a"], id="skipped frame"),
    pytest.param("90 02 00ff 00 61 ff", ["a"], id="an end in a skipped frame"),
    pytest.param("ff 02 ff00 00 61 ff", ["a"], id="a close in a skipped frame"),
    pytest.param("80 80 80 02 6162 00 61 ff", ["a"], id="zeros before a length"),
    pytest.param("80 8101" + "ff" * 129 + "00 61 ff", ["a"], id="129 octets skipped"),
]


@BOTH
@pytest.mark.parametrize("octets, events", GOOD)
def test_text_is_handed_out_and_other_frames_are_skipped(make, octets, events):
    data = bytes.fromhex(octets)
    assert told(make(), [data]) == events
    assert told(make(), one_by_one(data)) == events
    for place in range(len(data)):
        assert told(make(), cut(data, [place])) == events


@BOTH
def test_every_event_is_handed_out_once(make):
    half = make()
    half.receive_data(b"\0a\xff")
    assert half.events() == ["a"]
    assert half.events() == []


CLOSES = [
    pytest.param("ff 00", id="at once"),
    pytest.param("ff 80 00", id="a length of two octets"),
    pytest.param("ff 808080 00", id="a length of four"),
]


@pytest.mark.parametrize("octets", CLOSES)
def test_ff_and_a_length_of_0_close_in_hixie_76(octets):
    data = bytes.fromhex(octets)
    assert told(half_76(), [data]) == [CLOSED]
    assert told(half_76(), one_by_one(data)) == [CLOSED]


@pytest.mark.parametrize("octets", CLOSES)
def test_ff_and_a_length_of_0_are_skipped_in_hixie_75(octets):
    data = bytes.fromhex(octets) + b"\0a\xff"
    assert told(half_75(), [data]) == ["a"]
    assert told(half_75(), one_by_one(data)) == ["a"]


def test_messages_before_a_close_come_before_it_and_those_behind_it_never():
    assert told(half_76(), [b"\0a\xff\xff\0\0b\xff"]) == ["a", CLOSED]


# --- the body of hixie-76 ---------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [b"", b"\0a\xff\xff\0"], ids=["alone", "with frames behind"])
def test_hixie_76_is_open_once_its_body_is_there_however_it_is_cut(behind):
    events = [*OPENED, *(["a", CLOSED] if behind else [])]
    for pieces in ([BODY + behind], one_by_one(BODY + behind)):
        half = HixieReceiving(max_length=10, challenge=CHALLENGE)
        half.start()
        assert told(half, pieces) == events
    for place in range(len(BODY)):
        half = HixieReceiving(max_length=10, challenge=CHALLENGE)
        assert told(half, cut(BODY + behind, [place])) == events


def test_nothing_is_told_before_the_last_octet_of_the_body():
    half = HixieReceiving(max_length=10, challenge=CHALLENGE)
    half.start()
    assert told(half, [BODY[:-1]]) == []
    assert told(half, [BODY[-1:]]) == OPENED


def test_octets_of_the_body_are_no_frames():
    half = HixieReceiving(max_length=10, challenge=CHALLENGE)
    body = b"\xff\0\0a\xff\xff\0\0"
    assert told(half, [body, b"\0a\xff"]) == [
        Reply(proof_of(CHALLENGE, body)),
        OpenEvent(),
        "a",
    ]


# --- limits -----------------------------------------------------------------------------------------

LIMITS = (0, 1, 127, 128, 1000)


@BOTH
@pytest.mark.parametrize("limit", LIMITS)
def test_a_frame_exactly_at_the_limit_passes(make, limit):
    data = b"\0" + b"x" * limit + b"\xff" + skipped(b"\xff" * limit, 0x90) + b"\0" + b"\xff"
    events = ["x" * limit, ""]
    assert told(make(limit), [data]) == events
    assert told(make(limit), one_by_one(data)) == events


@BOTH
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("more", [1, 2, 5000])
def test_a_text_over_the_limit_fails_at_the_first_octet_that_is_too_many(make, limit, more):
    data = b"\0" + b"x" * (limit + more) + b"\xff"
    events = [too_big(limit + 1, limit)]
    assert told(make(limit), [data]) == events
    assert told(make(limit), one_by_one(data)) == events
    assert told(make(limit), [data[: 2 + limit]]) == events


@BOTH
@pytest.mark.parametrize("limit", LIMITS)
def test_a_skipped_frame_over_the_limit_fails_by_its_length(make, limit):
    data = b"\x80" + length(limit + 1)
    assert told(make(limit), [data]) == [too_big(limit + 1, limit)]
    assert told(make(limit), one_by_one(data)) == [too_big(limit + 1, limit)]


@BOTH
def test_a_length_without_end_fails_as_soon_as_it_is_over_the_limit(make):
    half = make(2**26 - 1)
    # 2**28 - 1 is the first of its beginnings that is over.
    assert told(half, [b"\x80" + b"\xff" * 4]) == [too_big(2**28 - 1, 2**26 - 1)]


@BOTH
def test_a_length_of_zeros_without_end_costs_no_memory(make):
    half, zeros = make(), b"\x80" * 100_000
    kept, _ = memory_of(lambda: half.receive_data(zeros))
    assert kept < 4096
    assert told(half, [b"\0\0a\xff"]) == ["a"]


@BOTH
def test_the_limit_of_a_text_counts_octets_not_characters(make):
    assert told(make(4), ["\0éé".encode() + b"\xff"]) == ["éé"]
    assert told(make(3), ["\0éé".encode() + b"\xff"]) == [too_big(4, 3)]


@BOTH
def test_every_frame_has_the_limit_for_itself(make):
    data = (b"\0abcd\xff" + skipped(b"abcd")) * 3
    assert told(make(4), [data]) == ["abcd"] * 3


@BOTH
def test_what_is_skipped_is_not_kept(make):
    half, piece = make(2**24), bytes(2**20)
    half.receive_data(b"\x80" + length(2**24))
    _, peak = memory_of(lambda: [half.receive_data(piece) for _ in range(15)])
    assert peak < 65536


@BOTH
@pytest.mark.parametrize(
    "end, count",
    [
        pytest.param(b"x" * 1000, 1, id="failure"),
        pytest.param(b"", 1, id="end of octets"),
        pytest.param(b"\xff", 2, id="end of the text"),
    ],
)
def test_what_there_is_of_a_message_is_let_go_when_it_or_the_connection_is_over(make, end, count):
    half = make(1_000_000)

    def feed() -> None:
        half.receive_data(b"\0" + b"x" * 999_999)
        half.receive_data(end)
        half.receive_eof()
        assert len(half.events()) == count

    kept, _ = memory_of(feed)
    assert kept < 10_000


def test_forgetting_lets_what_there_is_of_a_message_go():
    half = half_75(1_000_000)
    kept, _ = memory_of(lambda: (half.receive_data(b"\0" + b"x" * 999_999), half.forget()))
    assert kept < 10_000


@BOTH
def test_a_text_that_comes_octet_by_octet_takes_linear_time(make):
    half = make(2**20)
    start = time.process_time()
    half.receive_data(b"\0")
    for _ in range(2**20):
        half.receive_data(b"x")
    half.receive_data(b"\xff")
    # Linear it takes 0.5 s; looking at what there is for every octet, minutes.
    assert time.process_time() - start < 20
    assert half.events() == ["x" * 2**20]


# --- the end ----------------------------------------------------------------------------------------

ENDINGS = [
    pytest.param("", [LOST], id="before any octet"),
    pytest.param("00 61 ff", ["a", LOST], id="between frames"),
    pytest.param("00", [LOST], id="behind a type"),
    pytest.param("00 61", [LOST], id="inside a text"),
    pytest.param("80", [LOST], id="before a length"),
    pytest.param("80 81", [LOST], id="inside a length"),
    pytest.param("80 02 61", [LOST], id="inside a skipped frame"),
    pytest.param("80 ffff00", [too_big(2**14 - 1, 1000)], id="after a failure"),
]


@BOTH
@pytest.mark.parametrize("octets, events", ENDINGS)
def test_the_end_of_octets_is_a_close_event_unless_the_connection_was_over(make, octets, events):
    half = make()
    half.receive_data(bytes.fromhex(octets))
    half.receive_eof()
    half.receive_eof()
    half.receive_data(b"\0a\xff")
    assert [comparable(event) for event in half.events()] == events


def test_the_end_of_octets_after_a_close_of_hixie_76_is_none():
    half = half_76()
    half.receive_data(b"\xff\0")
    half.receive_eof()
    assert half.events() == [CLOSED]


@pytest.mark.parametrize("size", range(8))
def test_the_end_of_octets_within_the_body_opens_nothing(size):
    half = HixieReceiving(max_length=10, challenge=CHALLENGE)
    half.start()
    half.receive_data(BODY[:size])
    half.receive_eof()
    half.receive_data(BODY[size:])
    assert half.events() == [LOST]


@BOTH
@pytest.mark.parametrize("is_at_once", [True, False], ids=["at once", "later"])
def test_octets_after_a_failure_are_ignored(make, is_at_once):
    end, later = b"\x80\x7f", b"\0a\xff\x80\x7f"
    events = [too_big(127, 5)]
    assert told(make(5), [end + later] if is_at_once else [end, later]) == events


@BOTH
def test_a_failure_keeps_neither_the_octets_nor_their_traceback(make):
    half = make(5)
    half.receive_data(b"\0a\xff\0" + b"x" * 1000)
    _, failed = half.events()
    assert failed.error.__traceback__ is None


@BOTH
def test_a_message_that_was_too_large_stays_so_and_streams_are_of_whole_messages(make):
    half = make(5)
    half.begin_stream()
    assert told(half, [b"\0abc\xff\x80\x7f"]) == ["abc", too_big(127, 5)]
    assert half.resume() is False


# --- properties -------------------------------------------------------------------------------------

TEXTS = st.text(max_size=6) | st.sampled_from(("x" * 127, "é" * 100, "\0\x80\u20ac"))
PAYLOADS = st.binary(max_size=6) | st.sampled_from((b"\xff" * 127, b"\0" * 128, b"\xff\0" * 150))
FRAMES = st.one_of(
    st.tuples(st.integers(0, 0x7F), TEXTS),
    st.tuples(st.integers(0x80, 0xFE), PAYLOADS),
)


def octets_of(kind: int, content: str | bytes) -> bytes:
    if isinstance(content, str):
        return bytes((kind,)) + content.encode() + b"\xff"
    return skipped(content, kind)


@BOTH
@given(frames=st.lists(FRAMES, max_size=8), places=st.lists(st.integers(0, 900), max_size=8))
def test_good_frames_give_their_texts_at_any_cut(make, frames, places):
    octets = b"".join(octets_of(kind, content) for kind, content in frames)
    events = [content for _, content in frames if isinstance(content, str)]
    assert told(make(), [octets]) == events
    assert told(make(), one_by_one(octets)) == events
    assert told(make(), cut(octets, places)) == events


NOISE = st.lists(
    st.sampled_from([bytes.fromhex(octets) for octets in ("00", "ff", "80", "ff00", "81", "05")])
    | st.binary(max_size=6),
    max_size=30,
).map(b"".join)


@BOTH
@settings(max_examples=400)
@given(octets=NOISE, places=st.lists(st.integers(0, 80), max_size=6))
@example(octets=b"\x80\xff\xff\xff\xff", places=[])
def test_any_octets_give_the_same_events_at_any_cut_and_never_raise(make, octets, places):
    whole = told(make(20), [octets])
    assert told(make(20), one_by_one(octets)) == whole
    assert told(make(20), cut(octets, places)) == whole
