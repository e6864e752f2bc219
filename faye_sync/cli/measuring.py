"""faye-sync bench: how long echoes take, on many connections at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from faye_sync.cli.terminal import err, out
from faye_sync.client import Client
from faye_sync.errors import ConnectionClosed

BAR = 40  # columns
TICK = 0.1  # seconds between two looks at the progress


@dataclass
class Tally:
    """What came of all connections: list.append() is safe from any thread."""

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def measure(make: Callable[[], Client], connections: int, seconds: float, size: int) -> bool:
    """Send messages to and fro on each connection, and print how long they took.

    Args:
        make: Makes a client.
        connections: How many at once.
        seconds: For how long.
        size: Octets of a message.

    Returns:
        False where a connection failed, or nothing came back.
    """
    tally, message = Tally(), "x" * size
    with ExitStack() as stack:
        clients = [stack.enter_context(make()) for _ in range(connections)]
        end = time.monotonic() + seconds
        for client in clients:
            client.start(lambda ws: _go_round(ws, message, end, tally))
        _watch(clients, tally, seconds)
    _report(tally, connections, seconds, size)
    return bool(tally.latencies) and not tally.failures


def _go_round(client: Client, message: str, end: float, tally: Tally) -> None:
    try:
        while (began := time.monotonic()) < end:
            client.send(message)
            client.receive(max(1.0, end - began))
            tally.latencies.append(time.monotonic() - began)
    except (ConnectionClosed, TimeoutError) as error:
        tally.failures.append(str(error))


def _watch(clients: list[Client], tally: Tally, seconds: float) -> None:
    columns = (BarColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    began = time.monotonic()
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("", total=seconds, rate="")
        for client in clients:
            while not client.join(TICK):
                passed = time.monotonic() - began
                rate = f"{len(tally.latencies) / passed:,.0f} messages/s"
                progress.update(task, completed=min(passed, seconds), rate=rate)


def _report(tally: Tally, connections: int, seconds: float, size: int) -> None:
    found = sorted(tally.latencies)
    rate = len(found) / seconds
    out.print(f"{len(found):,} messages of {size} octets on {connections} connections in", end="")
    out.print(f" {seconds:g} s: {rate:,.0f} a second")
    if found:
        shares = {"median": median(found), "90 %": found[int(0.9 * (len(found) - 1))]}
        shares |= {"99 %": found[int(0.99 * (len(found) - 1))], "most": found[-1]}
        out.print("  ".join(f"{name} {_told(value)}" for name, value in shares.items()))
        for line in histogram(found):
            out.print(line, markup=False)
    for failure in sorted(set(tally.failures)):
        count = tally.failures.count(failure)
        err.print(f"{count} connections: {failure}", style="red", markup=False)


def histogram(seconds: list[float]) -> list[str]:
    """Draw how often what was taken: a line for each doubling, from the least to the most."""
    upper = 2 * min(seconds)
    rows: list[tuple[float, int]] = []
    while not rows or rows[-1][0] <= max(seconds):
        rows.append((upper, sum(upper / 2 <= each < upper for each in seconds)))
        upper *= 2
    most = max(count for _, count in rows)
    return [
        f"under {_told(upper):>9} {count:>9,} {'#' * -(-BAR * count // most)}"
        for upper, count in rows
    ]


def _told(seconds: float) -> str:
    return f"{1e6 * seconds:.0f} us" if seconds < 1e-3 else f"{1e3 * seconds:.3g} ms"
