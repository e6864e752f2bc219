"""text/event-stream, both ways: what is encoded comes back as it was, however it is cut."""

from __future__ import annotations

import base64
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, strategies as st

from faye_sync.errors import EventSourceError
from faye_sync.events import ServerSentEvent
from faye_sync.sse import PING, EventParser, encode, is_event_stream

VECTORS = Path(__file__).parent / "vectors" / "eventsource_parsing.json"
CASES = json.loads(VECTORS.read_text())["cases"]
each_case = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])


class Outcome(NamedTuple):
    """What a stream comes to, as the vectors have it."""

    events: list[tuple[str, str, str]]
    last_event_id: str
    retry: float | None


def expected(case: dict) -> Outcome:
    events = [(each["type"], each["data"], each["last_event_id"]) for each in case["events"]]
    retry = case["final_retry_ms"]
    return Outcome(events, case["final_last_event_id"], None if retry is None else retry / 1000)


def outcome(*chunks: bytes) -> Outcome:
    parser = EventParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    shown = [(event.type, event.data, event.last_event_id) for event in events]
    return Outcome(shown, parser.last_event_id, parser.retry)


def octets(stream: bytes) -> list[bytes]:
    return [bytes((octet,)) for octet in stream]


def model(stream: bytes) -> Outcome:
    """The standard's own algorithm, a line after the other, of a stream that is whole."""
    text = stream.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    *lines, _ = re.split("\r\n|\r|\n", text)
    events, kind, data, last_event_id, buffer, retry = [], "", [], "", "", None
    for line in lines:
        if not line:
            last_event_id = buffer
            if data:
                events.append((kind or "message", "\n".join(data), last_event_id))
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            buffer = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value) / 1000
    return Outcome(events, last_event_id, retry)


# --- parsing --------------------------------------------------------------------------------------


@each_case
def test_a_stream_gives_the_events_of_the_standard(case):
    assert outcome(base64.b64decode(case["input_b64"])) == expected(case)


@each_case
def test_octet_by_octet_it_gives_the_same(case):
    assert outcome(*octets(base64.b64decode(case["input_b64"]))) == expected(case)


@each_case
def test_cut_at_any_place_it_gives_the_same(case):
    stream = base64.b64decode(case["input_b64"])
    for cut in range(len(stream) + 1):
        assert outcome(stream[:cut], stream[cut:]) == expected(case), cut


@each_case
def test_the_whole_of_it_is_parsed_the_same_by_chunks_and_by_feeding(case):
    stream = base64.b64decode(case["input_b64"])
    for size in (1, 3, 7, len(stream) or 1):
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        events = EventParser().parse(chunks)
        shown = [(event.type, event.data, event.last_event_id) for event in events]
        assert shown == expected(case).events


PIECES = st.sampled_from(
    [
        b"data", b"event", b"id", b"retry", b"datax", b"dat", b":", b": ", b" ", b"\n", b"\r",
        b"\r\n", b"\n\n", b"a", b"\xc3", b"\xa9", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\0", b"12",
        b"data: x\n\n", b"data: y\nid: 7\n\n", b"\t", b"\x85", b"\x0b",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30), st.lists(st.integers(0, 60), max_size=6))
def test_any_octets_cut_anywhere_come_to_what_the_standard_says(pieces, cuts):
    stream = b"".join(pieces)
    ends = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    chunks = [stream[start:end] for start, end in pairwise(ends)]
    assert outcome(*chunks) == model(stream)
    parsed = EventParser().parse(chunks)
    assert [(each.type, each.data, each.last_event_id) for each in parsed] == model(stream).events


def test_an_event_comes_with_its_blank_line_and_not_before():
    parser = EventParser()
    assert parser.feed(b"data: one\n") == []
    assert parser.feed(b"\n") == [ServerSentEvent(data="one")]


def test_a_cr_ends_a_line_at_once_and_an_lf_behind_it_ends_none():
    parser = EventParser()
    assert parser.feed(b"data: one\r\r") == [ServerSentEvent(data="one")]
    assert parser.feed(b"\ndata: two\n\n") == [ServerSentEvent(data="two")]


