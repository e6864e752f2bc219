"""What the servers' tests of EventSource serve: /streams/form/name?option=value, and questions.

Forms: push, a stream that /send/name feeds; count, an iterable of so many numbers; endless, one
that never ends; quiet, one that gives an item and then waits for /release/name; failing. The name
is the test's own word for the stream; /end/name waits for its end and tells its cause."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from faye_sync import EventSource
from tests.support.app import Page, json_page, number
from tests.support.ledger import Ledger
from tests.support.parallel import Event

OPTIONS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("ping", "retry", "send_timeout", "max_queue"), number),
    "detach": lambda text: text == "true",
    "headers": json.loads,
}

streams: dict[str, EventSource] = {}
ends = Ledger()
closings = Ledger()
gates: dict[str, Event] = {}
given: dict[str, int] = {}


def count(name: str, size: int) -> Iterator[Any]:
    try:
        yield from ({"data": index, "id": index} for index in range(size))
    finally:
        closings.put(name, "closed")


def endless(name: str) -> Iterator[Any]:
    try:
        for number in itertools.count():
            given[name] = number
            yield number
    finally:
        closings.put(name, "closed")


def quiet(name: str) -> Iterator[Any]:
    gates[name] = Event()
    try:
        yield "before"
        gates[name].wait(60.0)
        yield "after"
    finally:
        closings.put(name, "closed")


def failing(name: str) -> Iterator[Any]:
    yield "before"
    raise ValueError(f"{name} failed on purpose")


FORMS: dict[str, Callable[..., Iterator[Any]]] = {
    "endless": endless,
    "quiet": quiet,
    "failing": failing,
}


def respond(environ: dict) -> EventSource | Page:
    _, _, form, name = environ["PATH_INFO"].split("/", 3)
    query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    if form in QUESTIONS:
        return json_page(QUESTIONS[form](name, query))
    size = int(query.pop("size", "0"))
    options = {key: OPTIONS[key](text) for key, text in query.items() if key in OPTIONS}
    if form == "push":
        es = EventSource(environ, **options)
    elif form == "count":
        es = EventSource.stream(environ, count(name, size), **options)
    else:
        es = EventSource.stream(environ, FORMS[form](name), **options)
    streams[name] = es
    es.on("close", lambda event: ends.put(name, event.cause))
    if form == "push":
        es.send("welcome", id=es.last_event_id or None)
    return es


def send(name: str, query: dict[str, str]) -> bool:
    size = int(query.pop("size", "0"))
    return streams[name].send("x" * size if size else query["data"], query.get("event"))


def broadcast(name: str, query: dict[str, str]) -> int:
    """Send to all streams whose names begin with one."""
    chosen = [es for each, es in streams.items() if each.startswith(f"{name}-")]
    return sum(es.send(query["data"]) for es in chosen)


def release(name: str, query: dict[str, str]) -> bool:
    gates[name].set()
    return True


QUESTIONS: dict[str, Callable[[str, dict[str, str]], Any]] = {
    "send": send,
    "broadcast": broadcast,
    "release": release,
    "given": lambda name, query: given.get(name),
    "close": lambda name, query: streams[name].close(),
    "end": lambda name, query: ends.get(name),
    "closing": lambda name, query: closings.get(name),
    "state": lambda name, query: streams[name].ready_state,
}


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    return respond(environ)(environ, start_response)
