"""parse_events() and what it reads from: each event as soon as its blank line came."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest
import requests
import urllib3
from urllib3.exceptions import HTTPError

from faye_sync import ConfigurationError, EventSourceError, ServerSentEvent, parse_events
from tests.support.event_streams import CHUNKED, CLOSE, LAST, chunk, ended, streamed
from tests.support.hostile import HostileServer

VECTORS = Path(__file__).parent / "vectors" / "eventsource_parsing.json"
CASES = json.loads(VECTORS.read_text())["cases"]
STREAM = b"id: 1\ndata: one\n\ndata: two\n\ndata: cut"
EVENTS = [
    ServerSentEvent(data="one", last_event_id="1", id="1"),
    ServerSentEvent(data="two", last_event_id="1"),
]
FIRST = STREAM[: STREAM.index(b"\n\n") + 2]


def in_pieces(octets: bytes) -> Iterator[bytes]:
    return (octets[at : at + 1] for at in range(len(octets)))


class File(io.RawIOBase):
    """A binary file that gives a few octets at a time, and has no read1()."""

    def __init__(self, octets: bytes) -> None:
        super().__init__()
        self._octets = octets

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        piece, self._octets = self._octets[:3], self._octets[3:]
        buffer[: len(piece)] = piece
        return len(piece)


SOURCES = {
    "bytes": STREAM,
    "bytearray": bytearray(STREAM),
    "memoryview": memoryview(STREAM),
    "list": [STREAM[:9], STREAM[9:]],
    "generator": in_pieces(STREAM),
    "of-memoryviews": map(memoryview, in_pieces(STREAM)),
    "with-empty-pieces": [b"", STREAM, b""],
    "BytesIO": io.BytesIO(STREAM),
    "buffered": io.BufferedReader(File(STREAM)),
    "raw-file": File(STREAM),
    "one-bytes-object-in-a-tuple": (STREAM,),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_source_of_octets_gives_its_events(source):
    assert list(parse_events(source)) == EVENTS


def test_a_file_on_disk_gives_its_events(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(STREAM)
    with path.open("rb") as file:
        assert list(parse_events(file)) == EVENTS


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_the_standards_cases_come_the_same_whole_and_octet_by_octet(case):
    octets = base64.b64decode(case["input_b64"])
    for source in (octets, in_pieces(octets), io.BytesIO(octets)):
        got = [(event.type, event.data, event.last_event_id) for event in parse_events(source)]
        assert got == [
            (each["type"], each["data"], each["last_event_id"]) for each in case["events"]
        ]


@pytest.mark.parametrize(
    "source, text",
    [
        ("data: x\n\n", "got str"),
        (5, "got int"),
        (None, "got NoneType"),
        (["data: x\n\n"], "got str; pass response.raw"),
        (io.StringIO("data: x\n\n"), "opened with 'rb'"),
    ],
    ids=repr,
)
def test_what_is_no_source_of_octets_is_refused_with_what_to_pass(source, text):
    with pytest.raises(TypeError, match=text):
        list(parse_events(source))


def test_the_ids_before_are_what_the_caller_says():
    assert list(parse_events(b"data: x\n\n", "7")) == [ServerSentEvent(data="x", last_event_id="7")]


def test_an_event_over_the_limit_comes_behind_those_before_it():
    events = parse_events(FIRST + b"data: " + b"x" * 100, max_event_size=50)
    assert next(events).data == "one"
    with pytest.raises(EventSourceError, match="max_event_size 50"):
        next(events)


def test_a_limit_that_is_none_is_refused_at_once():
    with pytest.raises(ConfigurationError, match="max_event_size"):
        parse_events(b"", max_event_size=0)


def test_what_the_source_raises_goes_on_as_it_is():
    def breaking() -> Iterator[bytes]:
        yield FIRST
        raise LookupError("on purpose")

    events = parse_events(breaking())
    assert next(events).data == "one"
    with pytest.raises(LookupError):
        next(events)


# --- responses ------------------------------------------------------------------------------------


def packed(coding: str, octets: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    return packer.compress(octets) + packer.flush(zlib.Z_SYNC_FLUSH)


def body_of(coding: str, is_chunked: bool, octets: bytes) -> bytes:
    octets = packed(coding, octets) if coding else octets
    return chunk(octets) if is_chunked else octets


responses = pytest.mark.parametrize("library", ["requests", "urllib3"])
codings = pytest.mark.parametrize(
    "coding", ["", "gzip", "deflate"], ids=lambda coding: coding or "plain"
)
framings = pytest.mark.parametrize("is_chunked", [False, True], ids=["close-delimited", "chunks"])


def opened(library: str, url: str):
    if library == "requests":
        return requests.get(url, stream=True, timeout=20)
    return urllib3.PoolManager().request("GET", url, preload_content=False, timeout=20)


@responses
@codings
@framings
def test_a_response_gives_an_event_before_anything_follows(library, coding, is_chunked):
    fields = (
        CHUNKED if is_chunked else CLOSE,
        *([f"Content-Encoding: {coding}".encode()] if coding else []),
    )
    script = streamed(body_of(coding, is_chunked, FIRST), fields=fields)
    with HostileServer(script) as server:
        response = opened(library, server.url(scheme="http"))
        # Nothing more comes: whoever waits for it is stopped by the time-out.
        assert next(parse_events(response)) == EVENTS[0]
        response.close()


@responses
def test_a_response_that_ends_gives_all_its_events(library):
    with HostileServer(ended(chunk(STREAM) + LAST, fields=(CHUNKED,))) as server:
        response = opened(library, server.url(scheme="http"))
        assert list(parse_events(response)) == EVENTS
        response.close()


@responses
@pytest.mark.parametrize("is_chunked", [False, True], ids=["content-length", "chunks"])
def test_a_response_that_is_cut_short_raises_behind_its_events(library, is_chunked):
    body = chunk(STREAM) if is_chunked else STREAM
    with HostileServer(
        ended(body, fields=(CHUNKED if is_chunked else b"Content-Length: 99",))
    ) as server:
        response = opened(library, server.url(scheme="http"))
        events = parse_events(response)
        assert [next(events), next(events)] == EVENTS
        with pytest.raises((HTTPError, HTTPException)):
            next(events)
        response.close()


def test_of_a_response_that_was_read_into_the_rest_is_parsed():
    with HostileServer(ended(b"first line\n" + STREAM)) as server:
        response = opened("requests", server.url(scheme="http"))
        assert response.raw.read(11) == b"first line\n"
        assert list(parse_events(response)) == EVENTS
        response.close()
