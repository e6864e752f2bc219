"""examples/sse_client.py, started as a user starts it."""

from __future__ import annotations

import json
import signal

from tests.support.event_streams import CHUNKED, LAST, chunk, ended, refused, streamed
from tests.support.hostile import HostileServer
from tests.support.program import Program
from tests.support.servers import ROOT

SCRIPT = ROOT / "examples" / "sse_client.py"
ONE = b"retry: 10\n\nid: 1\nevent: note\ndata: one\n\n"
TWO = b"id: 2\ndata: two\n\n"


def token(text: str) -> bytes:
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n".encode()


def test_events_are_printed_and_gone_on_with_behind_the_last(tmp_path):
    with HostileServer(ended(ONE), streamed(TWO)) as server:
        with Program(SCRIPT, server.url(scheme="http"), "--after", "0") as program:
            assert program.read().split() == ["1", "note", "one"]
            assert program.read().split() == ["2", "message", "two"]
            program.send_signal(signal.SIGINT)
            assert program.wait() == 0
            assert "go on with --after '2'" in program.errors()
        assert server.request(0)["Last-Event-ID"] == "0"
        assert server.request(1)["Last-Event-ID"] == "1"


def test_an_answer_to_a_post_is_printed_as_it_is_written():
    body = chunk(token("Hel")) + chunk(token("lo")) + chunk(b"data: [DONE]\n\n") + LAST
    with HostileServer(ended(body, fields=(CHUNKED,))) as server:
        arguments = ("--post", '{"stream": true}', "--header", "Authorization: Bearer x")
        with Program(SCRIPT, server.url(scheme="http"), *arguments) as program:
            assert program.read() == "Hello[DONE]"
            assert program.wait() == 0
        assert server.request()["Authorization"] == "Bearer x"
        assert server.count() == 1


def test_a_refusal_ends_it_with_what_the_server_said():
    server = HostileServer(refused(b"403 Forbidden", body=b"no key"))
    with server, Program(SCRIPT, server.url(scheme="http")) as program:
        assert program.wait() == 1
        assert "the server answered 403 Forbidden" in program.errors()
        assert "no key" in program.errors()
