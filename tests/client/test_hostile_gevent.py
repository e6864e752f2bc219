"""The hostile peers again, client and all on a hub of gevent that patched everything.

The same deadlines hold, and no peer keeps the client from letting other greenlets run."""

from __future__ import annotations

import pytest

from tests.support.on_a_hub import assert_passes, on_a_hub

PATIENCE = 120.0  # seconds for a file that should take 20

STAGES = (
    "hostile_frames",
    "hostile_refusals",
    "hostile_redirects",
    "hostile_slow",
    "event_source",
    "event_source_ends",
    "event_source_close",
)
# Many cases that are the same on any thread, and floods, which take their time.
ALSO = ("heads", "injection", "proxies", "socks", "endless")


@pytest.mark.parametrize("run", STAGES, indirect=True)
def test_what_peers_do_by_stages_ends_as_well_on_a_patched_hub(run):
    assert_passes(run, PATIENCE)


@pytest.mark.long
@pytest.mark.stress
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ALSO)
def test_all_else_that_peers_do_ends_as_well_on_a_patched_hub(name):
    with on_a_hub(f"hostile_{name}") as program:
        assert_passes(program, PATIENCE)
