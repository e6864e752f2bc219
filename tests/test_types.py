"""What the package is to its users' tools: types, by pyright's strict judgement too, and what it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import requires

import pytest

from tests.support.kinds import ROOT
from tests.support.parts import require

PYRIGHT = ROOT / "node_modules" / ".bin" / "pyright"
PATIENCE = 110.0  # seconds

pytestmark = pytest.mark.node


def test_pyright_finds_nothing_wrong_with_the_claims_and_every_mistake_in_them():
    missing = None if shutil.which("node") and PYRIGHT.exists() else "npm ci brings it"
    require("pyright", missing)
    settings = ROOT / "tests" / "typing" / "pyrightconfig.json"
    run = subprocess.run(
        [PYRIGHT, "--pythonpath", sys.executable, "-p", settings],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert "0 errors, 0 warnings" in run.stdout


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "faye_sync" / "py.typed").exists()


def test_an_installation_without_extras_brings_the_four_packages_of_the_core():
    names = {
        re.match(r"[\w-]+", wanted)[0].lower()
        for wanted in requires("faye_sync")
        if "extra ==" not in wanted
    }
    assert names == {"werkzeug", "requests", "urllib3", "h11"}
