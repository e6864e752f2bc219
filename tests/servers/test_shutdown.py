"""A process that ends says 1001 to the connections it holds, in the middle of a call too."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.peer import PING, PONG, Peer, frame
from tests.support.servers import ROOT, Server, serve

APP = "tests.support.app:application"
SOON = 3.0  # seconds from the beginning of the end to the last close frame
PATIENCE = 20.0  # seconds

WORKERS = ["gunicorn-gthread", "gunicorn-sync", "gunicorn-gevent"]


def to_master(number: int) -> Callable[[Server, int], None]:
    return lambda server, worker: server.send_signal(number)


def to_worker(number: int) -> Callable[[Server, int], None]:
    return lambda server, worker: os.kill(worker, number)


def ask(server: Server, worker: int) -> None:
    server.get("/hello")


WAYS = {
    "stop": (to_master(signal.SIGTERM), ""),
    "ctrl-c": (to_master(signal.SIGINT), ""),
    "quit": (to_master(signal.SIGQUIT), ""),
    "reload": (to_master(signal.SIGHUP), ""),
    "worker-stop": (to_worker(signal.SIGTERM), ""),
    "worker-abort": (to_worker(signal.SIGABRT), ""),
    "max-requests": (ask, "--max-requests 5"),
}
"""How a worker ends, and gunicorn's options for that."""

GOES_ON = ("reload", "worker-stop", "worker-abort", "max-requests")

# There gunicorn raises SystemExit: in the call of a sync worker, which new ones log, or in
# whichever greenlet runs, perhaps in a reading one of ours, which has no reason to give.
BREAKS_OFF = ("ctrl-c", "quit", "worker-abort")
REASONS = ("the server is going away", "")


@contextmanager
def held(server: Server, *styles: str, query: str = "") -> Iterator[list[Peer]]:
    """Connections of these styles, in this order, each of which has said something."""
    with ExitStack() as stack:
        peers = []
        for style in styles:
            peer = stack.enter_context(Peer(server.address, f"/{style}/echo{query}"))
            peer.say("hello")
            assert peer.read() == "hello"
            # Answered within receive(), so that is where its handler is from now on.
            peer.send(frame(PING, b"are you reading?"))
            assert peer.read_frame() == (PONG, b"are you reading?")
            peers.append(peer)
        yield peers


def read_goodbye(peer: Peer, began: float) -> str:
    """Read the close frame in time, answer it, and see TCP end; returns its reason."""
    code, reason = peer.answer_close()
    assert code == 1001
    assert time.monotonic() - began <= SOON
    return reason


@contextmanager
def ending(pid: int) -> Iterator[None]:
    """Wait, at the end of the block, for a process that is no child of this one.

    A worker that ends may take one more request and drop it (gthread of gunicorn 21.2)."""
    descriptor = os.pidfd_open(pid)
    try:
        yield
        assert select.select([descriptor], [], [], 20)[0], f"process {pid} has not ended"
    finally:
        os.close(descriptor)


def fill_pool(server: Server) -> None:
    """Have a gthread worker start its last threads.

    Its handler of INT and QUIT takes a lock of the pool, which the main thread holds while it
    starts one: the worker hangs until its master kills it."""
    for _ in range(4):
        server.get("/hello")


ENDS = [
    pytest.param(way, name, id=f"{name}-{way}")
    for name in WORKERS
    for way in WAYS
    # While a call is attached to a sync worker there is no other request; see below.
    if (name, way) != ("gunicorn-sync", "max-requests")
]


OTHER_WORKERS = [
    pytest.param(way, name, id=f"{name}-{way}")
    for name in ("gunicorn-gthread-tls", "gunicorn-gevent-tls", "gunicorn-gevent-pywsgi")
    for way in ("stop", "reload")
]


@pytest.mark.parametrize("way, name", ENDS + OTHER_WORKERS)
def test_every_end_of_a_gunicorn_worker_is_told_with_1001(tmp_path, way, name):
    end, options = WAYS[way]
    with serve(name, APP, tmp_path, GUNICORN_CMD_ARGS=options) as server:
        worker = server.ask("/pid")
        # Attached last: it holds the only thread of the sync worker.
        with ending(worker), held(server, "callbacks", "start", "attached") as peers:
            if name == "gunicorn-gthread" and way in BREAKS_OFF:
                fill_pool(server)
            began = time.monotonic()
            end(server, worker)
            for peer in peers:
                assert read_goodbye(peer, began) in REASONS[: 1 + (way in BREAKS_OFF)]
        if way in GOES_ON:
            assert server.ask("/hello") == "hello"
        else:
            server.process.wait(20)
        is_broken_off = name == "gunicorn-sync" and way in BREAKS_OFF
        assert server.log().count("Traceback") <= is_broken_off


@pytest.mark.parametrize("name", WORKERS)
def test_the_last_request_of_a_worker_gets_its_1001_at_once(tmp_path, name):
    with serve(name, APP, tmp_path, GUNICORN_CMD_ARGS="--max-requests 3") as server:
        with ExitStack() as stack:
            stack.enter_context(ending(server.ask("/pid")))
            peers = stack.enter_context(held(server, "callbacks"))
            last = stack.enter_context(Peer(server.address, "/attached/echo"))
            began = time.monotonic()
            for peer in (*peers, last):
                assert read_goodbye(peer, began) == "the server is going away"
        assert server.ask("/hello") == "hello"
        assert "Traceback" not in server.log()


