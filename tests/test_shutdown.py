"""A gunicorn worker's end, told to its connections: the worker is gunicorn's own class."""

from __future__ import annotations

import functools
import os
import signal
import sys
from types import ModuleType

import pytest
from gunicorn.config import Config
from gunicorn.workers.base import Worker

from faye_sync import shutdown
from tests.support.forked import forked
from tests.support.local import Local
from tests.support.peer import PATIENCE

GOODBYE = (1001, "the server is going away")
SIGNALS = shutdown._SIGNALS


class PlainWorker(Worker):
    """A worker that this process may be."""

    def __init__(self, max_requests: int = 0) -> None:
        settings = Config()
        settings.set("max_requests", max_requests)
        super().__init__(1, os.getppid(), [], None, 30, settings, None)

    def serve(self) -> None:
        """Count a request as gunicorn's workers do."""
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False


@pytest.fixture
def process():
    """What the process knows of its end, as on its first day; signals as before at the end."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    shutdown._begin_anew()
    yield shutdown._process
    for number, handler in handlers.items():
        signal.signal(number, handler)
    shutdown._begin_anew()


@pytest.fixture
def become(process):
    """Make this process a worker, with that worker's signal handlers."""
    workers = []

    def become(max_requests: int = 0) -> PlainWorker:
        worker = PlainWorker(max_requests)
        workers.append(worker)
        signal.signal(signal.SIGTERM, worker.handle_exit)
        signal.signal(signal.SIGUSR1, worker.handle_usr1)
        return worker

    yield become
    for worker in workers:
        worker.tmp.close()


def test_a_worker_that_is_no_longer_alive_says_goodbye(become, local):
    worker = become()
    local.open()
    worker.alive = False
    assert local.peer.answer_close() == GOODBYE
    assert not worker.alive


def test_a_signal_is_told_in_the_midst_of_a_receive(become, local):
    become()
    ws = local.open()
    local.peer.say("hello")
    assert ws.receive(timeout=PATIENCE) == "hello"
    os.kill(os.getpid(), signal.SIGTERM)
    assert local.peer.answer_close() == GOODBYE
    assert ws.wait_closed(PATIENCE)
    assert ws.close_code == 1001


def test_a_worker_that_stays_alive_says_nothing(become, local):
    worker = become()
    ws = local.open()
    worker.alive = True
    local.peer.say("hello")
    assert ws.receive(timeout=PATIENCE) == "hello"
    assert local.peer.close() == (1000, "")


def test_a_connection_opened_after_the_end_began_is_told_at_once(become, local):
    worker = become()
    with Local() as first:
        first.open()
        worker.alive = False
        assert first.peer.answer_close() == GOODBYE
    local.open()
    assert local.peer.answer_close() == GOODBYE


def test_the_first_connection_of_a_worker_that_has_ended_is_told_at_once(become, local):
    become().alive = False
    local.open()
    assert local.peer.answer_close() == GOODBYE


def test_a_watched_worker_is_the_worker_it_was(become, local):
    worker = become(max_requests=7)
    local.open()
    assert isinstance(worker, PlainWorker)
    assert type(worker).__qualname__ == PlainWorker.__qualname__
    assert type(worker).__module__ == PlainWorker.__module__
    assert str(worker) == "<Worker [booting]>"
    assert (worker.alive, worker.nr, worker.max_requests) == (True, 0, 7)
    worker.max_requests = 8
    assert worker.max_requests == vars(worker)["max_requests"] == 8


def test_a_worker_is_watched_once(become, local):
    worker = become()
    with Local() as other:
        other.open()
        kind = type(worker)
        local.open()
        assert type(worker) is kind


# --- as many requests as it may serve ------------------------------------------------------------------


def test_a_worker_is_replaced_after_its_requests_where_nothing_lingers(become, local):
    worker = become(max_requests=2)
    local.open()
    worker.serve()
    assert worker.alive
    worker.serve()
    assert not worker.alive
    assert local.peer.answer_close() == GOODBYE


def test_a_replacement_waits_for_a_connection_that_lingers(become, local):
    worker = become(max_requests=2)
    ws = local.open(linger=None)
    for _ in range(5):
        worker.serve()
    assert worker.alive
    assert worker.max_requests == sys.maxsize
    assert local.peer.close() == (1000, "")
    assert ws.wait_closed(PATIENCE)
    worker.serve()
    assert not worker.alive


