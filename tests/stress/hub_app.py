"""An application with a ticker on its hub: /gap tells the longest time that nothing else ran.

What other processes took of the CPU is not counted, so the figure holds on a busy machine."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from faye_sync import WebSocket
from tests.support.app import application as ordinary

if "eventlet" in sys.modules:
    from tests.support.under_eventlet import sleep, spawn
else:
    from tests.support.under_gevent import sleep, spawn

TICK = 0.005  # seconds
LATE = 0.2  # seconds
FLOOD = 8 * 2**20  # octets of a message that no socket buffer holds


class Ticker:
    """Wakes every TICK seconds, and remembers how late it was at worst."""

    def __init__(self) -> None:
        self._schedule = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._longest = 0.0
        self._ticks = 0
        spawn(self._run)

    def take(self) -> dict:
        """Return the figures since the last call."""
        figures = {"longest": self._longest, "ticks": self._ticks}
        self._longest = 0.0
        self._ticks = 0
        return figures

    def _run(self) -> None:
        last, last_waited = time.monotonic(), self._waited_for_cpu()
        while True:
            # Shows in the log what the hub is at, should it not come back in time.
            faulthandler.dump_traceback_later(LATE)
            sleep(TICK)
            now, waited = time.monotonic(), self._waited_for_cpu()
            self._longest = max(self._longest, now - last - TICK - (waited - last_waited))
            self._ticks += 1
            last, last_waited = now, waited

    def _waited_for_cpu(self) -> float:
        """Seconds that this thread could have run, but other processes did."""
        try:
            return int(self._schedule.read_text().split()[1]) / 1e9
        except FileNotFoundError:
            # A kernel without these figures: all lateness counts.
            return 0.0


tickers: list[Ticker] = []


def gap() -> dict:
    if not tickers:
        tickers.append(Ticker())
    return tickers[0].take()


def blast(ws: WebSocket) -> None:
    """Send more than the kernel takes."""
    ws.send(bytes(FLOOD))


def be_absent(ws: WebSocket) -> None:
    """Receive once, then be busy elsewhere while the peer goes on."""
    ws.send(ws.receive())
    ws.wait_closed()


TALKS: dict[str, Callable[[WebSocket], None]] = {"/blast": blast, "/absent": be_absent}


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/gap":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({**gap(), "pid": os.getpid()}).encode()]
    if path in TALKS:
        ws = WebSocket(environ)
        return ws.start(TALKS[path])(environ, start_response)
    return ordinary(environ, start_response)
