"""What a message costs a server, beside the peers and the bare socket.

    python benchmarks/suite.py [--rounds 5] [--seconds 0.5] [--only 32] [--servers raw,faye_sync]
                               [--record]

Each measurement has a server of its own, in a process of its own, and each
workload goes round all of them, again and again, so that a machine that is busy
for a while is so for all. What counts is the server's CPU time for a message,
user and system, of all its threads, by the clock that the kernel keeps for a
process. load.c plays the clients; it is compiled on the spot. Client and server
share one CPU, unless the workload says otherwise. Peers that are not installed
are left out, and named. Linux only."""

# ruff: noqa: D103, INP001, S603, T201

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from results import record
from servers import SERVERS as ON_PYTHON

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache"
LOAD = CACHE / "load"
WARMUP = 0.2  # seconds
PATIENCE = 5.0  # seconds that a server has to end by itself

ON_NODE = ("ws", "faye-websocket")
SERVERS = (*ON_PYTHON, *ON_NODE)
ABSENT = re.compile("ModuleNotFoundError|Cannot find module")
Costs = dict[str, list[float]]


@dataclass(frozen=True)
class Workload:
    """What goes to and fro.

    Attributes:
        name: For the table.
        arguments: Of load, between the path and the seconds.
        mode: Of load.
        limit: The server that does no more than it must; none where there is an empty text.
        cpus: How many CPUs there are for both.
        without: Servers that it means nothing to, or that would take for ever.
    """

    name: str
    arguments: tuple[str, ...]
    mode: str = "echo"
    limit: str = "raw"
    cpus: int = 1
    without: tuple[str, ...] = ()


# What gunicorn does before a connection detaches shows where connections are opened.
GUNICORN = ("faye_sync gthread", "flask-sock gthread")
LARGE = {"limit": "raw whole", "without": ("raw", "raw each", "gevent-websocket", *GUNICORN)}
SHARED = ("raw", "raw whole", "raw each", *GUNICORN)
SMALL = ("raw whole", "raw each")
WORKLOADS = (
    Workload("32 B, one connection", ("1", "1", "32", "binary"), without=SMALL),
    Workload(
        "32 B, 64 at once",
        ("1", "64", "32", "binary"),
        limit="raw each",
        without=("raw whole", *GUNICORN),
    ),
    Workload("128 B text, 64 connections", ("64", "1", "128", "text"), cpus=2, without=SMALL),
    Workload(
        "128 B text, 2,000 connections",
        ("2000", "1", "128", "text"),
        without=(*SMALL, *GUNICORN),
    ),
    Workload("64 KiB", ("1", "1", "65536", "binary"), **LARGE),
    Workload("1 MiB", ("1", "1", "1048576", "binary"), **LARGE),
    Workload("16 MiB", ("1", "1", "16777216", "binary"), **LARGE),
    Workload(
        "256 B text to 500", ("500", "1", "256", "text"), mode="broadcast", limit="", without=SHARED
    ),
    Workload(
        "256 B text to 2,000",
        ("2000", "1", "256", "text"),
        mode="broadcast",
        limit="",
        without=SHARED,
    ),
)


@dataclass
class Server:
    """A server that runs."""

    name: str
    process: subprocess.Popen[str]
    port: int

    def processes(self) -> list[int]:
        """Its process, and the workers where that one has started any."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, children.read_text(encoding="ascii").split())]

    def cpu_time(self) -> float:
        """Seconds of CPU that its threads have had, those that ended included."""
        # The kernel's number for the clock of another process: clock_getcpuclockid(3).
        return sum(time.clock_gettime(~process << 3 | 2) for process in self.processes())

    def tasks(self) -> list[int]:
        """The kernel's numbers of its threads."""
        folders = [Path(f"/proc/{process}/task") for process in self.processes()]
        return [int(task.name) for folder in folders for task in folder.iterdir()]


# --- the processes --------------------------------------------------------------------------------------


def compile_load() -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        sys.exit("suite.py: load.c needs a C compiler called cc (on Debian: apt-get install gcc)")
    CACHE.mkdir(exist_ok=True)
    subprocess.run([compiler, "-O2", "-o", str(LOAD), str(HERE / "load.c")], check=True)


