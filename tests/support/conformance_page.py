"""Write the tables of docs/conformance.rst from what `make conformance` has kept.

Usage: python -m tests.support.conformance_page FOLDER

Writes nothing unless every run is there."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.conformance.autobahn import EXPECTED_INFORMATIONAL
from tests.conformance.judging import KEPT, WHOLE, Peer, file_name
from tests.conformance.setup_autobahn import SUITE
from tests.support.kinds import ROOT, SERVERS
from tests.support.servers_page import installed, part, table

PAGE = ROOT / "docs" / "conformance.rst"

SECTIONS = {
    1: "text and binary messages of all sizes",
    2: "ping and pong",
    3: "reserved bits",
    4: "reserved opcodes",
    5: "fragments, control frames between them",
    6: "UTF-8, also cut and also wrong",
    7: "the closing handshake, codes and reasons",
    9: "large messages, many messages",
    10: "a message that is sent in fragments",
    12: "compressed messages of all sizes",
    13: "compressed messages, by what was agreed on",
}
"""What the cases of a section are about."""

WORLDS = {"threads": "Client on threads", "gevent": "Client on gevent"}

PARTS = ("werkzeug", "gunicorn", "gevent", "isal", "zlib-ng")
"""Distributions whose versions the page tells."""


@dataclass(frozen=True)
class Run:
    """One peer and one set of cases.

    Attributes:
        seconds: From the first case to the last.
        results: Case, behavior, behavior at the close, seconds.
    """

    seconds: float
    results: list[tuple[str, str, str, float]]

    @property
    def good(self) -> int:
        """Cases that went as they should."""
        return sum(is_good(*result[:3]) for result in self.results)

    def of(self, section: int) -> Iterator[tuple[str, str, str, float]]:
        return (result for result in self.results if result[0].startswith(f"{section}."))


def is_good(case: str, behavior: str, at_close: str) -> bool:
    wanted = "INFORMATIONAL" if case in EXPECTED_INFORMATIONAL else "OK"
    return behavior == wanted and at_close in ("OK", "INFORMATIONAL")


Runs = dict[tuple[Peer, str], Run]


def runs_in(folder: Path) -> Runs:
    """Read what was kept.

    Raises:
        OSError: A run is missing.
    """
    found = {}
    for cases, peers in KEPT.items():
        for peer in peers:
            kept = json.loads((folder / file_name(peer, cases)).read_text(encoding="utf-8"))
            found[peer, cases] = Run(kept["seconds"], [tuple(one) for one in kept["results"]])
    return found


# --- tables -----------------------------------------------------------------------------------------------


def title_of(peer: Peer) -> str:
    return SERVERS[peer.name].title if peer.side == "server" else WORLDS[peer.name]


def sections(runs: Runs) -> str:
    """Section by section, what the two peers did that all cases are for."""
    header = ("section", "what it is about", "cases", *columns("server"), *columns("client"))
    rows = [(str(number), SECTIONS[number], *section(runs, number)) for number in SECTIONS]
    totals = [sum(int(row[place]) for row in rows) for place in range(2, len(header))]
    return table(header, [*rows, ("all", "", *map(str, totals))])


def columns(side: str) -> tuple[str, str, str]:
    return f"{side}: OK", "informational", "seconds"


def section(runs: Runs, number: int) -> Iterator[str]:
    sides = [list(results_of(runs, peer, number)) for peer in WHOLE]
    yield str(len(sides[0]))
    for results in sides:
        behaviors = [behavior for _, behavior, _, _ in results]
        yield str(behaviors.count("OK"))
        yield str(behaviors.count("INFORMATIONAL"))
        yield f"{sum(duration for *_, duration in results):.0f}"


def results_of(runs: Runs, peer: Peer, number: int) -> Iterator[tuple[str, str, str, float]]:
    for cases in ("fast", "limits", "deflate"):
        yield from runs[peer, cases].of(number)


def peers(runs: Runs) -> str:
    """Everyone who was judged: cases that went as they should, of how many, and seconds."""
    header = ("side", "peer", "style", "fast set", "limits", "deflate")
    rows = []
    for peer in KEPT["fast"]:
        deflate = cell(runs, peer, "deflate") or cell(runs, peer, "deflate-lite")
        sets = (cell(runs, peer, "fast"), cell(runs, peer, "limits"), deflate)
        rows.append((peer.side, title_of(peer), peer.style, *sets))
    return table(header, rows)


def cell(runs: Runs, peer: Peer, cases: str) -> str:
    run = runs.get((peer, cases))
    return "" if run is None else f"{run.good} of {len(run.results)}, {run.seconds:.0f} s"


def machine() -> str:
    """Where and with what."""
    told = [f"Python {platform.python_version()}", *(f"{name} {installed(name)}" for name in PARTS)]
    suite = SUITE.replace("==", " ")
    return (
        f"Told by {suite} on {os.cpu_count()} cores ({processor()}) of {platform.system()} "
        f"{platform.machine()}, with {', '.join(told)}, faye_sync {version('faye_sync')}."
    )


def processor() -> str:
    """What the kernel calls it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown"
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else "unknown"


def rewritten(page: str, runs: Runs) -> str:
    """The page with what was found this time."""
    tables = {"machine": machine(), "sections": sections(runs), "peers": peers(runs)}
    for name, text in tables.items():
        before, _, after = part(name).split(page)
        page = f"{before}{text}\n\n{after}"
    return page


def main(arguments: Iterable[str]) -> int:
    (folder,) = arguments
    try:
        runs = runs_in(Path(folder))
    except OSError as error:
        print(f"{PAGE.name} is left as it is, for not all was run: {error}", file=sys.stderr)
        return 1
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), runs), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
