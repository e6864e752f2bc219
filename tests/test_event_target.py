"""Listeners: their order, their failures, and what is kept for those to come."""

from __future__ import annotations

import functools

import pytest

from faye_sync.errors import ConfigurationError
from faye_sync.event_target import KEPT_FAILURES, KEPT_LIMITS, NAMES, Attribute, EventTarget
from faye_sync.events import (
    CloseEvent,
    DrainEvent,
    ErrorEvent,
    Event,
    MessageEvent,
    OpenEvent,
    PingEvent,
    PongEvent,
    ReconnectEvent,
)

OPEN = OpenEvent()
CLOSE = CloseEvent(1000, "", True, "peer")
FAILURE = ValueError("bad")
ERROR = ErrorEvent("bad", FAILURE)
ONE, TWO, THREE = (MessageEvent(data) for data in ("one", "two", "three"))

BY_NAME = {
    "open": OPEN,
    "message": ONE,
    "ping": PingEvent(b""),
    "pong": PongEvent(b""),
    "drain": DrainEvent(),
    "error": ERROR,
    "close": CLOSE,
}
ATTRIBUTES = {"onopen": OPEN, "onmessage": ONE, "onerror": ERROR, "onclose": CLOSE}


class Target(EventTarget):
    """A target that replays as soon as a listener comes, as a closed connection does."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[tuple[str, BaseException]] = []

    def dispatch(self, *events: Event) -> None:
        for event in events:
            self._dispatch(event)

    def _report(self, text: str, error: BaseException) -> None:
        self.reports.append((text, error))

    def _listener_added(self) -> None:
        self._replay()


def fail(event: Event) -> None:
    raise FAILURE


class Returning(Target):
    """A target that comes again and again, as a client does."""

    onreconnect = Attribute("reconnect")
    _names = (*NAMES, "reconnect")


# --- adding and taking away -----------------------------------------------------------------------


def test_the_names_are_those_of_the_events():
    assert set(NAMES) == set(BY_NAME)


@pytest.mark.parametrize("name", NAMES)
def test_a_listener_gets_the_events_of_its_kind_only(name):
    target, seen = Target(), []
    target.on(name, seen.append)
    target.dispatch(*BY_NAME.values())
    assert seen == [BY_NAME[name]]


def test_listeners_run_in_the_order_of_adding():
    target, seen = Target(), []
    for number in range(4):
        target.on("open", lambda event, number=number: seen.append(number))
    target.dispatch(OPEN)
    assert seen == [0, 1, 2, 3]


def test_a_listener_added_twice_runs_twice():
    target, seen = Target(), []
    target.on("message", seen.append)
    target.on("message", seen.append)
    target.dispatch(ONE)
    assert seen == [ONE, ONE]


@pytest.mark.parametrize("add", ["on", "once"])
def test_on_and_once_return_the_listener_and_serve_as_decorators(add):
    target, seen = Target(), []

    @getattr(target, add)("message")
    def listener(event):
        seen.append(event)

    assert listener.__name__ == "listener"
    assert getattr(target, add)("open", listener) is listener
    target.dispatch(ONE, OPEN)
    assert seen == [ONE, OPEN]


def test_a_listener_of_once_runs_once_even_if_it_fails():
    target = Target()
    target.once("message", fail)
    target.on("message", lambda event: None)
    target.dispatch(ONE, TWO)
    assert len(target.reports) == 1


def test_a_listener_of_once_is_gone_while_it_runs():
    target, seen = Target(), []

    def listener(event):
        seen.append(event)
        if event is ONE:
            target.once("message", listener)

    target.once("message", listener)
    target.dispatch(ONE, TWO, THREE)
    assert seen == [ONE, TWO]


@pytest.mark.parametrize("add", ["on", "once"])
def test_off_takes_a_listener_away_wherever_it_was_added(add):
    target, seen = Target(), []
    getattr(target, add)("open", seen.append)
    getattr(target, add)("open", seen.append)
    getattr(target, add)("close", seen.append)
    target.off("open", seen.append)
    target.dispatch(OPEN, CLOSE)
    assert seen == [CLOSE]


def test_off_refuses_a_name_that_no_event_has():
    with pytest.raises(ConfigurationError, match="no event is named 'mesage'"):
        Target().off("mesage", print)


def test_off_leaves_a_listener_that_wraps_the_one_taken_away():
    target, seen = Target(), []

    def inner(event):
        seen.append("inner")

    @functools.wraps(inner)
    def outer(event):
        seen.append("outer")

    target.on("open", inner)
    target.on("open", outer)
    target.off("open", inner)
    target.dispatch(OPEN)
    assert seen == ["outer"]


@pytest.mark.parametrize("stranger", [None, print, fail], ids=repr)
def test_off_with_a_listener_that_is_not_there_changes_nothing(stranger):
    target, seen = Target(), []
    target.on("open", seen.append)
    target.off("open", stranger)
    target.off("close", stranger)
    target.dispatch(OPEN)
    assert seen == [OPEN]


def test_a_listener_taken_away_by_an_earlier_one_still_gets_this_event():
    target, seen = Target(), []
    target.on("message", lambda event: target.off("message", seen.append))
    target.on("message", seen.append)
    target.dispatch(ONE, TWO)
    assert seen == [ONE]


def test_a_listener_added_by_a_listener_gets_the_next_event():
    target, seen = Target(), []
    target.once("message", lambda event: target.on("message", seen.append))
    target.dispatch(ONE, TWO)
    assert seen == [TWO]


@pytest.mark.parametrize("add", ["on", "once"])
def test_an_unknown_name_is_refused_with_those_there_are(add):
    with pytest.raises(ConfigurationError, match="no event is named 'mesage'; there are open, "):
        getattr(Target(), add)("mesage", print)


@pytest.mark.parametrize("add", ["on", "once"])
def test_an_unknown_name_is_refused_of_a_decorator_too(add):
    with pytest.raises(ConfigurationError, match="mesage"):
        getattr(Target(), add)("mesage")(print)


@pytest.mark.parametrize("add", ["on", "once"])
def test_what_cannot_be_called_is_refused(add):
    with pytest.raises(TypeError, match="must be callable, got int"):
        getattr(Target(), add)("open", 5)


# --- the attributes -------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute, event", ATTRIBUTES.items(), ids=ATTRIBUTES)
def test_an_attribute_is_a_listener_that_can_be_read_replaced_and_removed(attribute, event):
    target, seen = Target(), []
    assert getattr(target, attribute) is None
    setattr(target, attribute, fail)
    setattr(target, attribute, seen.append)
    assert getattr(target, attribute) == seen.append
    target.dispatch(event)
    setattr(target, attribute, None)
    target.dispatch(event)
    assert (seen, getattr(target, attribute)) == ([event], None)


def test_an_attribute_runs_before_the_listeners_of_on():
    target, seen = Target(), []
    target.on("open", lambda event: seen.append("on"))
    target.onopen = lambda event: seen.append("attribute")
    target.dispatch(OPEN)
    assert seen == ["attribute", "on"]


def test_off_leaves_an_attribute_alone():
    target, seen = Target(), []
    target.onopen = seen.append
    target.off("open", seen.append)
    target.dispatch(OPEN)
    assert seen == [OPEN]


def test_an_attribute_that_cannot_be_called_is_refused_and_the_old_one_stays():
    target = Target()
    target.onopen = print
    with pytest.raises(TypeError, match="must be callable, got str"):
        target.onopen = "print"
    assert target.onopen is print


def test_an_attribute_belongs_to_its_own_target():
    first, second = Target(), Target()
    first.onopen = print
    assert second.onopen is None


# --- failures -------------------------------------------------------------------------------------


def test_a_failing_listener_is_reported_and_told_and_the_others_run():
    target, seen, errors = Target(), [], []
    target.on("error", errors.append)
    target.on("message", fail)
    target.on("message", seen.append)
    target.dispatch(ONE, TWO)
    text = "a listener of message raised ValueError('bad')"
    assert seen == [ONE, TWO]
    assert target.reports == [(text, FAILURE)] * 2
    assert errors == [ErrorEvent(text, FAILURE)] * 2


def test_a_failing_error_listener_is_reported_but_not_told_to_itself():
    target, others = Target(), []
    target.on("error", fail)
    target.on("error", others.append)
    target.dispatch(ERROR)
    assert target.reports == [("a listener of error raised ValueError('bad')", FAILURE)]
    assert others == [ERROR]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_thread_is_not_held_back(kind):
    def leave(event):
        raise kind

    target = Target()
    target.on("open", leave)
    with pytest.raises(kind):
        target.dispatch(OPEN)
    assert target.reports == []


def test_failures_that_nobody_hears_of_are_kept_up_to_a_number_and_all_reported():
    target, errors = Target(), []
    target.on("message", fail)
    target.dispatch(*[ONE] * 1000)
    target.on("error", errors.append)
    assert len(target.reports) == 1000
    assert len(errors) == KEPT_FAILURES


def test_an_error_of_the_connection_is_kept_behind_any_number_of_failures():
    target, errors = Target(), []
    target.on("message", fail)
    target.dispatch(*[ONE] * 1000, ERROR)
    target.on("error", errors.append)
    assert errors[-1] is ERROR


# --- kept events ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_what_came_before_the_first_listener_is_kept_for_it(name):
    target, seen = Target(), []
    target.dispatch(BY_NAME[name])
    target.on(name, seen.append)
    is_kept = name in ("open", "message", "error", "close")
    assert seen == ([BY_NAME[name]] if is_kept else [])


@pytest.mark.parametrize("attribute, event", ATTRIBUTES.items(), ids=ATTRIBUTES)
def test_what_came_before_an_attribute_is_kept_for_it(attribute, event):
    target, seen = Target(), []
    target.dispatch(event)
    setattr(target, attribute, seen.append)
    assert seen == [event]


def test_kept_events_are_handed_out_in_order_and_once():
    target, seen, later = Target(), [], []
    target.dispatch(ONE, OPEN, TWO, CLOSE, THREE)
    target.on("message", seen.append)
    target.on("message", later.append)
    assert (seen, later) == ([ONE, TWO, THREE], [])


def test_kept_events_without_a_listener_stay_in_their_order():
    target, seen = Target(), []
    target._listener_added = lambda: None
    target.dispatch(OPEN, ONE, ERROR, TWO, CLOSE)
    target.on("message", seen.append)
    target._replay()
    for name in ("close", "error", "open"):
        target.on(name, seen.append)
    target._replay()
    assert seen == [ONE, TWO, OPEN, ERROR, CLOSE]


def test_once_takes_one_kept_event_and_leaves_the_rest():
    target, first, rest = Target(), [], []
    target.dispatch(ONE, TWO, THREE)
    target.once("message", first.append)
    target.on("message", rest.append)
    assert (first, rest) == ([ONE], [TWO, THREE])


def test_a_listener_may_add_another_while_kept_events_are_handed_out():
    target, seen = Target(), []

    def add_close_listener(event):
        seen.append(event)
        target.on("close", seen.append)

    target.dispatch(ERROR, CLOSE)
    target.on("error", add_close_listener)
    assert seen == [ERROR, CLOSE]


def test_a_listener_may_ask_for_what_was_passed_over_already():
    target, seen = Target(), []

    def add_open_listener(event):
        seen.append(event)
        target.on("open", seen.append)

    target.dispatch(OPEN, ONE, CLOSE)
    target.once("message", add_open_listener)
    target.on("close", seen.append)
    assert seen == [ONE, OPEN, CLOSE]


def test_a_failure_during_the_replay_is_kept_in_its_place():
    target, seen = Target(), []
    target.dispatch(ONE, CLOSE)
    target.on("message", fail)
    target.on("error", lambda event: seen.append(event.error))
    target.on("close", seen.append)
    assert seen == [FAILURE, CLOSE]


def test_kept_events_outlive_a_listener_that_ends_the_thread():
    def leave(event):
        target.off("message", leave)
        raise SystemExit

    target, seen = Target(), []
    target.dispatch(ONE, TWO, CLOSE)
    with pytest.raises(SystemExit):
        target.on("message", leave)
    target.on("close", seen.append)
    target.on("message", seen.append)
    assert seen == [CLOSE, TWO]


# --- limits of what is kept -----------------------------------------------------------------------

# Made in a row, told from each other.
MANY = {
    "open": [OpenEvent() for _ in range(1000)],
    "error": [ErrorEvent(f"{number}", FAILURE) for number in range(1000)],
    "close": [CloseEvent(3000 + number, "", True, "peer") for number in range(1000)],
}


def test_of_each_kind_that_may_come_again_a_number_is_kept():
    assert KEPT_LIMITS == {"open": 1, "error": 64, "close": 1}


@pytest.mark.parametrize("name", KEPT_LIMITS)
def test_of_a_kind_that_comes_again_and_again_the_first_are_kept(name):
    target, seen = Returning(), []
    target.dispatch(*MANY[name])
    assert len(target._kept) == KEPT_LIMITS[name]
    target.on(name, seen.append)
    assert all(event is kept for event, kept in zip(MANY[name], seen, strict=False))
    assert len(seen) == KEPT_LIMITS[name]


@pytest.mark.parametrize("name", KEPT_LIMITS)
def test_a_kind_at_its_limit_takes_no_room_from_the_others(name):
    target, seen = Returning(), []
    target.dispatch(*MANY[name])
    others = [event for kind, event in BY_NAME.items() if kind in MANY and kind != name]
    target.dispatch(*others, ONE, TWO)
    for kind in ("open", "message", "error", "close"):
        if kind != name:
            target.on(kind, seen.append)
    assert sorted(map(repr, seen)) == sorted(map(repr, (*others, ONE, TWO)))


@pytest.mark.parametrize("name", KEPT_LIMITS)
def test_once_those_were_handed_out_there_is_room_again(name):
    target, first, second = Returning(), [], []
    target.dispatch(*MANY[name][:500])
    target.on(name, first.append)
    target.off(name, first.append)
    target.dispatch(*MANY[name][500:])
    target.on(name, second.append)
    assert first == MANY[name][: KEPT_LIMITS[name]]
    assert second == MANY[name][500 : 500 + KEPT_LIMITS[name]]


@pytest.mark.parametrize("name", KEPT_LIMITS)
def test_who_listens_gets_all_of_them(name):
    target, seen = Returning(), []
    target.on(name, seen.append)
    target.dispatch(*MANY[name])
    assert seen == MANY[name]


def test_messages_are_not_counted_but_bounded_by_their_octets_elsewhere():
    target, seen = Returning(), []
    messages = [MessageEvent(f"{number}") for number in range(1000)]
    target.dispatch(*messages)
    target.on("message", seen.append)
    assert seen == messages


def test_failures_count_among_the_errors_that_are_kept():
    target, errors = Returning(), []
    target.on("message", fail)
    target.dispatch(*[ONE] * 1000, *MANY["error"])
    target.on("error", errors.append)
    assert errors[KEPT_FAILURES:] == MANY["error"][: KEPT_LIMITS["error"] - KEPT_FAILURES]


# --- names of a subclass --------------------------------------------------------------------------

AGAIN = ReconnectEvent(1, 0.5, FAILURE)


def test_a_subclass_may_have_more_events_and_the_base_has_not():
    target, seen = Returning(), []
    target.on("reconnect", seen.append)
    target.onreconnect = seen.append
    target.dispatch(AGAIN)
    assert seen == [AGAIN, AGAIN]
    with pytest.raises(ConfigurationError, match="'reconnect'; there are open, "):
        Target().on("reconnect", print)


def test_an_event_that_is_not_kept_is_gone_if_nobody_listens():
    target, seen = Returning(), []
    target.dispatch(AGAIN)
    target.on("reconnect", seen.append)
    assert seen == []
