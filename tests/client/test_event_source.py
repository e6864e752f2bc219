"""EventSourceClient and servers that do what the test says: what it asks, takes, and does at an end."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import requests

from faye_sync import (
    ConfigurationError,
    EventSourceClient,
    EventSourceError,
    ServerSentEvent,
)
from tests.support.event_streams import (
    CHUNKED,
    CLOSE,
    EVENT,
    KIND,
    LAST,
    ONE,
    SOON,
    chunk,
    ended,
    head,
    refused,
    streamed,
    url,
)
from tests.support.hostile import Visit, send, unreachable

VECTORS = Path(__file__).parents[1] / "vectors"
CONNECTION = json.loads((VECTORS / "eventsource_connection.json").read_text())
PARSING = json.loads((VECTORS / "eventsource_parsing.json").read_text())["cases"]


def first(server: Any, **options: Any) -> ServerSentEvent:
    with EventSourceClient(url(server), **SOON, **options) as events:
        return next(iter(events))


def all_of(server: Any, **options: Any) -> list[ServerSentEvent]:
    with EventSourceClient(url(server), reconnect=False, **options) as events:
        return list(events)


# --- options --------------------------------------------------------------------------------------

WRONG = [
    pytest.param({"url": "ws://localhost/"}, "http or https", id="scheme"),
    pytest.param({"url": 5}, "must be a str", id="no-url"),
    pytest.param({"url": "http://u:secret@/x"}, "host", id="no-host"),
    pytest.param({"method": "GE T"}, "token", id="method"),
    pytest.param({"headers": {"A": "b\nc"}}, "header A", id="header"),
    pytest.param({"headers": {"Connection": "close"}}, "Connection", id="owned-header"),
    pytest.param({"reconnect": 1}, "reconnect must be", id="reconnect"),
    pytest.param({"retry": -1}, "retry must be seconds", id="retry"),
    pytest.param({"max_delay": "x"}, "max_delay must be", id="max_delay"),
    pytest.param({"open_timeout": 0}, "open_timeout must be", id="open_timeout"),
    pytest.param({"read_timeout": 0}, "read_timeout must be", id="read_timeout"),
    pytest.param({"max_event_size": 0}, "max_event_size must be", id="max_event_size"),
    pytest.param({"retry_statuses": 503}, "statuses", id="retry_statuses"),
    pytest.param({"last_event_id": 5}, "last_event_id must be a str", id="id"),
    pytest.param({"last_event_id": "a\nb"}, "no CR, LF or NUL", id="id-with-lf"),
    pytest.param({"session": 5}, "session", id="session"),
]


@pytest.mark.parametrize("options, text", WRONG)
def test_an_option_that_cannot_work_is_refused_before_anything_is_sent(options, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        EventSourceClient(**{"url": "http://localhost/", **options})
    assert "secret" not in str(caught.value)


# --- what is asked --------------------------------------------------------------------------------


def test_a_request_asks_for_an_event_stream_and_for_no_coding(hostile):
    server = hostile(streamed(EVENT))
    assert first(server) == ONE
    request = server.request()
    assert (request.method, request.target) == ("GET", "/")
    assert request["Accept"] == "text/event-stream"
    assert request["Cache-Control"] == "no-cache"
    assert request["Accept-Encoding"] == "identity"
    assert request["Host"] == f"127.0.0.1:{server.port}"
    assert request["Last-Event-ID"] is None


def test_headers_of_the_users_are_sent_and_asked_for_again_at_each_attempt(hostile):
    server = hostile(ended(EVENT), streamed(EVENT))
    numbers = iter(range(5))
    headers = lambda: {"X-Token": str(next(numbers)), "accept-encoding": "gzip"}  # noqa: E731
    with EventSourceClient(url(server), headers=headers, **SOON) as events:
        both = iter(events)
        assert [next(both), next(both)] == [ONE, ONE]
    assert [server.request(number)["X-Token"] for number in (0, 1)] == ["0", "1"]
    assert server.request()["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    "given, sent",
    [
        ("7", "7"),
        ("é€", "é€"),
        ("  x\t", "x"),
        ("a\x01b", "a\x01b"),
        (" ", None),
        ("", None),
    ],
    ids=ascii,
)
def test_the_id_to_resume_after_is_sent_in_utf_8(hostile, given, sent):
    server = hostile(streamed(EVENT))
    first(server, last_event_id=given)
    value = server.request()["Last-Event-ID"]
    assert (value and value.encode("latin-1").decode()) == sent


def test_the_id_of_the_last_event_that_was_taken_is_resumed_after(hostile):
    server = hostile(
        ended(b"id: 1\ndata: one\n\nid: 2\ndata: two\n\nid: 3\n\nid: 4\ndata: cut\n"),
        streamed(EVENT),
    )
    with EventSourceClient(url(server), **SOON) as events:
        got = iter(events)
        assert next(got).data == "one"
        assert events.last_event_id == "1"
        assert next(got).data == "two"
        assert next(got) == ServerSentEvent(data="one", last_event_id="3")
    assert server.request(1)["Last-Event-ID"] == "3"


def test_an_iteration_that_was_left_is_gone_on_with_behind_its_last_event(hostile):
    server = hostile(streamed(b"id: 1\ndata: one\n\nid: 2\ndata: two\n\n"), streamed(EVENT))
    with EventSourceClient(url(server), **SOON) as events:
        for event in events:
            assert event.data == "one"
            break
        for event in events:
            assert event.data == "one"
            break
    assert server.request(1)["Last-Event-ID"] == "1"


def test_a_json_body_is_posted_with_its_type(hostile):
    server = hostile(
        (
            Visit.read_head,
            lambda visit: visit.read(13),
            send(head(CLOSE) + EVENT),
            Visit.end_writing,
        )
    )
    assert all_of(server, method="post", json={"a": [1, 2]}, params={"q": "x y"}) == [ONE]
    request = server.request()
    assert (request.method, request.target) == ("POST", "/?q=x+y")
    assert request["Content-Type"] == "application/json"
    assert request["Content-Length"] == "13"
    assert bytes(server.visit().received).endswith(b'{"a": [1, 2]}')


# --- what is taken --------------------------------------------------------------------------------

SLOWLY = (b"data: o", b"ne\n", b"\n")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(streamed(*SLOWLY), id="close-delimited"),
        pytest.param(streamed(*map(chunk, SLOWLY), fields=(CHUNKED,)), id="chunks"),
        pytest.param(
            streamed(b"400\r\n" + EVENT, fields=(CHUNKED,)), id="the-beginning-of-a-chunk"
        ),
        pytest.param(streamed(EVENT, fields=(b"Content-Length: 1000",)), id="content-length"),
    ],
)
def test_an_event_comes_when_its_last_octet_does_whatever_the_framing(hostile, script):
    assert first(hostile(script)) == ONE


def packed(coding: str) -> bytes:
    """The event, flushed, and no end."""
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    return packer.compress(EVENT) + packer.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["close-delimited", "chunks"])
def test_an_event_comes_at_once_out_of_a_coding(hostile, coding, is_chunked):
    octets = packed(coding)
    fields = (f"Content-Encoding: {coding}".encode(), CHUNKED if is_chunked else CLOSE)
    server = hostile(streamed(chunk(octets) if is_chunked else octets, fields=fields))
    assert first(server, headers={"Accept-Encoding": coding}) == ONE


def test_a_whole_stream_out_of_a_coding_ends_where_it_ends(hostile):
    octets = gzip.compress(EVENT * 1000)
    assert len(all_of(hostile(ended(octets, fields=(b"Content-Encoding: gzip", CLOSE))))) == 1000


def test_what_cannot_be_decoded_is_an_error_of_the_stream(hostile):
    server = hostile(ended(b"no gzip at all", fields=(b"Content-Encoding: gzip", CLOSE)))
    with pytest.raises(EventSourceError, match="broke off"):
        all_of(server)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in PARSING])
def test_a_stream_of_the_standards_cases_comes_as_it_should(hostile, case):
    octets = base64.b64decode(case["input_b64"])
    pieces = [chunk(octets[at : at + 1]) for at in range(len(octets))]
    server = hostile(streamed(b"".join(pieces) + LAST, fields=(CHUNKED,)))
    with EventSourceClient(url(server), reconnect=False) as events:
        got = [(event.type, event.data, event.last_event_id) for event in events]
        assert events.last_event_id == case["final_last_event_id"]
        if case["final_retry_ms"] is not None:
            assert events.retry == case["final_retry_ms"] / 1000
    assert got == [(each["type"], each["data"], each["last_event_id"]) for each in case["events"]]


def test_an_event_over_the_limit_is_final_and_those_before_it_come(hostile):
    server = hostile(streamed(EVENT + b"data: " + b"x" * 10_000))
    with EventSourceClient(url(server), max_event_size=1000, **SOON) as events:
        got = iter(events)
        assert next(got) == ONE
        with pytest.raises(EventSourceError, match="max_event_size 1000"):
            next(got)
        assert events.closed
        assert list(events) == []
    assert server.count() == 1


INTERIM = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n",
)


@pytest.mark.parametrize(
    "answers", [INTERIM[:1], INTERIM[1:2], INTERIM], ids=["103", "100", "many"]
)
def test_interim_answers_are_passed_over(hostile, answers):
    script = (Visit.read_head, *map(send, answers), send(head(CLOSE) + EVENT))
    assert first(hostile(script)) == ONE


# --- which answers open ---------------------------------------------------------------------------

KINDS = [case for case in CONNECTION["content_type"] if case["expect"] in ("open", "fail")]


@pytest.mark.parametrize("case", [pytest.param(case, id=repr(case["value"])) for case in KINDS])
def test_a_content_type_opens_or_is_final(hostile, case):
    value = case["value"]
    kind = b"" if value is None else f"Content-Type: {value}\r\n".encode()
    server = hostile((Visit.read_head, send(head(CLOSE, kind=kind) + EVENT), Visit.end_writing))
    if case["expect"] == "open":
        assert first(server) == ONE
        return
    with pytest.raises(EventSourceError, match="Content-Type must be") as caught:
        first(server)
    assert caught.value.status_code == 200
    assert caught.value.body == EVENT
    assert server.count() == 1


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=str(case["status"])) for case in CONNECTION["status"]]
)
def test_a_status_opens_leads_on_or_is_final(hostile, case):
    status = b"%d Some Words" % case["status"]
    fields = (KIND.strip(), b"X-Said: this")
    if case["expect"] == "open" and case["status"] != 200:
        server = hostile(refused(status, b"Location: /there"), streamed(EVENT))
        assert first(server) == ONE
        assert server.request(1).target == "/there"
        return
    if case["expect"] == "open":
        assert first(hostile(streamed(EVENT))) == ONE
        return
    has_body = case["status"] not in (204, 304)
    server = hostile(refused(status, *fields, body=b"why" if has_body else b""))
    if case["status"] == 204:
        with EventSourceClient(url(server), **SOON) as events:
            assert list(events) == []
            assert events.closed
    else:
        with pytest.raises(EventSourceError) as caught:
            first(server)
        assert caught.value.status_code == case["status"]
        assert caught.value.headers["X-Said"] == "this"
        assert caught.value.body == (b"why" if has_body else b"")
    assert server.count() == 1


def test_of_a_long_refusal_the_first_64_kib_are_kept(hostile):
    server = hostile(refused(b"500 No", body=b"x" * 100_000))
    with pytest.raises(EventSourceError) as caught:
        first(server)
    assert caught.value.body == b"x" * 65536


# --- sessions, other origins ----------------------------------------------------------------------


def test_a_session_gives_its_cookies_auth_and_headers_and_keeps_new_cookies(hostile):
    server = hostile(streamed(EVENT, fields=(CLOSE, b"Set-Cookie: b=2; Path=/")))
    session = requests.Session()
    session.cookies.set("a", "1")
    session.auth = ("user", "word")
    session.headers["X-Of-Session"] = "yes"
    assert first(server, session=session) == ONE
    request = server.request()
    assert request["Cookie"] == "a=1"
    assert request["Authorization"].startswith("Basic ")
    assert request["X-Of-Session"] == "yes"
    assert session.cookies["b"] == "2"


def test_what_was_for_one_origin_is_kept_from_another(hostile):
    other = hostile(streamed(EVENT))
    there = url(other, "/there").encode()
    server = hostile(refused(b"302 Found", b"Location: " + there))
    secrets = {"Authorization": "Bearer x", "X-Api-Key": "y", "Cookie": "c=z"}
    with EventSourceClient(url(server), headers=secrets, last_event_id="7") as events:
        assert next(iter(events)).data == "one"
        assert events.url == there.decode()
    assert all(server.request()[name] == value for name, value in secrets.items())
    assert [other.request()[name] for name in secrets] == [None] * 3
    assert other.request()["Last-Event-ID"] == "7"


def test_the_user_and_password_of_a_url_are_basic_auth(hostile):
    server = hostile(streamed(EVENT))
    address = url(server).replace("//", "//user:p%40ss@")
    with EventSourceClient(address) as events:
        next(iter(events))
    token = base64.b64encode(b"user:p@ss").decode()
    assert server.request()["Authorization"] == f"Basic {token}"


def test_a_refused_connection_is_the_oserror_that_it_is():
    with unreachable() as port:
        pass
    events = EventSourceClient(f"http://127.0.0.1:{port}/", reconnect=False)
    with events, pytest.raises(ConnectionRefusedError):
        list(events)
