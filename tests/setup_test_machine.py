"""Fetch what the tests need beside Python packages, and say what cannot be had.

`make test` runs it. One line per part: "chromium: ready" or "chromium: not to be had: why". The
tests of a missing part skip (tests/support/parts.py), so only CI=true makes that a failure here.
Needs nothing but the standard library."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
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
        print(f"{name}: not to be had: {why}\n", end="", flush=True)
        return False
    print(f"{name}: ready\n", end="", flush=True)
    return True


# --- Debian's packages --------------------------------------------------------------------------------


def has(*commands: str) -> bool:
    """Look for commands, daemons too, which are on the path of root alone."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return all(shutil.which(command, path=path) for command in commands)


def has_bjoern() -> bool:
    importlib.invalidate_caches()
    return find_spec("bjoern") is not None


def can_build_bjoern() -> bool:
    headers = (Path("/usr/include/ev.h"), Path(sysconfig.get_path("include"), "Python.h"))
    return has("gcc") and all(header.exists() for header in headers)


@dataclass(frozen=True)
class FromDebian:
    """What Debian's packages bring: whether it is there, else the packages."""

    is_there: Callable[[], bool]
    packages: tuple[str, ...]


DEBIAN: dict[str, FromDebian] = {
    "chromium": FromDebian(
        lambda: has("chromium", "chromedriver"), ("chromium", "chromium-driver")
    ),
    "nginx": FromDebian(lambda: has("nginx"), ("nginx",)),
    "caddy": FromDebian(lambda: has("caddy"), ("caddy",)),
    "haproxy": FromDebian(lambda: has("haproxy"), ("haproxy",)),
    "mod_wsgi": FromDebian(
        lambda: has("apache2") and Path("/usr/lib/apache2/modules/mod_wsgi.so").exists(),
        ("apache2-bin", "libapache2-mod-wsgi-py3"),
    ),
    "squid": FromDebian(lambda: has("squid"), ("squid-openssl",)),
    "dante": FromDebian(lambda: has("danted"), ("dante-server",)),
    "bjoern": FromDebian(can_build_bjoern, ("gcc", "libc6-dev", "libev-dev", "python3-dev")),
}


def debian(name: str, cache: Path) -> None:
    """Have what Debian's packages bring."""
    if not DEBIAN[name].is_there():
        install_packages(cache)
        need(DEBIAN[name].is_there(), f"apt-get left none, see {cache / 'debian.log'}")


def bjoern(cache: Path) -> None:
    """bjoern, which is built here: pip finds no wheel, and it needs libev."""
    if has_bjoern():
        return
    debian("bjoern", cache)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "bjoern>=3.2,<4")
    run(*pip, log=cache / "bjoern.log", timeout=180)
    need(has_bjoern(), f"pip left none, see {cache / 'bjoern.log'}")


one_at_a_time = threading.Lock()
installed: list[str | None] = []
"""Why the packages were not to be had, or None, once that was tried."""


def install_packages(cache: Path) -> None:
    """Install the packages of all parts that are not there, once, and all with one call."""
    with one_at_a_time:
        if not installed:
            installed.append(try_packages(cache))
    need(installed[0] is None, str(installed[0]))


def try_packages(cache: Path) -> str | None:
    missing = [part.packages for part in DEBIAN.values() if not part.is_there()]
    everything = [package for packages in missing for package in packages]
    log = cache / "debian.log"
    try:
        need(shutil.which("apt-get"), "not on the path, and no apt-get")
        need(os.geteuid() == 0, f"only root may apt-get install {' '.join(everything)}")
        apt_get("update", log=log, timeout=180)
        if not apt_get_install(everything, log):
            # One that Debian does not have keeps apt-get from installing any.
            for packages in missing:
                apt_get_install(packages, log)
    except NotToBeHad as why:
        return str(why)
    return None


def apt_get_install(packages: Iterable[str], log: Path) -> bool:
    try:
        apt_get("install", "--yes", "--no-install-recommends", *packages, log=log)
    except NotToBeHad:
        return False
    return True


def apt_get(*arguments: str, log: Path, timeout: float = 420) -> None:
    wait_for_others = ("-q", "-o", "DPkg::Lock::Timeout=60")
    run("apt-get", *wait_for_others, *arguments, log=log, timeout=timeout)


# --- the rest -----------------------------------------------------------------------------------------


def npm(cache: Path) -> None:
    """The packages of package.json, in the versions that it names."""
    need(shutil.which("node") and shutil.which("npm"), "no node and npm on the path")
    if wrong_packages():
        run("npm", "ci", "--ignore-scripts", log=cache / "npm.log", timeout=180)
    wrong = wrong_packages()
    need(not wrong, f"npm left {', '.join(wrong)}")


def wrong_packages() -> list[str]:
    """Tell which packages are not there as package.json wants them."""
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    # One that stands there under another name is "npm:name@version".
    versions = {name: version.rpartition("@")[2] for name, version in wanted.items()}
    return [
        f"{name} {installed_version(name)}, not {version}"
        for name, version in versions.items()
        if installed_version(name) != version
    ]


def installed_version(name: str) -> str | None:
    manifest = ROOT / "node_modules" / name / "package.json"
    return json.loads(manifest.read_text())["version"] if manifest.exists() else None


def autobahn(cache: Path) -> None:
    """The Autobahn suite in a Python 2.7 environment of its own."""
    script = ROOT / "tests" / "conformance" / "setup_autobahn.py"
    need(script.exists(), f"no {script.relative_to(ROOT)}")
    folder = str(cache / "autobahn")
    run(sys.executable, str(script), folder, log=cache / "autobahn.log", timeout=420)


PARTS: dict[str, Callable[[Path], None]] = {
    **{name: partial(debian, name) for name in DEBIAN},
    "bjoern": bjoern,
    "npm": npm,
    "autobahn": autobahn,
}


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
