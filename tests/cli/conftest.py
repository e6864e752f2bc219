"""faye-sync as a user runs it, and the application that it is shown with."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.kinds import ROOT
from tests.support.servers import Server, serve

PATIENCE = 60.0  # seconds for a whole run
APP = "tests.support.behaviours_app:application"


@dataclass
class Run:
    """What a run came to."""

    status: int
    out: str
    err: str


def faye_sync(*arguments: str, stdin: str = "") -> Run:
    """Run the command line to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "faye_sync", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory):
    """The application on gunicorn, for proxies to stand in front of."""
    with serve("gunicorn-gthread", APP, tmp_path_factory.mktemp("cli")) as server:
        yield server


@pytest.fixture(scope="session")
def in_front(tmp_path_factory: pytest.TempPathFactory):
    """Have a proxy end with the tests: in_front(serve_nginx(...).plain)."""
    with ExitStack() as stack:

        def keep(server: Server) -> Server:
            return stack.enter_context(server)

        yield keep
