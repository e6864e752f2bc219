"""docs/eventsource.rst says what is so: tables are those of the code, programs run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from inspect import signature
from itertools import islice
from pathlib import Path

import pytest
import requests

import faye_sync
from faye_sync import EventSource, EventSourceClient, ServerSentEvent, eventsource, parse_events
from faye_sync.feed import _ORDERLY
from tests.support.program import Program
from tests.support.servers import ROOT, Server
from tests.test_readme import blocks, exists, rows, section, serve_from

PAGE = (ROOT / "docs" / "eventsource.rst").read_text(encoding="utf-8")
SERVERS_PAGE = (ROOT / "docs" / "servers.rst").read_text(encoding="utf-8")
PROGRAMS = blocks(PAGE)
PATIENCE = 20.0  # seconds to wait for what should come at once

# What shows that a section is true, beside the tests of this file.
PROOFS = {
    "Three ways to send": (
        "tests/test_eventsource.py::test_an_iterable_may_give_any_of_these",
        "tests/test_eventsource.py::test_an_item_that_is_no_event_ends_the_stream_and_is_logged_once",
        "tests/test_eventsource.py::test_an_iterable_is_closed_when_the_client_has_left",
        "tests/test_eventsource.py::test_an_iterable_waits_for_a_slow_client",
        "tests/test_eventsource.py::test_a_request_for_a_stream_is_told_by_method_and_accept",
    ),
    "Events": (
        "tests/test_sse.py::test_an_awkward_text_comes_back_as_it_was_with_its_lines_ended_by_lf",
        "tests/test_sse.py::test_what_cannot_be_carried_is_refused",
        "tests/test_eventsource.py::test_listeners_that_come_late_hear_of_the_end",
        "tests/test_eventsource.py::test_a_listener_that_raises_is_logged_and_told_as_an_error",
        "tests/browser/test_event_source.py::test_every_awkward_payload_comes_out_of_chromium_as_it_was_sent",
    ),
    "Options": (
        "tests/test_eventsource.py::test_an_option_that_cannot_work_is_refused_with_its_value",
        "tests/test_eventsource.py::test_retry_comes_first_and_what_waits_with_it_in_one_block",
        "tests/test_eventsource.py::test_a_silent_stream_is_pinged",
        "tests/test_eventsource.py::test_one_event_too_many_ends_the_stream",
    ),
    "Resuming": (
        "tests/browser/test_event_source.py::test_a_stream_lost_again_and_again_is_resumed_with_nothing_missing_and_nothing_twice",
        "tests/browser/test_flask_events.py::test_a_drop_is_made_good_with_nothing_missing_and_nothing_twice",
        "tests/examples/test_flask_events.py::test_who_has_nothing_of_this_run_gets_all_that_there_is",
    ),
    "Servers": (
        "tests/test_eventsource.py::test_detach_insists_on_a_socket",
        "tests/test_eventsource.py::test_an_iterable_that_stays_runs_in_the_servers_thread",
    ),
    "Browsers and proxies": (
        "tests/browser/test_event_source.py::test_a_page_of_another_origin_reads_what_the_headers_allow",
        "tests/browser/test_event_source.py::test_chromium_stays_away_after_a_204",
        "tests/test_eventsource.py::test_the_head_keeps_proxies_and_middlewares_from_buffering",
    ),
    "The client": (
        "tests/client/test_event_source_ends.py::test_a_get_is_made_again_however_it_ended",
        "tests/client/test_event_source_ends.py::test_a_post_is_never_made_again_wherever_it_is_cut",
        "tests/client/test_event_source.py::test_a_status_opens_leads_on_or_is_final",
        "tests/client/test_event_source.py::test_of_a_long_refusal_the_first_64_kib_are_kept",
        "tests/client/test_event_source_ends.py::test_the_stream_says_how_long_to_wait",
        "tests/client/test_event_source_ends.py::test_waits_grow_up_to_max_delay_and_begin_anew_behind_an_event",
        "tests/client/test_event_source_ends.py::test_a_server_that_says_when_to_come_again_is_heard",
        "tests/client/test_event_source.py::test_headers_of_the_users_are_sent_and_asked_for_again_at_each_attempt",
        "tests/client/test_event_source_ends.py::test_a_silent_stream_is_given_up_at_read_timeout_and_asked_for_again",
        "tests/client/test_event_source.py::test_an_event_over_the_limit_is_final_and_those_before_it_come",
        "tests/client/test_event_source_close.py::test_close_on_another_thread_ends_the_iteration_at_any_moment",
        "tests/client/test_event_source_close.py::test_listeners_hear_of_all_that_happens_on_one_thread",
        "tests/test_event_stream.py::test_a_source_of_octets_gives_its_events",
        "tests/test_event_stream.py::test_a_response_gives_an_event_before_anything_follows",
    ),
}


def test_what_shows_a_section_is_there():
    assert list(PROOFS) == re.findall(r"^(.+)\n---+$", PAGE, re.MULTILINE)
    assert [proof for proofs in PROOFS.values() for proof in proofs if not exists(proof)] == []


# --- tables -----------------------------------------------------------------------------------------


def tables(title: str) -> list[list[list[str]]]:
    """The tables of a section, without their headers."""
    # A table ends with the last === line before an empty one.
    found = re.findall(r"^=+ .*?=+(?=\n\n)", section(PAGE, title), re.MULTILINE | re.DOTALL)
    return [rows(table) for table in found]


def column(table: list[list[str]]) -> list[str]:
    return [row[0].replace("``", "") for row in table]


OPTIONS = {EventSource: tables("Options")[0], EventSourceClient: tables("The client")[-1]}


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_options_and_their_defaults_are_those_of_the_code(kind):
    told = {name.strip("`"): eval(value.strip("`")) for name, value, _ in OPTIONS[kind]}
    _, *parameters = signature(kind).parameters.values()
    assert told == {parameter.name: parameter.default for parameter in parameters}


def test_the_headers_that_are_refused_are_those_of_the_code():
    told = re.search(r"cannot have those of.*?: (.*?)\. An", section(PAGE, "Options"), re.DOTALL)
    names = {name.lower() for name in re.findall(r"``([\w-]+)``", told[1])}
    assert names == eventsource._NOT_FOR_USERS


def test_the_listeners_are_those_of_the_code():
    listeners, _ = tables("Events")
    assert column(listeners) == list(EventSource._names)


ENDING = {"cut", "close", "ended", "_finish"}


def causes_in(path: Path) -> Iterator[str]:
    """The words that are given to what ends a stream."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ENDING:
            for each in ast.walk(node):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value


