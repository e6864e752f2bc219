"""A client that connects again: when, how often, how long after, and what becomes of messages."""

from __future__ import annotations

import ssl
import time

import pytest

from faye_sync import (
    Client,
    ConfigurationError,
    ConnectionClosed,
    HandshakeError,
    Reconnect,
    ReconnectEvent,
)
from tests.support.clients import (  # noqa: F401  # planned_servers is a fixture
    INITIAL,
    LONG,
    PATIENCE,
    both_styles,
    connect,
    log_events,
    planned_servers,
    quick,
)
from tests.support.planned_server import accept, cut, drop, greet, hold, refuse
from tests.support.tls_peer import server_context


def figures(events: list[ReconnectEvent]) -> list[tuple[int, float]]:
    """Attempts and delays, these as multiples of the first."""
    return [(event.attempt, round(event.delay / INITIAL, 6)) for event in events]


# --- which failures, and how long after them ------------------------------------------------------------


@both_styles
def test_failures_of_the_network_and_refusals_that_may_pass_are_tried_again_after_longer_waits(
    planned, begin
):
    server = planned(refuse(503), cut, refuse(429), refuse(502), accept)
    ws = Client(server.url, reconnect=quick())
    events = log_events(ws, "reconnect")
    begin(ws)
    assert figures(events) == [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0)]
    assert [type(event.error) for event in events] == [HandshakeError] * 4
    assert [event.error.status_code for event in events] == [503, None, 429, 502]
    assert server.count == 5
    ws.close()
    assert ws.wait_closed(PATIENCE)


@both_styles
def test_a_connection_that_is_refused_is_tried_again_until_somebody_listens(planned, begin):
    server = planned(accept, is_listening=False)
    ws = Client(server.url, reconnect=quick())
    errors = []

    @ws.on("reconnect")
    def note(event):
        errors.append(type(event.error))
        if event.attempt == 3:
            server.listen()

    begin(ws)
    assert errors == [ConnectionRefusedError] * 3
    ws.close()
    assert ws.wait_closed(PATIENCE)


def test_no_wait_is_longer_than_the_maximum(planned):
    ws = Client(planned(*[cut] * 5, accept).url, reconnect=quick(maximum=3 * INITIAL))
    events = log_events(ws, "reconnect")
    with ws:
        assert [factor for _, factor in figures(events)] == [1, 2, 3, 3, 3]


def test_jitter_shortens_each_wait_by_chance(planned):
    ws = Client(planned(*[cut] * 8, accept).url, reconnect=quick(factor=1, jitter=0.5))
    events = log_events(ws, "reconnect")
    with ws:
        delays = [event.delay / INITIAL for event in events]
    assert all(0.5 <= delay <= 1 for delay in delays)
    assert len(set(delays)) > 1


def test_a_longer_retry_after_is_honoured(planned):
    server = planned(refuse(503, ("Retry-After", "1")), accept)
    ws = Client(server.url, reconnect=quick())
    events = log_events(ws, "reconnect")
    began = time.monotonic()
    with ws:
        took = time.monotonic() - began
    assert [event.delay for event in events] == [1.0]
    assert took >= 1.0


@both_styles
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_any_other_refusal_ends_it(planned, begin, status):
    server = planned(refuse(status))
    ws = Client(server.url, reconnect=quick())
    events = log_events(ws, "reconnect", "error", "close")
    if begin is connect:
        with pytest.raises(HandshakeError) as caught:
            ws.connect()
        assert caught.value.status_code == status
    else:
        ws.start()
        assert ws.join(PATIENCE)
        assert [event.type for event in events] == ["error", "close"]
        assert events[0].error.status_code == status
    assert server.count == 1


def test_which_statuses_are_tried_again_is_the_users_choice(planned):
    server = planned(refuse(404), refuse(503))
    with pytest.raises(HandshakeError) as caught:
        Client(server.url, reconnect=quick(statuses=(404,))).connect()
    assert caught.value.status_code == 503
    assert server.count == 2