@pytest.mark.parametrize("name", ["gunicorn-gthread", "gunicorn-gevent"])
@pytest.mark.parametrize("style", ["callbacks", "attached"])
def test_a_worker_that_has_served_its_requests_goes_on_while_connections_linger(
    tmp_path, name, style
):
    with serve(name, APP, tmp_path, GUNICORN_CMD_ARGS="--max-requests 3") as server:
        worker = server.ask("/pid")
        with held(server, style, query="?linger=none") as (peer,):
            assert [server.ask("/pid") for _ in range(5)] == [worker] * 5
            peer.say("still here")
            assert peer.read() == "still here"
            assert peer.close() == (1000, "")
        with ending(worker):
            server.get("/hello")
        assert server.ask("/pid") != worker


@pytest.mark.parametrize("name", ["gunicorn-gthread", "gunicorn-sync"])
def test_lingering_ends_when_its_seconds_are_over_and_at_a_stop(tmp_path, name):
    with serve(name, APP, tmp_path, GUNICORN_CMD_ARGS="--max-requests 4") as server:
        worker = server.ask("/pid")
        with ending(worker), held(server, "callbacks", query="?linger=0.5") as (peer,):
            overdue = [server.get("/hello") for _ in range(2)]
            assert [page.status_code for page in overdue] == [200] * 2
            with pytest.raises(TimeoutError):
                peer.read(timeout=0.6)
            began = time.monotonic()
            server.get("/hello")
            assert read_goodbye(peer, began) == "the server is going away"
        with held(server, "callbacks", query="?linger=none") as (peer,):
            began = time.monotonic()
            server.send_signal(signal.SIGTERM)
            assert read_goodbye(peer, began) == "the server is going away"


# --- servers that are a process of their own ----------------------------------------------------------


OF_THEIR_OWN = [
    ("werkzeug", signal.SIGINT, ("callbacks", "start", "attached")),
    ("werkzeug", signal.SIGTERM, ("callbacks", "start", "attached")),
    # At SIGTERM the parent kills its child before that can say anything.
    ("werkzeug-debug", signal.SIGINT, ("callbacks", "start", "attached")),
    ("werkzeug-single", signal.SIGINT, ("callbacks", "start", "attached")),
    ("gevent", signal.SIGINT, ("callbacks", "start", "attached")),
    ("gevent", signal.SIGTERM, ("callbacks", "start", "attached")),
    # These wait for the calls that run before the exit hooks do.
    ("cheroot", signal.SIGINT, ("callbacks", "start")),
    ("waitress", signal.SIGINT, ("callbacks", "start")),
    ("eventlet", signal.SIGINT, ("callbacks", "start")),
    ("uwsgi", signal.SIGINT, ("callbacks", "start")),
    ("uwsgi", signal.SIGTERM, ("callbacks", "start")),
    ("uwsgi-gevent", signal.SIGINT, ("callbacks", "start")),
    ("uwsgi-gevent", signal.SIGTERM, ("callbacks", "start")),
    ("django-runserver", signal.SIGINT, ("callbacks", "start", "attached")),
    ("wsgiref-threading", signal.SIGINT, ("callbacks", "start", "attached")),
]


@pytest.mark.parametrize(
    "name, number, styles",
    [pytest.param(*each, id=f"{each[0]}-{each[1].name}") for each in OF_THEIR_OWN],
)
def test_every_end_of_a_process_is_told_with_1001(tmp_path, name, number, styles):
    with serve(name, APP, tmp_path) as server, held(server, *styles) as peers:
        if name.startswith("uwsgi"):
            wait_for_calls(server, len(styles))
        began = time.monotonic()
        server.send_signal(number)
        for peer in peers:
            assert read_goodbye(peer, began) in REASONS
        server.process.wait(20)


def wait_for_calls(server: Server, count: int) -> None:
    """Wait until uWSGI has told of so many calls that are over.

    It runs no exit hooks while one is under way, and a connection answers before its call ends."""
    deadline = time.monotonic() + PATIENCE
    while server.log().count(" => generated ") < count:
        assert time.monotonic() < deadline, server.log()


def test_a_reload_of_werkzeug_is_told_with_1001(tmp_path):
    module = tmp_path / "reloaded_app.py"
    module.write_text("from tests.support.app import application\n")
    path = f"{ROOT}{os.pathsep}{tmp_path}"
    app = "reloaded_app:application"
    with serve("werkzeug-debug", app, tmp_path, PYTHONPATH=path) as server:
        worker = server.ask("/pid")
        with held(server, "callbacks", "start", "attached") as peers:
            began = time.monotonic()
            module.write_text("from tests.support.app import application  # changed\n")
            for peer in peers:
                assert read_goodbye(peer, began) == "the server is going away"
        assert server.ask("/pid") != worker
