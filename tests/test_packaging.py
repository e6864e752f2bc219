"""The package is built from a clone's files, and installs into an empty environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0  # seconds

# What is in a clone and not in a package.
LEFT_OUT = shutil.ignore_patterns(
    ".*", "node_modules", "*.egg-info", "build", "dist", "*.so", "tests"
)

SAY_WHAT_IS_USED = """
from faye_sync.driver.accelerator import speedups
from faye_sync.driver.frames import encode_frame
import faye_sync
print(faye_sync.__file__, speedups is not None, encode_frame(2, b"hello").hex())
"""


def run(*command: object, cwd: Path, **environment: str) -> str:
    """Run a command that has to end well; returns what it printed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def builder(tmp_path_factory) -> Path:
    """A Python of an environment of its own, which can build packages."""
    folder = tmp_path_factory.mktemp("builder")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "setuptools>=77", cwd=folder)
    return python


@pytest.fixture(scope="module")
def sdist(builder, tmp_path_factory) -> Path:
    """The source distribution of this clone."""
    folder = tmp_path_factory.mktemp("sdist")
    shutil.copytree(ROOT, folder / "clone", ignore=LEFT_OUT)
    build = "from setuptools.build_meta import build_sdist; print(build_sdist('..'))"
    name = run(builder, "-c", build, cwd=folder / "clone").split()[-1]
    return folder / name


@pytest.fixture
def empty(tmp_path) -> Iterator[Path]:
    """A Python of an environment in which there is nothing."""
    venv.create(tmp_path / "empty", with_pip=True)
    return tmp_path / "empty" / "bin" / "python"


# distutils asks the variable first; it has to fail as a compiler that is missing does.
COMPILERS = {"with-a-compiler": ({}, True), "without-a-compiler": ({"CC": "no-such-cc"}, False)}


@pytest.mark.timeout(4 * PATIENCE)
@pytest.mark.parametrize("environment, compiles", COMPILERS.values(), ids=COMPILERS.keys())
def test_the_source_installs_into_an_empty_environment(
    builder, sdist, empty, tmp_path, environment, compiles
):
    if compiles and shutil.which("cc") is None:
        assert not os.environ.get("CI"), "a C compiler is part of a CI machine"
        pytest.skip("needs a C compiler")
    wheels = tmp_path / "wheels"
    run(
        *(builder, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", wheels, sdist),
        cwd=tmp_path,
        **environment,
    )
    (wheel,) = wheels.iterdir()
    assert has_accelerator(wheel) == compiles
    run(empty, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    where, is_fast, frame = run(empty, "-c", SAY_WHAT_IS_USED, cwd=tmp_path).split()
    assert where.startswith(str(empty.parents[1]))
    assert is_fast == str(compiles)
    assert frame == "820568656c6c6f"


def has_accelerator(wheel: Path) -> bool:
    """Whether the wheel has the library in C, in the stable ABI where there is one for it."""
    libraries = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    is_stable = sys.version_info >= (3, 11)
    assert all(name.endswith(".abi3.so") == is_stable for name in libraries)
    return bool(libraries)


def test_the_source_has_the_c_code_and_no_test(sdist):
    names = run("tar", "-tzf", sdist, cwd=sdist.parent).split()
    assert any(name.endswith("faye_sync/_speedups.c") for name in names)
    assert any(name.endswith("faye_sync/_speedups.pyi") for name in names)
    assert any(name.endswith("faye_sync/py.typed") for name in names)
    assert not any(name.endswith(".so") for name in names)
