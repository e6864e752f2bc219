"""What parsing text/event-stream costs, beside the packages that do it.

    python benchmarks/event_parsing.py [--rounds 9] [--events 20000]

Each parser gets the same chunks, of 64 KiB or of one event, and its events are
counted. The parsers take turns in one process, a round each; what counts is the
process's CPU time. sseclient and requests-sse parse nothing but answers of their
own; benchmarks/event_streams.py has the latter."""

# ruff: noqa: D103, INP001, S101, T201

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from faye_sync import parse_events

CHUNK = 65536


# --- the streams ------------------------------------------------------------------------------------


def tiny(number: int) -> bytes:
    return b"data: %d\n\n" % number


def token(number: int) -> bytes:
    """One step of a language model's answer."""
    choice = {"index": 0, "delta": {"content": f" word{number}"}, "finish_reason": None}
    record = {"id": "chatcmpl-8d2f", "object": "chat.completion.chunk", "choices": [choice]}
    return f"data: {json.dumps(record)}\n\n".encode()


def named(number: int) -> bytes:
    return b'event: update\nid: %d\ndata: {"symbol": "XYZ", "price": %d}\n\n' % (number, number)


def lines(number: int) -> bytes:
    return b"event: log\r\nid: %d\r\ndata: one\r\ndata: two\r\ndata: three\r\n\r\n" % number


STREAMS: dict[str, Callable[[int], bytes]] = {
    "tiny": tiny,
    "language model": token,
    "event, id, data": named,
    "five lines, CRLF": lines,
}


def whole(events: Sequence[bytes]) -> list[bytes]:
    octets = b"".join(events)
    return [octets[start : start + CHUNK] for start in range(0, len(octets), CHUNK)]


CUTS: dict[str, Callable[[Sequence[bytes]], Sequence[bytes]]] = {
    "64 KiB": whole,
    "one event": lambda events: events,
}


# --- the parsers ------------------------------------------------------------------------------------


def ours(chunks: Iterable[bytes]) -> Iterator[object]:
    return parse_events(chunks)


def launchdarkly(chunks: Iterable[bytes]) -> Iterator[object]:
    from ld_eventsource.reader import _BufferedLineReader, _SSEReader  # noqa: PLC0415

    return _SSEReader(_BufferedLineReader.lines_from(chunks)).events_and_comments()


def httpx_sse(chunks: Iterable[bytes]) -> Iterator[object]:
    from codecs import getincrementaldecoder  # noqa: PLC0415

    from httpx_sse._decoders import SSEDecoder, SSELineDecoder  # noqa: PLC0415

    # As its iter_sse() does it, behind httpx's iter_text().
    decode = getincrementaldecoder("utf-8")("replace").decode
    by_line, by_event = SSELineDecoder(), SSEDecoder()
    for chunk in chunks:
        for line in by_line.decode(decode(chunk)):
            event = by_event.decode(line.rstrip("\n"))
            if event is not None:
                yield event


def sseclient_py(chunks: Iterable[bytes]) -> Iterator[object]:
    import sseclient  # noqa: PLC0415

    return sseclient.SSEClient(chunks).events()


PARSERS: dict[str, Callable[[Iterable[bytes]], Iterator[object]]] = {
    "faye_sync": ours,
    "launchdarkly-eventsource": launchdarkly,
    "httpx-sse": httpx_sse,
    "sseclient-py": sseclient_py,
}


# --- measuring --------------------------------------------------------------------------------------


def seconds(parse: Callable[[Iterable[bytes]], Iterator[object]], chunks: Sequence[bytes]) -> float:
    begun = time.process_time()
    count = sum(1 for _ in parse(chunks))
    took = time.process_time() - begun
    assert count > 0
    return took


def compare(chunks: Sequence[bytes], rounds: int) -> dict[str, list[float]]:
    """Let the parsers take turns; the seconds of each round, the first one left out."""
    took: dict[str, list[float]] = {name: [] for name in PARSERS}
    for _ in range(rounds + 1):
        for name, parse in PARSERS.items():
            took[name].append(seconds(parse, chunks))
    return {name: each[1:] for name, each in took.items()}


def machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    versions = ", ".join(f"{name} {version(name)}" for name in PARSERS if name != "faye_sync")
    cpu = f"{os.cpu_count()} x {model[1] if model else platform.machine()}"
    return f"{cpu}; Python {platform.python_version()}, {versions}"


def main() -> None:
    """Print a table of events per CPU second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="of each parser")
    parser.add_argument("--events", type=int, default=20_000, help="of each stream")
    asked = parser.parse_args()
    print(f"{'stream':18}{'chunks':11}{'parser':26}{'events/s':>10}{'spread':>8}{'ours is':>9}")
    for title, make in STREAMS.items():
        events = [make(number) for number in range(asked.events)]
        for how, cut in CUTS.items():
            took = compare(cut(events), asked.rounds)
            base = median(took["faye_sync"])
            for name, each in took.items():
                middle = median(each)
                spread = (max(each) - min(each)) / middle
                rate = f"{asked.events / middle / 1000:,.0f}k"
                row = f"{title:18}{how:11}{name:26}{rate:>10}{spread:>8.0%}"
                print(f"{row}{middle / base:8.2f}x")
    print(f"Events per second of CPU; the median of {asked.rounds} rounds, taken in turns, of")
    print(f"{asked.events} events. {machine()}")


if __name__ == "__main__":
    main()