def command_for(name: str) -> list[str]:
    if name in ON_NODE:
        return ["node", str(HERE / "servers.js"), name]
    return [sys.executable, str(HERE / "servers.py"), name]


@contextmanager
def running(name: str, *arguments: str) -> Iterator[Server | None]:
    """Run a server with these arguments behind its name; None where it cannot be had."""
    if name in ON_NODE and shutil.which("node") is None:
        yield None
        return
    environment = {**os.environ, "FAYE_SYNC_PURE": "1" if name.endswith(" pure") else ""}
    process = subprocess.Popen(
        [*command_for(name), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        port = process.stdout.readline()
        if not port:
            _, errors = process.communicate()
            if not ABSENT.search(errors):
                sys.exit(f"suite.py: {name} did not start:\n{errors}")
        yield Server(name, process, int(port)) if port else None
    finally:
        # A master takes its workers along only if it is asked; for others this is the end as well.
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def measure(server: Server, workload: Workload, seconds: float) -> float:
    """Microseconds of the server's CPU time for a message."""
    cpus = sorted(os.sched_getaffinity(0))[: workload.cpus]
    for task in server.tasks():
        os.sched_setaffinity(task, cpus)
    path = "/broadcast" if workload.mode == "broadcast" else "/echo"
    command = [str(LOAD), workload.mode, str(server.port), path, *workload.arguments]
    with subprocess.Popen(
        [*command, str(WARMUP), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),  # noqa: PLW1509  # no thread runs here
    ) as load:
        assert load.stdout is not None  # noqa: S101  # it is a pipe
        load.stdout.readline()
        before = server.cpu_time()
        line = load.stdout.readline()
        spent = server.cpu_time() - before
    if not line:
        sys.exit(f"suite.py: {server.name} did not bear {workload.name!r}")
    return 1e6 * spent / max(1, json.loads(line)["messages"])


# --- the tables -------------------------------------------------------------------------------------------


def print_table(workload: Workload, costs: Costs) -> None:
    medians = {name: median(found) for name, found in costs.items() if found}
    limit, ours = medians.get(workload.limit), medians.get("faye_sync")
    print(
        f"\n{workload.name}: CPU us for a message, median (least to most); against the limit; ours"
    )
    for name, cost in medians.items():
        spread = f"({min(costs[name]):.2f} to {max(costs[name]):.2f})"
        against = f"{cost / limit:6.2f}" if limit else "      "
        peers = f"{cost / ours:6.2f}" if ours else ""
        print(f"  {name:18} {cost:10.2f} {spread:24} {against} {peers}")
    missing = costs.keys() - medians
    if missing:
        print(f"  not to be had here: {', '.join(sorted(missing))}")


def measure_anew(name: str, workload: Workload, seconds: float) -> float | None:
    """The cost on a server that knows of no earlier connection; None where it cannot be had."""
    with running(name) as server:
        return None if server is None else measure(server, workload, seconds)


def run(workload: Workload, names: Sequence[str], rounds: int, seconds: float) -> Costs:
    costs: Costs = {name: [] for name in names if name not in workload.without}
    for _ in range(rounds):
        for name, found in costs.items():
            cost = measure_anew(name, workload, seconds)
            if cost is not None:
                found.append(cost)
    print_table(workload, costs)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--record", action="store_true", help="keep the figures, for page.py")
    parser.add_argument("--servers", default=",".join(SERVERS))
    arguments = parser.parse_args()
    compile_load()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    print(f"{arguments.rounds} rounds of {arguments.seconds} s, behind {WARMUP} s to warm up")
    names = arguments.servers.split(",")
    for workload in WORKLOADS:
        if arguments.only in workload.name:
            costs = run(workload, names, arguments.rounds, arguments.seconds)
            if arguments.record:
                record(
                    f"Server: {workload.name}",
                    costs,
                    unit="us of the server's CPU time for a message",
                    limit=workload.limit,
                    command="python benchmarks/suite.py",
                )


if __name__ == "__main__":
    main()
