"""Echo every case of the suite's server, in a process of its own.

Usage: python -m tests.conformance.echo_client threads|gevent blocking|callbacks none|deflate LANES URL

Cases run in so many lanes at once. Under gevent the standard library is patched, and a lane is a
greenlet. Fails where a thread of a connection outlives it."""

from __future__ import annotations

import sys

if sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Empty, SimpleQueue

from faye_sync import Client, ConnectionClosed, PerMessageDeflate
from tests.support.endings import connection_threads

AGENT = "faye_sync"
PATIENCE = 180.0  # seconds for one case

Extensions = Sequence[type[PerMessageDeflate]]

EXTENSIONS: dict[str, Extensions] = {"none": (), "deflate": (PerMessageDeflate,)}


def blocking(url: str, extensions: Extensions) -> None:
    try:
        with Client(url, extensions=extensions) as ws:
            for message in ws:
                ws.send(message)
    except ConnectionClosed:
        # Most cases end so; the suite is who judges.
        return


def callbacks(url: str, extensions: Extensions) -> None:
    ws = Client(url, extensions=extensions)
    ws.on("message", lambda event: ws.send(event.data))
    assert ws.start().join(PATIENCE), f"{url} did not end"


STYLES = {"blocking": blocking, "callbacks": callbacks}


def count_cases(url: str) -> int:
    with Client(f"{url}/getCaseCount") as ws:
        return int(ws.receive(PATIENCE))


def taken_from(cases: SimpleQueue[int]) -> Iterator[int]:
    try:
        while True:
            yield cases.get_nowait()
    except Empty:
        return


def echo_all(url: str, echo: Callable[[str], None], lanes: int) -> int:
    """Run every case; returns how many lanes ended early, with their tracebacks told."""
    cases: SimpleQueue[int] = SimpleQueue()
    for number in range(1, count_cases(url) + 1):
        cases.put(number)
    ended = []

    def run() -> None:
        for number in taken_from(cases):
            echo(f"{url}/runCase?case={number}&agent={AGENT}")
        ended.append(True)

    threads = [threading.Thread(target=run, name=f"lane {lane}") for lane in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return lanes - len(ended)


def main() -> int:
    _, _, style, extensions, lanes, url = sys.argv
    echo = partial(STYLES[style], extensions=EXTENSIONS[extensions])
    failed = echo_all(url, echo, int(lanes))
    for thread in connection_threads():
        thread.join(PATIENCE)
    left = [thread.name for thread in connection_threads()]
    if left:
        print(f"left: {left}", file=sys.stderr)
    return failed + len(left)


if __name__ == "__main__":
    sys.exit(main())
