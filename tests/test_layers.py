"""The layers of the package: which file may know of which.

Every import counts, wherever in a file it stands and whether or not it is for
a type checker only. A new module gets its place in FLOORS."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "faye_sync"
ROOT = Path(__file__).parents[1] / PACKAGE

# From the ground up. A name is a module, or a folder with all that is in it; "" is __init__.py.
# An arrow goes to a lower floor, or inside a folder; neighbours on one floor know nothing of each
# other, so the ground imports nothing.
FLOORS = (
    ("clock",),
    ("errors", "events", "readiness", "deadlines", "_speedups"),
    ("driver", "sse", "concurrency", "environ", "made"),
    ("transport", "origin", "terms", "reconnect", "refusing"),
    ("housekeeping", "resuming", "event_request"),
    ("shutdown",),
    ("event_target", "call_end"),
    ("backlog", "outbox"),
    ("queues",),
    ("sending",),
    ("receiving",),
    ("farewell", "handout", "liveness", "watching"),
    ("sorting", "outflow"),
    ("link", "parking", "pulling", "pumping", "event_stream"),
    ("delivery", "messages", "piping", "streams", "feed"),
    ("taking", "parts", "streaming", "stream_listeners"),
    ("reading",),
    ("status",),
    ("connection",),
    ("broadcast", "outage", "sources"),
    ("dialing",),
    ("redialing",),
    ("websocket", "client", "eventsource", "eventsource_client"),
    ("hub",),
    ("",),
    ("contrib", "jars", "moved_clock"),
    ("testing",),
    ("cli",),
    ("__main__",),
)

# Modules from elsewhere, and the only names of FLOORS that may import them. _socket and _thread
# are socket and threading by their back doors.
RESERVED = {
    "socket": ("transport",),
    "_socket": ("transport",),
    "ssl": ("transport",),
    "_ssl": ("transport",),
    "threading": ("concurrency",),
    "_thread": ("concurrency",),
    "queue": ("concurrency",),
    "concurrent": ("concurrency",),
    "gevent": ("concurrency", "cli"),
    "eventlet": ("concurrency", "transport"),
    "greenlet": ("concurrency",),
    "select": ("readiness", "concurrency", "transport"),
    "selectors": ("readiness", "concurrency", "transport"),
    "asyncio": (),
    f"{PACKAGE}._speedups": ("driver",),
}

# Octets in, events out: these know no socket, thread or clock (those above are reserved anyway).
PURE = ("errors", "events", "driver", "sse", "environ", "origin", "terms", "reconnect")
IMPURE = ("time", "select", "selectors", "signal", "subprocess", "multiprocessing")

HEIGHT = {name: height for height, floor in enumerate(FLOORS) for name in floor}


def name_of(path: Path) -> str:
    """The dotted name below the package: "driver.hybi", "driver" for its door, "" for ours."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def place_of(module: str) -> str:
    """The name in FLOORS that stands for a module."""
    return module.partition(".")[0]


# What is written in C has its stub here.
PATHS = {name_of(path): path for path in sorted((*ROOT.rglob("*.py"), *ROOT.rglob("*.pyi")))}
KNOWN = sorted(name for name in PATHS if place_of(name) in HEIGHT)


