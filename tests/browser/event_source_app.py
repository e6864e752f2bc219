"""Streams for Chromium: /case/number, /payloads, /shared?headers=, /resume/name, /stop, and /asked/name."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import parse_qs

from faye_sync import EventSource
from tests.support.app import Page, json_page

CASES = json.loads(
    (Path(__file__).parents[1] / "vectors" / "eventsource_parsing.json").read_text("utf-8")
)["cases"]

PAYLOADS = {
    "empty": "",
    "one-lf": "\n",
    "only-line-ends": "\n\r\n\r\n\n",
    "trailing-lf": "text\n",
    "trailing-lfs": "text\n\n\n",
    "leading-lf": "\ntext",
    "leading-space": " text",
    "leading-spaces": "   text",
    "leading-tab": "\ttext",
    "trailing-space": "text ",
    "cr": "one\rtwo",
    "crlf": "one\r\ntwo",
    "lf-cr": "one\n\rtwo",
    "trailing-cr": "text\r",
    "nel": "one\x85two",
    "line-separator": "one\u2028two",
    "paragraph-separator": "one\u2029two",
    "vt-and-ff": "one\x0btwo\x0cthree",
    "fs-gs-rs": "one\x1ctwo\x1dthree\x1efour",
    "colon-first": ": no comment",
    "a-field": "id: 1\nevent: other\nretry: 1\ndata: x",
    "emoji": "👩‍👩‍👧‍👦 é e\u0301 \U0010ffff",
    "nul": "one\0two",
    "bom": "\ufefftext\ufeff",
    "json": '{"a": ["\\n", "\\u2028"]}',
    "very-long": "0123456789abcdef" * 2**16,
    "very-many-lines": "line\n" * 10000,
}

RETRY = 0.02
PER_STREAM = 7
ALL = 40

asked: defaultdict[str, list[str]] = defaultdict(list)
"""The last ids that a stream was asked for with, by its name."""


def of_case(environ: dict, number: str, query: dict[str, str]) -> EventSource:
    """The octets of a case as they are, and nothing before them."""
    es = EventSource(environ, ping=None)
    es._feed.outbox.clear()
    es._feed.offer(base64.b64decode(CASES[int(number)]["input_b64"]))
    es.close()
    return es


def of_payloads(environ: dict, _: str, query: dict[str, str]) -> EventSource:
    es = EventSource(environ, max_queue=2**24)
    for number, (name, data) in enumerate(PAYLOADS.items()):
        es.send(data, event=f"payload-{number}", id=f"é {name}")
    es.close()
    return es


def shared(environ: dict, _: str, query: dict[str, str]) -> EventSource:
    es = EventSource(environ, headers=json.loads(query["headers"]))
    es.send(environ.get("HTTP_COOKIE", "no cookie"))
    es.close()
    return es


def resumed(environ: dict, name: str, query: dict[str, str]) -> EventSource:
    """A few of ALL events each time, and then the connection is lost in the middle of one."""
    es = EventSource(environ, retry=RETRY)
    asked[name].append(es.last_event_id)
    seen = int(es.last_event_id or 0)
    for number in range(seen + 1, min(seen + PER_STREAM, ALL) + 1):
        es.send(number, id=number)
    if seen + PER_STREAM < ALL:
        es._feed.offer(f"id: {ALL + 1}\ndata: of which the blank line is lost\n".encode())
    es.close()
    return es


STREAMS: dict[str, Callable[[dict, str, dict[str, str]], EventSource]] = {
    "case": of_case,
    "payloads": of_payloads,
    "shared": shared,
    "resume": resumed,
}


def front_page() -> Page:
    """What a browser opens first, for its script has an origin by it."""
    return Page(b"<!doctype html><title>streams</title><link rel=icon href=data:,>", "text/html")


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    _, form, *rest = environ["PATH_INFO"].split("/")
    if not form:
        return front_page()(environ, start_response)
    if form == "asked":
        return json_page(asked[rest[0]])(environ, start_response)
    if form == "stop":
        asked[form].append("")
        start_response("204 No Content", [])
        return []
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    return STREAMS[form](environ, "".join(rest), query)(environ, start_response)
