"""examples/client.py and examples/ticker.py, started as a user starts them, with real servers."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from tests.support.planned_server import PlannedServer, accept, drop, greet, part, refuse
from tests.support.program import Program
from tests.support.servers import ROOT, Server, serve

CLIENT = ROOT / "examples" / "client.py"
TICKER = ROOT / "examples" / "ticker.py"
ECHO = "examples.flask_echo:app"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("gunicorn-gthread", ECHO, tmp_path_factory.mktemp("chat")) as server:
        yield server


# --- the chat -------------------------------------------------------------------------------------------


def test_two_users_talk_in_the_chat_of_the_flask_example(chat):
    with Program(CLIENT, chat.ws("/chat?name=Ada")) as ada:
        assert ada.read() == "Ada joined, 1 present"
        with Program(CLIENT, chat.ws("/chat?name=Grace")) as grace:
            assert ada.read() == grace.read() == "Grace joined, 2 present"
            ada.say("Grüße")
            assert ada.read() == grace.read() == "Ada: Grüße"
            grace.end_input()
            assert grace.wait() == 0
            assert grace.rest() == ["closed: 1000 local"]
        assert ada.read() == "Grace left, 1 present"
        ada.end_input()
        assert ada.wait() == 0


def test_what_any_other_server_says_is_printed_as_it_is(chat):
    with Program(CLIENT, chat.ws("/echo")) as program:
        for line in ("plain", '{"json": true}', "[1, 2]"):
            program.say(line)
            assert program.read() == line


def test_a_close_of_the_server_is_told_and_ends_the_program_at_the_next_line():
    with PlannedServer(part(1001, "so long", "hello")) as server, Program(CLIENT, server.url) as it:
        assert it.read() == "hello"
        assert it.read() == "closed: 1001 so long"
        it.say("too late")
        assert it.wait() == 0


def test_a_server_that_refuses_ends_the_program_with_its_status():
    with PlannedServer(refuse(403)) as server, Program(CLIENT, server.url) as program:
        assert program.wait() == 1
        assert "403" in program.errors()


# --- the feed -------------------------------------------------------------------------------------------


def subscription(visit) -> object:
    return json.loads(visit.read())


def test_a_feed_that_drops_is_subscribed_to_again_on_the_next_connection():
    plan = (drop("first"), greet("second"), accept)
    with PlannedServer(*plan) as server, Program(TICKER, server.url, "EURUSD", "GBPUSD") as it:
        assert it.read() == "first"
        assert it.read() == "second"
        server.visit()
        second = server.visit()
        assert subscription(second) == {"subscribe": ["EURUSD", "GBPUSD"]}
        second.cut()
        third = server.visit()
        assert subscription(third) == {"subscribe": ["EURUSD", "GBPUSD"]}
        third.say("third")
        assert it.read() == "third"
        it.send_signal(signal.SIGINT)
        assert third.parting()[0] == 1001
        assert it.wait() == 130
    assert it.errors().count("again in ") == 2
    assert "Traceback" not in it.errors()


def test_a_feed_that_is_not_there_yet_is_waited_for():
    plan = (refuse(503, ("Retry-After", "0")), greet("at last"))
    with PlannedServer(*plan) as server, Program(TICKER, server.url, "EURUSD") as program:
        assert program.read() == "at last"
        program.send_signal(signal.SIGINT)
        assert program.wait() == 130
    assert "503" in program.errors()


def test_a_feed_that_will_never_have_us_ends_the_program():
    with PlannedServer(refuse(401)) as server, Program(TICKER, server.url, "EURUSD") as program:
        assert program.wait() == 1
        assert "401" in program.errors()
        assert server.count == 1
