"""The application of the stress: /run/key is a connection, the rest are questions about them."""

from __future__ import annotations

import gc
import json
import sys
import threading
import traceback
from collections.abc import Callable, Iterable

from faye_sync import WebSocket
from faye_sync.receiving import Incoming
from tests.stress.plan import plan_of
from tests.stress.sender import pause
from tests.stress.session import PATIENCE, Session
from tests.support.app import QUESTIONS

# Switch threads ten times as often as usual: more orders of things in the same time.
sys.setswitchinterval(0.0005)

sessions: dict[str, Session] = {}
housekeeping_reads = 0


def count_housekeeping_reads() -> None:
    read_now = Incoming.read_now

    def counting(self: Incoming) -> bool:
        global housekeeping_reads  # noqa: PLW0603  # one count for the process
        has_read = read_now(self)
        housekeeping_reads += has_read
        return has_read

    Incoming.read_now = counting


count_housekeeping_reads()


def report(keys: Iterable[str]) -> list[dict]:
    """Report on sessions that have ended, and forget them."""
    reports = []
    for key in keys:
        session = sessions.pop(key, None)
        if session is None:
            continue
        for _ in range(int(5 * PATIENCE / 0.02)):
            if session.is_finished:
                break
            pause(0.02)
        else:
            session.fault(f"stuck: its conductor has not ended; {session.state()}")
        reports.append(session.report())
    return reports


def leftovers() -> list[str]:
    """Threads and greenlets that belong to connections."""
    names = [thread.name for thread in threading.enumerate()] + [
        str(getattr(greenlet, "name", "")) for greenlet in greenlets()
    ]
    return sorted(
        name
        for name in names
        if name.startswith(("stress-", "faye-sync-")) and "housekeeping" not in name
    )


def greenlets() -> list:
    """All that have not ended, of gevent's and eventlet's."""
    kinds = tuple(
        getattr(sys.modules[module], name)
        for module, name in (("gevent", "Greenlet"), ("eventlet.greenthread", "GreenThread"))
        if module in sys.modules
    )
    return [item for item in gc.get_objects() if isinstance(item, kinds) and item] if kinds else []


def stacks() -> str:
    """Say where sessions and greenlets are; threads are shown by faulthandler, on SIGUSR1."""
    lines = [session.state() for session in list(sessions.values())]
    for greenlet in greenlets():
        frames = traceback.format_stack(greenlet.gr_frame) if greenlet.gr_frame else []
        lines.append(f"{getattr(greenlet, 'name', greenlet)}\n{''.join(frames)}")
    return "\n".join(lines)


ANSWERS: dict[str, Callable[[], object]] = {
    **QUESTIONS,
    "/leftovers": leftovers,
    "/stacks": stacks,
    "/housekeeping-reads": lambda: housekeeping_reads,
}


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path.startswith("/run/"):
        return run(path.rpartition("/")[2], environ, start_response)
    start_response("200 OK", [("Content-Type", "application/json")])
    if path == "/report":
        return [json.dumps(report(environ["QUERY_STRING"].split(","))).encode()]
    return [json.dumps(ANSWERS[path]()).encode()]


def run(key: str, environ: dict, start_response: Callable) -> Iterable[bytes]:
    plan = plan_of(key)
    ws = WebSocket(
        environ,
        ping=plan.keepalive,
        close_timeout=PATIENCE - 5,
        max_queue=plan.max_queue,
        detach=False if plan.attached and plan.style == "callbacks" else None,
    )
    session = sessions[key] = Session(plan, ws)
    session.run()
    return ws(environ, start_response)
