"""Fetch what the tests need beside Python packages, and say what cannot be had.

`make test` runs it. One line per part: "chromium: ready" or "chromium: not to be had: why". The
tests of a missing part skip (tests/support/parts.py), so only CI=true makes that a failure here.
Needs nothing but the standard library."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class NotToBeHad(Exception):
    """Say in one line why a part is not on this machine."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".cache", help="folder for what is built"
    )
    cache = parser.parse_args().cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    # At once: each waits for the network or for one core.
    with ThreadPoolExecutor(len(PARTS)) as pool:
        ready = list(pool.map(lambda name: report(name, cache), PARTS))
    return 1 if os.environ.get("CI") == "true" and not all(ready) else 0


def report(name: str, cache: Path) -> bool:
    """Print the one line of a part; tell whether it is ready."""
    try:
        PARTS[name](cache)
    except NotToBeHad as why:
        print(f"{name}: not to be had: {why}", flush=True)
        return False
    print(f"{name}: ready", flush=True)
    return True


def chromium(cache: Path) -> None:
    """Chromium and its driver: what is there, else Debian's packages."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return
    need(shutil.which("apt-get"), "no chromium and chromedriver on the path, and no apt-get")
    need(os.geteuid() == 0, "only root may apt-get install chromium chromium-driver")
    log = cache / "chromium.log"
    apt_get("update", log=log, timeout=180)
    apt_get("install", "--yes", "--no-install-recommends", "chromium", "chromium-driver", log=log)
    need(shutil.which("chromium") and shutil.which("chromedriver"), f"apt-get left none, see {log}")


def apt_get(*arguments: str, log: Path, timeout: float = 420) -> None:
    wait_for_others = ("-q", "-o", "DPkg::Lock::Timeout=60")
    run("apt-get", *wait_for_others, *arguments, log=log, timeout=timeout)


def ws(cache: Path) -> None:
    """The npm package ws, in the version that package.json names."""
    need(shutil.which("node") and shutil.which("npm"), "no node and npm on the path")
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]["ws"]
    if installed_ws() != wanted:
        run("npm", "ci", "--ignore-scripts", log=cache / "ws.log", timeout=180)
    need(installed_ws() == wanted, f"npm left version {installed_ws()}, wanted {wanted}")


def installed_ws() -> str | None:
    manifest = ROOT / "node_modules" / "ws" / "package.json"
    return json.loads(manifest.read_text())["version"] if manifest.exists() else None


def autobahn(cache: Path) -> None:
    """The Autobahn suite in a Python 2.7 environment of its own."""
    script = ROOT / "tests" / "conformance" / "setup_autobahn.py"
    need(script.exists(), f"no {script.relative_to(ROOT)}")
    folder = str(cache / "autobahn")
    run(sys.executable, str(script), folder, log=cache / "autobahn.log", timeout=420)


PARTS: dict[str, Callable[[Path], None]] = {"chromium": chromium, "ws": ws, "autobahn": autobahn}


def need(condition: object, otherwise: str) -> None:
    if not condition:
        raise NotToBeHad(otherwise)


def run(*command: str, log: Path, timeout: float) -> None:
    """Run a command of bounded time, its output into a file; raise NotToBeHad with its last words."""
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("a+b") as output:
        begin = output.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise NotToBeHad(f"{command[0]} took over {timeout:.0f} s, see {log}") from None
        finally:
            end(process)
        output.seek(begin)
        said = output.read().decode(errors="replace").split("\n")
    # 3 is how setup_autobahn.py says that a part cannot be had; its last line is the reason.
    last_words = next((line.strip() for line in reversed(said) if line.strip()), "no word why")
    need(status in (0, 3), f"{Path(command[0]).name} ended with {status}, see {log}: {last_words}")
    need(status == 0, last_words)


def end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a command, the children it started included."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
