"""What listeners are handed: frozen values with a type."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from faye_sync.event_target import NAMES
from faye_sync.events import (
    CloseEvent,
    DrainEvent,
    ErrorEvent,
    MessageEvent,
    OpenEvent,
    PingEvent,
    PongEvent,
    ReadyState,
    ReconnectEvent,
)

EVENTS = [
    pytest.param(OpenEvent(), "open", id="open"),
    pytest.param(MessageEvent("a"), "message", id="text message"),
    pytest.param(MessageEvent(b"a"), "message", id="binary message"),
    pytest.param(PingEvent(b"a"), "ping", id="ping"),
    pytest.param(PongEvent(b"a"), "pong", id="pong"),
    pytest.param(DrainEvent(), "drain", id="drain"),
    pytest.param(ErrorEvent("a", ValueError("a")), "error", id="error"),
    pytest.param(CloseEvent(1000, "bye", True, "peer"), "close", id="close"),
    pytest.param(ReconnectEvent(1, 0.5, OSError("a")), "reconnect", id="reconnect"),
]
# An exception equals itself alone.
COMPARABLE = [row for row in EVENTS if row.id not in ("error", "reconnect")]


@pytest.mark.parametrize("event, name", EVENTS)
def test_an_event_has_the_type_under_which_listeners_are_added(event, name):
    assert event.type == type(event).type == name
    assert name in (*NAMES, ReconnectEvent.type)


@pytest.mark.parametrize("event, name", EVENTS)
def test_an_event_cannot_be_changed(event, name):
    for field in (*(field.name for field in dataclasses.fields(event)), "type", "other"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(event, field, "changed")


@pytest.mark.parametrize("event, name", COMPARABLE)
def test_an_event_equals_another_of_the_same_content(event, name):
    assert pickle.loads(pickle.dumps(event)) == event
    assert hash(dataclasses.replace(event)) == hash(event)


@pytest.mark.parametrize("event, name", EVENTS)
def test_an_event_travels_between_processes(event, name):
    again = pickle.loads(pickle.dumps(event))
    assert type(again) is type(event)
    assert repr(again) == repr(event)


def test_an_attempt_to_come_tells_which_when_and_why():
    error = OSError("lost")
    event = ReconnectEvent(attempt=3, delay=4.0, error=error)
    assert (event.attempt, event.delay, event.error) == (3, 4.0, error)


def test_text_and_binary_are_never_equal():
    assert MessageEvent("a") != MessageEvent(b"a")
    assert PingEvent(b"a") != PongEvent(b"a")


@pytest.mark.parametrize(
    "data, value",
    [
        pytest.param('{"a": [1, null]}', {"a": [1, None]}, id="text"),
        pytest.param(b'"\xc3\xa9"', "é", id="binary, as UTF-8"),
        pytest.param(" 7 ", 7, id="with space about it"),
    ],
)
def test_a_message_is_parsed_as_json(data, value):
    assert MessageEvent(data).json() == value


@pytest.mark.parametrize("data", ["", "{", "a b", b"\xff", b'"\xff"'], ids=repr)
def test_a_message_that_is_no_json_is_a_value_error(data):
    with pytest.raises(ValueError):  # noqa: PT011  # json.loads says it in words of its own
        MessageEvent(data).json()


def test_the_ready_states_are_numbered_as_in_browsers():
    assert [(state.name, int(state)) for state in ReadyState] == [
        ("CONNECTING", 0),
        ("OPEN", 1),
        ("CLOSING", 2),
        ("CLOSED", 3),
    ]
    assert ReadyState.OPEN == 1
