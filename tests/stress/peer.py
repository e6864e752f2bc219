"""The peer of the stress: a process of its own, on plain threads.

    python -m tests.stress.peer PORT SEED SECONDS [CA.pem]

With a certificate of who signed the server's it speaks TLS. Plays epochs of many connections, compares after each what both sides counted, and prints JSON:
seed, figures, faults. A connection that does not end is a fault, with all stacks on stderr."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import requests

from tests.stress.plan import Plan, epoch_length, plan_of
from tests.stress.side import Side
from tests.stress.tls_socket import contexts_for
from tests.stress.verdict import faults_of

CONNECTIONS = int(os.environ.get("STRESS_CONNECTIONS", "12"))  # at once, in each epoch
LONG_TAIL = 4.0  # seconds after its duration that a connection may last without being shown
SETTLING = 15.0  # seconds until the last thread and descriptor of an epoch have to be gone
PATIENCE = 130.0  # seconds for a report, whose connections have deadlines of their own


class Run:
    """Epochs against one server, and what came of them."""

    def __init__(self, port: int, seed: str, authority: str | None) -> None:
        self._address = ("127.0.0.1", port)
        self._authority = authority
        self._contexts = contexts_for(authority) if authority else ()
        self._seed = seed
        self._epochs = 0
        self._longest_tail = 0.0
        self._figures: Counter[str] = Counter()
        self.faults: list[str] = []

    def play(self, seconds: float) -> None:
        """Play epochs for so long, or until one is at fault."""
        self._warm_up()
        descriptors = self._ask("/descriptors")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.faults:
            self._epoch()
        self._settle("threads and greenlets", lambda: self._ask("/leftovers"))
        self._settle("descriptors", lambda: max(0, self._ask("/descriptors") - descriptors))
        self._figures["housekeeping reads"] = self._ask("/housekeeping-reads")

    def figures(self) -> dict:
        return {
            "seed": self._seed,
            "epochs": self._epochs,
            "longest tail": round(self._longest_tail, 2),
            **dict(sorted(self._figures.items())),
        }

    def _warm_up(self) -> None:
        """Have the server make what it keeps: its housekeeping, and a parent for descriptors."""
        side = Side(plan_of(f"{self._seed}-warm-0"), self._address, self._contexts)
        side.run()
        self._ask(f"/report?{side.plan.key}")
        self._settle("threads and greenlets", lambda: self._ask("/leftovers"))

    def _epoch(self) -> None:
        key = f"{self._seed}-{self._epochs}"
        self._epochs += 1
        started = time.monotonic()
        plans = [plan_of(f"{key}-{place}") for place in range(CONNECTIONS)]
        sides: dict[str, Side] = {}
        threads = [
            threading.Thread(target=self._run, args=(plan, sides), daemon=True) for plan in plans
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        reports = self._reports(plans)
        tail = time.monotonic() - started - epoch_length(key)
        self._longest_tail = max(self._longest_tail, tail)
        for plan in plans:
            self._judge(plan, reports.get(plan.key), sides.get(plan.key))
        print(f"{key}: {tail:.2f} s over, {len(self.faults)} faults", file=sys.stderr, flush=True)

    def _run(self, plan: Plan, sides: dict[str, Side]) -> None:
        try:
            side = sides[plan.key] = Side(plan, self._address, self._contexts)
        except Exception as error:
            self.faults.append(f"{plan.key}: no connection: {error!r}")
            return
        side.run()
        if any("stuck" in fault for fault in side.faults):
            self._dump()

    def _reports(self, plans: list[Plan]) -> dict[str, dict]:
        keys = ",".join(plan.key for plan in plans)
        return {report["key"]: report for report in self._ask(f"/report?{keys}", PATIENCE)}

    def _judge(self, plan: Plan, server: dict | None, side: Side | None) -> None:
        if side is None:
            return
        peer = side.report()
        if peer["tail"] > LONG_TAIL:
            print(f"{plan} ended {peer['tail']:.2f} s late: {server}, {peer}", file=sys.stderr)
        self.faults += faults_of(plan, server, peer)
        if server is None:
            return
        self._figures += Counter(
            {
                "connections": 1,
                "messages in": sum(server["received"].values()),
                "messages out": sum(peer["arrived"].values()),
                "MB in": server["octets"] / 1e6,
                "MB out": peer["octets"] / 1e6,
                "pongs out": peer["pongs"],
                "pongs in": server["pongs"],
                f"ended by {plan.ending}": 1,
                f"style {plan.style}": 1,
                f"cause {server['closes'][0][2] if server['closes'] else 'none'}": 1,
            }
        )

    def _settle(self, what: str, left: Callable[[], object]) -> None:
        deadline = time.monotonic() + SETTLING
        while rest := left():
            if time.monotonic() > deadline:
                self.faults.append(f"{what} are left after the end: {rest}")
                self._dump()
                return
            threading.Event().wait(0.1)

    def _ask(self, path: str, timeout: float = 30.0):
        url = f"{'https' if self._authority else 'http'}://127.0.0.1:{self._address[1]}{path}"
        answer = requests.get(
            url, timeout=timeout, headers={"Connection": "close"}, verify=self._authority
        )
        answer.raise_for_status()
        return answer.json()

    def _dump(self) -> None:
        """Show where both sides are: ours on stderr, the server's in its log."""
        faulthandler.dump_traceback(all_threads=True)
        os.kill(self._ask("/pid"), signal.SIGUSR1)
        print(self._ask("/stacks"), file=sys.stderr, flush=True)


def main(port: str, seed: str, seconds: str, authority: str | None = None) -> None:
    faulthandler.register(signal.SIGUSR1)
    run = Run(int(port), seed, authority)
    try:
        run.play(float(seconds))
    except requests.RequestException as error:
        run.faults.append(f"stuck: the server does not answer: {error!r}")
    print(json.dumps({"figures": run.figures(), "faults": run.faults}))


if __name__ == "__main__":
    main(*sys.argv[1:])
