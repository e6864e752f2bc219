"""When to connect again, and after how long: the policy alone, without a connection."""

from __future__ import annotations

import math
import pickle
import socket
import ssl
from dataclasses import FrozenInstanceError, fields
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st
from werkzeug.datastructures import Headers

from faye_sync import Reconnect
from faye_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    HandshakeError,
    HijackError,
    MessageTooBig,
    ProtocolError,
    ProxyError,
)
from faye_sync.reconnect import LONGEST_RETRY_AFTER

LOST = ConnectionClosed(1006, "", False, "eof")
EXACT = Reconnect(jitter=0)


def refused(status: int | None = 503, *, retry_after: str | None = None) -> HandshakeError:
    """A refusal, with a Retry-After or none."""
    pairs = [] if retry_after is None else [("Retry-After", retry_after)]
    return HandshakeError("refused", status, None if status is None else Headers(pairs))


# --- what can be set ------------------------------------------------------------------------------


def test_without_a_word_it_is_as_documented():
    policy = Reconnect()
    assert {field.name: getattr(policy, field.name) for field in fields(policy)} == {
        "initial": 1,
        "factor": 2,
        "maximum": 60,
        "jitter": 0.5,
        "max_attempts": None,
        "statuses": (408, 425, 429, 500, 502, 503, 504),
        "stable": 10,
        "idle": None,
    }


ALLOWED = [
    *((name, value) for name in ("initial", "maximum", "stable") for value in (0, 0.0, 1, 1e9)),
    *(("factor", value) for value in (1, 1.0, 1.5, 1e9)),
    *(("jitter", value) for value in (0, 0.0, 0.5, 1, 1.0)),
    *(("max_attempts", value) for value in (None, 1, 10**9)),
    *(("statuses", value) for value in ((), [], [503], {503}, frozenset({503}), range(500, 600))),
    *(("idle", value) for value in (None, 0.001, 1, 1e9)),
]


@pytest.mark.parametrize("name, value", ALLOWED, ids=str)
def test_a_value_within_its_limits_is_taken_as_it_is(name, value):
    assert getattr(Reconnect(**{name: value}), name) == value


NO_NUMBERS = (None, "1", b"1", True, False, math.nan, math.inf, -math.inf, -1, -0.001, [1], 1j)
REFUSED = [
    *(
        (name, value, "seconds, 0 or more")
        for name in ("initial", "maximum", "stable")
        for value in (*NO_NUMBERS, timedelta(seconds=1), Fraction(1))
    ),
    *(("factor", value, "1 or more") for value in (*NO_NUMBERS, 0, 0.999)),
    *(("jitter", value, "0 to 1") for value in (*NO_NUMBERS, 1.001, 2, 50)),
    *(
        ("max_attempts", value, "an int of 1 or more, or None")
        for value in (0, -1, 1.0, "1", True, False, math.inf, math.nan)
    ),
    *(
        ("statuses", value, "a collection of ints")
        for value in (None, 503, "503", b"503", ["503"], (503, None), [503.0], iter([503]))
    ),
    *(
        ("idle", value, "seconds above 0, or None")
        for value in (0, 0.0, *(value for value in NO_NUMBERS if value is not None))
    ),
]


@pytest.mark.parametrize("name, value, allowed", REFUSED, ids=str)
def test_a_value_beyond_its_limits_is_refused_with_what_is_allowed(name, value, allowed):
    with pytest.raises(ConfigurationError) as caught:
        Reconnect(**{name: value})
    assert str(caught.value) == f"{name} of Reconnect must be {allowed}, got {value!r}"


def test_an_option_that_there_is_not_is_refused_as_python_does():
    with pytest.raises(TypeError, match="delay"):
        Reconnect(delay=1)


def test_a_policy_cannot_be_changed_and_travels_between_processes():
    policy = Reconnect(initial=3, statuses=(503,))
    with pytest.raises(FrozenInstanceError):
        policy.initial = 5
    assert pickle.loads(pickle.dumps(policy)) == policy


# --- how long to wait -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, waits",
    [
        pytest.param({}, [1, 2, 4, 8, 16, 32, 60, 60], id="by default"),
        pytest.param({"factor": 1}, [1, 1, 1, 1], id="factor 1"),
        pytest.param({"factor": 10, "maximum": 500}, [1, 10, 100, 500, 500], id="factor 10"),
        pytest.param({"initial": 0}, [0, 0, 0], id="initial 0"),
        pytest.param({"initial": 0.25, "factor": 1.5}, [0.25, 0.375, 0.5625], id="fractions"),
        pytest.param({"initial": 100}, [60, 60], id="initial above the maximum"),
        pytest.param({"maximum": 0}, [0, 0, 0], id="maximum 0"),
    ],
)
def test_waits_grow_by_the_factor_up_to_the_maximum(options, waits):
    policy = Reconnect(**{"jitter": 0, **options})
    assert [policy.wait(attempt, LOST) for attempt in range(1, len(waits) + 1)] == waits


