"""The way in: one reads at a time, and what waits for an absent owner is bounded in octets."""

from __future__ import annotations

import _socket
import socket
import threading
import time

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.driver.hybi_receiving import HybiReceiving
from faye_sync.events import CloseEvent, Event, PingEvent
from faye_sync.receiving import EVENT_COST, PAUSED_MARK, Incoming
from faye_sync.transport.stream import BlockingStream
from tests.support.peer import BINARY, PING, PONG, TEXT, frame

MARK = 10_000  # octets that may wait


@pytest.fixture
def way():
    """An incoming side, the peer's socket, and where events go that are no messages."""
    ours, theirs = socket.socketpair()
    stream = BlockingStream(_socket.socket(fileno=ours.detach()))
    receiving = HybiReceiving(require_masking=True, max_length=2**20)
    others: list[Event] = []
    incoming = Incoming(stream, receiving, THREADS, others.append, MARK)
    yield incoming, theirs, others
    theirs.close()
    incoming.close()
    stream.close()


def test_the_owner_waits_for_octets_and_sorts_them(way):
    incoming, peer, _ = way
    peer.sendall(frame(TEXT, b"one") + frame(TEXT, b"two"))
    assert incoming.read()
    assert list(incoming.inbox) == ["one", "two"]
    assert incoming.turn == 1


def test_a_read_ends_at_its_timeout(way):
    assert not way[0].read(0.01)
    assert not way[0].read(0.01, wakeable=True)


def test_housekeeping_leaves_an_owner_alone_who_reads(way):
    incoming, peer, _ = way
    incoming.reading_lock.acquire()
    peer.sendall(frame(TEXT, b"for the owner"))
    assert not incoming.read_now()
    incoming.reading_lock.release()
    assert incoming.read_now()
    assert incoming.read_now()
    assert list(incoming.inbox) == ["for the owner"]


def test_an_end_that_housekeeping_reads_is_an_event_and_no_turn(way):
    incoming, peer, others = way
    peer.close()
    assert incoming.read_now()
    assert others == [CloseEvent(1006, "", False, "eof")]
    assert incoming.turn == 0


@pytest.mark.parametrize("size", [0, 100])
def test_what_waits_is_bounded_in_octets_with_each_events_own_cost(way, size):
    incoming, peer, _ = way
    count = 0
    while not incoming.is_full:
        peer.sendall(frame(BINARY, bytes(size)) * 10)
        assert incoming.read_now()
        count = len(incoming.inbox)
    assert MARK < count * (size + EVENT_COST) < MARK * 1.5


def test_what_the_owner_takes_no_longer_counts(way):
    incoming, peer, _ = way
    while not incoming.is_full:
        peer.sendall(frame(BINARY, bytes(1000)))
        incoming.read_now()
    incoming.inbox.popleft()
    incoming.inbox.popleft()
    assert not incoming.is_full
    incoming.inbox.clear()
    assert not incoming.is_full


def test_a_paused_owner_has_less_room_and_a_discarding_one_no_limit(way):
    incoming, peer, _ = way
    incoming._max_queue = 10 * PAUSED_MARK
    incoming.is_paused = True
    count = 0
    while not incoming.is_full:
        peer.sendall(frame(BINARY, bytes(1000)))
        incoming.read_now()
        count += 1
    assert PAUSED_MARK < count * (1000 + EVENT_COST) < PAUSED_MARK * 1.5
    incoming.is_discarding = True
    assert not incoming.is_full
    waiting = len(incoming.inbox)
    peer.sendall(frame(BINARY, bytes(1000)))
    incoming.read_now()
    assert len(incoming.inbox) == waiting


def test_wake_ends_a_read_that_may_be_woken_under_way_or_the_next(way):
    incoming, _, _ = way
    done = []
    reader = threading.Thread(target=lambda: done.append(incoming.read(wakeable=True)))
    incoming.read(0, wakeable=True)
    incoming.wake()
    reader.start()
    reader.join(20)
    assert done == [True]
    assert incoming.is_woken


# --- what a client's connections ask for ----------------------------------------------------------


def test_the_time_of_the_last_message_is_noted_where_somebody_wants_to_know(way):
    incoming, peer, _ = way
    peer.sendall(frame(TEXT, b"unnoticed"))
    assert incoming.read_now()
    assert incoming.message_at == 0
    incoming.notes_time = True
    before = time.monotonic()
    peer.sendall(frame(TEXT, b"noticed"))
    assert incoming.read_now()
    assert before <= incoming.message_at <= time.monotonic()


@pytest.mark.parametrize(
    "octets",
    [
        frame(PING, b"a"),
        frame(PONG, b"a"),
        frame(TEXT, b"half", final=False),
        frame(TEXT, b"h")[:-1],
    ],
    ids=["ping", "pong", "half-a-message", "half-a-frame"],
)
def test_what_is_no_whole_message_is_none(way, octets):
    incoming, peer, _ = way
    incoming.notes_time = True
    peer.sendall(octets)
    assert incoming.read_now()
    assert (incoming.turn, incoming.message_at) == (1, 0)


def test_a_message_that_is_dropped_was_one_all_the_same(way):
    incoming, peer, _ = way
    incoming.notes_time = incoming.is_discarding = True
    peer.sendall(frame(TEXT, b"dropped"))
    assert incoming.read_now()
    assert incoming.message_at > 0
    assert not incoming.inbox


def test_what_waits_costs_its_octets_and_something_for_each_event(way):
    incoming, _, _ = way
    assert incoming.cost() == 0
    incoming.inbox.extend(["four", b"12345", PingEvent(b"p")])
    incoming.inbox.append(CloseEvent(1000, "a reason", True, "peer"))
    assert incoming.cost() == 4 + 5 + 1 + 4 * EVENT_COST


@pytest.mark.parametrize("is_paused", [False, True], ids=["reading", "paused"])
def test_what_an_earlier_connection_left_takes_room_until_it_is_gone(way, is_paused):
    incoming, _, _ = way
    incoming.is_paused = is_paused
    mark = PAUSED_MARK if is_paused else MARK
    incoming.carried = mark
    assert not incoming.is_full
    incoming.carried = mark + 1
    assert incoming.is_full
    incoming.is_discarding = True
    assert not incoming.is_full
    incoming.is_discarding = False
    incoming.carried = 0
    assert not incoming.is_full


def test_with_something_carried_less_is_read(way):
    incoming, peer, _ = way
    incoming.carried = MARK - 2000
    count = 0
    while not incoming.is_full:
        peer.sendall(frame(BINARY, bytes(500)))
        assert incoming.read_now()
        count += 1
    assert 2000 < count * (500 + EVENT_COST) < 2000 + MARK * 0.5
