"""The tally of the stress notices what the stress is there to find."""

from __future__ import annotations

from random import Random

import pytest

from tests.stress.messages import Tally, make


def three() -> list[str | bytes]:
    random = Random(5)
    return [make(7, number, random) for number in range(3)]


def faults_of(messages: list[str | bytes]) -> list[str]:
    tally = Tally()
    for message in messages:
        tally.take(message)
    return tally.faults


def test_messages_in_order_are_no_fault():
    assert faults_of(three()) == []


def test_senders_are_counted_apart():
    first, second = make(0, 0, Random(1)), make(1, 0, Random(2))
    assert faults_of([first, second]) == []


@pytest.mark.parametrize(
    "order, fault",
    [
        pytest.param([0, 2], "message 2 came where 1 was due", id="lost"),
        pytest.param([0, 0, 1], "message 0 came where 1 was due", id="doubled"),
        pytest.param([1, 0], "message 1 came where 0 was due", id="reordered"),
    ],
)
def test_a_row_with_a_fault_is_noticed(order, fault):
    messages = three()
    assert faults_of([messages[place] for place in order])[0] == f"sender 7: {fault}"


def test_a_torn_message_is_noticed():
    message = make(7, 0, Random(9))
    assert len(message) > 30
    assert faults_of([message[:-1]]) == ["sender 7: message 0 is torn"]


def test_a_changed_kind_is_noticed():
    message = make(7, 0, Random(9))
    changed = message.encode() if isinstance(message, str) else message.decode("latin-1")
    assert any("changed its kind" in fault for fault in faults_of([changed]))


def test_what_is_no_message_is_noticed():
    assert faults_of([b"\0\0"])[0].startswith("no message of ours")
