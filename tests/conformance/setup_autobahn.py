"""Build the environment in which the Autobahn suite runs.

Usage: python tests/conformance/setup_autobahn.py DIR

The suite needs CPython 2.7, so DIR gets two environments: `tools`, which holds
the last virtualenv that can still make one for 2.7, and `py27`, which holds the
suite. The stamp DIR/ready names the suite's version and its interpreter; with it
in place a second run does nothing. Without Python 2.7 the exit status is 3, and
DIR/unavailable holds the reason for autobahn.py to give.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

SUITE = "autobahntestsuite==25.10.1"
VIRTUALENV = "virtualenv<20.22"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PROBE_TIMEOUT = 30
INSTALL_TIMEOUT = 900
NO_PYTHON_27 = 3

PROBE = (
    "import platform, sys; "
    "print(platform.python_implementation(), sys.version_info[0], sys.version_info[1])"
)


class Python27Missing(Exception):
    """No CPython 2.7 was found on this machine."""


def is_ready(directory: Path) -> bool:
    """Tell whether the stamp is of this version and its interpreter still exists."""
    try:
        suite, interpreter = (directory / "ready").read_text().splitlines()
    except (OSError, ValueError):
        return False
    return suite == SUITE and os.access(interpreter, os.X_OK)


def build(directory: Path) -> None:
    """Make both environments anew, and the stamp last of all."""
    python27 = find_python27()
    for name in ("tools", "py27"):
        shutil.rmtree(directory / name, ignore_errors=True)
    tools = directory / "tools" / "bin" / "python"
    run(sys.executable, "-m", "venv", str(directory / "tools"))
    run(str(tools), "-m", "pip", "install", "--quiet", VIRTUALENV)
    run(str(tools), "-m", "virtualenv", "--quiet", "-p", python27, str(directory / "py27"))
    interpreter = directory / "py27" / "bin" / "python"
    run(str(interpreter), "-m", "pip", "install", "--quiet", SUITE)
    run(str(interpreter), "-c", "import autobahntestsuite.fuzzing")
    (directory / "unavailable").unlink(missing_ok=True)
    (directory / "ready").write_text(f"{SUITE}\n{interpreter}\n")


def find_python27() -> str:
    """Return the path of a CPython 2.7 that runs.

    Raises:
        Python27Missing: Neither the PATH nor pyenv has one.
    """
    for candidate in candidates():
        if is_cpython27(candidate):
            return candidate
    raise Python27Missing(
        "CPython 2.7 was not found: neither python2.7 on the PATH nor a 2.7 version of pyenv runs."
    )


def candidates() -> list[str]:
    on_path = shutil.which("python2.7")
    root = output("pyenv", "root")
    of_pyenv = sorted(Path(root).glob("versions/2.7*/bin/python2.7")) if root else []
    return ([on_path] if on_path else []) + [str(path) for path in of_pyenv]


def is_cpython27(candidate: str) -> bool:
    # A pyenv shim is on the PATH even where it runs nothing, so only a run tells.
    return output(candidate, "-c", PROBE) == "('CPython', 2, 7)"


def output(*command: str) -> str | None:
    """Return what a command prints, or None if it cannot be run or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=PROBE_TIMEOUT
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def run(*command: str) -> None:
    subprocess.run(command, check=True, env=environment(), timeout=INSTALL_TIMEOUT)


def environment() -> dict[str, str]:
    """Return our environment, with the system's certificates for the pip of 2.7.

    The bundle inside that pip is years old.
    """
    variables = dict(os.environ, PYTHONWARNINGS="ignore", PIP_DISABLE_PIP_VERSION_CHECK="1")
    if CA_BUNDLE.exists():
        variables.setdefault("PIP_CERT", str(CA_BUNDLE))
    return variables


def report_missing(directory: Path, reason: str) -> int:
    (directory / "unavailable").write_text(reason + "\n")
    print(reason, file=sys.stderr)
    return NO_PYTHON_27


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the Autobahn environment in DIR.")
    parser.add_argument("directory", metavar="DIR", type=Path)
    directory = parser.parse_args().directory.absolute()
    if is_ready(directory):
        return 0
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "ready").unlink(missing_ok=True)
    try:
        build(directory)
    except Python27Missing as missing:
        return report_missing(directory, str(missing))
    except subprocess.SubprocessError as error:
        print(f"The Autobahn environment could not be built: {error}", file=sys.stderr)
        return 1
    print(f"The Autobahn environment is ready in {directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
