"""The Autobahn suite against the library: every server, every style of handler, the client likewise.

`make test` runs each once, and the hardest of the limits; `make conformance` runs the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.conformance import autobahn
from tests.conformance.autobahn import FAST, HARDEST, LIMITS
from tests.conformance.judging import (
    ALSO,
    CLIENT_STYLES,
    LIMITED,
    SERVER_STYLES,
    SERVERS,
    WORLDS,
    Judge,
    Peer,
    assert_prompt,
    clients,
    outcomes,
    servers,
)
from tests.support.parts import require

require("autobahn", autobahn.available())

pytestmark = pytest.mark.conformance


@pytest.fixture
def judge(started: Callable) -> Judge:
    return Judge(started)


# Who is judged at once: those of one style.
GROUPS = [
    *(servers(SERVERS, [style]) for style in SERVER_STYLES),
    *(clients(WORLDS, [style]) for style in CLIENT_STYLES),
]

every_group = pytest.mark.parametrize(
    "peers", GROUPS, ids=[f"{group[0].side}-{group[0].style}" for group in GROUPS]
)


@every_group
def test_the_fast_set_is_passed(judge, peers: Sequence[Peer]):
    for results in judge.side_by_side(peers, "fast", budget=60):
        assert autobahn.verdict(results) == FAST
        assert_prompt(results)


@pytest.mark.parametrize("peers", GROUPS[::3], ids=["server", "client"])
def test_the_hardest_limits_are_passed(judge, peers: Sequence[Peer]):
    for results in judge.side_by_side(peers, HARDEST, budget=60):
        assert autobahn.verdict(results).ok == len(HARDEST.split(","))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("peer", [*LIMITED, *ALSO], ids=str)
def test_three_runs_of_the_fast_set_agree_in_every_case(judge, peer: Peer):
    runs = [judge.side_by_side([peer], "fast", budget=120)[0] for _ in range(3)]
    assert [autobahn.verdict(results) for results in runs] == [FAST] * 3
    assert outcomes(runs[0]) == outcomes(runs[1]) == outcomes(runs[2])


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("peer", LIMITED, ids=str)
def test_all_limits_are_passed(judge, peer: Peer):
    (results,) = judge.side_by_side([peer], "limits", budget=300)
    assert autobahn.verdict(results) == LIMITS
