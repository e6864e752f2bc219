"""How long an event takes to arrive, a client's leaving to be seen, and a blocked client to close.

    python benchmarks/event_latency.py [--rounds 30]

gunicorn (one gthread worker of 2 threads) serves the streams, directly and
behind nginx with a proxy_pass and nothing else. All ends run on one machine,
whose clock they share. Beside ours is the stream that one writes by hand, a
Flask generator, which takes what nginx makes of it. nginx has to be installed."""

# ruff: noqa: D103, INP001, S101, T201

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import requests
from flask import Flask, Response, request
from urllib3.exceptions import HTTPError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faye_sync import EventSource, EventSourceClient
from tests.support.nginx import serve_nginx
from tests.support.servers import Server, serve

PAUSE = 0.02  # seconds between two events of a stream
PATIENCE = 30.0


# --- what gunicorn serves -----------------------------------------------------------------------------

app = Flask(__name__)
left: dict[str, float] = {}
has_left = threading.Condition()


def ticks(count: int) -> Iterator[str]:
    """The time, every now and then."""
    timer = threading.Event()
    for _ in range(count):
        timer.wait(PAUSE)
        yield repr(time.monotonic())


@app.get("/ticks/<int:count>")
def ticking(count: int) -> Any:
    return EventSource.stream(request, ticks(count))


@app.get("/by-hand/<int:count>")
def by_hand(count: int) -> Any:
    return Response((f"data: {tick}\n\n" for tick in ticks(count)), mimetype="text/event-stream")


@app.get("/silent/<name>")
def silent(name: str) -> Any:
    """A stream on which nothing happens, and which pings once in a minute."""
    es = EventSource(request, ping=60.0)

    @es.on("close")
    def note(_: Any) -> None:
        with has_left:
            left[name] = time.monotonic()
            has_left.notify_all()

    return es


@app.get("/left/<name>")
def when(name: str) -> Any:
    with has_left:
        assert has_left.wait_for(lambda: name in left, PATIENCE)
        return repr(left[name])


# --- measuring ----------------------------------------------------------------------------------------


def delivery(url: str, count: int) -> float:
    """The median of seconds from the server's sending to the client's having an event."""
    with EventSourceClient(f"{url}/{count}", reconnect=False) as events:
        late = [time.monotonic() - float(event.data) for event in events]
    assert len(late) == count
    return median(late)


def waiting(server: Server, name: str) -> EventSourceClient:
    """A client whose reading thread waits for an event of a silent stream."""
    events = EventSourceClient(f"http://127.0.0.1:{server.port}/silent/{name}")
    opened = threading.Event()
    events.on("open", lambda _: opened.set())
    events.start()
    assert opened.wait(PATIENCE)
    return events


def leaving(server: Server, name: str) -> float:
    """Seconds from the client's closing of a silent stream to the server's close event."""
    events = waiting(server, name)
    begun = time.monotonic()
    events.close()
    return float(server.get(f"/left/{name}").text) - begun


def closing(server: Server) -> float:
    """Seconds from close() to the end of the reading thread, which waits for an event."""
    events = waiting(server, "closing")
    begun = time.monotonic()
    events.close()
    assert events.join(PATIENCE)
    return time.monotonic() - begun


def closing_of_requests(server: Server) -> float:
    """The same of a response of requests, which closes when its reader's time-out is over."""
    url = f"http://127.0.0.1:{server.port}/silent/requests"
    answer = requests.get(url, stream=True, timeout=(PATIENCE, 2.0))
    answer.raw.read1(65536)

    def read() -> None:
        try:
            answer.raw.read1(65536)
        except (HTTPError, AttributeError):
            # What it is told by then depends on who of the two came first.
            return

    reader = threading.Thread(target=read)
    reader.start()
    begun = time.monotonic()
    answer.close()
    reader.join(PATIENCE)
    return time.monotonic() - begun


def show(title: str, measure: Callable[[], float], rounds: int) -> None:
    seconds = [measure() for _ in range(rounds)]
    print(f"{title:60}{median(seconds) * 1000:10.2f}{max(seconds) * 1000:10.2f}")


def main() -> None:
    """Print medians and the longest, in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="of each measurement")
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as folder, ExitStack() as stack:
        here = Path(folder)
        server = serve("gunicorn-gthread-2", "benchmarks.event_latency:app", here)
        stack.callback(server.stop)
        proxy = serve_nginx(server, here, directives="")
        stack.callback(proxy.plain.stop)
        print(f"{'milliseconds':60}{'median':>10}{'longest':>10}")
        for where, port in (("gunicorn", server.port), ("nginx", proxy.plain.port)):
            for what, path in (("EventSource", "ticks"), ("a generator by hand", "by-hand")):
                url = f"http://127.0.0.1:{port}/{path}"
                show(
                    f"delivery through {where}: {what}",
                    lambda url=url: delivery(url, 10),  # type: ignore[misc]  # bound at once
                    max(1, rounds // 10),
                )
        names = iter(range(rounds))
        show(
            "the server sees the client of a silent stream leave",
            lambda: leaving(server, str(next(names))),
            rounds,
        )
        show("close() of a client that waits", lambda: closing(server), rounds)
        show("the same of requests, with a time-out of 2 s", lambda: closing_of_requests(server), 3)
    print(
        f"The median of {rounds} rounds; of the first four, of {max(1, rounds // 10)} of 10 events."
    )


if __name__ == "__main__":
    main()
