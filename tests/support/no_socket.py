"""Servers that keep the client's socket to themselves, as real processes.

Started as tests/support/servers.py starts the others: on an inherited listening socket, or, where a
server binds by itself, waited for by the line of its log that says it is ready."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.support.apache import missing_mod_wsgi, serve_mod_wsgi
from tests.support.certificates import certificate
from tests.support.daemons import spawn, spawn_until
from tests.support.kinds import ROOT, Kind
from tests.support.servers import Server

APP = "tests.servers.no_socket_app:application"
SCRIPT = str(ROOT / "tests" / "support" / "serve_no_socket.py")


def no_command(app: str, fd: int) -> list[str]:
    """Stand in a Kind, which says here only how a server is reached."""
    return []


Command = Callable[[int], list[str]]
"""Gives the command that serves APP on an inherited descriptor."""


@dataclass(frozen=True)
class Refuser:
    """A server, set up in one way.

    Attributes:
        start: Starts it, with its files in a folder.
        missing: Tells what of it this machine lacks.
        named: How HijackError names it.
    """

    start: Callable[[Path], Server]
    missing: Callable[[], str | None]
    named: str = ""


def refusing(name: str, folder: Path) -> Server:
    """Start a server of the table."""
    return REFUSERS[name].start(folder)


# --- starting -----------------------------------------------------------------------------------------


def inheriting(name: str, command: Command, *, tls: bool = False) -> Callable[[Path], Server]:
    """Make what starts a server on a socket that this process made."""

    def start(folder: Path) -> Server:
        log_path = folder / f"{name}.log"
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            fd = listener.fileno()
            port = listener.getsockname()[1]
            with log_path.open("wb") as log:
                process = spawn(command(fd), log, fd)
        return Server(name, port, process, log_path, Kind(no_command, tls=tls))

    return start


def granian(folder: Path) -> Server:
    """Start Granian, which inherits no socket, on a Unix socket of its own."""
    log_path = folder / "granian.log"
    command = python(SCRIPT, "granian", APP, str(log_path.with_suffix(".sock")))
    return spawn_until("Spawning worker", command, log_path, kind=Kind(no_command, unix=True))


def mod_wsgi(folder: Path) -> Server:
    return serve_mod_wsgi(APP, folder)


# --- commands -----------------------------------------------------------------------------------------


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def with_tls(command: list[str]) -> list[str]:
    return [*command, "--certfile", certificate().chain, "--keyfile", certificate().key]


def script(name: str) -> Command:
    return lambda fd: python(SCRIPT, name, APP, str(fd))


def hypercorn(fd: int) -> list[str]:
    return python("-m", "hypercorn", "--bind", f"fd://{fd}", f"wsgi:{APP}")


def gunicorn_http2(worker: str) -> Command:
    fixed = ("--worker-class", worker, "--no-control-socket", "--http-protocols", "h2,h1")
    return lambda fd: with_tls(python("-m", "gunicorn", "--bind", f"fd://{fd}", *fixed, APP))


# --- the table ----------------------------------------------------------------------------------------


def package(module: str) -> Callable[[], str | None]:
    return lambda: None if find_spec(module) else f"no Python package {module}"


REFUSERS: dict[str, Refuser] = {
    "bjoern": Refuser(inheriting("bjoern", script("bjoern")), package("bjoern"), "bjoern"),
    "granian": Refuser(granian, package("granian"), "Granian"),
    "tornado": Refuser(inheriting("tornado", script("tornado")), package("tornado"), "Tornado"),
    "twisted": Refuser(inheriting("twisted", script("twisted")), package("twisted"), "Twisted"),
    "mod_wsgi": Refuser(mod_wsgi, missing_mod_wsgi, "mod_wsgi"),
    "hypercorn": Refuser(inheriting("hypercorn", hypercorn), package("hypercorn")),
    "hypercorn-http2": Refuser(
        inheriting("hypercorn-http2", lambda fd: with_tls(hypercorn(fd)), tls=True),
        package("hypercorn"),
    ),
    "gunicorn-gthread-http2": Refuser(
        inheriting("gunicorn-gthread-http2", gunicorn_http2("gthread"), tls=True),
        package("gunicorn.http2"),
    ),
    "gunicorn-gevent-http2": Refuser(
        inheriting("gunicorn-gevent-http2", gunicorn_http2("gevent"), tls=True),
        package("gunicorn.http2"),
    ),
}
"""By the name that tests use. Hypercorn refuses by itself, and HTTP/2 has no Upgrade."""