def test_the_causes_are_those_of_the_code():
    _, causes = tables("Events")
    files = ("streaming", "feed", "outflow", "pulling")
    made = {cause for name in files for cause in causes_in(ROOT / "faye_sync" / f"{name}.py")}
    assert set(column(causes)) == made
    assert set(column(causes)[:2]) == _ORDERLY


def test_the_servers_that_pull_are_those_that_keep_the_socket():
    between = re.search(r"begin refusers\n(.*?)\.\. end", SERVERS_PAGE, re.DOTALL)
    hiding = [row[0] for row in rows(between[1]) if "HTTP/2" not in row[0]]
    told = [name for name in column(tables("Servers")[0]) if "HTTP/2" not in name]
    assert sorted(told) == sorted(hiding)


# --- programs ---------------------------------------------------------------------------------------


def program(mark: str) -> str:
    """The one program of the page that holds a mark."""
    (found,) = (block for block in PROGRAMS if mark in block)
    return found


@contextmanager
def served(
    folder: Path, mark: str, app: str = "app", name: str = "gunicorn-gthread", tail: str = ""
):
    """Serve a program of the page."""
    (folder / "site_of_page.py").write_text(program(mark) + tail, encoding="utf-8")
    with serve_from(folder, name, f"site_of_page:{app}") as server:
        yield server
        assert "Traceback" not in server.log()


def url(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


@contextmanager
def events_of(server: Server, path: str, **headers: str) -> Iterator[Iterator[ServerSentEvent]]:
    with requests.get(url(server, path), headers=headers, stream=True, timeout=PATIENCE) as answer:
        assert answer.status_code == 200
        yield parse_events(answer)


def shown(events: Iterator[ServerSentEvent]) -> list[tuple[str, str]]:
    return [(event.type, event.data) for event in events]


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.splitlines()[-1][:30])
def test_every_block_of_code_compiles(block):
    compile(block, "eventsource.rst", "exec")


def test_every_name_of_the_library_in_the_programs_is_exported():
    names = re.findall(r"from faye_sync import (.+)", "\n".join(PROGRAMS))
    assert {name for line in names for name in line.split(", ")} <= set(faye_sync.__all__)


def test_the_program_that_pushes_sends_to_all_who_listen(tmp_path):
    with (
        served(tmp_path, "def publish():\n    text") as server,
        events_of(server, "/news") as first,
        events_of(server, "/news") as second,
    ):
        answer = requests.post(url(server, "/news"), data="Grüße".encode(), timeout=PATIENCE)
        assert answer.json() == {"took": 2}
        assert shown(islice(first, 1)) == shown(islice(second, 1)) == [("news", "Grüße")]


COUNTDOWN = [("tick", "3"), ("tick", "2"), ("tick", "1"), ("message", "lift-off")]


@pytest.mark.parametrize("name", ["werkzeug", "gunicorn-sync", "gunicorn-gevent"])
def test_the_program_with_an_iterable_sends_it_all_and_ends(name, tmp_path):
    with (
        served(tmp_path, "def countdown(start)", "application", name) as server,
        events_of(server, "/") as events,
    ):
        assert shown(events) == COUNTDOWN