def test_an_event_has_its_own_id_and_retry_beside_the_last_id():
    parser = EventParser("earlier")
    first, second, third = parser.feed(b"data: a\n\nid: 5\nretry: 1500\ndata: b\n\ndata: c\nid\n\n")
    assert first == ServerSentEvent(data="a", last_event_id="earlier")
    assert second == ServerSentEvent("message", "b", "5", "5", 1.5)
    assert third == ServerSentEvent(data="c", last_event_id="", id="")


def test_a_retry_counts_when_its_line_ends_and_not_with_its_block():
    parser = EventParser()
    parser.feed(b"retry: 25")
    assert parser.retry is None
    parser.feed(b"00\n")
    assert parser.retry == 2.5


@pytest.mark.parametrize(
    "value",
    ["", "-1", "+1", "1.5", "1e3", "1_0", "²", "٣", "0x10", "1 "],
    ids=ascii,
)
def test_a_retry_of_anything_but_ascii_digits_is_ignored(value):
    parser = EventParser()
    parser.feed(f"retry:{value}\n\n".encode())
    assert parser.retry is None


def test_a_retry_of_five_thousand_digits_is_a_long_time_and_no_error():
    parser = EventParser()
    parser.feed(b"retry: " + b"9" * 5000 + b"\n\n")
    assert parser.retry is not None
    assert 10**6 < parser.retry < 10**13


def test_json_is_parsed():
    (event,) = EventParser().feed(b'data: {"a": [1, 2]}\n\n')
    assert event.json() == {"a": [1, 2]}
    with pytest.raises(ValueError, match="Expecting"):
        ServerSentEvent(data="{").json()


# --- the limit ------------------------------------------------------------------------------------

BLOCK = b"data: 0123456789\n\n"


@pytest.mark.parametrize("size", [1, 5, 17, 18, 64, 1000])
def test_events_up_to_the_limit_pass_however_many_come_at_once(size):
    parser = EventParser(max_event_size=len(BLOCK))
    stream = BLOCK * 50
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert sum(len(parser.feed(chunk)) for chunk in chunks) == 50
    assert parser.failure is None


@pytest.mark.parametrize("size", [1, 5, 18, 64, 1000])
def test_an_event_over_the_limit_fails_behind_those_before_it(size):
    stream = BLOCK * 3 + b"data: " + b"x" * 100
    events = EventParser(max_event_size=len(BLOCK)).parse(
        stream[at : at + size] for at in range(0, len(stream), size)
    )
    assert [next(events).data for _ in range(3)] == ["0123456789"] * 3
    with pytest.raises(EventSourceError, match="max_event_size 18"):
        next(events)


@pytest.mark.parametrize("size", [2**12, 2**16])
def test_a_long_line_in_many_chunks_is_joined_once(size):
    parser = EventParser()
    text = "x" * (1 << 20)
    stream = f"data: {text}\n\n".encode()
    events = [
        event for at in range(0, len(stream), size) for event in parser.feed(stream[at : at + size])
    ]
    assert [event.data for event in events] == [text]


# --- encoding -------------------------------------------------------------------------------------

AWKWARD = {
    "empty": "",
    "space": " ",
    "leading-space": " x",
    "two-leading-spaces": "  x",
    "trailing-space": "x ",
    "tab": "\tx",
    "newline": "\n",
    "trailing-newline": "x\n",
    "two-trailing-newlines": "x\n\n",
    "leading-newline": "\nx",
    "only-newlines": "\n\n\n",
    "blank-line-inside": "a\n\nb",
    "nel": "a\x85b",
    "line-separator": "a\u2028b",
    "paragraph-separator": "a\u2029b",
    "vertical-tab": "a\x0bb",
    "form-feed": "a\x0cb",
    "file-separator": "a\x1cb\x1dc\x1ed",
    "nul": "a\0b",
    "colon": ": no comment",
    "field": "id: 5\nevent: x\nretry: 1",
    "bom": "\ufeffx",
    "emoji": "\N{PILE OF POO}\N{VARIATION SELECTOR-16}",
    "combining": "e\u0301",
    "long": "0123456789abcdef" * 10_000,
    "replacement": "\ufffd",
    "crlf": "a\r\nb",
    "cr": "a\rb",
    "trailing-cr": "a\r",
    "mixed": "\r\n\r\n\n\r",
}  # fmt: skip
each_text = pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD)


