"""EventSource on every server of the table (tests/support/kinds.py), TLS and Unix sockets included."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from tests.support.stream_peer import StreamPeer

PING = 60.0  # seconds; whoever leaves is seen well before

both_forms = pytest.mark.parametrize("form", ["", "detach=false"], ids=["detached", "attached"])


@both_forms
def test_events_of_other_requests_come_at_once_and_a_client_that_leaves_is_seen(
    any_server, name, form
):
    server = any_server
    # Where one call is all that runs, an attached stream is alone.
    count = 0 if form and server.kind.calls == 1 else 3
    with StreamPeer(server.address, f"/streams/push/{name}?ping=60.0&{form}") as peer:
        assert peer.status == 200
        assert peer.header("Content-Type") == "text/event-stream; charset=utf-8"
        assert peer.header("Cache-Control") == "no-cache, no-store, no-transform"
        assert peer.header("X-Accel-Buffering") == "no"
        assert peer.header("Connection").lower() == "close"
        assert not peer.is_chunked
        assert peer.block() == "retry: 5000"
        assert peer.event() == {"data": "welcome"}
        for number in range(count):
            assert server.ask(f"/streams/send/{name}?data={number}&event=count")
            assert peer.event() == {"event": "count", "data": str(number)}
        began = time.monotonic()
    assert server.ask(f"/streams/end/{name}") in ("eof", "reset")
    assert time.monotonic() - began < PING / 3


def test_a_stream_that_is_closed_ends_the_connection_and_nothing_follows(any_server, name):
    with StreamPeer(any_server.address, f"/streams/push/{name}") as peer:
        assert peer.data() == "welcome"
        any_server.ask(f"/streams/send/{name}?data=last")
        any_server.ask(f"/streams/close/{name}")
        assert peer.data() == "last"
        assert peer.rest() == b""
    assert any_server.ask(f"/streams/end/{name}") == "local"


@both_forms
def test_an_iterable_is_sent_to_its_end_and_closed(any_server, name, form):
    with StreamPeer(any_server.address, f"/streams/count/{name}?size=1000&{form}") as peer:
        assert [peer.event() for _ in range(1000)] == [
            {"id": str(number), "data": str(number)} for number in range(1000)
        ]
        assert peer.rest() == b""
    assert any_server.ask(f"/streams/closing/{name}") == "closed"
    assert any_server.ask(f"/streams/end/{name}") == "local"


def test_a_head_request_has_the_head_and_no_body_and_the_next_request_works(any_server, name):
    with StreamPeer(any_server.address, f"/streams/push/{name}", method="HEAD") as peer:
        assert peer.status == 200
        assert peer.header("Content-Type") == "text/event-stream; charset=utf-8"
    assert any_server.ask(f"/streams/end/{name}") == "local"
    assert any_server.ask("/hello") == "hello"


def test_a_client_of_http_1_0_gets_no_chunks(any_server, name):
    with StreamPeer(any_server.address, f"/streams/count/{name}?size=3", version="1.0") as peer:
        assert not peer.is_chunked
        assert [peer.data() for _ in range(3)] == ["0", "1", "2"]
        assert peer.rest() == b""


def test_more_streams_than_the_server_has_calls_leave_it_free(any_server, name):
    count = (any_server.kind.calls or 4) + 2
    count = min(count, 12)
    with ExitStack() as stack:
        peers = [
            stack.enter_context(StreamPeer(any_server.address, f"/streams/push/{name}-{number}"))
            for number in range(count)
        ]
        for number, peer in enumerate(peers):
            assert peer.data() == "welcome"
            assert any_server.ask(f"/streams/send/{name}-{number}?data=hello")
            assert peer.data() == "hello"


def test_last_event_id_arrives_in_utf_8(any_server, name):
    last = "é€".encode().decode("latin-1")
    path = f"/streams/push/{name}"
    with StreamPeer(any_server.address, path, **{"Last-Event-ID": last}) as peer:
        # The welcome has it for its own.
        assert peer.event()["id"].encode() == "é€".encode()
