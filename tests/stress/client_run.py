"""The clients of the stress: a process of its own, on threads or, patched before, on a hub.

    python -m tests.stress.client_run SEED SECONDS RAW_PORT LIBRARY_PORT

Plays epochs of many clients, compares after each what both ends saw, and prints JSON: figures and
faults. What does not end is a fault, with all stacks on stderr."""

from __future__ import annotations

import faulthandler
import gc
import http.client
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from faye_sync import Client
from faye_sync.link import Link
from faye_sync.outage import Outage
from tests.stress.client_plan import client_plan_of
from tests.stress.client_session import PATIENCE, ClientSession
from tests.stress.client_verdict import faults_of

CLIENTS = int(os.environ.get("STRESS_CLIENTS", "8"))  # at once, in each epoch
SETTLING = 15.0  # seconds until the last thread and descriptor of an epoch have to be gone
LONGEST_EPOCH = 100.0  # seconds; PATIENCE some times over

# Switch threads ten times as often as usual: more orders of things in the same time.
sys.setswitchinterval(0.0005)


class ClientRun:
    """Epochs of many clients, and what came of them."""

    def __init__(self, seed: str, raw: int, library: int) -> None:
        self._seed = seed
        # Bound, so that nobody else gets its port, but nobody listens.
        self._refusing = socket.socket()
        self._refusing.bind(("127.0.0.1", 0))
        self._ports = {
            "raw": raw,
            "library": library,
            "refused": self._refusing.getsockname()[1],
        }
        self._epochs = 0
        self._figures: Counter[str] = Counter()
        self.faults: list[str] = []

    def play(self, seconds: float) -> None:
        """Play epochs for so long, or until one is at fault."""
        self._warm_up()
        self._settle("connections", alive)
        descriptors = count_descriptors()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.faults:
            faulthandler.dump_traceback_later(LONGEST_EPOCH, exit=True)
            self._epoch()
            self._settle("threads", leftovers)
            self._settle("connections", alive)
            self._settle("descriptors", lambda: max(0, count_descriptors() - descriptors))
        faulthandler.cancel_dump_traceback_later()

    def _warm_up(self) -> None:
        """Have housekeeping started, which stays."""
        with Client(f"ws://127.0.0.1:{self._ports['library']}/{self._seed}-warm/1", proxy=False):
            return

    def figures(self) -> dict:
        return {"seed": self._seed, "epochs": self._epochs, **dict(sorted(self._figures.items()))}

    def _epoch(self) -> None:
        key = f"{self._seed}-{self._epochs}"
        self._epochs += 1
        sessions = [
            ClientSession(client_plan_of(f"{key}-{place}"), self._ports) for place in range(CLIENTS)
        ]
        threads = [
            threading.Thread(target=session.run, name=f"stress-{session.plan.key}", daemon=True)
            for session in sessions
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for session in sessions:
            self._judge(session)
        print(f"{key}: {len(self.faults)} faults", file=sys.stderr, flush=True)

    def _judge(self, session: ClientSession) -> None:
        if any("stuck" in fault for fault in session.faults):
            dump()
        reports = {
            int(attempt): report
            for place in ("raw", "library")
            for attempt, report in self._ask(place, f"/report/{session.plan.key}").items()
        }
        self.faults += faults_of(session, reports)
        senders = session.all_senders
        self._figures += Counter(
            {
                "clients": 1,
                "connections": len(session.opens),
                "attempts": session._attempts,
                "messages in": len(session.arrived),
                "messages out": sum(len(report["received"]) for report in reports.values()),
                "late": sum(sender.late for sender in senders),
                "pongs": sum(sender.pongs for sender in senders),
                f"style {session.plan.style}": 1,
                f"ended by {session.plan.ending}": 1,
                **{f"end {what}": count for what, count in session.ends.items()},
                **{f"cause {event.cause}": 1 for event in session.closes},
            }
        )

    def _settle(self, what: str, left) -> None:
        deadline = time.monotonic() + SETTLING
        while rest := left():
            if time.monotonic() > deadline:
                self.faults.append(f"{what} are left after the end: {rest}")
                dump()
                return
            threading.Event().wait(0.05)

    def _ask(self, place: str, path: str) -> dict:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._ports[place], timeout=2 * PATIENCE
        )
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


def leftovers() -> list[str]:
    """Threads and greenlets of clients, and our own."""
    names = [thread.name for thread in threading.enumerate()]
    if "gevent" in sys.modules:
        from gevent import Greenlet

        names += [
            str(item.name)
            for item in gc.get_objects()
            if isinstance(item, Greenlet) and not item.dead
        ]
    return sorted(
        name
        for name in names
        if name.startswith(("stress-", "faye-sync-")) and "housekeeping" not in name
    )


def alive() -> dict[str, int]:
    """What clients are made of, as long as anything holds it."""
    gc.collect()
    kinds = (Client, Link, Outage)
    return dict(Counter(type(item).__name__ for item in gc.get_objects() if type(item) in kinds))


def count_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def dump() -> None:
    """Show where everything is."""
    faulthandler.dump_traceback(all_threads=True)
    if "gevent" in sys.modules:
        from gevent.util import print_run_info

        print_run_info(file=sys.stderr)


def main(seed: str, seconds: str, raw: str, library: str) -> None:
    run = ClientRun(seed, int(raw), int(library))
    run.play(float(seconds))
    print(json.dumps({"figures": run.figures(), "faults": run.faults}))


if __name__ == "__main__":
    main(*sys.argv[1:])