def with_lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@each_text
def test_an_awkward_text_comes_back_as_it_was_with_its_lines_ended_by_lf(text):
    stream = encode(text)
    assert outcome(stream).events == [("message", with_lf(text), "")]
    assert outcome(*octets(stream[:2000]), stream[2000:]).events == outcome(stream).events


FIELD = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n\0"))


@given(st.text(st.characters(exclude_categories=("Cs",))), st.none() | FIELD, st.none() | FIELD)
def test_any_event_comes_back_as_it_was(data, event, ident):
    (got,) = EventParser("before").feed(encode(data, event, ident))
    last = "before" if ident is None else ident
    assert got == ServerSentEvent(event or "message", with_lf(data), last, ident)


@pytest.mark.parametrize(
    "arguments, octets_",
    [
        (("x",), b"data: x\n\n"),
        ((5,), b"data: 5\n\n"),
        ((1.5,), b"data: 1.5\n\n"),
        (("x", "note", 7), b"event: note\nid: 7\ndata: x\n\n"),
        (("x", None, ""), b"id: \ndata: x\n\n"),
        (("a\nb", None, None, 2.5), b"retry: 2500\ndata: a\ndata: b\n\n"),
        ((None, None, 9), b"id: 9\n\n"),
        ((None, None, None, 0), b"retry: 0\n\n"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else repr(value),
)
def test_fields_are_written_before_the_data(arguments, octets_):
    assert encode(*arguments) == octets_


REFUSED = [
    pytest.param(("x", "a\nb"), ValueError, r"event .* '\\n' in 'a\\nb'", id="lf-in-event"),
    pytest.param(("x", "a\rb"), ValueError, "event", id="cr-in-event"),
    pytest.param(("x", "a\0b"), ValueError, "event", id="nul-in-event"),
    pytest.param(("x", "ok", "1\ndata: injected"), ValueError, "id", id="lf-in-id"),
    pytest.param(("x", "ok", "1\r"), ValueError, "id", id="cr-in-id"),
    pytest.param(("x", "ok", "\0"), ValueError, "id", id="nul-in-id"),
    pytest.param(("\ud800",), ValueError, "surrogate", id="surrogate-in-data"),
    pytest.param(("x", "\udfff"), ValueError, "surrogate", id="surrogate-in-event"),
    pytest.param(("x", None, "\udfff"), ValueError, "surrogate", id="surrogate-in-id"),
    pytest.param(({"a": 1},), TypeError, "dict; json.dumps", id="dict"),
    pytest.param((b"x",), TypeError, "bytes", id="bytes"),
    pytest.param((True,), TypeError, "bool", id="bool"),
    pytest.param(("x", 5), TypeError, "int", id="event-of-int"),
    pytest.param(("x", None, 1.5), TypeError, "float", id="id-of-float"),
    pytest.param(("x", None, True), TypeError, "bool", id="id-of-bool"),
    pytest.param(("x", None, None, -1), ValueError, "-1", id="negative-retry"),
    pytest.param(("x", None, None, float("nan")), ValueError, "nan", id="retry-of-nan"),
    pytest.param(("x", None, None, "5"), TypeError, "str", id="retry-of-str"),
]


@pytest.mark.parametrize("arguments, error, text", REFUSED)
def test_what_cannot_be_carried_is_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        encode(*arguments)


def test_a_ping_is_no_event():
    assert outcome(PING, b"data: x\n\n", PING).events == [("message", "x", "")]


@pytest.mark.parametrize(
    "content_type, is_one",
    [
        ("text/event-stream", True),
        ("TEXT/Event-Stream; charset=windows-1252", True),
        (" text/event-stream ;x", True),
        ("text/event-stream, text/html", False),
        ("text/event-streamx", False),
        ("text/html", False),
        ("", False),
    ],
)
def test_a_content_type_is_told_by_its_essence(content_type, is_one):
    assert is_event_stream(content_type) is is_one
