"""The hostile peers again, client and all on a hub of gevent that patched everything.

The same deadlines hold, and no peer keeps the client from letting other greenlets run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.program import Program
from tests.support.servers import ROOT

PATIENCE = 120.0  # seconds for a file that should take 20

STAGES = ("slow", "frames", "refusals", "redirects")
# Many cases that are the same on any thread, and floods, which take their time.
ALSO = ("heads", "injection", "proxies", "socks", "endless")


def on_a_hub(name: str) -> Program:
    script = ROOT / "tests" / "support" / "pytest_under_gevent.py"
    return Program(script, "-q", f"tests/client/test_hostile_{name}.py")


def assert_passes(program: Program) -> None:
    status = program.wait(PATIENCE)
    assert status == 0, "\n".join(program.rest())


@pytest.fixture(scope="module")
def stages() -> Iterator[dict[str, Program]]:
    """Run all of them at once: most of their time they wait."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(on_a_hub(name)) for name in STAGES}


@pytest.mark.parametrize("name", STAGES)
def test_what_peers_do_by_stages_ends_as_well_on_a_patched_hub(stages, name):
    assert_passes(stages[name])


@pytest.mark.long
@pytest.mark.stress
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ALSO)
def test_all_else_that_peers_do_ends_as_well_on_a_patched_hub(name):
    with on_a_hub(name) as program:
        assert_passes(program)