DJANGO = """

import django.conf
from django.core.wsgi import get_wsgi_application
from django.urls import path

django.conf.settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="of no worth", ALLOWED_HOSTS=["127.0.0.1"]
)
urlpatterns = [path("clock", clock), path("countdown", countdown)]
app = get_wsgi_application()
"""


def test_the_views_of_django_answer(tmp_path):
    with served(tmp_path, "django_response()", tail=DJANGO) as server:
        with events_of(server, "/clock") as events:
            assert shown(islice(events, 1)) == [("message", "welcome")]
        with events_of(server, "/countdown") as events:
            assert [event.data for event in events] == ["3", "2", "1"]


def test_the_program_that_resumes_sends_what_was_missed_and_what_is_new(tmp_path):
    def publish(text: str) -> int:
        return requests.post(url(server, "/news"), data=text, timeout=PATIENCE).json()["number"]

    with served(tmp_path, "deque") as server:
        assert [publish(text) for text in ("one", "two", "three")] == [1, 2, 3]
        with events_of(server, "/news", **{"Last-Event-ID": "1"}) as events:
            assert [(event.data, event.id) for event in islice(events, 2)] == [
                ("two", "2"),
                ("three", "3"),
            ]
            assert publish("four") == 4
            assert [(event.data, event.id) for event in islice(events, 1)] == [("four", "4")]
        with events_of(server, "/news", **{"Last-Event-ID": "nonsense"}) as events:
            assert [event.data for event in islice(events, 2)] == ["one", "two"]


def test_the_generator_that_needs_the_request_has_it(tmp_path):
    with (
        served(tmp_path, "stream_with_context") as server,
        events_of(server, "/greetings?name=Ada") as events,
    ):
        assert [event.data for event in events] == ["hello Ada"] * 3


def test_the_program_with_a_204_stops_its_client(tmp_path):
    with (
        served(tmp_path, "204") as server,
        closing(EventSourceClient(url(server, "/progress"))) as client,
    ):
        assert [event.data for event in client] == ["fetched", "built", "shipped"]


def test_the_program_with_cors_names_the_origin(tmp_path):
    with (
        served(tmp_path, "CORS", "application") as server,
        requests.get(url(server, "/"), stream=True, timeout=PATIENCE) as answer,
    ):
        allowed = answer.headers["Access-Control-Allow-Origin"]
        assert (allowed, answer.headers["Access-Control-Allow-Credentials"]) == (
            "https://app.example.com",
            "true",
        )
        assert shown(islice(parse_events(answer), 1)) == [("message", "no cookie")]


# --- programs of the client -------------------------------------------------------------------------

ANSWERS = """
import json

from faye_sync import EventSource

asked = []


def application(environ, start_response):
    asked.append(environ["REQUEST_METHOD"])
    size = int(environ.get("CONTENT_LENGTH") or 0)
    question = json.loads(environ["wsgi.input"].read(size))
    is_known = environ.get("HTTP_AUTHORIZATION") == "Bearer secret"
    if asked != ["POST"] or not is_known or question != {
        "prompt": "Why is the sky blue?",
        "stream": True,
    }:
        start_response("401 Unauthorized", [("Content-Type", "text/plain")])
        return [b"no"]
    texts = (json.dumps({"text": text}) for text in ("Ray", "leigh", "!"))
    return EventSource.stream(environ, texts)(environ, start_response)
"""

SAID: dict[str, list[str]] = {
    "with EventSourceClient(": ["tick 3 3", "tick 2 2", "tick 1 1", "message lift-off 1"],
    'client.on("tick"': ["tick 3", "tick 2", "tick 1", "lift-off", "closed: 1000 local"],
    "parse_events": ["tick 3", "tick 2", "tick 1", "message lift-off"],
}


def run(folder: Path, mark: str, server: Server) -> Program:
    text = program(mark)
    assert text.count("127.0.0.1:8000") == 1
    path = folder / "client_of_page.py"
    path.write_text(text.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}"), encoding="utf-8")
    return Program(path, no_proxy="*")


@pytest.mark.parametrize("mark", SAID)
def test_a_client_of_the_page_shows_the_countdown(mark, tmp_path):
    with (
        served(tmp_path, "def countdown(start)", "application") as server,
        run(tmp_path, mark, server) as client,
    ):
        assert client.wait() == 0
        assert client.rest() == SAID[mark]


def test_the_program_that_posts_prints_the_answer_and_a_refusal(tmp_path):
    (tmp_path / "answers.py").write_text(ANSWERS, encoding="utf-8")
    with serve_from(tmp_path, "gunicorn-gthread", "answers:application") as server:
        for said in ("Rayleigh!", "refused: 401 b'no'"):
            with run(tmp_path, "question", server) as client:
                assert client.wait() == 0
                assert client.rest() == [said]
