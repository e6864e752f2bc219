"""The client against the Autobahn suite: threads and greenlets, both styles.

Good is 244 OK and 3 INFORMATIONAL of the fast set, and 54 OK of the limits, every close clean.
`make test` runs each pair once, and the hardest of the limits; `make conformance` runs the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from tests.conformance import autobahn
from tests.conformance.autobahn import FAST, HARDEST, LIMITS, PLANS, CaseResult
from tests.support.parts import require

require("autobahn", autobahn.available())

pytestmark = pytest.mark.conformance

ROOT = Path(__file__).parents[2]
WORLDS = ("threads", "gevent")
STYLES = ("blocking", "callbacks")

every_world = pytest.mark.parametrize("world", WORLDS)
every_style = pytest.mark.parametrize("style", STYLES)


def judge(world: str, style: str, cases: str, budget: float) -> list[CaseResult]:
    """Run the cases; fail on a bad one, and on what the client's process complains of."""
    lanes = PLANS[cases].jobs if cases in PLANS else 1

    def play(url: str) -> None:
        command = [sys.executable, "-W", "error", "-m", "tests.conformance.echo_client"]
        done = subprocess.run(
            [*command, world, style, str(lanes), url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=budget,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")

    results = autobahn.run_clients(play, cases, budget=budget)
    print(f"client, {world}, {style}, {cases}: {autobahn.summary(results)}")
    autobahn.assert_conformant(results)
    # fuzzer.py waits longer than the suite's second for a close; most cases must not need it.
    assert median(result.duration for result in results) < 1.0
    return results


def outcomes(results: list[CaseResult]) -> list[tuple]:
    return [(one.case, one.behavior, one.behavior_close, one.remote_close_code) for one in results]


@every_style
@every_world
def test_the_client_passes_the_fast_set(world, style):
    assert autobahn.verdict(judge(world, style, "fast", budget=60)) == FAST


@every_world
def test_the_client_passes_the_hardest_limits(world):
    results = judge(world, "blocking", HARDEST, budget=60)
    assert autobahn.verdict(results).ok == len(HARDEST.split(","))


@pytest.mark.long
@pytest.mark.timeout(600)
@every_style
@every_world
def test_three_runs_of_the_clients_fast_set_agree_in_every_case(world, style):
    runs = [judge(world, style, "fast", budget=120) for _ in range(3)]
    assert [autobahn.verdict(results) for results in runs] == [FAST] * 3
    assert outcomes(runs[0]) == outcomes(runs[1]) == outcomes(runs[2])


@pytest.mark.long
@pytest.mark.timeout(600)
@every_style
@every_world
def test_the_client_passes_all_limits(world, style):
    assert autobahn.verdict(judge(world, style, "limits", budget=300)) == LIMITS