@pytest.mark.parametrize("attempt", [1024, 1025, 100_000, 10**9])
@pytest.mark.parametrize("factor", [2, 2.0, 1.0001, 1e300])
def test_any_number_of_attempts_can_be_counted(attempt, factor):
    assert Reconnect(jitter=0, factor=float(factor)).wait(attempt, LOST) <= 60


def test_after_100_000_attempts_the_wait_is_the_maximum():
    assert EXACT.wait(100_000, LOST) == 60


@pytest.mark.parametrize("jitter", [0.1, 0.5, 1])
def test_chance_shortens_a_wait_by_its_part_at_most_and_lengthens_none(jitter):
    policy = Reconnect(jitter=jitter)
    waits = [policy.wait(4, LOST) for _ in range(2000)]
    least, most = 8 * (1 - jitter), 8
    assert least <= min(waits)
    assert max(waits) <= most
    # Of 2000 the outermost come within a twentieth of the edges, or the seed is spoiled.
    assert min(waits) < least + 8 * jitter / 20
    assert max(waits) > most - 8 * jitter / 20


def test_chance_is_new_with_each_wait():
    policy = Reconnect()
    assert len({policy.wait(1, LOST) for _ in range(1000)}) > 900


SPANS = st.floats(0, 1e12)


@given(SPANS, st.floats(1, 1e12), SPANS, st.floats(0, 1), st.integers(1, 10**6))
def test_every_policy_waits_from_nothing_to_its_maximum(initial, factor, maximum, jitter, attempt):
    policy = Reconnect(initial=initial, factor=factor, maximum=maximum, jitter=jitter)
    assert 0 <= policy.wait(attempt, LOST) <= maximum


# --- Retry-After: RFC 9110 10.2.3 -----------------------------------------------------------------


@pytest.mark.parametrize(
    "value, wait",
    [
        pytest.param("5", 5, id="seconds"),
        pytest.param(" 5\t", 5, id="seconds with space about them"),
        pytest.param("007", 7, id="leading zeros"),
        pytest.param("120", 120, id="more than the maximum"),
        pytest.param("0", 1, id="less than our own wait"),
        pytest.param("86400", 86400, id="a day"),
        pytest.param("86401", 86400, id="more than a day"),
        pytest.param("9" * 20, 86400, id="for ever"),
        pytest.param("9" * 60_000, 86400, id="as many digits as a head takes"),
    ],
)
def test_seconds_are_honoured_up_to_a_day(value, wait):
    assert EXACT.wait(1, refused(retry_after=value)) == wait


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("-5", id="negative"),
        pytest.param("+5", id="with a sign"),
        pytest.param("5.5", id="a fraction"),
        pytest.param("1e9", id="an exponent"),
        pytest.param("5 s", id="with a unit"),
        pytest.param("5, 6", id="two"),
        pytest.param("\u0665", id="a digit of another script"),
        pytest.param("\xb2", id="a superscript"),
        pytest.param("soon", id="a word"),
        pytest.param("nan", id="nan"),
        pytest.param("inf", id="inf"),
        pytest.param("Wed, 21 Oct", id="half a date"),
        pytest.param("Wed, 32 Oct 2099 07:28:00 GMT", id="a day that there is not"),
        pytest.param("Wed, 21 Oct 10000 07:28:00 GMT", id="a year that there is not"),
        pytest.param("2099-10-21T07:28:00Z", id="a date of ISO 8601"),
        pytest.param("\x00\x7f\xff", id="no text"),
    ],
)
def test_what_is_no_retry_after_does_not_count(value):
    assert EXACT.wait(1, refused(retry_after=value)) == 1


def in_seconds(seconds: float) -> str:
    when = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return format_datetime(when, usegmt=True)


@pytest.mark.parametrize("seconds", [120, 3600])
def test_a_date_to_come_is_waited_for(seconds):
    # A date has no fraction of a second, and time passes.
    assert seconds - 30 < EXACT.wait(1, refused(retry_after=in_seconds(seconds))) <= seconds


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(in_seconds(-1), id="a second ago"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT", id="IMF-fixdate"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", id="RFC 850"),
        pytest.param("Sun Nov  6 08:49:37 1994", id="asctime"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", id="the epoch"),
        pytest.param("Mon, 01 Jan 0001 00:00:00 +2359", id="before all dates"),
    ],
)
def test_a_date_that_is_over_means_at_once(value):
    assert EXACT.wait(1, refused(retry_after=value)) == 1


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(in_seconds(2 * 86400), id="in two days"),
        pytest.param("Wed, 21 Oct 2099 07:28:00 GMT", id="in decades"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -2359", id="after all dates"),
    ],
)
def test_a_date_that_is_far_away_is_waited_for_up_to_a_day(value):
    assert EXACT.wait(1, refused(retry_after=value)) == LONGEST_RETRY_AFTER == 86400


