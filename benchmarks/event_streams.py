"""What reading an event stream from a server costs a client, beside the packages that do it.

    python benchmarks/event_streams.py [--rounds 7] [--events 20000]

A server of a few lines sends the same events, steps of a language model's
answer with an id, either one in each chunk, or in 64 KiB pieces of a body that
ends with the connection. Each client runs in this process, one after the other
in turns; what counts is this process's CPU time from request to last event. The
server is another process, and fast enough to be waited for by none."""

# ruff: noqa: D103, INP001, PLC0415, S101, S603, T201

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from statistics import median

CHUNK = 65536


def event(number: int) -> bytes:
    """One step of a language model's answer, with an id to resume after."""
    choice = {"index": 0, "delta": {"content": f" word{number}"}, "finish_reason": None}
    record = {"id": "chatcmpl-8d2f", "object": "chat.completion.chunk", "choices": [choice]}
    return f"id: {number}\ndata: {json.dumps(record)}\n\n".encode()


# --- the server, a process of its own -----------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def chunked(events: list[bytes]) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in events)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def until_close(events: list[bytes]) -> bytes:
    return HEAD + b"Connection: close\r\n\r\n" + b"".join(events)


FRAMINGS = {"chunked": chunked, "until close": until_close}


def serve(listener: socket.socket, count: int) -> None:
    """Answer /0 and /1 with the framings, in their order, until it is killed."""
    events = [event(number) for number in range(count)]
    answers = [frame(events) for frame in FRAMINGS.values()]
    while True:
        connection, _ = listener.accept()
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(CHUNK)
            connection.sendall(answers[int(request.split(b" ")[1][1:])])


@contextmanager
def serving(count: int) -> Iterator[int]:
    """Start the server on a socket that it inherits; its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()
        command = [sys.executable, __file__, "--serve", str(fd), "--events", str(count)]
        process = subprocess.Popen(command, pass_fds=[fd])
    try:
        yield port
    finally:
        process.kill()
        process.wait()


# --- the clients: each counts the events of a URL -----------------------------------------------------


def ours(url: str, count: int) -> int:
    from faye_sync import EventSourceClient

    with EventSourceClient(url, reconnect=False) as events:
        return sum(1 for _ in islice(events, count))


def ours_with_requests(url: str, count: int) -> int:
    import requests

    from faye_sync import parse_events

    with requests.get(url, stream=True, timeout=60) as answer:
        return sum(1 for _ in islice(parse_events(answer), count))


def launchdarkly(url: str, count: int) -> int:
    from ld_eventsource import SSEClient

    client = SSEClient(url)
    try:
        return sum(1 for _ in islice(client.events, count))
    finally:
        client.close()


def sseclient_py(url: str, count: int) -> int:
    import requests
    import sseclient

    with requests.get(url, stream=True, timeout=60) as answer:
        return sum(1 for _ in islice(sseclient.SSEClient(answer).events(), count))


def requests_sse(url: str, count: int) -> int:
    from requests_sse import EventSource

    with EventSource(url, timeout=60) as source:
        return sum(1 for _ in islice(source, count))


def httpx_sse(url: str, count: int) -> int:
    import httpx
    from httpx_sse import connect_sse

    with httpx.Client(timeout=60) as client, connect_sse(client, "GET", url) as source:
        return sum(1 for _ in islice(source.iter_sse(), count))


CLIENTS: dict[str, Callable[[str, int], int]] = {
    "faye_sync": ours,
    "faye_sync's parse_events, requests": ours_with_requests,
    "launchdarkly-eventsource": launchdarkly,
    "sseclient-py, requests": sseclient_py,
    "requests-sse": requests_sse,
    "httpx-sse": httpx_sse,
}
PACKAGES = ("requests", "urllib3", "launchdarkly-eventsource", "sseclient-py", "requests-sse")


# --- measuring ----------------------------------------------------------------------------------------


def seconds(read: Callable[[str, int], int], url: str, count: int) -> float:
    begun = time.process_time()
    got = read(url, count)
    took = time.process_time() - begun
    assert got == count, (read, got)
    return took


def machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    versions = ", ".join(f"{name} {version(name)}" for name in (*PACKAGES, "httpx-sse"))
    cpu = f"{os.cpu_count()} x {model[1] if model else platform.machine()}"
    return f"{cpu}; Python {platform.python_version()}, {versions}"


def main() -> None:
    """Print a table of events per CPU second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of each client")
    parser.add_argument("--events", type=int, default=20_000, help="of each stream")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve is not None:
        serve(socket.socket(fileno=asked.serve), asked.events)
        return
    with serving(asked.events) as port:
        print(f"{'framing':13}{'client':36}{'events/s':>10}{'spread':>8}{'ours is':>9}")
        for place, framing in enumerate(FRAMINGS):
            url = f"http://127.0.0.1:{port}/{place}"
            took: dict[str, list[float]] = {name: [] for name in CLIENTS}
            for _ in range(asked.rounds + 1):
                for name, read in CLIENTS.items():
                    took[name].append(seconds(read, url, asked.events))
            base = median(took["faye_sync"][1:])
            for name, (_, *each) in took.items():
                middle = median(each)
                spread = (max(each) - min(each)) / middle
                rate = f"{asked.events / middle / 1000:,.0f}k"
                row = f"{framing:13}{name:36}{rate:>10}{spread:>8.0%}"
                print(f"{row}{middle / base:8.2f}x")
    print(f"Events per second of the client's CPU; the median of {asked.rounds} rounds, taken in")
    print(f"turns, of {asked.events} events, the first left out. {machine()}")


if __name__ == "__main__":
    main()
