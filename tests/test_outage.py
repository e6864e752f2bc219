"""The time without a connection: its waits, who may end them, and how attempts are counted."""

from __future__ import annotations

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    HandshakeError,
    ProxyError,
)
from faye_sync.events import CloseEvent
from faye_sync.outage import Outage, Tries, final_event, for_receiver
from faye_sync.reconnect import Reconnect
from faye_sync.transport.attempt import CalledOff
from tests.support.endings import in_time, sockets

LONG = 3600.0  # seconds that no test waits
PATIENCE = 20.0  # seconds to wait for what should come at once


@pytest.fixture
def outage():
    before = sockets()
    yield Outage(THREADS)
    assert sockets() <= before


# --- waiting --------------------------------------------------------------------------------------


def test_it_begins_undecided_and_free_for_the_first_to_take(outage):
    assert not outage.decided.is_set()
    assert (outage.taker, outage.link, outage.error, outage.fresh) == (None, None, None, None)


def test_a_rest_lasts_as_long_as_it_is_told(outage):
    with in_time(0.2, not_before=0.2):
        outage.rest(0.2)


def test_a_rest_of_no_time_ends_at_once(outage):
    with in_time(0):
        outage.rest(0)


def test_the_deadline_of_an_attempt_is_its_own(outage):
    with (
        outage.attempt(0.1) as attempt,
        pytest.raises(TimeoutError, match=r"open_timeout of 0\.1 s"),
    ):
        attempt.wait(())
    with outage.attempt(None) as attempt:
        assert attempt.wait((), 0) == []


def wait_in_attempt(outage: Outage) -> None:
    with outage.attempt(None) as attempt:
        attempt.wait(())


WAITS = {"rest": lambda outage: outage.rest(LONG), "attempt": wait_in_attempt}
each_wait = pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)


class Began:
    """Tells when an outage has made an attempt, which is what can be called off."""

    def __init__(self, outage: Outage) -> None:
        self._is_there = threading.Event()
        make = outage.attempt

        def attempt(timeout):
            made = make(timeout)
            self._is_there.set()
            return made

        outage.attempt = attempt

    def wait(self) -> None:
        assert self._is_there.wait(PATIENCE)


@each_wait
def test_calling_off_ends_a_wait_on_another_thread(outage, wait):
    began = Began(outage)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, outage)
        began.wait()
        outage.call_off()
        with pytest.raises(CalledOff):
            waiting.result(PATIENCE)


@each_wait
def test_once_called_off_nothing_is_waited_for(outage, wait):
    outage.call_off()
    with pytest.raises(CalledOff):
        wait(outage)


def test_hurrying_ends_a_rest_as_if_its_time_were_over(outage):
    began = Began(outage)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(outage.rest, LONG)
        began.wait()
        outage.hurry()
        assert waiting.result(PATIENCE) is None
    assert not outage.is_called_off


def test_hurrying_ends_the_present_attempt_and_no_later_one(outage):
    began = Began(outage)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_in_attempt, outage)
        began.wait()
        outage.hurry()
        with pytest.raises(CalledOff):
            waiting.result(PATIENCE)
    with outage.attempt(None) as attempt:
        assert attempt.wait((), 0) == []


@pytest.mark.parametrize("call", [Outage.hurry, Outage.call_off], ids=lambda call: call.__name__)
def test_what_ends_a_wait_may_come_before_the_first_and_after_the_last(outage, call):
    call(Outage(THREADS))
    outage.rest(0)
    call(outage)
    call(outage)


def test_who_dials_knows_himself_and_nobody_else_does(outage):
    assert not outage.is_here()
    outage.dialer = THREADS.current()
    assert outage.is_here()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(outage.is_here).result(PATIENCE) is False
    outage.dialer = None
    assert not outage.is_here()


# --- counting -------------------------------------------------------------------------------------

LOST = ConnectionClosed(1006, "", False, "eof")
PASSING = ConnectionRefusedError("refused")
LASTING = HandshakeError("refused", 401)


@pytest.mark.parametrize("error", [PASSING, LASTING], ids=["network", "401"])
def test_without_a_policy_no_attempt_follows_one_that_failed(error):
    assert not Tries(None).failed(error)


def test_without_a_policy_the_next_connection_is_not_waited_for():
    tries = Tries(None)
    assert [tries.wait_after(LOST) for _ in range(3)] == [0, 0, 0]


def test_with_a_policy_attempts_follow_each_other_for_ever():
    tries = Tries(Reconnect())
    assert all(tries.failed(PASSING) for _ in range(10_000))


