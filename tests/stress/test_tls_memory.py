"""A client's TLS in both directions at once: in memory, alone and within a proxy's."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.servers import ROOT

SPARE = 100.0  # seconds that the rest may take when the time is over

WORLDS = ["threads", "gevent", "eventlet"]


def play(world: str, seconds: float) -> None:
    seconds = float(os.environ.get("STRESS_SECONDS") or seconds)
    python = [sys.executable, "-m"]
    pipes = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*python, "tests.stress.tls_memory_peer"], **pipes) as peer:
        try:
            address = peer.stdout.readline().split()
            command = [*python, "tests.stress.tls_memory_app", world, *address, str(seconds)]
            app = subprocess.run(command, **pipes, timeout=seconds + SPARE, check=False)
            assert app.returncode == 0, f"{app.stderr}\nand the peer:"
            told, errors = peer.communicate(timeout=SPARE)
        finally:
            peer.kill()
    assert peer.returncode == 0, errors
    ours, theirs = json.loads(app.stdout), json.loads(told)
    assert ours.keys() == theirs.keys()
    for port, half in ours.items():
        assert half["sent"] == theirs[port]["received"]
        assert half["received"] == theirs[port]["sent"]
        assert min(half["sent"][0], half["received"][0]) > 100_000
    print(world, {port: [half["sent"][0], half["received"][0]] for port, half in ours.items()})


@pytest.mark.stress
@pytest.mark.parametrize("world", WORLDS)
def test_in_memory_every_octet_is_right_in_both_directions_at_once(world):
    play(world, 5)


@pytest.mark.stress
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("world", WORLDS)
def test_in_memory_for_a_minute_every_octet_is_right_in_both_directions_at_once(world):
    play(world, 60)
