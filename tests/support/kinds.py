"""The table of WSGI servers: how each is started, and what a user has to know of it.

The tests run from this table, and the documentation's page of servers is written from it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.support.certificates import certificate

ROOT = Path(__file__).resolve().parents[2]

Command = Callable[[str, int], list[str]]
"""Gives the command that serves an application, "module:name", on an inherited descriptor."""


@dataclass(frozen=True)
class Kind:
    """A server, set up in one way.

    Attributes:
        command: Starts it.
        title: Its name for people, with the set-up.
        distribution: What pip installs it by; "" is Python's own.
        tls: It ends TLS itself.
        unix: It listens on a Unix socket.
        runs: "threads", "gevent" or "eventlet".
        calls: How many WSGI calls run at once, so how many attached connections; None is no limit.
        duplex: Octets go on in one direction while those of the other wait for room.
        early: Octets that come in the segment of the request are kept.
        detaches: callbacks and start give the call back to the server.
        bound: It binds by itself, and this finds its port in its log; "" inherits a socket.
        deaf: A signal that comes soon after its first answer may be lost: its master, which takes
            them, is not ready yet.
        interactive: Ctrl-C in a terminal ends it, that is SIGINT to all of its processes.
        limits: What a user has to know beside that.
    """

    command: Command
    title: str = ""
    distribution: str = ""
    tls: bool = False
    unix: bool = False
    runs: str = "threads"
    calls: int | None = None
    duplex: bool = True
    early: bool = True
    detaches: bool = True
    bound: str = ""
    deaf: bool = False
    interactive: bool = False
    limits: str = ""

    @property
    def version(self) -> str:
        """The version that is installed here, which is the one that the tests run."""
        return version(self.distribution) if self.distribution else platform.python_version()


def _is_at_least(distribution: str, *numbers: int) -> bool:
    return tuple(map(int, version(distribution).split(".")[: len(numbers)])) >= numbers


def _python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def _script(name: str, *, tls: bool = False) -> Command:
    def command(app: str, fd: int) -> list[str]:
        files = (certificate().chain, certificate().key) if tls else ()
        return _python(str(ROOT / "tests" / "support" / "serve.py"), name, app, str(fd), *files)

    return command


# Old ones have no control socket, and know no word against it.
_GUNICORNS_OWN = ("--no-control-socket",) if _is_at_least("gunicorn", 25, 1) else ()


def _gunicorn(*options: str, tls: bool = False, app: str = "") -> Command:
    served = app

    def command(app: str, fd: int) -> list[str]:
        # As a real deployment has it: gunicorn's own heartbeat files, its own signals, one worker.
        fixed = ("--bind", f"fd://{fd}", "--graceful-timeout", "3", *_GUNICORNS_OWN)
        files = ("--certfile", certificate().chain, "--keyfile", certificate().key) if tls else ()
        return _python("-m", "gunicorn", *fixed, *files, *options, served or app)

    return command


def _worker(name: str, threads: int = 0, *, tls: bool = False) -> Command:
    number = ("--threads", str(threads)) if threads else ()
    return _gunicorn("--worker-class", name, *number, tls=tls)


def _uwsgi(*options: str) -> Command:
    def command(app: str, fd: int) -> list[str]:
        listening = tuple(option.replace("FD", f"fd://{fd}") for option in options)
        # A SIGTERM that meets a thread in its first moments never ends the worker: a master has to.
        ending = ("--master", "--die-on-term", "--worker-reload-mercy", "3")
        program = str(Path(sys.executable).parent / "uwsgi")
        return [program, *listening, *ending, "--need-app", "--wsgi", app]

    return command


def _flask_debug(app: str, fd: int) -> list[str]:
    # As `flask --app ... run --debug`, which Flask 2.0 does not know yet.
    variables = ("FLASK_APP=tests.support.flask_site", "FLASK_DEBUG=1")
    return ["env", *variables, *_python("-m", "flask", "run", "--port", "0")]


def _django_runserver(app: str, fd: int) -> list[str]:
    return _python("-m", "django", "runserver", "127.0.0.1:0")


_ONE = "an attached connection holds the only worker: no other request is answered meanwhile"
_FOUR = "an attached connection holds one of the threads (4 in the tests)"

SERVERS: dict[str, Kind] = {
    # --- werkzeug
    "werkzeug": Kind(_script("werkzeug"), "Werkzeug, threaded", "werkzeug"),
    "werkzeug-single": Kind(
        _script("werkzeug-single"), "Werkzeug, one thread", "werkzeug", calls=1, limits=_ONE
    ),
    "werkzeug-unix": Kind(_script("werkzeug-unix"), "Werkzeug, Unix socket", "werkzeug", unix=True),
    "werkzeug-tls": Kind(
        _script("werkzeug-tls", tls=True), "Werkzeug, threaded, TLS", "werkzeug", tls=True
    ),
    "werkzeug-debug": Kind(
        _flask_debug,
        "flask run --debug",
        "flask",
        bound=r"Running on http://127\.0\.0\.1:(\d+)",
        interactive=True,
        limits="every reload ends all connections",
    ),
    # --- gunicorn
    "gunicorn-sync": Kind(
        _worker("sync"), "gunicorn, sync worker", "gunicorn", calls=1, limits=_ONE
    ),
    "gunicorn-sync-tls": Kind(
        _worker("sync", tls=True),
        "gunicorn, sync worker, TLS",
        "gunicorn",
        tls=True,
        calls=1,
        limits=_ONE,
    ),
    "gunicorn-gthread": Kind(
        _worker("gthread", 4), "gunicorn, gthread worker", "gunicorn", calls=4, limits=_FOUR
    ),
    "gunicorn-gthread-2": Kind(
        _worker("gthread", 2),
        "gunicorn, gthread worker, 2 threads",
        "gunicorn",
        calls=2,
        limits="an attached connection holds one of the two threads",
    ),
    "gunicorn-gthread-tls": Kind(
        _worker("gthread", 4, tls=True),
        "gunicorn, gthread worker, TLS",
        "gunicorn",
        tls=True,
        calls=4,
        limits=_FOUR,
    ),
    "gunicorn-gevent": Kind(
        _worker("gevent"), "gunicorn, gevent worker", "gunicorn", runs="gevent"
    ),
    "gunicorn-gevent-tls": Kind(
        _worker("gevent", tls=True),
        "gunicorn, gevent worker, TLS",
        "gunicorn",
        tls=True,
        runs="gevent",
    ),
    "gunicorn-gevent-pywsgi": Kind(
        _worker("gevent_pywsgi"), "gunicorn, gevent_pywsgi worker", "gunicorn", runs="gevent"
    ),
    "gunicorn-gevent-pywsgi-tls": Kind(
        _worker("gevent_pywsgi", tls=True),
        "gunicorn, gevent_pywsgi worker, TLS",
        "gunicorn",
        tls=True,
        runs="gevent",
    ),
    # --- gevent
    "gevent": Kind(_script("gevent"), "gevent.pywsgi, patched", "gevent", runs="gevent"),
    "gevent-unpatched": Kind(
        _script("gevent-unpatched"), "gevent.pywsgi, not patched", "gevent", runs="gevent"
    ),
    "gevent-tls": Kind(
        _script("gevent-tls", tls=True),
        "gevent.pywsgi, patched, TLS",
        "gevent",
        tls=True,
        runs="gevent",
    ),
    "gevent-unpatched-tls": Kind(
        _script("gevent-unpatched-tls", tls=True),
        "gevent.pywsgi, not patched, TLS",
        "gevent",
        tls=True,
        runs="gevent",
    ),
    # --- the standard library, Django
    "wsgiref": Kind(_script("wsgiref"), "wsgiref", calls=1, limits=_ONE),
    "wsgiref-threading": Kind(_script("wsgiref-threading"), "wsgiref with ThreadingMixIn"),
    "django-runserver": Kind(
        _django_runserver,
        "Django, runserver",
        "django",
        bound=r"Starting (?:WSGI )?development server at http://127\.0\.0\.1:(\d+)/",
        interactive=True,
        limits="every reload ends all connections",
    ),
    "django-gunicorn": Kind(
        _gunicorn(
            "--worker-class",
            "gthread",
            "--threads",
            "4",
            app="django.core.wsgi:get_wsgi_application()",
        ),
        "Django under gunicorn, gthread worker",
        "django",
        calls=4,
        limits=_FOUR,
    ),
    # --- cheroot, waitress
    "cheroot": Kind(_script("cheroot"), "cheroot", "cheroot", calls=4, limits=_FOUR),
    "cheroot-tls": Kind(
        _script("cheroot-tls", tls=True),
        "cheroot, TLS",
        "cheroot",
        tls=True,
        calls=4,
        limits=_FOUR,
    ),
    "waitress": Kind(_script("waitress"), "waitress", "waitress", calls=4, limits=_FOUR),
    # --- uWSGI
    "uwsgi": Kind(
        _uwsgi("--http-socket", "FD", "--threads", "4"),
        "uWSGI, --http-socket",
        "pyuwsgi",
        deaf=True,
        calls=4,
        early=False,
        limits=_FOUR,
    ),
    "uwsgi-http": Kind(
        _uwsgi("--http", "FD", "--http-websockets", "--threads", "4"),
        "uWSGI, --http with --http-websockets",
        "pyuwsgi",
        deaf=True,
        calls=4,
        duplex=False,
        early=False,
        limits=f"{_FOUR}; without --http-websockets no message arrives; the router moves octets one "
        "way at a time: while the client does not read what waits for it, nothing of its arrives",
    ),
    "uwsgi-gevent": Kind(
        _uwsgi("--http-socket", "FD", "--gevent", "100", "--gevent-monkey-patch"),
        "uWSGI, --gevent",
        "pyuwsgi",
        deaf=True,
        runs="gevent",
        calls=100,
        early=False,
        limits="an attached connection holds one of the async cores (100 in the tests)",
    ),
    # --- eventlet
    "eventlet": Kind(_script("eventlet"), "eventlet.wsgi, patched", "eventlet", runs="eventlet"),
    "eventlet-tls": Kind(
        _script("eventlet-tls", tls=True),
        "eventlet.wsgi, patched, TLS",
        "eventlet",
        tls=True,
        runs="eventlet",
    ),
}
"""By the name that tests use."""
