"""Signal handlers of the application that run, and raise, in the midst of what the library does.

A time-out by SIGALRM is the usual one, on servers that call the application in the main thread."""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from faye_sync import WebSocket, websocket
from faye_sync.housekeeping import housekeeper_of
from faye_sync.sending import Outgoing
from faye_sync.transport.hijack import Taken, take
from faye_sync.transport.servers import Found

ALARMS = 300


class Late(Exception):
    """A time is over."""


@pytest.fixture
def on_alarm() -> Iterator[Callable]:
    """Set what SIGALRM calls."""
    before = signal.getsignal(signal.SIGALRM)
    yield lambda handler: signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def be_late(*_: object) -> None:
    raise Late


def receive(ws: WebSocket) -> None:
    with pytest.raises(TimeoutError):
        ws.receive(0)


CALLS: dict[str, Callable[[WebSocket], object]] = {
    "send": lambda ws: ws.send("x"),
    "send_nowait": lambda ws: ws.send_nowait("x"),
    "ping": lambda ws: ws.ping("x"),
    "receive": receive,
}


def call_until_late(ws: WebSocket, call: Callable[[WebSocket], object]) -> None:
    """Call again and again until an alarm raises, wherever that is."""
    try:
        # Again and again, because Python drops what is raised in a weak reference's callback.
        signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 4e-4), 0.005)
        while True:
            call(ws)
    except Late:
        return
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="Python 3.10 runs handlers between any two instructions, those of a release too",
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_handler_that_raises_leaves_no_lock_held(local, on_alarm, call):
    on_alarm(be_late)
    ws = local.open(ping=None)
    reader = threading.Thread(target=local.peer.rest, args=(60,))
    reader.start()
    for _ in range(ALARMS):
        call_until_late(ws, call)
    locks = (ws._link.outgoing.writing_lock, ws._receiving_lock)
    assert not any(lock.locked() for lock in locks)
    ws._link.abort("local")
    reader.join(60)


def at_the_take(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(found: Found) -> Taken:
        signal.raise_signal(signal.SIGALRM)
        return take(found)

    monkeypatch.setattr(websocket, "take", interrupted)


def test_a_close_by_a_handler_in_the_midst_of_accept_is_done_when_it_is_open(
    local, on_alarm, monkeypatch
):
    ws = WebSocket(local.environ)
    on_alarm(lambda *_: ws.close(4000, "in a hurry"))
    at_the_take(monkeypatch)
    ws.accept()
    local.peer.read_head()
    assert local.peer.answer_close() == (4000, "in a hurry")


def at_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "Link", lambda *_: signal.raise_signal(signal.SIGALRM))


def at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "hold", lambda link: signal.raise_signal(signal.SIGALRM))


@pytest.mark.parametrize("place", [at_the_link, at_the_end])
def test_a_handler_that_raises_in_accept_ends_the_connection(local, on_alarm, monkeypatch, place):
    on_alarm(be_late)
    ws = WebSocket(local.environ)
    place(monkeypatch)
    with pytest.raises(Late):
        ws.accept()
    # Nothing, or a 101 and no more; but it ends.
    local.peer.rest()


def test_a_connection_is_looked_after_before_its_first_octet_leaves(local, monkeypatch):
    flush, looked_after = Outgoing.flush, []

    def noting(outgoing: Outgoing) -> None:
        link = outgoing._owner
        looked_after.append(link in link.housekeeper.live)
        flush(outgoing)

    monkeypatch.setattr(Outgoing, "flush", noting)
    local.open()
    assert looked_after[0]


def test_a_connection_that_was_reset_before_its_101_is_let_go(local):
    ws = WebSocket(local.environ)
    local.peer.drop()
    ws.accept()
    assert ws.wait_closed(20)
    housekeeper = housekeeper_of(ws._link.world)
    for _ in range(200):
        turned = threading.Event()
        housekeeper.post(turned.set)
        assert turned.wait(20)
        if ws._link not in housekeeper.live:
            return
    pytest.fail("a connection that is over is looked after for ever")
