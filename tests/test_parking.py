"""Connections in callback style give their threads back, and are served again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from queue import Queue
from random import Random

import pytest

from faye_sync import Client, ConfigurationError, WebSocket, parking
from faye_sync.watching import Watch
from tests.support.clients import on_threads
from tests.support.local import Local
from tests.support.peer import PING, PONG, TEXT, closing, frame

pytestmark = on_threads

PATIENCE = 20.0  # seconds to wait for what should come at once


def name_here() -> str:
    return threading.current_thread().name


def pool_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("faye-sync-pool-")]


@pytest.fixture
def parked(monkeypatch) -> Iterator[Queue]:
    """Told of each connection that parks, which they do almost at once."""
    told: Queue = Queue()
    genuine = Watch.await_input

    def await_input(watch: Watch) -> None:
        genuine(watch)
        told.put(watch)

    monkeypatch.setattr(Watch, "await_input", await_input)
    monkeypatch.setattr(parking, "IDLE", 0.05)
    return told


def start_echo(local: Local, **options) -> WebSocket:
    ws = local.open(**options)
    ws.on("message", lambda event: ws.send(event.data))
    return ws.start()


def test_a_parked_connection_is_served_again(local, parked):
    ws = start_echo(local)
    for text in ("one", "two", "three"):
        parked.get(timeout=PATIENCE)
        local.peer.say(text)
        assert local.peer.read() == text
    assert ws.ready_state.name == "OPEN"


def test_a_message_whose_halves_come_around_a_parking_is_whole(local, parked):
    start_echo(local)
    octets = frame(TEXT, b"one message")
    parked.get(timeout=PATIENCE)
    local.peer.send(octets[:7])
    local.peer.send(octets[7:] + octets[:3])
    assert local.peer.read() == "one message"
    parked.get(timeout=PATIENCE)
    local.peer.send(octets[3:])
    assert local.peer.read() == "one message"


def test_a_ping_is_answered_without_a_thread(local, parked):
    served = Queue()
    ws = local.open()
    ws.on("message", served.put)
    ws.start()
    watch = parked.get(timeout=PATIENCE)
    local.peer.send(frame(PING, b"are you there"))
    assert local.peer.read_frame() == (PONG, b"are you there")
    local.peer.say("now")
    assert served.get(timeout=PATIENCE).data == "now"
    assert parked.get(timeout=PATIENCE) is watch
    assert parked.empty()


def test_a_close_frame_reaches_the_listeners_of_a_parked_connection(local, parked):
    closed = Queue()
    ws = start_echo(local)
    ws.on("close", closed.put)
    parked.get(timeout=PATIENCE)
    local.peer.send(closing(4000, "enough"))
    assert closed.get(timeout=PATIENCE).code == 4000
    assert ws.join(PATIENCE)


def test_an_end_without_a_close_frame_reaches_them_too(local, parked):
    closed = Queue()
    ws = start_echo(local)
    ws.on("close", closed.put)
    parked.get(timeout=PATIENCE)
    local.peer.sock.close()
    assert closed.get(timeout=PATIENCE).code == 1006
    assert ws.join(PATIENCE)


def test_close_and_join_end_a_parked_connection(local, parked):
    ws = start_echo(local)
    parked.get(timeout=PATIENCE)
    ws.close(4001, "enough")
    assert local.peer.answer_close() == (4001, "enough")
    assert ws.join(PATIENCE)
    assert ws.close_code == 4001


def test_a_listener_added_to_a_parked_connection_gets_what_was_kept(local, parked):
    ws = local.open().start()
    local.peer.say("kept")
    parked.get(timeout=PATIENCE)
    heard = Queue()
    ws.on("message", lambda event: heard.put((event.data, name_here())))
    data, thread = heard.get(timeout=PATIENCE)
    assert data == "kept"
    assert thread.startswith("faye-sync-pool-")


def test_a_connection_that_is_not_to_park_keeps_its_thread(local, parked):
    names = Queue()
    ws = local.open(park=False)
    ws.on("message", lambda _: names.put(name_here()))
    ws.start()
    with Local() as other:
        start_echo(other)
        parked.get(timeout=PATIENCE)
    local.peer.say("hello")
    assert names.get(timeout=PATIENCE) == f"faye-sync-{ws.id}"
    assert f"faye-sync-{ws.id}" in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("make", [lambda v: Client("ws://localhost", park=v)], ids=["client"])
def test_park_is_true_or_false(make, local):
    with pytest.raises(ConfigurationError, match="park must be True or False, got 1"):
        make(1)
    with pytest.raises(ConfigurationError, match="park must be True or False, got None"):
        WebSocket(local.environ, park=None)


def test_many_that_are_silent_hold_few_threads(parked):
    count = 50
    with ExitStack() as stack:
        locals_ = [stack.enter_context(Local()) for _ in range(count)]
        for each in locals_:
            start_echo(each)
        watches = {parked.get(timeout=PATIENCE) for _ in range(count)}
        assert len(watches) == count
        for each in locals_:
            each.peer.say("still there?")
        assert [each.peer.read() for each in locals_] == ["still there?"] * count
        for _ in range(count):
            parked.get(timeout=PATIENCE)
        assert len(pool_threads()) < count / 2


def test_spare_threads_end_too(local, parked, monkeypatch):
    monkeypatch.setattr(parking, "_pools", [])
    monkeypatch.setattr(parking, "SPARE_TIME", 0.05)
    before = set(threading.enumerate())
    start_echo(local)
    parked.get(timeout=PATIENCE)
    for thread in set(threading.enumerate()) - before:
        if thread.name == "faye-sync-pool-1":
            thread.join(PATIENCE)
            assert not thread.is_alive()
    local.peer.say("and now?")
    assert local.peer.read() == "and now?"


def test_listeners_that_block_do_not_keep_others_from_being_served(parked):
    count = 20
    release = threading.Event()
    with ExitStack() as stack:
        stack.callback(release.set)
        for _ in range(count):
            each = stack.enter_context(Local())
            ws = each.open()
            ws.on("message", lambda _: release.wait(PATIENCE))
            ws.start()
            each.peer.say("block")
        last = stack.enter_context(Local())
        start_echo(last)
        last.peer.say("and I?")
        assert last.peer.read() == "and I?"
        assert not release.is_set()


def test_messages_keep_their_order_across_many_parkings(parked, monkeypatch):
    monkeypatch.setattr(parking, "IDLE", 0.004)
    random = Random(7)
    with ExitStack() as stack:
        locals_ = [stack.enter_context(Local()) for _ in range(8)]
        for each in locals_:
            start_echo(each)
        for i in range(150):
            texts = [f"{i} {j}" for j in range(random.randrange(1, 4))]
            for each in locals_:
                octets = b"".join(frame(TEXT, text.encode()) for text in texts)
                cut = random.randrange(len(octets))
                each.peer.send(octets[:cut])
                # Silences of about the length at which a connection parks.
                time.sleep(random.random() * 0.002)
                each.peer.send(octets[cut:])
            for each in locals_:
                assert [each.peer.read() for _ in texts] == texts
    assert parked.qsize() > len(locals_)


def test_no_thread_is_started_when_the_interpreter_ends(monkeypatch):
    monkeypatch.setattr(parking, "_pools", [])
    pool, done = parking._pool(), threading.Event()
    monkeypatch.setattr(pool._housekeeper, "is_ending", True)
    pool._waiting.append(lambda: None)
    pool._housekeeper.post(lambda: (pool._call(1), done.set()))
    assert done.wait(PATIENCE)
    assert not pool._workers
    pool._waiting.clear()


def test_where_threads_run_out_a_connection_waits_for_one(local, parked, monkeypatch):
    logged, release = Queue(), threading.Event()
    genuine = parking.THREADS.spawn

    def spawn_one(name, job):
        if name == "faye-sync-pool-1":
            genuine(name, job)
        elif name.startswith("faye-sync-pool-"):
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(parking, "_pools", [])
    monkeypatch.setattr(parking.THREADS, "spawn", spawn_one)
    monkeypatch.setattr(parking.logger, "exception", lambda text, *_: logged.put(text))
    busy = local.open()
    busy.on("message", lambda _: release.wait(PATIENCE))
    busy.start()
    local.peer.say("block")
    with Local() as other:
        start_echo(other)
        other.peer.say("hello")
        assert "no thread could be started" in logged.get(timeout=PATIENCE)
        release.set()
        assert other.peer.read() == "hello"
