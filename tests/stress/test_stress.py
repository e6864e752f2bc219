"""Random senders, receivers, closers, absences and split frames, for seconds or for a minute.

STRESS_SEED=123 plays that seed's epochs again, though threads meet otherwise each time;
STRESS_SECONDS=600 plays as long, STRESS_ENDING=peer-fin ends every connection in one way of
plan.py, STRESS_SEND_BUFFER=4608 has all senders wait. The peer's log shows each epoch, and every
connection that was slow to end."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.certificates import certificate
from tests.support.servers import ROOT, Server, serve

APP = "tests.stress.app:application"
SPARE = 200.0  # seconds that the last epoch may take, stuck connections included
WORLDS = ("werkzeug", "gevent", "eventlet", "werkzeug-tls", "gevent-tls")


def play(server: Server, seed: str, seconds: float, log: Path) -> dict:
    """Run the peer's process to its end; returns what it printed."""
    command = [sys.executable, "-m", "tests.stress.peer", str(server.port), seed, str(seconds)]
    if server.tls:
        command.append(certificate().authority)
    with log.open("wb") as errors:
        peer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors)
    try:
        answer, _ = peer.communicate(timeout=seconds + SPARE)
    except subprocess.TimeoutExpired:
        for process in (peer, server.process):
            process.send_signal(signal.SIGUSR1)
        raise
    finally:
        if peer.poll() is None:
            peer.kill()
            peer.wait()
        sys.stderr.write(f"--- log of the peer, STRESS_SEED={seed} ---\n{log.read_text()}\n")
    assert peer.returncode == 0, "the peer's process failed; its log follows"
    return json.loads(answer)


def stress(name: str, seconds: float, folder: Path) -> None:
    seed = os.environ.get("STRESS_SEED") or secrets.token_hex(4)
    seconds = float(os.environ.get("STRESS_SECONDS") or seconds)
    with serve(name, APP, folder) as server:
        result = play(server, seed, seconds, folder / "peer.log")
        log = server.stop()
    print(f"{name}: {json.dumps(result['figures'])}", *result["faults"], sep="\n")
    assert result["faults"] == [], f"play it again with STRESS_SEED={seed}"
    assert "Traceback" not in log
    assert "bug in faye_sync" not in log
    assert "ended without closing" not in log


@pytest.mark.stress
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", WORLDS)
def test_nothing_is_lost_doubled_reordered_torn_or_stuck(name, tmp_path):
    stress(name, 5, tmp_path)


@pytest.mark.stress
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", WORLDS)
def test_for_a_minute_nothing_is_lost_doubled_reordered_torn_or_stuck(name, tmp_path):
    stress(name, 60, tmp_path)
