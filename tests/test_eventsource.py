"""EventSource by itself: its options, its answers, and streams that a server pulls."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder

from faye_sync import ConfigurationError, EventSource, HijackError, ReadyState
from faye_sync.events import CloseEvent, ErrorEvent, OpenEvent, ServerSentEvent

PATIENCE = 30.0


def environ(method: str = "GET", path: str = "/feed", **headers: str) -> dict[str, Any]:
    return EnvironBuilder(path, method=method, headers=headers).get_environ()


class Answer:
    """What a server gets of an EventSource, pulled block by block."""

    def __init__(self, es: EventSource, request: dict[str, Any] | None = None) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}
        self.body = es(environ() if request is None else request, self._start_response)
        self.blocks = iter(self.body)

    def _start_response(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, dict(headers)

    def pull(self) -> bytes:
        return next(self.blocks)

    def close(self) -> None:
        self.blocks.close()
        self.body.close()


class Heard:
    """The events of a stream that its listeners got, and a way to wait for one."""

    def __init__(self, es: EventSource, *names: str) -> None:
        self.events: list[Any] = []
        self._come = threading.Condition()
        for name in names:
            es.on(name, self._hear)

    def _hear(self, event: Any) -> None:
        with self._come:
            self.events.append(event)
            self._come.notify_all()

    def wait(self, count: int) -> list[Any]:
        with self._come:
            assert self._come.wait_for(lambda: len(self.events) >= count, PATIENCE), self.events
            return self.events


# --- options --------------------------------------------------------------------------------------

WRONG = [
    pytest.param({"retry": -1}, "retry must be seconds", id="retry"),
    pytest.param({"ping": 0}, "ping must be seconds, above 0", id="ping"),
    pytest.param({"ping": "10"}, "got '10'", id="ping-text"),
    pytest.param({"max_queue": 0}, "max_queue must be a positive int", id="max_queue"),
    pytest.param({"send_timeout": 0}, "send_timeout must be seconds", id="send_timeout"),
    pytest.param({"detach": "yes"}, "detach must be True, False or None", id="detach"),
    pytest.param({"headers": {"a b": "c"}}, "no token", id="header-name"),
    pytest.param({"headers": {"A": "b\nc"}}, "header A", id="header-value"),
    pytest.param({"headers": 5}, "mapping or pairs", id="headers"),
    pytest.param({"headers": {"Content-Type": "text/html"}}, "content-type", id="content-type"),
    pytest.param({"headers": {"Connection": "close"}}, "Connection|connection", id="connection"),
]


@pytest.mark.parametrize("options, text", WRONG)
def test_an_option_that_cannot_work_is_refused_with_its_value(options, text):
    with pytest.raises(ConfigurationError, match=text):
        EventSource(environ(), **options)


@pytest.mark.parametrize("iterable", ["text", b"octets", {"data": 1}, 5, None], ids=repr)
def test_what_is_no_iterable_of_events_is_refused(iterable):
    with pytest.raises(TypeError, match="iterable of events"):
        EventSource.stream(environ(), iterable)


def test_detach_insists_on_a_socket():
    with pytest.raises(HijackError):
        EventSource(environ(), detach=True)


@pytest.mark.parametrize(
    "method, accept, is_one",
    [
        ("GET", "text/event-stream", True),
        ("GET", "TEXT/Event-Stream;q=0.1, text/html", True),
        ("GET", "text/html, text/event-stream; charset=utf-8", True),
        ("GET", "text/event-stream;q=0", False),
        ("GET", "text/event-stream; q=0.000", False),
        ("GET", "*/*", False),
        ("GET", "text/*", False),
        ("GET", "text/event-streams", False),
        ("GET", "", False),
        ("POST", "text/event-stream", False),
        ("HEAD", "text/event-stream", False),
    ],
)
def test_a_request_for_a_stream_is_told_by_method_and_accept(method, accept, is_one):
    assert EventSource.is_eventsource(environ(method, Accept=accept)) is is_one


@pytest.mark.parametrize(
    "path, headers, last",
    [
        ("/", {}, ""),
        ("/", {"Last-Event-ID": "7"}, "7"),
        ("/", {"Last-Event-ID": ""}, ""),
        ("/?lastEventId=%C3%A9", {}, "é"),
        ("/?lastEventId=8", {"Last-Event-ID": "7"}, "7"),
    ],
)
def test_the_last_event_id_is_the_headers_or_the_querys(path, headers, last):
    assert EventSource(environ(path=path, **headers)).last_event_id == last


def test_a_last_event_id_of_a_browser_is_utf_8():
    request = {**environ(), "HTTP_LAST_EVENT_ID": "é€".encode().decode("latin-1")}
    assert EventSource(request).last_event_id == "é€"


def test_the_url_is_the_one_that_was_asked_for():
    assert EventSource(environ(path="/a?b=c")).url == "http://localhost/a?b=c"


# --- the answer -----------------------------------------------------------------------------------


def test_the_head_keeps_proxies_and_middlewares_from_buffering():
    answer = Answer(EventSource(environ(), headers={"Access-Control-Allow-Origin": "*"}))
    assert answer.status == "200 OK"
    assert answer.headers == {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-cache, no-store, no-transform",
        "X-Accel-Buffering": "no",
        "Content-Encoding": "identity",
        "Access-Control-Allow-Origin": "*",
    }
    answer.close()


def test_a_header_of_the_users_replaces_ours():
    answer = Answer(EventSource(environ(), headers=[("cache-control", "no-store")]))
    assert answer.headers["cache-control"] == "no-store"
    assert "Cache-Control" not in answer.headers
    answer.close()


def test_retry_comes_first_and_what_waits_with_it_in_one_block():
    es = EventSource(environ(), retry=2.5)
    assert es.send("early", id=1)
    answer = Answer(es)
    assert answer.pull() == b"retry: 2500\n\nid: 1\ndata: early\n\n"
    answer.close()


def test_without_retry_a_comment_opens_the_stream():
    answer = Answer(EventSource(environ(), retry=None))
    assert answer.pull() == b":\n\n"
    answer.close()


def test_events_of_another_thread_wake_the_server_and_are_joined():
    es = EventSource(environ(), ping=None)
    answer = Answer(es)
    answer.pull()

    def send() -> None:
        es.send("one")
        es.send(2, "note")
        es.close()

    sender = threading.Thread(target=send)
    sender.start()
    assert b"".join(answer.blocks) == b"data: one\n\nevent: note\ndata: 2\n\n"
    sender.join()
    assert es.closed
    assert not es.send("late")
    assert not es.ping()


def test_a_silent_stream_is_pinged():
    es = EventSource(environ(), ping=0.01)
    answer = Answer(es)
    answer.pull()
    assert answer.pull() == b":\n\n"
    assert es.ping()
    assert answer.pull() == b":\n\n"
    answer.close()


def test_what_is_no_text_is_refused_and_closes_nothing():
    es = EventSource(environ())
    for data in (None, {"a": 1}, b"x", True):
        with pytest.raises(TypeError, match="str, int or float"):
            es.send(data)
    with pytest.raises(ValueError, match="id of an event"):
        es.send("x", id="1\n2")
    assert es.send("x")
    Answer(es).close()


def test_one_event_too_many_ends_the_stream():
    es = EventSource(environ(), max_queue=100)
    heard = Heard(es, "close")
    answer = Answer(es)
    answer.pull()
    assert es.send("x" * 80)
    assert not es.send("x" * 80)
    assert list(answer.blocks) == []
    assert heard.wait(1) == [CloseEvent(1006, "", False, "queue full")]


def test_one_event_larger_than_the_queue_passes_alone():
    es = EventSource(environ(), max_queue=100)
    answer = Answer(es)
    answer.pull()
    assert es.send("x" * 200)
    assert len(answer.pull()) == 208
    answer.close()


def test_a_client_that_left_is_seen_when_the_server_closes_the_body():
    es = EventSource(environ())
    heard = Heard(es, "open", "close")
    answer = Answer(es)
    assert es.ready_state is ReadyState.CONNECTING
    answer.pull()
    assert es.ready_state is ReadyState.OPEN
    answer.close()
    assert es.ready_state is ReadyState.CLOSED
    assert heard.wait(2) == [OpenEvent(), CloseEvent(1006, "", False, "eof")]


def test_listeners_that_come_late_hear_of_the_end():
    es = EventSource(environ())
    answer = Answer(es)
    answer.pull()
    answer.close()
    assert Heard(es, "close").wait(1) == [CloseEvent(1006, "", False, "eof")]


def test_a_listener_that_raises_is_logged_and_told_as_an_error(caplog):
    es = EventSource(environ())
    heard = Heard(es, "error")

    @es.on("open")
    def fail(event: OpenEvent) -> None:
        raise LookupError("on purpose")

    answer = Answer(es)
    answer.pull()
    (told,) = heard.wait(1)
    assert isinstance(told.error, LookupError)
    assert "a listener of open raised LookupError('on purpose')" in caplog.text
    answer.close()


def test_there_are_four_kinds_of_events():
    with pytest.raises(ConfigurationError, match="open, drain, error, close"):
        EventSource(environ()).on("message", print)


@pytest.mark.parametrize("call", [lambda es: es.close(), lambda es: es.send("x" * 200)])
def test_a_stream_that_ended_before_the_call_is_answered_and_ends(call):
    es = EventSource(environ(), max_queue=100)
    call(es)
    answer = Answer(es)
    list(answer.blocks)
    answer.body.close()
    assert es.closed


def test_a_head_request_has_no_body_and_ends_the_stream():
    es = EventSource(environ("HEAD"))
    answer = Answer(es)
    assert b"".join(answer.blocks) == b""
    assert es.closed


def test_a_body_that_is_closed_before_it_began_ends_the_stream():
    closed = []

    def events() -> Iterator[str]:
        try:
            yield "never"
        finally:
            closed.append(True)

    es = EventSource.stream(environ(), events())
    Answer(es).body.close()
    assert es.closed
    # A generator that has not begun has no finally to run.
    assert closed == []


def test_one_that_is_never_answered_with_is_told_of(caplog):
    with caplog.at_level(logging.WARNING, "faye_sync"):
        EventSource(environ(path="/forgotten"))
        gc.collect()
    assert "on /forgotten was never answered with" in caplog.text


def test_a_test_client_of_werkzeug_gets_the_whole_stream():
    def application(request: dict, start_response: Any) -> Any:
        return EventSource.stream(request, ["one", "two"], retry=None)(request, start_response)

    answer = Client(application).get("/")
    assert answer.mimetype == "text/event-stream"
    assert answer.data == b":\n\ndata: one\n\ndata: two\n\n"


# --- stream() -------------------------------------------------------------------------------------


def blocks_of(*items: Any, **options: Any) -> bytes:
    es = EventSource.stream(environ(), items, retry=None, **options)
    answer = Answer(es)
    octets = b"".join(answer.blocks)
    answer.body.close()
    return octets.removeprefix(b":\n\n")


ITEMS = [
    pytest.param("text", b"data: text\n\n", id="str"),
    pytest.param(5, b"data: 5\n\n", id="int"),
    pytest.param(None, b":\n\n", id="ping"),
    pytest.param({"data": "a\nb", "event": "e", "id": 1}, b"event: e\nid: 1\ndata: a\ndata: b\n\n", id="dict"),
    pytest.param({"retry": 1}, b"retry: 1000\n\n", id="retry"),
    pytest.param(ServerSentEvent(data="x"), b"data: x\n\n", id="event"),
    pytest.param(ServerSentEvent("e", "x", "9", "8", 2.0), b"event: e\nid: 8\nretry: 2000\ndata: x\n\n", id="whole-event"),
]  # fmt: skip
both_ways = pytest.mark.parametrize("detach", [None, False], ids=["own-thread", "servers-thread"])


@both_ways
@pytest.mark.parametrize("item, octets", ITEMS)
def test_an_iterable_may_give_any_of_these(item, octets, detach):
    assert blocks_of(item, "end", detach=detach) == octets + b"data: end\n\n"


@both_ways
@pytest.mark.parametrize(
    "item, text",
    [({"date": "x"}, "'date'"), ([1], "list"), (b"x", "bytes"), ({"data": "x", "id": "\n"}, "id")],
    ids=repr,
)
def test_an_item_that_is_no_event_ends_the_stream_and_is_logged_once(item, text, detach, caplog):
    es = EventSource.stream(environ(), iter(["before", item, "after"]), detach=detach)
    heard = Heard(es, "error", "close")
    answer = Answer(es)
    assert b"".join(answer.blocks) == b"retry: 5000\n\ndata: before\n\n"
    answer.body.close()
    told, _ = heard.wait(2)
    assert isinstance(told, ErrorEvent)
    assert text in str(told.error)
    assert caplog.text.count("the iterable of the stream raised") == 1


@both_ways
def test_an_iterable_is_closed_when_the_client_has_left(detach):
    closed = threading.Event()

    def numbers() -> Iterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    answer = Answer(EventSource.stream(environ(), numbers(), detach=detach))
    for _ in range(3):
        answer.pull()
    answer.close()
    assert closed.wait(PATIENCE)


@both_ways
def test_an_iterable_waits_for_a_slow_client(detach):
    given = 0

    def blocks() -> Iterator[str]:
        nonlocal given
        for _ in range(100):
            given += 1
            yield "x" * 10_000

    answer = Answer(EventSource.stream(environ(), blocks(), detach=detach))
    octets = 0
    for block in answer.blocks:
        octets += len(block)
        # What has been pulled, a queue of 64 KiB, and one event more.
        assert given <= octets // 10_000 + 9
    assert given == 100
    answer.body.close()


def test_pings_go_out_while_an_iterable_blocks():
    go_on = threading.Event()

    def slow() -> Iterator[str]:
        go_on.wait(PATIENCE)
        yield "late"

    answer = Answer(EventSource.stream(environ(), slow(), ping=0.01))
    answer.pull()
    assert answer.pull() == b":\n\n"
    go_on.set()
    assert answer.pull().lstrip(b":\n") == b"data: late\n\n"
    answer.close()


def test_an_iterable_that_stays_runs_in_the_servers_thread():
    threads = set()

    def items() -> Iterator[str]:
        threads.add(threading.get_ident())
        yield "x"

    list(Answer(EventSource.stream(environ(), items(), detach=False)).blocks)
    assert threads == {threading.get_ident()}