def imported_names(path: Path) -> Iterator[str]:
    """The full dotted names that a file imports, or looks up by their text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, (package_of(path, node.level), node.module)))
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call | ast.Subscript | ast.Compare):
            yield from looked_up_names(node)


def package_of(path: Path, level: int) -> str:
    """The package that so many leading dots stand for; none of them, no package."""
    return ".".join((PACKAGE, *path.relative_to(ROOT).parts)[:-level]) if level else ""


def looked_up_names(node: ast.AST) -> Iterator[str]:
    """Names in sys.modules[...], "..." in sys.modules, import_module("...") and the like."""
    inner = list(ast.walk(node))
    words = {getattr(part, "attr", getattr(part, "id", None)) for part in inner}
    if words & {"modules", "import_module", "__import__", "find_spec"}:
        for part in inner:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def arrows_of(module: str) -> set[str]:
    """The modules of the package that a module imports."""
    own = (name for name in imported_names(PATHS[module]) if is_in(name, PACKAGE))
    return {closest_module(name.removeprefix(PACKAGE).lstrip(".")) for name in own} - {module}


def closest_module(name: str) -> str:
    """The module that holds an imported name: driver.base for driver.base.Sending."""
    while name and name not in PATHS:
        name = name.rpartition(".")[0]
    return name


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def may_point(source: str, target: str) -> bool:
    here, there = place_of(source), place_of(target)
    return here == there != "" or HEIGHT[there] < HEIGHT[here]


@pytest.mark.parametrize("module", PATHS, ids=lambda name: name or "__init__")
def test_every_module_has_a_floor(module):
    assert place_of(module) in HEIGHT, (
        f"{PATHS[module]} is on no floor: add {place_of(module)!r} to FLOORS in {__file__}, "
        "above all that it imports"
    )


@pytest.mark.parametrize("module", KNOWN, ids=lambda name: name or "__init__")
def test_no_arrow_goes_up_or_to_a_neighbour(module):
    targets = [target for target in arrows_of(module) if place_of(target) in HEIGHT]
    wrong = [target or "__init__" for target in targets if not may_point(module, target)]
    assert not wrong, f"{PATHS[module]} may not import {', '.join(sorted(wrong))}"


def test_no_arrows_form_a_circle():
    # An import inside a folder's door, driver/__init__.py, counts as the door's own.
    try:
        TopologicalSorter({module: arrows_of(module) for module in PATHS}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(name or "__init__" for name in error.args[1]), pytrace=False)


@pytest.mark.parametrize("module", PATHS, ids=lambda name: name or "__init__")
def test_reserved_modules_are_imported_only_where_they_belong(module):
    wrong = [
        name
        for name in imported_names(PATHS[module])
        for reserved, places in RESERVED.items()
        if is_in(name, reserved) and place_of(module) not in places
    ]
    assert not wrong, f"{PATHS[module]} may not import {', '.join(sorted(set(wrong)))}"


@pytest.mark.parametrize("module", [name for name in PATHS if place_of(name) in PURE])
def test_state_machines_know_no_socket_thread_or_clock(module):
    names = list(imported_names(PATHS[module]))
    wrong = [name for name in names if any(is_in(name, impure) for impure in IMPURE)]
    assert not wrong, f"{PATHS[module]} may not import {', '.join(sorted(set(wrong)))}"


@pytest.mark.parametrize(
    "source, names",
    [
        ("import socket, ssl", {"socket", "ssl"}),
        ("if TYPE_CHECKING:\n    from threading import Lock", {"threading.Lock"}),
        ("def f():\n    from . import base", {"faye_sync.driver.base"}),
        ("from ..errors import ProtocolError", {"faye_sync.errors.ProtocolError"}),
        ("monkey = sys.modules.get('gevent.monkey')", {"gevent.monkey"}),
        ("loaded = 'gevent' in sys.modules", {"gevent"}),
        ("sys.modules['gevent']", {"gevent"}),
        ("import_module('gevent.hub')", {"gevent.hub"}),
        ("cure = 'run under gevent'", set()),
    ],
)
def test_imports_are_found_however_they_are_written(source, names, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "driver" / "hybi.py"
    path.parent.mkdir()
    path.write_text(source)
    assert set(imported_names(path)) == names


@pytest.mark.parametrize(
    "source, target, allowed",
    [
        ("driver.hybi", "driver.frames", True),
        ("driver.hybi", "errors", True),
        ("errors", "events", False),
        ("driver.hybi", "concurrency", False),
        ("transport.stream", "connection", False),
        ("connection", "", False),
        ("", "websocket", True),
    ],
)
def test_arrows_go_down_or_stay_in_their_folder(source, target, allowed):
    assert may_point(source, target) is allowed