def test_a_certificate_that_is_not_trusted_ends_it(planned):
    ws = Client(planned(accept, tls=server_context()).url, reconnect=quick())
    events = log_events(ws, "reconnect")
    with pytest.raises(ssl.SSLCertVerificationError):
        ws.connect()
    assert events == []


def test_a_refusal_after_a_connection_ends_it_too(planned):
    server = planned(drop("one"), refuse(401))
    ws = Client(server.url, reconnect=quick()).connect()
    assert ws.receive(PATIENCE) == "one"
    with pytest.raises((HandshakeError, ConnectionClosed)):
        ws.receive(PATIENCE)
    assert ws.closed
    with pytest.raises(ConnectionClosed):
        ws.send("late")
    assert server.count == 2


@both_styles
def test_max_attempts_counts_those_in_a_row(planned, begin):
    policy = quick(factor=1, max_attempts=3)
    server = planned(refuse(503), cut, greet("one"), cut, cut, greet("two"), refuse(503))
    ws = Client(server.url, reconnect=policy)
    events = log_events(ws, "open", "reconnect", "error", "close")
    begin(ws)
    visits = [server.visit() for _ in range(3)]
    visits[-1].cut()
    visits += [server.visit() for _ in range(3)]
    visits[-1].cut()
    if begin is connect:
        assert ws.wait_closed(PATIENCE)
    else:
        assert ws.join(PATIENCE)
    types = [event.type for event in events]
    assert types.count("open") == 2
    assert types[-2:] == ["error", "close"]
    assert events[-2].error.status_code == 503
    assert server.count == 6 + 3


def test_the_waits_begin_anew_after_a_connection_that_was_stable(planned):
    server = planned(cut, cut, drop(), cut, accept)
    ws = Client(server.url, reconnect=quick(stable=0))
    events = log_events(ws, "reconnect")
    ws.connect()
    for _ in range(5):
        server.visit()
    ws.send("through the outage")
    assert [attempt for attempt, _ in figures(events)] == [1, 2, 1, 2]
    ws.close()


def test_the_waits_grow_on_where_no_connection_was_stable(planned):
    server = planned(cut, cut, drop(), cut, accept)
    ws = Client(server.url, reconnect=quick(stable=LONG))
    events = log_events(ws, "reconnect")
    ws.connect()
    for _ in range(5):
        server.visit()
    ws.send("through the outage")
    assert figures(events) == [(1, 1), (2, 2), (3, 4), (4, 8)]
    ws.close()


def test_the_deadline_to_open_counts_for_each_attempt(planned):
    ws = Client(planned(hold, hold, accept).url, reconnect=quick(), open_timeout=0.25)
    events = log_events(ws, "reconnect")
    began = time.monotonic()
    with ws:
        took = time.monotonic() - began
    assert [type(event.error) for event in events] == [TimeoutError] * 2
    assert took >= 0.5


def test_url_and_headers_are_asked_for_before_every_attempt(planned):
    server = planned(refuse(503), drop(), accept)
    numbers = iter(range(10))
    ws = Client(
        lambda: f"{server.url}{next(numbers)}",
        headers=lambda: {"X-Number": str(next(numbers))},
        reconnect=quick(),
    )
    with ws:
        requests = [server.visit().request for _ in range(3)]
    assert [(request.path, request.headers["X-Number"]) for request in requests] == [
        ("/0", "1"),
        ("/2", "3"),
        ("/4", "5"),
    ]


@pytest.mark.parametrize(
    "option",
    [{"initial": -1}, {"factor": 0.5}, {"jitter": 2}, {"max_attempts": 0}, {"idle": 0}],
    ids=lambda option: next(iter(option)),
)
def test_a_policy_that_cannot_work_is_refused(option):
    with pytest.raises(ConfigurationError, match=next(iter(option))):
        Reconnect(**option)
