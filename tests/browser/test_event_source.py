"""Chromium's EventSource with this library's: the same events, over whatever server and origin."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from selenium import webdriver

from tests.browser.event_source_app import ALL, CASES, PAYLOADS, PER_STREAM
from tests.support.no_socket import SCRIPT, inheriting
from tests.support.servers import ROOT, Server, serve
from tests.test_readme import blocks, serve_from

pytestmark = pytest.mark.browser

APP = "tests.browser.event_source_app:application"
PATIENCE = 60.0  # seconds until what never comes is a failure

# Opens one stream after the other, each until it is dropped; called back with the events of each.
READ = """
const [urls, types, done] = arguments;
const streams = [];
function next() {
  if (streams.length === urls.length) return done(streams);
  const source = new EventSource(urls[streams.length]);
  const events = [];
  const take = ({ type, data, lastEventId }) => events.push([type, data, lastEventId]);
  for (const type of types) source.addEventListener(type, take);
  source.onerror = () => { source.close(); streams.push(events); next(); };
}
next();
"""

# Called back with the first event's data, or with the state after an error.
FIRST = """
const [url, withCredentials, done] = arguments;
const source = new EventSource(url, { withCredentials });
const end = (seen) => { source.close(); done(seen); };
source.onmessage = ({ data }) => end(data);
source.onerror = () => end(source.readyState);
"""

# Called back with what came, and how often the stream was opened, once all of it is there.
RESUME = """
const [url, all, done] = arguments;
const source = new EventSource(url);
const seen = { data: [], opened: 0, states: new Set() };
source.onopen = () => { seen.opened += 1; };
source.onerror = () => seen.states.add(source.readyState);
source.onmessage = ({ data }) => {
  seen.data.push(Number(data));
  if (Number(data) < all) return;
  source.close();
  done({ ...seen, states: [...seen.states] });
};
"""

# Behind the script of the documentation, which logs what comes.
PUBLISH = """
console.log = arguments[0];
news.onopen = () => fetch("/news", { method: "POST", body: "Grüße" });
"""

CONNECTING, CLOSED = 0, 2


def twisted(folder: Path) -> Server:
    """A server that hides the socket, so that it pulls."""
    return inheriting("twisted", lambda fd: [sys.executable, SCRIPT, "twisted", APP, str(fd)])(
        folder
    )


START: dict[str, Callable[[Path], Server]] = {
    "werkzeug": lambda folder: serve("werkzeug", APP, folder),
    "gunicorn-gevent": lambda folder: serve("gunicorn-gevent", APP, folder),
    "twisted": twisted,
}


@pytest.fixture(scope="module", params=START)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with START[request.param](tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another origin: the same host at another port."""
    with serve("werkzeug", APP, tmp_path_factory.mktemp("elsewhere")) as server:
        yield server


@pytest.fixture
def page(chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """A tab that is closed with the test."""
    chromium.switch_to.new_window("tab")
    chromium.set_script_timeout(PATIENCE)
    yield chromium
    chromium.close()
    chromium.switch_to.window(chromium.window_handles[0])


def origin(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_every_case_of_the_standard_gives_chromium_the_events_of_the_vectors(page, server):
    page.get(origin(server))
    types = sorted({event["type"] for case in CASES for event in case["events"]})
    urls = [f"/case/{number}" for number in range(len(CASES))]

    seen = page.execute_async_script(READ, urls, types)

    names = [case["name"] for case in CASES]
    expected = [
        [[event[key] for key in ("type", "data", "last_event_id")] for event in case["events"]]
        for case in CASES
    ]
    assert dict(zip(names, seen, strict=True)) == dict(zip(names, expected, strict=True))


def test_every_awkward_payload_comes_out_of_chromium_as_it_was_sent(page, server):
    page.get(origin(server))
    types = [f"payload-{number}" for number in range(len(PAYLOADS))]

    (seen,) = page.execute_async_script(READ, ["/payloads"], types)

    came = {id.removeprefix("é "): (type, data) for type, data, id in seen}
    for number, (name, data) in enumerate(PAYLOADS.items()):
        kind, text = came[name]
        # Not in one comparison: pytest would take minutes to show a difference of megabytes.
        assert kind == f"payload-{number}"
        assert text == re.sub("\r\n|\r", "\n", data), name
    assert len(seen) == len(PAYLOADS) >= 25


def test_a_stream_lost_again_and_again_is_resumed_with_nothing_missing_and_nothing_twice(
    page, server
):
    page.get(origin(server))

    seen = page.execute_async_script(RESUME, "/resume/lossy", ALL)

    came_with = ["", *(str(number) for number in range(PER_STREAM, ALL, PER_STREAM))]
    assert seen == {
        "data": list(range(1, ALL + 1)),
        "opened": len(came_with),
        "states": [CONNECTING],
    }
    assert server.ask("/asked/lossy") == came_with


def test_chromium_stays_away_after_a_204(page, server):
    page.get(origin(server))

    assert page.execute_async_script(FIRST, "/stop", False) == CLOSED
    assert server.ask("/asked/stop") == [""]


def test_the_script_of_the_documentation_gets_what_its_program_sends(page, tmp_path):
    text = (ROOT / "docs" / "eventsource.rst").read_text(encoding="utf-8")
    (script,) = blocks(text, "javascript")
    program = next(block for block in blocks(text) if "def publish" in block)
    (tmp_path / "news.py").write_text(program, encoding="utf-8")
    with serve_from(tmp_path, "werkzeug", "news:app") as server:
        page.get(origin(server))

        assert page.execute_async_script(script + PUBLISH) == "Grüße"


# --- pages of another origin ------------------------------------------------------------------------

ALLOWED = "Access-Control-Allow-Origin"
COOKIES = {"Access-Control-Allow-Credentials": "true"}
HERE = "the page's own origin"

SHARING = {
    "nothing-is-allowed": ({}, False, CLOSED),
    "all-are-allowed": ({ALLOWED: "*"}, False, "no cookie"),
    "this-origin-is-allowed": ({ALLOWED: HERE}, False, "no cookie"),
    "another-origin-is-allowed": ({ALLOWED: "http://example.com"}, False, CLOSED),
    "credentials-are-allowed": ({ALLOWED: HERE, **COOKIES}, True, "who=ada"),
    "credentials-are-not-allowed": ({ALLOWED: HERE}, True, CLOSED),
    "all-are-allowed-but-not-with-credentials": ({ALLOWED: "*", **COOKIES}, True, CLOSED),
}


@pytest.mark.parametrize("headers, with_credentials, seen", SHARING.values(), ids=list(SHARING))
def test_a_page_of_another_origin_reads_what_the_headers_allow(
    page, server, elsewhere, headers, with_credentials, seen
):
    page.get(origin(elsewhere))
    page.add_cookie({"name": "who", "value": "ada"})
    given = {name: origin(elsewhere) if value is HERE else value for name, value in headers.items()}
    url = f"{origin(server)}/shared?{urlencode({'headers': json.dumps(given)})}"

    assert page.execute_async_script(FIRST, url, with_credentials) == seen
