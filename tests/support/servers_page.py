"""Write the tables of docs/servers.rst from those that the tests run from: `make page`.

A row of SERVERS is a row of the page. One whose title goes on where another's ends is that server
again: "..., TLS" says that it ends TLS itself, and the others are there for the tests alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from configparser import ConfigParser
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from textwrap import wrap

from tests.support.kinds import ROOT, SERVERS, Kind
from tests.support.no_socket import REFUSERS

PAGE = ROOT / "docs" / "servers.rst"
PINS = ROOT / "tests" / "oldest.txt"
UNKNOWN = "-"  # the newest version of what is not installed here

WIDTH = 100  # columns of the page
STYLES = "all"  # the tests ask for every style on every server
LOST = "messages that come in the segment of the request are lost"
MOD_WSGI = "libapache2-mod-wsgi-py3"


@dataclass(frozen=True)
class Refusal:
    """What a user meets on a server of REFUSERS.

    Attributes:
        title: Its name for people.
        distribution: What pip installs it by, or Debian.
        answer: What a WebSocket request gets there.
    """

    title: str
    distribution: str
    answer: str


RAISES = "``HijackError``"

REFUSALS = {
    "bjoern": Refusal("bjoern", "bjoern", RAISES),
    "granian": Refusal("Granian, --interface wsgi", "granian", RAISES),
    "tornado": Refusal(
        "Tornado, WSGIContainer", "tornado", f"{RAISES}; uncaught it is logged, never answered"
    ),
    "twisted": Refusal("Twisted, WSGIResource", "twisted", RAISES),
    "mod_wsgi": Refusal(
        "Apache, mod_wsgi", MOD_WSGI, f"{RAISES}; let Apache pass them on, see above"
    ),
    "hypercorn": Refusal("Hypercorn, wsgi:", "hypercorn", "403 or 400 by Hypercorn itself"),
    "hypercorn-http2": Refusal("Hypercorn, HTTP/2", "hypercorn", "426; CONNECT gets 403"),
    "gunicorn-gthread-http2": Refusal(
        "gunicorn, gthread worker, HTTP/2", "gunicorn", "426; over HTTP/1.1 it opens"
    ),
    "gunicorn-gevent-http2": Refusal(
        "gunicorn, gevent worker, HTTP/2", "gunicorn", "426; over HTTP/1.1 it opens"
    ),
}
"""By the name in REFUSERS."""


# --- versions -------------------------------------------------------------------------------------------


def oldest() -> dict[str, str]:
    """The versions that `make test-oldest` runs, by distribution."""
    found = re.findall(r"^([\w-]+)==(\S+)", PINS.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def installed(distribution: str) -> str:
    if distribution == MOD_WSGI:
        return installed_by_debian(distribution)
    try:
        return version(distribution)
    except PackageNotFoundError:
        return UNKNOWN


def installed_by_debian(package: str) -> str:
    """The version of a package of Debian's, without Debian's own part of it."""
    query = shutil.which("dpkg-query")
    if query is None:
        return UNKNOWN
    command = [query, "--show", "--showformat=${Version}", package]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return told.partition("-")[0] or UNKNOWN


def pythons() -> tuple[str, str]:
    """The oldest and the newest Python that setup.cfg names."""
    metadata = ConfigParser()
    metadata.read(ROOT / "setup.cfg", encoding="utf-8")
    named = re.findall(r":: (3\.\d+)$", metadata["metadata"]["classifiers"], re.MULTILINE)
    return named[0], named[-1]


def versions(kind: Kind) -> tuple[str, str]:
    if not kind.distribution:
        return pythons()
    return oldest()[kind.distribution], installed(kind.distribution)


# --- tables ---------------------------------------------------------------------------------------------


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A simple table of reStructuredText."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    edge = "  ".join("=" * width for width in widths)
    cells = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([edge, cells[0], edge, *cells[1:], edge])


def is_again(title: str, other: str) -> bool:
    return title.startswith(f"{other}, ")


def limits_of(kind: Kind) -> list[str]:
    told = [limit for limit in kind.limits.split("; ") if limit]
    return told if kind.early else [*told, LOST]


def servers() -> str:
    """The table of the servers that work, and its notes."""
    kinds = list(SERVERS.values())
    titles = {kind.title for kind in kinds}
    notes: list[str] = []
    rows = []
    for kind in kinds:
        if any(is_again(kind.title, other) for other in titles):
            continue
        own = limits_of(kind)
        notes += [limit for limit in own if limit not in notes]
        marks = ",".join(sorted(str(notes.index(limit) + 1) for limit in own))
        rows.append([kind.title, *versions(kind), kind.runs, STYLES, *can(kind, titles), marks])
    header = ("server", "oldest", "newest", "runs on", "styles", "detach", "TLS", "limits")
    return "\n\n".join([table(header, rows), "\n".join(map(numbered, notes, count(1)))])


def numbered(note: str, number: int) -> str:
    """An item of the list below the table."""
    sentence = f"{note[0].upper()}{note[1:]}."
    return "\n".join(wrap(sentence, WIDTH, initial_indent=f"{number}. ", subsequent_indent="   "))


def can(kind: Kind, titles: set[str]) -> tuple[str, str]:
    """Whether it detaches, and whether it ends TLS."""
    return yes(kind.detaches), yes(f"{kind.title}, TLS" in titles)


def yes(does: object) -> str:
    return "yes" if does else ""


def refusers() -> str:
    """The table of the servers that keep the client's socket."""
    rows = [
        [told.title, installed(told.distribution), told.answer]
        for told in (REFUSALS[name] for name in REFUSERS)
    ]
    return table(("server", "version", "a request for a WebSocket"), rows)


# --- the page -------------------------------------------------------------------------------------------

TABLES = {"servers": servers, "refusers": refusers}
"""What writes the part of the page between ".. begin NAME" and ".. end NAME"."""


def part(name: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?<=^\.\. begin {name}\n\n)(.*?)(?=\.\. end {name}$)", re.MULTILINE | re.DOTALL
    )


def rewritten(page: str) -> str:
    """The page with its tables as they are now."""
    for name, write in TABLES.items():
        before, _, after = part(name).split(page)
        page = f"{before}{write()}\n\n{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
