"""examples/flask_events.py under gunicorn: what a client gets that comes again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

import pytest
import requests

from faye_sync.event_stream import parse_events
from faye_sync.events import ServerSentEvent
from tests.support.servers import Server, serve

APP = "examples.flask_events:app"
PATIENCE = 20.0  # seconds until what never comes is a failure


@pytest.fixture(scope="module", params=["gunicorn-gthread", "gunicorn-gevent"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with serve(request.param, APP, tmp_path_factory.mktemp("flask_events")) as server:
        yield server


def events(server: Server, size: int, last_event_id: str = "") -> list[ServerSentEvent]:
    """The first events of a stream, the machine's and so many samples."""
    with requests.get(
        f"http://127.0.0.1:{server.port}/load",
        headers={"Last-Event-ID": last_event_id} if last_event_id else {},
        stream=True,
        timeout=PATIENCE,
    ) as answer:
        return list(islice(parse_events(answer), 1 + size))


def numbers(samples: list[ServerSentEvent]) -> list[int]:
    return [int(sample.last_event_id.partition(".")[2]) for sample in samples]


def test_samples_are_numbered_and_measure_the_server(server):
    machine, *samples = events(server, 3)

    assert machine.type == "machine"
    assert json.loads(machine.data)["cores"] > 0
    first, *_ = numbers(samples)
    assert numbers(samples) == [first, first + 1, first + 2]
    time, load, cpu, memory = json.loads(samples[0].data)
    assert time > 1.7e9
    assert load >= 0
    assert cpu >= 0
    assert memory > 1


def test_who_comes_again_gets_what_is_behind_its_last_event_and_nothing_else(server):
    _, *before = events(server, 3)
    _, *after = events(server, 4, before[0].last_event_id)

    assert numbers(after)[0] == numbers(before)[0] + 1
    assert after[:2] == before[1:]


def test_who_has_nothing_of_this_run_gets_all_that_there_is(tmp_path):
    # A server of its own, which has not yet measured more than a newcomer gets.
    with serve("gunicorn-gthread", APP, tmp_path) as server:
        for last_event_id in ("", "0123abcd.7", "nonsense", "7", "." * 4000):
            _, *samples = events(server, 2, last_event_id)
            assert numbers(samples) == [1, 2]