@pytest.mark.parametrize("most", [1, 2, 5])
def test_attempts_in_a_row_are_bounded_by_max_attempts(most):
    tries = Tries(Reconnect(max_attempts=most))
    assert [tries.failed(PASSING) for _ in range(most)] == [True] * (most - 1) + [False]


def test_a_connection_ends_the_row_however_soon_it_is_lost():
    tries = Tries(Reconnect(max_attempts=2, stable=LONG))
    for _ in range(10):
        assert tries.failed(PASSING)
        tries.opened()
        tries.lost()
    assert tries.failed(PASSING)
    assert not tries.failed(PASSING)


def test_what_will_not_pass_ends_it_at_the_first_attempt():
    assert not Tries(Reconnect()).failed(LASTING)


def test_each_wait_is_longer_than_the_one_before():
    tries = Tries(Reconnect(jitter=0))
    assert [tries.wait_after(PASSING) for _ in range(4)] == [1, 2, 4, 8]
    assert tries.waits == 4


def test_the_waits_grow_on_over_connections_that_were_not_stable():
    tries = Tries(Reconnect(jitter=0, stable=LONG))
    waits = []
    for _ in range(4):
        tries.opened()
        tries.lost()
        waits.append(tries.wait_after(LOST))
    assert waits == [1, 2, 4, 8]


def test_the_waits_begin_anew_after_one_that_was():
    tries = Tries(Reconnect(jitter=0, stable=0))
    waits = [tries.wait_after(PASSING) for _ in range(3)]
    tries.opened()
    tries.lost()
    waits.append(tries.wait_after(LOST))
    assert waits == [1, 2, 4, 1]


def test_a_connection_alone_does_not_begin_them_anew_before_it_was_stable():
    tries = Tries(Reconnect(jitter=0, stable=0))
    tries.wait_after(PASSING)
    tries.opened()
    assert tries.wait_after(LOST) == 2


def test_a_retry_after_counts_as_a_wait_like_any_other():
    tries = Tries(Reconnect(jitter=0))
    assert tries.wait_after(HandshakeError("x", 503, {"Retry-After": "30"})) == 30
    assert tries.wait_after(PASSING) == 2


# --- how it is told -------------------------------------------------------------------------------

TOLD = [
    pytest.param(
        ConnectionClosed(4001, "bye", False, "local"),
        CloseEvent(4001, "bye", False, "local"),
        id="our own close",
    ),
    pytest.param(LOST, CloseEvent(1006, "", False, "eof"), id="the end of the last connection"),
    pytest.param(LASTING, CloseEvent(1002, "refused", False, "handshake"), id="a refusal"),
    pytest.param(
        HandshakeError("no answer"), CloseEvent(1002, "no answer", False, "handshake"), id="none"
    ),
    pytest.param(ProxyError("407", 407), CloseEvent(1006, "", False, "connect"), id="a proxy"),
    pytest.param(PASSING, CloseEvent(1006, "", False, "connect"), id="the network"),
    pytest.param(TimeoutError("x"), CloseEvent(1006, "", False, "connect"), id="the deadline"),
    pytest.param(ssl.SSLError("x"), CloseEvent(1006, "", False, "connect"), id="TLS"),
    pytest.param(ConfigurationError("x"), CloseEvent(1006, "", False, "connect"), id="an option"),
    pytest.param(KeyError("x"), CloseEvent(1006, "", False, "connect"), id="a user's mistake"),
]


@pytest.mark.parametrize("error, event", TOLD)
def test_the_close_event_tells_why_there_is_no_connection(error, event):
    assert final_event(error) == event


@pytest.mark.parametrize("sign", ["x", "\u00e9", "\U0001f600"], ids=ascii)
def test_the_reason_of_a_refusal_fits_a_close_frame(sign):
    reason = final_event(HandshakeError(sign * 200)).reason
    assert len(reason.encode()) <= 123
    assert reason.startswith(sign * 20)


@pytest.mark.parametrize(
    "error",
    [LASTING, ProxyError("407", 407), LOST, ConfigurationError("x"), KeyError("x")],
    ids=lambda error: type(error).__name__,
)
def test_who_lost_a_connection_is_told_what_is_no_matter_of_the_network(error):
    assert for_receiver(error) is error


@pytest.mark.parametrize(
    "error",
    [PASSING, TimeoutError("x"), ssl.SSLError("x"), OSError(113, "no route")],
    ids=lambda error: type(error).__name__,
)
def test_who_lost_a_connection_is_told_of_the_network_as_of_its_end(error):
    closed = for_receiver(error)
    assert isinstance(closed, ConnectionClosed)
    assert (closed.code, closed.was_clean, closed.cause) == (1006, False, "connect")
    assert closed.__cause__ is error
