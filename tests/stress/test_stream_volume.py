"""One message of two GiB through one connection, while neither side grows by 32 MiB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import ROOT, serve

pytestmark = pytest.mark.stress

APP = "tests.stress.volume_app:application"
MOST = 32 * 2**20
PACE = 4  # MiB a second that any machine has

EVERY = [
    (server, world, packing, deed)
    for server, world in (("werkzeug", "threads"), ("gevent", "gevent"))
    for packing in ("plain", "deflate")
    for deed in ("count", "echo")
]


def play(folder: Path, case: tuple[str, str, str, str], size: int) -> None:
    name, world, packing, deed = case
    with serve(name, APP, folder) as server:
        command = [sys.executable, "-m", "tests.stress.volume_client", world, packing, deed]
        done = subprocess.run(
            [*command, str(size), server.ws("/")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60 + size / PACE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        log = server.stop()
    assert "Traceback" not in log
    told = json.loads(done.stdout)
    print(f"{name}, {packing}, {deed}, {size} MiB: {told}")
    assert told["lost"] == 0
    assert max(told["client"], told["server"]) < MOST


@pytest.mark.parametrize("case", EVERY[1::2], ids="-".join)
def test_96_mib_pass_and_neither_side_grows_by_32_mib(tmp_path, case):
    play(tmp_path, case, 96)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", EVERY, ids="-".join)
def test_2_gib_pass_and_neither_side_grows_by_32_mib(tmp_path, case):
    play(tmp_path, case, 2048)
