"""Which ping is overdue, and who is to blame for it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from faye_sync import liveness
from faye_sync.liveness import AWAITED, Liveness
from faye_sync.terms import Terms

TIMEOUT = 3.0  # seconds


class Clock:
    """Housekeeping whose time a test moves on; at() is all that is asked of it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.planned: list[tuple[float, object, tuple]] = []

    def monotonic(self) -> float:
        return self.now

    def at(self, seconds: float, method: object, *arguments: object) -> None:
        self.planned.append((self.now + seconds, method, arguments))

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.planned and min(self.planned, key=lambda plan: plan[0])[0] <= end:
            plan = min(self.planned, key=lambda plan: plan[0])
            self.planned.remove(plan)
            self.now = max(self.now, plan[0])
            plan[1](*plan[2])
        self.now = end


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(liveness, "clock", clock)
    return clock


@pytest.fixture
def owner(clock):
    """A connection that reads and sends nothing by itself; ended holds its abort's cause."""
    owner = SimpleNamespace(
        housekeeper=clock,
        incoming=SimpleNamespace(turn=0, is_full=False),
        outgoing=SimpleNamespace(ping=lambda data: None),
        is_open=lambda: True,
        is_over=lambda: bool(owner.ended),
        read_for_owner=lambda: None,
        ended=[],
    )
    owner.abort = owner.ended.append
    return owner


def test_a_peer_that_is_silent_is_dropped_its_timeout_after_the_first_ping(clock, owner):
    Liveness(owner, Terms(ping=1.0, pong_timeout=TIMEOUT)).begin()
    clock.advance(1.0 + TIMEOUT - 0.01)
    assert not owner.ended
    clock.advance(0.02)
    assert owner.ended == ["ping timeout"]


def test_the_first_ping_after_the_last_octet_counts(clock, owner):
    Liveness(owner, Terms(ping=1.0, pong_timeout=TIMEOUT)).begin()
    clock.advance(1.5)
    owner.incoming.turn += 1  # the first pong; the ping at 2 s is the first without an answer
    clock.advance(0.5 + TIMEOUT - 0.01)
    assert not owner.ended
    clock.advance(0.02)
    assert owner.ended == ["ping timeout"]


def test_any_octet_is_life(clock, owner):
    Liveness(owner, Terms(ping=1.0, pong_timeout=TIMEOUT)).begin()
    for _ in range(50):
        clock.advance(TIMEOUT - 0.1)
        owner.incoming.turn += 1
    assert not owner.ended


def test_octets_that_lie_in_the_kernel_are_life_too(clock, owner):
    def read():
        owner.incoming.turn += 1

    owner.read_for_owner = read
    Liveness(owner, Terms(ping=1.0, pong_timeout=TIMEOUT)).begin()
    clock.advance(20)
    assert not owner.ended


def test_while_the_inbox_is_full_nobody_is_dropped_and_one_look_is_planned_at_a_time(clock, owner):
    owner.incoming.is_full = True
    Liveness(owner, Terms(ping=0.5, pong_timeout=TIMEOUT)).begin()
    clock.advance(60)
    assert not owner.ended
    assert len(clock.planned) == 1
    owner.incoming.is_full = False
    clock.advance(2 * TIMEOUT + 0.1)
    assert owner.ended == ["ping timeout"]


def test_without_a_pong_timeout_nobody_is_dropped(clock, owner):
    Liveness(owner, Terms(ping=1.0, pong_timeout=None)).begin()
    clock.advance(1000)
    assert not owner.ended


def test_pings_that_are_never_answered_are_forgotten(owner):
    pings = Liveness(owner, Terms(ping=None, pong_timeout=None))
    for number in range(AWAITED + 10):
        pings.ping(b"%d" % number, print)
    assert pings.answered(b"0") is None
    assert pings.answered(b"%d" % AWAITED) is print
    assert pings.latency is not None


# --- a connection without messages ----------------------------------------------------------------

IDLE = 5.0  # seconds


def watch(owner, **terms: object) -> None:
    Liveness(owner, Terms(**{"ping": None, "idle": IDLE, **terms})).begin()


def test_a_connection_without_messages_is_dropped_in_its_time(clock, owner):
    watch(owner)
    clock.advance(IDLE - 0.01)
    assert not owner.ended
    clock.advance(0.02)
    assert owner.ended == ["idle"]
    assert clock.planned == []


def test_its_time_counts_from_the_last_message(clock, owner):
    watch(owner)
    for _ in range(20):
        clock.advance(IDLE - 0.1)
        owner.incoming.message_at = clock.now
    assert not owner.ended
    assert len(clock.planned) == 1
    clock.advance(IDLE - 0.01)
    assert not owner.ended
    clock.advance(0.02)
    assert owner.ended == ["idle"]


def test_octets_that_are_no_message_do_not_put_it_off(clock, owner):
    def answer(data: bytes) -> None:
        owner.incoming.turn += 1

    owner.outgoing.ping = answer
    watch(owner, ping=1.0, pong_timeout=TIMEOUT)
    clock.advance(IDLE + 0.01)
    assert owner.ended == ["idle"]


def test_a_silent_peer_is_dropped_by_whichever_time_is_over_first(clock, owner):
    watch(owner, ping=1.0, pong_timeout=TIMEOUT, idle=3.9)
    clock.advance(60)
    assert owner.ended == ["idle"]
    owner.ended.clear()
    watch(owner, ping=1.0, pong_timeout=TIMEOUT, idle=4.1)
    clock.advance(60)
    assert owner.ended == ["ping timeout"]


def test_a_message_that_lies_in_the_kernel_is_read_before_it_is_judged(clock, owner):
    reads: list[float] = []

    def read():
        reads.append(clock.now)
        owner.incoming.message_at = clock.now

    owner.read_for_owner = read
    began = clock.now
    watch(owner)
    clock.advance(4 * IDLE + 0.1)
    assert not owner.ended
    # No more often than it has to.
    assert reads == [began + IDLE * times for times in (1, 2, 3, 4)]


def test_an_end_that_lies_in_the_kernel_is_the_end(clock, owner):
    owner.is_over = lambda: owner.is_read
    owner.is_read = False
    owner.read_for_owner = lambda: setattr(owner, "is_read", True)
    watch(owner)
    clock.advance(10 * IDLE)
    assert not owner.ended
    assert clock.planned == []


def test_where_we_do_not_read_nobody_is_idle_until_we_have_read_again(clock, owner):
    owner.incoming.is_full = True
    watch(owner)
    clock.advance(60)
    assert not owner.ended
    assert len(clock.planned) == 1
    owner.incoming.is_full = False
    clock.advance(2 * IDLE + 0.1)
    assert owner.ended == ["idle"]


def test_a_paused_owner_who_still_reads_is_idle_as_any_other(clock, owner):
    owner.incoming.is_paused = True
    watch(owner)
    clock.advance(IDLE + 0.01)
    assert owner.ended == ["idle"]


def test_what_is_over_is_not_looked_at_again(clock, owner):
    watch(owner)
    owner.ended.append("reset")
    clock.advance(10 * IDLE)
    assert owner.ended == ["reset"]
    assert clock.planned == []


def test_where_nobody_asks_for_it_no_time_is_noted_and_nothing_planned(clock, owner):
    watch(owner, idle=None)
    assert clock.planned == []
    assert not hasattr(owner.incoming, "notes_time")
    watch(owner)
    assert owner.incoming.notes_time
    assert owner.incoming.message_at == clock.now
