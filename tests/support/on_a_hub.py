"""Files of tests/client that run again, client and servers on a hub of gevent that patched all."""

from __future__ import annotations

from tests.support.kinds import ROOT
from tests.support.program import Program

SCRIPT = ROOT / "tests" / "support" / "pytest_under_gevent.py"


def on_a_hub(name: str) -> Program:
    """Start a run of tests/client/test_<name>.py."""
    return Program(SCRIPT, "-q", f"tests/client/test_{name}.py")


def assert_passes(program: Program, timeout: float) -> None:
    """Wait for the end of a run, so many seconds at most; fail with what it said."""
    status = program.wait(timeout)
    assert status == 0, "\n".join(program.rest())