MANY = "9" * 30
ABSURD = [
    pytest.param(f"Wed, 21 Oct {MANY} 07:28:00 GMT", id="the year"),
    pytest.param(f"Wed, {MANY} Oct 2099 07:28:00 GMT", id="the day"),
    pytest.param(f"Wed, 21 Oct 2099 {MANY}:28:00 GMT", id="the hour"),
    pytest.param(f"Wed, 21 Oct 2099 07:28:00 +{MANY}", id="the zone"),
]


@pytest.mark.parametrize("value", ABSURD)
def test_a_date_of_numbers_that_no_clock_has_does_not_count(value):
    assert EXACT.wait(1, refused(retry_after=value)) == 1


def test_a_retry_after_is_least_and_not_shortened_by_chance():
    policy = Reconnect(jitter=1)
    assert {policy.wait(1, refused(retry_after="30")) for _ in range(100)} == {30}
    assert 30 <= policy.wait(100, refused(retry_after="30")) <= 60


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ProxyError("x", 503, Headers([("retry-after", "30")])), id="of a proxy"),
        pytest.param(refused(429, retry_after="30"), id="of a 429"),
    ],
)
def test_it_is_honoured_whoever_says_it(error):
    assert EXACT.wait(1, error) == 30


@pytest.mark.parametrize(
    "error", [LOST, refused(None), OSError("x"), ssl.SSLError("x"), refused()], ids=repr
)
def test_without_a_retry_after_the_wait_is_our_own(error):
    assert EXACT.wait(1, error) == 1


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d\d:\d\d:\d\d [+-]?\d*"))
def test_no_retry_after_raises_or_waits_longer_than_a_day(value):
    class Bare:
        """A header as no server can send it, but h11 might let through."""

        @staticmethod
        def get(name: str, default: str) -> str:
            return value

    assert 1 <= EXACT.wait(1, HandshakeError("refused", 503, Bare)) <= LONGEST_RETRY_AFTER


# --- what is worth another attempt ----------------------------------------------------------------

DEFAULT_STATUSES = (408, 425, 429, 500, 502, 503, 504)
OTHER_STATUSES = (101, 200, 204, 301, 302, 400, 401, 403, 404, 405, 407, 410, 426, 501, 505, 599)

WORTH_IT = [
    pytest.param(error, id=f"{type(error).__name__} {error}")
    for error in (
        ConnectionRefusedError("refused"),
        ConnectionResetError("reset"),
        TimeoutError("open_timeout"),
        OSError(113, "no route"),
        socket.gaierror(-3, "no answer of the resolver"),
        ssl.SSLError("a handshake that broke off"),
        ssl.SSLEOFError("an end"),
        BrokenPipeError("gone"),
        FileNotFoundError("a Unix socket that nobody made yet"),
        ConnectionClosed(1000, "done", True, "peer"),
        ConnectionClosed(1006, "", False, "idle"),
        refused(None),
        ProxyError("the proxy closed the connection"),
        *map(refused, DEFAULT_STATUSES),
        *(ProxyError(str(status), status) for status in DEFAULT_STATUSES),
    )
]
NOT_WORTH_IT = [
    pytest.param(error, id=f"{type(error).__name__} {error}")
    for error in (
        ssl.SSLCertVerificationError("an unknown authority"),
        ConfigurationError("a header"),
        HijackError("no socket"),
        ProtocolError("a frame"),
        MessageTooBig(2, 1),
        ValueError("what a callable raised"),
        RuntimeError("no thread"),
        KeyboardInterrupt("Ctrl-C"),
        *map(refused, OTHER_STATUSES),
        *(ProxyError(str(status), status) for status in OTHER_STATUSES),
    )
]


@pytest.mark.parametrize("error", WORTH_IT)
def test_what_may_pass_is_worth_another_attempt(error):
    assert Reconnect().is_worth_it(error)


@pytest.mark.parametrize("error", NOT_WORTH_IT)
def test_what_will_not_pass_is_not(error):
    assert not Reconnect().is_worth_it(error)


@pytest.mark.parametrize("statuses", [(), (401,), {401, 404}, range(400, 500)], ids=repr)
def test_the_statuses_are_those_given_and_no_others(statuses):
    policy = Reconnect(statuses=statuses)
    found = {status for status in range(100, 600) if policy.is_worth_it(refused(status))}
    assert found == set(statuses)


def test_no_answer_at_all_is_worth_it_whatever_the_statuses():
    assert Reconnect(statuses=()).is_worth_it(refused(None))
