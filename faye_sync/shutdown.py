"""The end of a server's process, told to the connections while there is time.

A gunicorn worker that is to stop, to reload or to be replaced sets its alive to
False, whatever the reason and the kind of worker; exit hooks run too late for
those in the middle of a call. So its class is replaced by one that notices.
Other servers end by the interpreter's exit, which housekeeping sees to, uWSGI
by a hook of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, Protocol

from faye_sync.housekeeping import Housekeeper, all_kept, say_goodbye, say_goodbye_soon

# gunicorn's handlers of these are methods of its worker; an application may have replaced some.
_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGABRT, signal.SIGUSR1)
_MARKS = ("alive", "nr", "max_requests")


class Held(Protocol):
    """A connection that a server's process holds."""

    housekeeper: Housekeeper

    def say_goodbye(self) -> None:
        """Close with 1001, without waiting."""


class _Process:
    """What this process knows of its own end."""

    def __init__(self) -> None:
        self.is_watched = False
        self.is_ending = False
        # When gunicorn would first have replaced this worker (clock time).
        self.overdue_since: float | None = None


_process = _Process()


def hold(connection: Held) -> None:
    """Have a connection that is enrolled told of the process's end. Safe from any thread."""
    if not _process.is_watched:
        _process.is_watched = True
        _watch(_find_worker())
        _join(sys.modules.get("uwsgi"))
    if _process.is_ending:
        connection.housekeeper.post(connection.say_goodbye)


def _find_worker() -> Any:
    """Find the gunicorn worker of this process; None under other servers."""
    for number in _SIGNALS:
        owner = getattr(signal.getsignal(number), "__self__", None)
        if all(mark in getattr(owner, "__dict__", ()) for mark in _MARKS):
            return owner
    return None


def _watch(worker: Any) -> None:
    if worker is None:
        return
    kind = type(worker)
    body = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "alive": property(_is_alive, _set_alive),
        "max_requests": property(_max_requests, _set_max_requests),
    }
    worker.__class__ = type(kind.__name__, (kind,), body)
    if not worker.alive:
        # Looked at after that, so that no end comes between.
        _set_alive(worker, False)


def _join(uwsgi: Any) -> None:
    """Have uWSGI's own exit hook say goodbye: with --gevent it runs no other."""
    if uwsgi is None:
        return
    earlier = getattr(uwsgi, "atexit", None)

    def end() -> None:
        say_goodbye()
        if earlier is not None:
            earlier()

    uwsgi.atexit = end


def _is_alive(worker: Any) -> Any:
    return worker.__dict__["alive"]


def _set_alive(worker: Any, value: object) -> None:
    """Set it, and tell the connections; often in a signal handler, so nothing waits here."""
    worker.__dict__["alive"] = value
    if not value:
        _process.is_ending = True
        say_goodbye_soon()


def _max_requests(worker: Any) -> int:
    """Put the replacement off while connections may linger."""
    limit: int = worker.__dict__["max_requests"]
    if worker.nr < limit:
        return limit
    if _process.overdue_since is None:
        _process.overdue_since = time.monotonic()
    overdue = time.monotonic() - _process.overdue_since
    return sys.maxsize if any(kept.lingers(overdue) for kept in all_kept()) else limit


def _set_max_requests(worker: Any, value: int) -> None:
    worker.__dict__["max_requests"] = value


def _begin_anew() -> None:
    """This is a forked child: what is said above of the parent need not hold here."""
    vars(_process).update(vars(_Process()))


os.register_at_fork(after_in_child=_begin_anew)