def test_a_replacement_waits_no_longer_than_linger_allows(become, local):
    worker = become(max_requests=1)
    ws = local.open(linger=0.2)
    worker.serve()
    assert worker.alive
    # Nothing closes it: that time passes is all that happens.
    assert not ws.wait_closed(0.25)
    worker.serve()
    assert not worker.alive
    assert local.peer.answer_close() == GOODBYE


def test_the_time_of_lingering_counts_from_the_first_request_too_many(become, process, local):
    worker = become(max_requests=2)
    local.open(linger=None)
    worker.serve()
    assert process.overdue_since is None
    worker.serve()
    began = process.overdue_since
    worker.serve()
    assert process.overdue_since == began is not None


def test_a_stop_waits_for_no_connection_that_lingers(become, local):
    become(max_requests=1)
    local.open(linger=None)
    os.kill(os.getpid(), signal.SIGTERM)
    assert local.peer.answer_close() == GOODBYE


# --- finding it ------------------------------------------------------------------------------------------


class Another:
    """Something else whose method handles a signal."""

    alive = True

    def handle(self, number: int, frame: object) -> None:
        """Never called here."""


HANDLERS = {
    "default": signal.SIG_DFL,
    "ignored": signal.SIG_IGN,
    "python's-own": signal.default_int_handler,
    "a-function": lambda number, frame: None,
    "a-partial": functools.partial(print),
    "another-object's": Another().handle,
}


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
def test_a_process_whose_signals_are_handled_otherwise_is_no_worker(process, local, handler):
    for number in SIGNALS:
        signal.signal(number, handler)
    assert shutdown._find_worker() is None
    local.open()
    assert local.peer.close() == (1000, "")


@pytest.mark.parametrize("kept", SIGNALS, ids=lambda number: number.name)
def test_a_worker_is_found_by_any_handler_that_the_application_left_alone(become, kept):
    worker = become()
    for number in SIGNALS:
        signal.signal(number, worker.handle_exit if number == kept else lambda *_: None)
    assert shutdown._find_worker() is worker


def test_a_handler_that_python_did_not_set_is_no_worker(process, monkeypatch):
    monkeypatch.setattr(shutdown.signal, "getsignal", lambda number: None)
    assert shutdown._find_worker() is None


class ClassAlive:
    """Like a worker, but alive as all of its kind are."""

    alive = True

    def __init__(self) -> None:
        self.nr, self.max_requests = 0, 10

    def handle(self, number, frame):
        """Do nothing."""


def test_an_object_that_has_no_alive_of_its_own_is_left_as_it_is(process, local):
    handler = ClassAlive()
    for number in SIGNALS:
        signal.signal(number, handler.handle)
    local.open()
    assert type(handler) is ClassAlive
    assert handler.alive


@pytest.mark.parametrize("has_own", [True, False], ids=["own-hook", "no-hook"])
def test_uwsgis_exit_hook_says_goodbye_and_runs_the_one_that_was_there(
    process, local, monkeypatch, has_own
):
    called = []
    uwsgi = ModuleType("uwsgi")
    if has_own:
        uwsgi.atexit = lambda: called.append("own")
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    local.open()
    uwsgi.atexit()
    assert local.peer.answer_close() == GOODBYE
    assert called == ["own"] * has_own


# --- fork ------------------------------------------------------------------------------------------------


def test_a_forked_child_knows_nothing_of_its_parents_end(become, process, local):
    worker = become()
    local.open()
    worker.alive = False
    assert local.peer.answer_close() == GOODBYE
    fresh = (False, False, None)
    with forked() as is_child:
        if is_child:
            assert (process.is_watched, process.is_ending, process.overdue_since) == fresh
    assert process.is_ending


def test_a_child_that_takes_a_signal_tells_no_connection_of_its_parent(become, local):
    become()
    ws = local.open()
    with forked() as is_child:
        if is_child:
            os.kill(os.getpid(), signal.SIGTERM)
            assert ws.closed
    local.peer.say("still here")
    assert ws.receive(timeout=PATIENCE) == "still here"
    assert local.peer.close() == (1000, "")
