"""What faye-websocket's drivers do, case by case: as they do, or as the table of differences says.

Each case is played whole, octet by octet, and with the octets of each step cut in two at every
place there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.vector_client import ClientPlayer, ProxyPlayer
from tests.support.vector_differences import DIFFERENCES
from tests.support.vector_kinds import KINDS
from tests.support.vector_player import (
    VECTORS,
    Case,
    Outcome,
    Player,
    ServerPlayer,
    Step,
    TcpPlayer,
    cases_of,
)
from tests.support.wire import one_by_one

TITLES = ("detect", "draft75", "draft76", "hybi", "client", "extensions")
CASES = {case["id"]: case for title in TITLES for case in cases_of(title)}

PLAYERS: dict[str, Callable[[Case], Player]] = {
    **dict.fromkeys(("hybi", "http", "draft75", "draft76"), ServerPlayer),
    "tcp": TcpPlayer,
    "client": ClientPlayer,
    "proxy": ProxyPlayer,
}

Cut = Callable[[int, bytes], list[bytes]]
"""From a step's place and its octets to the pieces that they come in."""


def whole(_: int, octets: bytes) -> list[bytes]:
    return [octets]


def octet_by_octet(_: int, octets: bytes) -> list[bytes]:
    return [*one_by_one(octets)]


def cut_at(step: int, place: int) -> Cut:
    return lambda number, octets: [octets[:place], octets[place:]] if number == step else [octets]


def octets_of(step: Step) -> bytes:
    is_input = step["do"] in ("parse", "parse_each_byte", "proxy_write")
    return bytes.fromhex(step["hex"]) if is_input else b""


def every_split(case: Case) -> Iterator[Cut]:
    for number, step in enumerate(case["steps"]):
        for place in range(1, len(octets_of(step))):
            yield cut_at(number, place)


def wanted(step: Step) -> dict[str, Any]:
    """All that a step is to lead to; what is not said of some is not looked at."""
    text = step.get("out_text")
    out = bytes.fromhex(step.get("out", "")) if text is None else text.encode()
    said = {name: step[name] for name in ("returns", "state") if name in step}
    always = {"raises": step.get("raises"), "refusal": step.get("refusal")}
    return {"out": out, "events": step.get("events", []), **said, **always}


def differing(case: Case, cut: Cut) -> list[tuple]:
    """Play a driver's case; returns what is found and was not wanted, each with what was."""
    try:
        player = PLAYERS[case["driver"]](case)
    except ValueError as error:
        told = str(error)
        return [] if told == case.get("construct_error") else [("construct_error", told)]
    faults = []
    if "construct_error" in case:
        faults.append(("construct_error", None))
    for number, step in enumerate(case["steps"]):
        found = player.do(step, cut(number, octets_of(step)))
        faults += unlike(f"step {number}, {step['do']}", found, wanted(step))
    told = player.final() if "final" in case else {}
    for name, value in case.get("final", {}).items():
        if told.get(name) != value:
            faults.append((f"final {name}", told.get(name), value))
    return faults


def unlike(where: str, found: Outcome, expected: dict[str, Any]) -> list[tuple]:
    return [
        (f"{where}: {name}", getattr(found, name), value)
        for name, value in expected.items()
        if getattr(found, name) != value
    ]


def differing_function(case: Case) -> list[tuple]:
    """Call the function of a case; returns likewise."""
    told = {"value": None, "error": None}
    try:
        told["value"] = KINDS[case["kind"]](case)
    except (TypeError, ValueError) as error:
        told["error"] = str(error)
    return [(name, told[name], case.get(name)) for name in told if told[name] != case.get(name)]


def faults_of(case: Case, cut: Cut = whole) -> list[tuple]:
    return differing_function(case) if "kind" in case else differing(case, cut)


def expected_of(name: str) -> Case:
    """The case as it is to be here."""
    case = CASES[name]
    return DIFFERENCES[name].applied_to(case) if name in DIFFERENCES else case


DRIVEN = [name for name, case in CASES.items() if "driver" in case]
FUNCTIONS = [name for name, case in CASES.items() if "kind" in case]


def test_there_are_213_cases_and_each_is_played():
    assert len(CASES) == 213
    assert sorted([*DRIVEN, *FUNCTIONS]) == sorted(CASES)
    assert sorted(path.stem for path in VECTORS.glob("*.json")) == sorted(TITLES)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gives_the_value_of_the_case(name):
    assert faults_of(expected_of(name)) == []


@pytest.mark.parametrize("name", DRIVEN)
def test_a_driver_does_what_the_case_says(name):
    assert faults_of(expected_of(name)) == []


@pytest.mark.parametrize("name", DRIVEN)
def test_a_driver_does_the_same_octet_by_octet(name):
    assert faults_of(expected_of(name), octet_by_octet) == []


@pytest.mark.parametrize("name", DRIVEN)
def test_a_driver_does_the_same_wherever_its_octets_are_cut_in_two(name):
    case = expected_of(name)
    for cut in every_split(case):
        assert faults_of(case, cut) == []


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_says_why_and_no_part_of_it_could_be_left_out(name):
    assert DIFFERENCES[name].why
    for less in DIFFERENCES[name].lessened():
        assert faults_of(less.applied_to(CASES[name])) != []
