"""Run the Autobahn suite against a WebSocket server and judge the outcome.

Usage: python tests/conformance/autobahn.py ws://127.0.0.1:PORT/path --cases fast

The suite runs as a child process (fuzzer.py) in the environment that
setup_autobahn.py builds: .cache/autobahn of the repository, or wherever the
variable AUTOBAHN_DIR points. This file never imports the suite.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOOD = ("OK", "INFORMATIONAL")
EXPECTED_INFORMATIONAL = frozenset({"7.1.6", "7.13.1", "7.13.2"})
SLOWEST = 8
# Starting and stopping the suite takes about a second; the rest is for a busy machine.
GRACE = 30.0


class AutobahnError(Exception):
    """The suite itself could not run; nothing is known of the server."""


@dataclass(frozen=True)
class Plan:
    """How to run a set: seconds for all, cases at once, seconds for one case."""

    budget: float
    jobs: int
    cap: float


# fast: six cases wait two seconds by design, so six lanes wait together.
# limits: the messages are large and the time of each case matters, so one lane.
# deflate: the suite and the server are both busy, so two lanes keep two cores at work.
PLANS = {
    "fast": Plan(budget=60, jobs=6, cap=15),
    "limits": Plan(budget=180, jobs=1, cap=60),
    "deflate": Plan(budget=1800, jobs=2, cap=180),
    "deflate-lite": Plan(budget=240, jobs=2, cap=60),
}
OTHER_CASES = Plan(budget=120, jobs=1, cap=60)


@dataclass(frozen=True)
class CaseResult:
    """The suite's verdict on one case.

    duration is in seconds; reason is empty when both verdicts are good. A case
    cut off by the budget has the behavior NOT RUN.
    """

    case: str
    behavior: str
    behavior_close: str
    duration: float
    remote_close_code: int | None
    reason: str

    @property
    def is_good(self) -> bool:
        return self.behavior in GOOD and self.behavior_close in GOOD


@dataclass(frozen=True)
class Verdict:
    """How many cases got which behavior.

    failed counts every behavior without a number of its own, UNIMPLEMENTED
    among them; unclean counts the cases whose close is not good.
    """

    total: int
    ok: int
    non_strict: int
    informational: int
    failed: int
    not_run: int
    unclean: int

    def __str__(self) -> str:
        return (
            f"{self.total} cases: {self.ok} OK, {self.non_strict} NON-STRICT, "
            f"{self.informational} INFORMATIONAL, {self.failed} FAILED, "
            f"{self.not_run} NOT RUN; {self.unclean} unclean closes"
        )


def available() -> str | None:
    """Return why the suite cannot run here, or None if it can."""
    if suite_python() is not None:
        return None
    try:
        return (directory() / "unavailable").read_text().strip()
    except OSError:
        return (
            "The Autobahn environment is not built; "
            "run: python tests/conformance/setup_autobahn.py .cache/autobahn"
        )


def directory() -> Path:
    default = HERE.parent.parent / ".cache" / "autobahn"
    return Path(os.environ.get("AUTOBAHN_DIR", default))


def suite_python() -> str | None:
    """Return the interpreter named in the stamp, if it is there."""
    try:
        interpreter = (directory() / "ready").read_text().splitlines()[1]
    except (OSError, IndexError):
        return None
    return interpreter if os.access(interpreter, os.X_OK) else None


def run(
    url: str, cases: str = "fast", *, budget: float | None = None, jobs: int | None = None
) -> list[CaseResult]:
    """Fuzz the echo server at a loopback URL and return one result for each case.

    Args:
        url: ws://127.0.0.1:PORT/path of a server that echoes each message.
        cases: fast, limits, deflate, deflate-lite, or a comma list of patterns
            such as "6.4.*,7.1.5", each matched from end to end.
        budget: Seconds for the whole run; None takes the plan of the set.
        jobs: Cases to run at once; None takes the plan of the set. A server
            that serves one connection at a time needs 1.

    Raises:
        AutobahnError: The suite is not installed, or ended with an error.
    """
    plan = PLANS.get(cases, OTHER_CASES)
    budget = plan.budget if budget is None else budget
    options = {"url": url, "cases": cases, "budget": budget, "jobs": jobs or plan.jobs}
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "results.json"
        fuzz({**options, "cap": plan.cap, "out": out}, budget + GRACE)
        return read_results(out)


def fuzz(options: dict[str, object], timeout: float) -> None:
    python = suite_python()
    if python is None:
        raise AutobahnError(available())
    flags = [f"--{name}={value}" for name, value in options.items()]
    # -B: a .pyc of Python 2.7 beside our sources would confuse.
    command = [python, "-B", str(HERE / "fuzzer.py"), "client", *flags]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise AutobahnError(f"the suite did not end within {timeout:g} seconds") from error
    if done.returncode != 0:
        raise AutobahnError(f"the suite ended with status {done.returncode}: {done.stderr[-2000:]}")


def read_results(path: Path) -> list[CaseResult]:
    """Read a results file of fuzzer.py, in the order of the case numbers."""
    results = [parse_result(line) for line in path.read_text().splitlines()]
    return sorted(results, key=lambda result: [int(part) for part in result.case.split(".")])


def parse_result(line: str) -> CaseResult:
    fields = json.loads(line)
    return CaseResult(
        case=fields["id"],
        behavior=fields["behavior"],
        behavior_close=fields["behaviorClose"],
        duration=fields["duration"],
        remote_close_code=fields["remoteCloseCode"],
        reason=fields["reason"],
    )


def verdict(results: Sequence[CaseResult]) -> Verdict:
    """Count the behaviors; two runs that agree have equal verdicts."""
    behaviors = [result.behavior for result in results]
    named = ("OK", "NON-STRICT", "INFORMATIONAL", "NOT RUN")
    return Verdict(
        total=len(results),
        ok=behaviors.count("OK"),
        non_strict=behaviors.count("NON-STRICT"),
        informational=behaviors.count("INFORMATIONAL"),
        failed=sum(behavior not in named for behavior in behaviors),
        not_run=behaviors.count("NOT RUN"),
        unclean=sum(result.behavior_close not in GOOD for result in results),
    )


def assert_conformant(
    results: Sequence[CaseResult], expected_informational: Collection[str] = EXPECTED_INFORMATIONAL
) -> None:
    """Accept only good cases, INFORMATIONAL ones only where they are expected.

    Raises:
        AssertionError: No case ran, or some are bad; each is listed with its reason.
    """
    if not results:
        raise AssertionError("no Autobahn case ran")
    bad = [result for result in results if not is_accepted(result, expected_informational)]
    if bad:
        raise AssertionError("\n".join([str(verdict(results)), *bad_lines(bad)]))


def is_accepted(result: CaseResult, expected_informational: Collection[str]) -> bool:
    if result.behavior == "INFORMATIONAL" and result.case not in expected_informational:
        return False
    return result.is_good


def bad_lines(bad: Iterable[CaseResult]) -> list[str]:
    return [
        f"  {result.case}: {result.behavior}, close {result.behavior_close} "
        f"(code {result.remote_close_code}): {result.reason}"
        for result in bad
    ]


def summary(results: Sequence[CaseResult]) -> str:
    """Return the counts, the bad cases and the slowest ones as lines of text."""
    slowest = sorted(results, key=lambda result: -result.duration)[:SLOWEST]
    lines = [str(verdict(results))]
    lines += bad_lines(result for result in results if not result.is_good)
    lines.append("slowest:")
    lines += [f"  {result.case:8} {result.duration:7.2f} s" for result in slowest]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run Autobahn against a loopback server.")
    parser.add_argument("url")
    parser.add_argument("--cases", default="fast", help="a set or a comma list of patterns")
    parser.add_argument("--budget", type=float, help="seconds for the whole run")
    parser.add_argument("--jobs", type=int, help="cases to run at once")
    arguments = parser.parse_args()
    try:
        results = run(arguments.url, arguments.cases, budget=arguments.budget, jobs=arguments.jobs)
    except AutobahnError as error:
        print(error, file=sys.stderr)
        return 2
    print(summary(results))
    return 0 if all(result.is_good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
