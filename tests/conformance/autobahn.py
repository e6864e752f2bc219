"""Run the Autobahn suite against a WebSocket server, or clients against it, and judge the outcome.

Usage: python tests/conformance/autobahn.py ws://127.0.0.1:PORT/path --cases fast

The suite runs as a child process (fuzzer.py) in the environment that
setup_autobahn.py builds: .cache/autobahn of the repository, or wherever the
variable AUTOBAHN_DIR points. This file never imports the suite.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOOD = ("OK", "INFORMATIONAL")
EXPECTED_INFORMATIONAL = frozenset({"7.1.6", "7.13.1", "7.13.2"})
SLOWEST = 8
# Starting and stopping the suite takes about a second; the rest is for a busy machine.
GRACE = 30.0


class AutobahnError(Exception):
    """The suite itself could not run; nothing is known of the peer."""


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


FAST = Verdict(total=247, ok=244, non_strict=0, informational=3, failed=0, not_run=0, unclean=0)


def all_ok(total: int) -> Verdict:
    return Verdict(total, total, non_strict=0, informational=0, failed=0, not_run=0, unclean=0)


LIMITS = all_ok(54)
DEFLATE = all_ok(216)
DEFLATE_LITE = all_ok(60)

# 16 MiB of text, and of octets; 4 MiB in fragments of 64 octets; 1 MiB in writes of 64 octets; a
# thousand messages there and back, of 4 KiB and of 256 octets. Only lengths are compared by the
# suite here: tests/interop compares what is in a large message.
HARDEST = "9.1.6,9.2.6,9.3.1,9.5.1,9.7.6,9.8.4"


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
    try:
        done = subprocess.run(
            command("client", options),
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise AutobahnError(f"the suite did not end within {timeout:g} seconds") from error
    if done.returncode != 0:
        raise AutobahnError(f"the suite ended with status {done.returncode}: {done.stderr[-2000:]}")


def command(mode: str, options: dict[str, object]) -> list[str]:
    """Return the command that runs the suite as a client or a server."""
    python = suite_python()
    if python is None:
        raise AutobahnError(available())
    # -B: a .pyc of Python 2.7 beside our sources would confuse.
    flags = [f"--{name}={value}" for name, value in options.items()]
    return [python, "-B", str(HERE / "fuzzer.py"), mode, *flags]


def run_clients(
    play: Callable[[str], object], cases: str = "fast", *, budget: float | None = None
) -> list[CaseResult]:
    """Fuzz clients and return one result for each case.

    Args:
        play: Is given the URL of the suite, ws://127.0.0.1:PORT, and runs a
            client once on /runCase?case=NUMBER&agent=NAME for each number from
            1 to what /getCaseCount tells.
        cases: As for run().
        budget: Seconds for the whole run; None takes the plan of the set.

    Raises:
        AutobahnError: The suite is not installed, or ended with an error.
    """
    budget = PLANS.get(cases, OTHER_CASES).budget if budget is None else budget
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "results.json"
        with serving({"cases": cases, "budget": budget, "out": out}, budget + GRACE) as url:
            play(url)
        return read_results(out)


@contextmanager
def serving(options: dict[str, object], timeout: float) -> Iterator[str]:
    """Start the suite as a server, and wait for its end after the block: all cases are judged."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command("server", options), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            yield url_of(process)
            status = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise AutobahnError(f"the suite did not end within {timeout:g} seconds") from error
        finally:
            process.kill()
        if status != 0:
            errors.seek(0)
            raise AutobahnError(f"the suite ended with status {status}: {errors.read()[-2000:]}")


def url_of(process: subprocess.Popen[str]) -> str:
    """Wait for the line that tells the port of the suite's server."""
    line = process.stdout.readline() if select.select([process.stdout], [], [], GRACE)[0] else ""
    if not line.startswith("listening "):
        raise AutobahnError(f"the suite does not listen, and said {line!r}")
    return f"ws://127.0.0.1:{int(line.split()[1])}"


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
