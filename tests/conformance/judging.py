"""Runs of the suite against this library: who is judged, how, and what is kept of it.

Good is 244 OK and 3 INFORMATIONAL of the fast set, 54 OK of the limits and 216 OK of the deflate
set, every close clean, no traceback in a server's log, no complaint of a client's process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.conformance import autobahn
from tests.conformance.autobahn import PLANS, CaseResult

ROOT = Path(__file__).parents[2]

# The folder where `make conformance` wants what docs/conformance.rst tells; none in other runs.
RESULTS = "CONFORMANCE_RESULTS"

# An attached handler holds a thread, and that worker has four. A fifth case would wait for its 101
# until one of them ends, and the suite's own patience for a 101 is five seconds.
JOBS = {("gunicorn-gthread", "attached"): 4}


@dataclass(frozen=True)
class Peer:
    """Who is judged: a server by its name in SERVERS, or a client by what it runs on."""

    side: str
    name: str
    style: str

    def __str__(self) -> str:
        return f"{self.side}, {self.name}, {self.style}"


def servers(names: Sequence[str], styles: Sequence[str]) -> list[Peer]:
    return [Peer("server", name, style) for style in styles for name in names]


def clients(worlds: Sequence[str], styles: Sequence[str]) -> list[Peer]:
    return [Peer("client", world, style) for style in styles for world in worlds]


SERVERS = ("werkzeug", "gunicorn-gthread", "gevent")
SERVER_STYLES = ("callbacks", "start", "attached")
WORLDS = ("threads", "gevent")
CLIENT_STYLES = ("blocking", "callbacks")

# Who passes all 517 cases.
WHOLE = (Peer("server", "gunicorn-gthread", "start"), Peer("client", "threads", "blocking"))
ON_A_HUB = (Peer("server", "gevent", "callbacks"), Peer("client", "gevent", "callbacks"))

LIMITED = (*servers(SERVERS, SERVER_STYLES), *clients(WORLDS, CLIENT_STYLES))
ALSO = (Peer("server", "gunicorn-gevent", "start"), Peer("server", "gevent-unpatched", "attached"))

# Everything that `make conformance` keeps.
KEPT = {
    "fast": (*LIMITED, *ALSO),
    "limits": LIMITED,
    "deflate": WHOLE,
    "deflate-lite": ON_A_HUB,
}


class Judge:
    """Has the suite judge peers; started is the fixture of that name."""

    def __init__(self, started: Callable) -> None:
        self._started = started

    def side_by_side(
        self, peers: Sequence[Peer], cases: str, budget: float
    ) -> list[list[CaseResult]]:
        """Judge several at once: both cores are busy while most of a case is waiting.

        Args:
            peers: Who.
            cases: A set, or patterns, as autobahn.run() has it.
            budget: Seconds for all cases of a peer.

        Returns:
            The results of each.

        Raises:
            AssertionError: A case is bad; names the peer.
        """
        for peer in peers:
            # Here, because the fixture is for one thread.
            self._start(peer)
        with ThreadPoolExecutor(len(peers)) as pool:
            runs = [pool.submit(self._judge, peer, cases, budget) for peer in peers]
        return [run.result() for run in runs]

    def _start(self, peer: Peer) -> Any:
        return self._started(peer.name) if peer.side == "server" else None

    def _judge(self, peer: Peer, cases: str, budget: float) -> list[CaseResult]:
        begun = time.monotonic()
        if peer.side == "server":
            results = judge_server(self._start(peer), peer.style, cases, budget)
        else:
            results = judge_client(peer, cases, budget)
        keep(peer, cases, results, time.monotonic() - begun)
        print(f"{peer}, {cases}: {autobahn.summary(results)}")
        try:
            autobahn.assert_conformant(results)
        except AssertionError as error:
            raise AssertionError(f"{peer}: {error}") from None
        return results


def judge_server(server: Any, style: str, cases: str, budget: float) -> list[CaseResult]:
    before = len(server.log())
    jobs = JOBS.get((server.name, style)) if cases == "fast" else None
    options = "?extensions=deflate" if is_of_deflate(cases) else ""
    results = autobahn.run(server.ws(f"/{style}/echo{options}"), cases, budget=budget, jobs=jobs)
    log = server.log()[before:]
    assert "Traceback" not in log, log
    return results


def judge_client(peer: Peer, cases: str, budget: float) -> list[CaseResult]:
    lanes = PLANS[cases].jobs if cases in PLANS else 1
    extensions = "deflate" if is_of_deflate(cases) else "none"

    def play(url: str) -> None:
        command = [sys.executable, "-W", "error", "-m", "tests.conformance.echo_client"]
        done = subprocess.run(
            [*command, peer.name, peer.style, extensions, str(lanes), url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=budget,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), (done.returncode, done.stderr)

    return autobahn.run_clients(play, cases, budget=budget)


def is_of_deflate(cases: str) -> bool:
    """Whether a set, or patterns, are about compression: to others nothing is offered."""
    return cases.startswith(("deflate", "12.", "13."))


def assert_prompt(results: list[CaseResult]) -> None:
    """fuzzer.py waits longer than the suite's second for a close; most cases must not need it."""
    slow = median(result.duration for result in results)
    assert slow < 1.0, f"half of the cases took {slow} s or longer"


def outcomes(results: list[CaseResult]) -> list[tuple]:
    return [(one.case, one.behavior, one.behavior_close, one.remote_close_code) for one in results]


def keep(peer: Peer, cases: str, results: list[CaseResult], seconds: float) -> None:
    """Keep a run for the page, where somebody asks for that."""
    if RESULTS not in os.environ:
        return
    folder = Path(os.environ[RESULTS])
    folder.mkdir(parents=True, exist_ok=True)
    lines = [(one.case, one.behavior, one.behavior_close, one.duration) for one in results]
    text = json.dumps({"seconds": seconds, "results": lines})
    (folder / file_name(peer, cases)).write_text(text, encoding="utf-8")


def file_name(peer: Peer, cases: str) -> str:
    return f"{peer.side}-{peer.name}-{peer.style}-{cases}.json"
