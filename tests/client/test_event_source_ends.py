"""EventSourceClient at the end of a stream: asked for again, with the waits before; or not, and why."""

from __future__ import annotations

import gzip
import logging
import threading

import pytest

from faye_sync import EventSourceClient, EventSourceError, ReadyState, ReconnectEvent
from tests.support.event_streams import (
    CHUNKED,
    EVENT,
    LAST,
    ONE,
    SOON,
    chunk,
    ended,
    refused,
    streamed,
    url,
)
from tests.support.hostile import Visit, drip, send

GZIP = b"Content-Encoding: gzip"


ENDS = [
    pytest.param(ended(EVENT), id="end"),
    pytest.param((*streamed(EVENT), Visit.reset), id="reset"),
    pytest.param(ended(chunk(EVENT) + LAST, fields=(CHUNKED,)), id="last-chunk"),
    pytest.param(ended(chunk(EVENT) + b"ff\r\nda", fields=(CHUNKED,)), id="cut-in-a-chunk"),
    pytest.param(ended(EVENT, fields=(b"Content-Length: 1000",)), id="short-body"),
]


@pytest.mark.parametrize("script", ENDS)
def test_a_get_is_made_again_however_it_ended(hostile, script):
    server = hostile(script, streamed(b"data: two\n\n"))
    with EventSourceClient(url(server), **SOON) as events:
        told = []
        events.on("reconnect", told.append)
        got = iter(events)
        assert [next(got).data, next(got).data] == ["one", "two"]
    (again,) = told
    assert again.attempt == 1
    assert 0.01 <= again.delay <= 0.015


NEVER = [
    pytest.param((Visit.read_head, Visit.end_writing), id="end-before-the-head"),
    pytest.param((Visit.read_head, Visit.reset), id="reset-before-the-head"),
    pytest.param((Visit.read_head, send(b"HTTP/1.1 200"), Visit.end_writing), id="half-a-head"),
    pytest.param((Visit.read_head, send(b"no HTTP\r\n\r\n"), Visit.end_writing), id="no-http"),
    pytest.param(refused(b"503 Later", b"Retry-After: 0"), id="503"),
]


@pytest.mark.parametrize("script", NEVER)
def test_a_get_that_met_no_answer_or_a_status_to_retry_is_made_again(hostile, script):
    server = hostile(script, script, streamed(EVENT))
    with EventSourceClient(url(server), retry_statuses=(503,), **SOON) as events:
        told = []
        events.on("reconnect", told.append)
        assert next(iter(events)) == ONE
    assert [each.attempt for each in told] == [1, 2]
    # Of the second failure at least a tenth of a second, twice.
    assert told[1].delay >= 0.2


def test_a_server_that_says_when_to_come_again_is_heard(hostile):
    server = hostile(refused(b"429 Slow", b"Retry-After: 30"))
    with EventSourceClient(url(server), retry_statuses=(429,), **SOON) as events:
        told = []

        @events.on("reconnect")
        def leave(event: ReconnectEvent) -> None:
            told.append(event)
            events.close()

        assert list(events) == []
    assert told[0].delay == 30
    assert told[0].error.status_code == 429


def test_the_stream_says_how_long_to_wait(hostile):
    server = hostile(ended(b"retry: 20\n\n" + EVENT), streamed(EVENT))
    with EventSourceClient(url(server), retry=60) as events:
        told = []
        events.on("reconnect", told.append)
        got = iter(events)
        assert [next(got), next(got)] == [ONE, ONE]
        assert events.retry == 0.02
    assert 0.02 <= told[0].delay <= 0.03


def test_waits_grow_up_to_max_delay_and_begin_anew_behind_an_event(hostile):
    fails = (Visit.read_head, Visit.reset)
    server = hostile(fails, fails, fails, ended(EVENT), ended(EVENT), streamed(EVENT))
    with EventSourceClient(url(server), retry=0.01, max_delay=0.3) as events:
        told = []
        events.on("reconnect", told.append)
        got = iter(events)
        assert [next(got), next(got), next(got)] == [ONE] * 3
    assert [each.attempt for each in told] == [1, 2, 3, 1, 1]
    least = (0.01, 0.2, 0.3, 0.01, 0.01)
    assert all(low <= each.delay <= 1.5 * low for low, each in zip(least, told, strict=True))


def test_waits_and_their_length_outlast_a_loop_that_was_left(hostile):
    server = hostile(streamed(b"retry: 20\n\n" + EVENT), ended(EVENT), streamed(EVENT))
    with EventSourceClient(url(server), retry=60) as events:
        told = []
        events.on("reconnect", told.append)
        for _ in events:
            assert events.ready_state is ReadyState.OPEN
            break
        assert events.ready_state is ReadyState.CONNECTING
        got = iter(events)
        assert [next(got), next(got)] == [ONE, ONE]
    (again,) = told
    assert 0.02 <= again.delay <= 0.03


