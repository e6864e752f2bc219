"""Connections that followed each other: what is handed out first, and how much may wait."""

from __future__ import annotations

import _socket
import socket
from contextlib import ExitStack

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.driver.hybi import HybiClient
from faye_sync.events import ErrorEvent
from faye_sync.link import Link
from faye_sync.receiving import EVENT_COST
from faye_sync.sources import Sources
from faye_sync.terms import Terms
from faye_sync.transport.stream import CHUNK, open_stream
from tests.support.wire import BINARY, TEXT, frame

MAX_QUEUE = 200_000  # octets that may wait unread
SIZE = 1000
MESSAGE = frame(BINARY, bytes(SIZE))
COST = SIZE + EVENT_COST


class End:
    """A link to a peer within the test."""

    def __init__(self, **terms: object) -> None:
        ours, self.peer = socket.socketpair()
        driver = HybiClient(protocols=(), max_length=2**20)
        driver.start()
        stream = open_stream(_socket.socket(fileno=ours.detach()), THREADS)
        options = {"max_queue": MAX_QUEUE, "ping": None, **terms}
        self.link = Link(stream, driver, THREADS, Terms(**options), lambda name: False)
        self.link.begin(b"")
        self.link.incoming.inbox.clear()  # the OpenEvent

    def say(self, octets: bytes) -> None:
        """Send, and have it read."""
        with self.link.incoming.reading_lock:
            self.link.incoming.feed(octets)

    def finish(self, octets: bytes = b"") -> Link:
        """Send the last octets; the link has come to its end then."""
        if octets:
            self.say(octets)
        self.say(b"")
        self.link.conclude()
        return self.link

    def close(self) -> None:
        self.link.give_up()
        self.peer.close()


@pytest.fixture
def make():
    """Make links, which end with the test."""
    with ExitStack() as stack:

        def made(**terms: object) -> End:
            end = End(**terms)
            stack.callback(end.close)
            return end

        yield made


def test_without_a_link_there_is_nothing_to_read():
    assert Sources().first is None


def test_the_one_link_is_the_first(make):
    sources, link = Sources(), make().link
    sources.add(link)
    assert sources.first is link
    assert link.incoming.carried == 0


def test_a_link_that_left_something_is_read_before_the_present_one(make):
    sources, present = Sources(), make().link
    old = make().finish(frame(TEXT, b"the last word"))
    sources.add(old)
    sources.add(present)
    assert sources.first is old
    assert "the last word" in old.incoming.inbox


def test_a_link_that_left_nothing_but_its_end_is_forgotten(make):
    sources, present = Sources(), make().link
    sources.add(make().finish())
    sources.add(present)
    assert sources.first is present


def test_a_link_that_failed_is_read_to_its_error(make):
    sources = Sources()
    # A frame of the reserved opcode 3.
    failed = make().finish(bytes.fromhex("83 00"))
    assert isinstance(failed.incoming.inbox[0], ErrorEvent)
    sources.add(failed)
    sources.add(make().link)
    assert sources.first is failed


def test_a_link_that_has_been_read_is_forgotten_with_the_next(make):
    sources, present = Sources(), make().link
    old = make().finish(MESSAGE)
    sources.add(old)
    old.incoming.inbox.popleft()
    sources.add(present)
    assert sources.first is present
    assert present.incoming.carried == 0


def test_links_are_read_in_the_order_they_came(make):
    sources, links = Sources(), [make().finish(MESSAGE) for _ in range(3)]
    for link in links:
        sources.add(link)
    seen = []
    while sources.first is not None:
        seen.append(sources.first)
        sources.drop(sources.first)
    assert seen == links


def test_what_was_never_there_or_is_gone_already_may_be_dropped(make):
    sources, link = Sources(), make().link
    sources.drop(link)
    sources.add(link)
    sources.drop(link)
    sources.drop(link)
    assert sources.first is None


# --- how much may wait ----------------------------------------------------------------------------


def fill(end: End) -> int:
    """Have housekeeping read until it stops; how many octets wait then, of this link alone."""
    while not end.link.incoming.is_full:
        end.peer.sendall(MESSAGE)
        assert end.link.incoming.read_now()
    return end.link.incoming.cost()


@pytest.mark.parametrize("count", [1, 20, 100])
def test_what_an_earlier_link_left_counts_as_the_present_ones_own(make, count):
    sources, present = Sources(), make()
    sources.add(make().finish(MESSAGE * count))
    sources.add(present.link)
    left = count * COST
    assert left <= present.link.incoming.carried <= left + 2 * EVENT_COST
    assert MAX_QUEUE - CHUNK < left + fill(present) < MAX_QUEUE + CHUNK


def test_the_leftovers_of_all_earlier_links_count_together(make):
    sources, present = Sources(), make()
    for _ in range(5):
        sources.add(make().finish(MESSAGE * 20))
    sources.add(present.link)
    assert present.link.incoming.carried >= 5 * 20 * COST
    assert 5 * 20 * COST + fill(present) < MAX_QUEUE + CHUNK


def test_where_they_take_all_the_room_nothing_is_read(make):
    sources, present = Sources(), make()
    sources.add(make(max_queue=10 * MAX_QUEUE).finish(MESSAGE * 1000))
    sources.add(present.link)
    assert present.link.incoming.is_full


def test_once_they_were_handed_out_there_is_room_again(make):
    sources, present = Sources(), make()
    old = make(max_queue=10 * MAX_QUEUE).finish(MESSAGE * 1000)
    sources.add(old)
    sources.add(present.link)
    sources.drop(old)
    assert sources.first is present.link
    assert not present.link.incoming.is_full


def test_who_discards_has_no_limit(make):
    sources, present = Sources(), make()
    sources.add(make(max_queue=10 * MAX_QUEUE).finish(MESSAGE * 1000))
    sources.add(present.link)
    present.link.discard()
    assert not present.link.incoming.is_full


def test_events_that_cost_little_are_counted_by_their_number(make):
    sources, present = Sources(), make()
    sources.add(make().finish(frame(TEXT) * 1000))
    sources.add(present.link)
    assert present.link.incoming.carried >= 1000 * EVENT_COST
