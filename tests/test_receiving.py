"""The way in: one reads at a time, and what waits for an absent owner is bounded in octets."""

from __future__ import annotations

import _socket
import socket
import threading

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.driver.hybi_receiving import HybiReceiving
from faye_sync.events import CloseEvent, Event, MessageEvent
from faye_sync.receiving import EVENT_COST, PAUSED_MARK, Incoming
from faye_sync.transport.stream import BlockingStream
from tests.support.peer import BINARY, TEXT, frame

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
    assert list(incoming.inbox) == [MessageEvent("one"), MessageEvent("two")]
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
    assert list(incoming.inbox) == [MessageEvent("for the owner")]


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
