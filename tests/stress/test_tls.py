"""TLS in both directions at once: one thread of the server sends, another receives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.certificates import certificate
from tests.support.servers import ROOT, serve

APP = "tests.stress.tls_app:application"
SPARE = 100.0  # seconds that the rest may take when the time is over

# One of each way to take a TLS socket: ssl's in threads, gevent's, eventlet's.
SERVERS = ["werkzeug-tls", "gunicorn-gthread-tls", "gevent-tls", "eventlet-tls"]


def play(name: str, seconds: float, folder: Path) -> None:
    seconds = float(os.environ.get("STRESS_SECONDS") or seconds)
    with serve(name, APP, folder) as server:
        command = [sys.executable, "-m", "tests.stress.tls_peer", str(server.port)]
        command += [certificate().authority, str(seconds)]
        answer = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + SPARE, check=False
        )
        assert answer.returncode == 0, f"{name}: {answer.stderr}"
        log = server.stop()
    result = json.loads(answer.stdout)
    print(f"{name}: {json.dumps(result['figures'])}")
    assert result["server"]["received"] == result["peer"]["sent"], name
    assert result["server"]["sent"] == result["peer"]["received"], name
    assert min(result["figures"].values()) > 100, result["figures"]
    assert "Traceback" not in log


def play_all(seconds: float, folder: Path) -> None:
    certificate()  # once, before many want it
    with ThreadPoolExecutor(len(SERVERS)) as pool:
        for done in [pool.submit(play, name, seconds, folder) for name in SERVERS]:
            done.result()


@pytest.mark.stress
def test_under_tls_every_octet_is_right_in_both_directions_at_once(tmp_path):
    play_all(10, tmp_path)


@pytest.mark.stress
@pytest.mark.long
@pytest.mark.timeout(600)
def test_for_two_minutes_under_tls_every_octet_is_right_in_both_directions_at_once(tmp_path):
    play_all(120, tmp_path)
