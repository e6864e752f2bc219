"""Both pollers behave alike: each descriptor armed for one event only."""

from __future__ import annotations

import math
import select
import socket

import pytest

from faye_sync.readiness import HANGUP, LONGEST, READ, WRITE, EpollPoller, PollPoller, milliseconds


@pytest.fixture(params=["epoll", "poll"])
def poller(request):
    poller = EpollPoller(select.epoll()) if request.param == "epoll" else PollPoller(select.poll())
    yield poller
    poller.close()


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_an_event_is_told_once_and_again_when_armed_again(poller, pair):
    ours, theirs = pair
    poller.arm(ours.fileno(), READ)
    assert poller.wait(0) == []
    theirs.send(b"x")
    ((fd, events),) = poller.wait(5)
    assert (fd, bool(events & READ)) == (ours.fileno(), True)
    assert poller.wait(0) == []
    poller.arm(ours.fileno(), READ)
    assert len(poller.wait(5)) == 1


def test_arming_replaces_what_was_armed_before(poller, pair):
    ours, theirs = pair
    theirs.send(b"x")
    poller.arm(ours.fileno(), READ)
    poller.arm(ours.fileno(), WRITE)
    ((_, events),) = poller.wait(5)
    assert events & WRITE
    assert not events & select.POLLIN


def test_a_hang_up_is_told_without_waiting_for_octets(poller, pair):
    ours, theirs = pair
    poller.arm(ours.fileno(), HANGUP)
    theirs.send(b"octets nobody reads")
    assert poller.wait(0) == []
    theirs.close()
    assert len(poller.wait(5)) == 1


def test_a_forgotten_descriptor_is_not_told_of(poller, pair):
    ours, theirs = pair
    poller.arm(ours.fileno(), READ)
    poller.forget(ours.fileno())
    poller.forget(ours.fileno())
    theirs.send(b"x")
    assert poller.wait(0) == []


@pytest.mark.parametrize(
    "seconds, expected",
    [(None, None), (0, 0), (-1.0, 0), (0.001, 1), (0.0011, 2), (1e-9, 1), (math.inf, LONGEST)],
)
def test_seconds_become_milliseconds_that_are_never_too_few(seconds, expected):
    assert milliseconds(seconds) == expected
