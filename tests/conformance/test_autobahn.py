"""The Autobahn suite against the library: every server, every style of handler.

Good is 244 OK and 3 INFORMATIONAL of the fast set, and 54 OK of the limits, every close clean.
`make test` runs each pair once, and the hardest of the limits; `make conformance` runs the rest."""

from __future__ import annotations

from statistics import median

import pytest

from tests.conformance import autobahn
from tests.conformance.autobahn import FAST, HARDEST, LIMITS, CaseResult
from tests.support.parts import require

require("autobahn", autobahn.available())

pytestmark = pytest.mark.conformance

SERVERS = ("werkzeug", "gunicorn-gthread", "gevent")
STYLES = ("callbacks", "start", "attached")
ALSO = (("gunicorn-gevent", "start"), ("gevent-unpatched", "attached"))

# An attached handler holds a thread, and that worker has four. A fifth case would wait for its 101
# until one of them ends, and the suite's own patience for a 101 is five seconds.
JOBS = {("gunicorn-gthread", "attached"): 4}

every_server = pytest.mark.parametrize("name", SERVERS)
every_style = pytest.mark.parametrize("style", STYLES)


def judge(server, style: str, cases: str, budget: float) -> list[CaseResult]:
    """Run the cases; fail on a bad one, and on a traceback in the server's log."""
    before = len(server.log())
    jobs = JOBS.get((server.name, style)) if cases == "fast" else None
    results = autobahn.run(server.ws(f"/{style}/echo"), cases, budget=budget, jobs=jobs)
    print(f"{server.name}, {style}, {cases}: {autobahn.summary(results)}")
    autobahn.assert_conformant(results)
    # fuzzer.py waits longer than the suite's second for a close; most cases must not need it.
    assert median(result.duration for result in results) < 1.0
    assert "Traceback" not in server.log()[before:]
    return results


def outcomes(results: list[CaseResult]) -> list[tuple]:
    return [(one.case, one.behavior, one.behavior_close, one.remote_close_code) for one in results]


@every_style
@every_server
def test_the_fast_set_is_passed(started, name, style):
    results = judge(started(name), style, "fast", budget=60)
    assert autobahn.verdict(results) == FAST


@every_server
def test_the_hardest_limits_are_passed(started, name):
    results = judge(started(name), "callbacks", HARDEST, budget=60)
    assert autobahn.verdict(results).ok == len(HARDEST.split(","))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name, style", [(name, style) for name in SERVERS for style in STYLES] + [*ALSO]
)
def test_three_runs_of_the_fast_set_agree_in_every_case(started, name, style):
    server = started(name)
    runs = [judge(server, style, "fast", budget=120) for _ in range(3)]
    assert [autobahn.verdict(results) for results in runs] == [FAST] * 3
    assert outcomes(runs[0]) == outcomes(runs[1]) == outcomes(runs[2])


@pytest.mark.long
@pytest.mark.timeout(600)
@every_style
@every_server
def test_all_limits_are_passed(started, name, style):
    results = judge(started(name), style, "limits", budget=300)
    assert autobahn.verdict(results) == LIMITS