LOST = (Visit.read_head, Visit.reset)
OUTAGES = [
    pytest.param((ended(EVENT), ended(EVENT)), [], id="ends-behind-events"),
    pytest.param((LOST, LOST, ended(EVENT), ended(EVENT)), ["reset"], id="outage-at-first"),
    pytest.param(((*streamed(EVENT), Visit.reset), LOST, LOST), ["reset"], id="lost-in-the-middle"),
    pytest.param((ended(EVENT), LOST, LOST), ["reset"], id="lost-behind-an-end"),
    pytest.param((ended(), ended(), ended()), ["ended the event stream"], id="ends-without-events"),
    pytest.param((LOST, ended(EVENT), LOST, LOST), ["reset", "reset"], id="two-outages"),
]


@pytest.mark.parametrize("scripts, warnings", OUTAGES)
def test_each_outage_is_logged_once(hostile, caplog, scripts, warnings):
    server = hostile(*scripts, streamed(b"data: last\n\n"))
    with EventSourceClient(url(server), retry=0, max_delay=0.01) as events:
        assert any(event.data == "last" for event in events)
        of_client = [record for record in caplog.records if events.id in record.getMessage()]
    assert all(record.levelno == logging.WARNING for record in of_client)
    assert len(of_client) == len(warnings)
    for record, text in zip(of_client, warnings, strict=True):
        assert text in record.getMessage()


POSTED = [
    pytest.param((Visit.read_head, Visit.end_writing), EventSourceError, id="end-before-the-head"),
    pytest.param((Visit.read_head, Visit.reset), ConnectionResetError, id="reset-before-the-head"),
    pytest.param((Visit.read_head, send(b"HTTP/1.1 2"), Visit.end_writing), EventSourceError, id="half-a-head"),
    pytest.param(refused(b"503 Later", b"Retry-After: 0"), EventSourceError, id="503"),
    pytest.param(refused(b"401 Who", b"WWW-Authenticate: Basic"), EventSourceError, id="401"),
    pytest.param(ended(chunk(EVENT) + b"ff\r\nda", fields=(CHUNKED,)), EventSourceError, id="cut-in-a-chunk"),
    pytest.param(ended(chunk(EVENT), fields=(CHUNKED,)), EventSourceError, id="cut-behind-a-chunk"),
    pytest.param(ended(EVENT, fields=(b"Content-Length: 100",)), EventSourceError, id="short-body"),
    pytest.param(ended(gzip.compress(EVENT), fields=(GZIP, b"Content-Length: 100")), EventSourceError, id="short-gzip"),
    pytest.param(ended(chunk(gzip.compress(EVENT)), fields=(GZIP, CHUNKED)), EventSourceError, id="cut-behind-gzip"),
    pytest.param((*streamed(EVENT), Visit.reset), ConnectionResetError, id="reset"),
    pytest.param(streamed(b"data: " + b"x" * 5000), EventSourceError, id="too-big"),
    pytest.param(streamed(EVENT), TimeoutError, id="silent"),
    pytest.param(ended(EVENT), None, id="end"),
    pytest.param(ended(chunk(EVENT) + LAST, fields=(CHUNKED,)), None, id="last-chunk"),
]  # fmt: skip


@pytest.mark.parametrize("script, error", POSTED)
def test_a_post_is_never_made_again_wherever_it_is_cut(hostile, script, error):
    server = hostile(script)
    options = {"method": "POST", "json": {"a": 1}, "max_event_size": 1000, "read_timeout": 1.0}
    got = []
    with EventSourceClient(url(server), retry_statuses=(503,), **options, **SOON) as events:
        if error is None:
            got.extend(events)
            assert got == [ONE]
        else:
            with pytest.raises(error) as caught:
                got.extend(events)
            assert type(caught.value) is error
        assert events.closed
        assert list(events) == []
    # The counter: connections, and requests on each.
    assert server.count() == 1
    assert len(server.visit().requests) == 1


def test_a_silent_stream_is_given_up_at_read_timeout_and_asked_for_again(hostile):
    server = hostile(streamed(EVENT), streamed(b"data: two\n\n"))
    with EventSourceClient(url(server), read_timeout=0.3, **SOON) as events:
        told = []
        events.on("error", told.append)
        got = iter(events)
        assert [next(got).data, next(got).data] == ["one", "two"]
    assert isinstance(told[0].error, TimeoutError)
    assert "read_timeout of 0.3 s" in told[0].message


def test_a_stream_that_pings_outlives_its_read_timeout(hostile):
    server = hostile(streamed(drip(b":\n", every=0.1)))
    with EventSourceClient(url(server), read_timeout=2.0, reconnect=False) as events:
        timer = threading.Timer(0.5, events.close)
        timer.start()
        assert list(events) == []
        timer.join()
    assert server.count() == 1


def test_open_timeout_is_met_whatever_trickles(hostile):
    server = hostile((Visit.read_head, drip(b"HTTP/1.1 200 OK\r\nX: y\r\nZ: zzzzzzzz", every=0.05)))
    events = EventSourceClient(url(server), open_timeout=0.3, reconnect=False)
    with events, pytest.raises(TimeoutError, match=r"open_timeout of 0\.3 s"):
        list(events)
