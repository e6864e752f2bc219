"""Where benchmarks leave what they measured, for page.py: docs/benchmarks/results.json."""

# ruff: noqa: INP001

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks" / "results.json"

PACKAGES = (
    *("faye-sync", "gevent", "werkzeug", "gunicorn", "flask-sock", "simple-websocket"),
    *("websockets", "gevent-websocket", "websocket-client", "aiohttp", "picows"),
)


def record(
    title: str,
    costs: dict[str, list[float]],
    *,
    unit: str,
    limit: str = "",
    command: str,
) -> None:
    """Keep one workload's figures instead of earlier ones of its title.

    Args:
        title: What was done.
        costs: By name of who did it, one figure for each round; less is better.
        unit: Of the figures.
        limit: Who does no more than has to be done.
        command: What measures it again.
    """
    results = load()
    results["machine"] = (
        f"{cpu()}, {os.cpu_count()} CPUs, Linux {platform.release().partition('-')[0]}"
    )
    results["python"] = platform.python_version()
    results["versions"] = versions()
    rounded = {name: [float(f"{cost:.4g}") for cost in found] for name, found in costs.items()}
    workload = {"unit": unit, "limit": limit, "command": command, "costs": rounded}
    results.setdefault("workloads", {})[title] = workload
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def load() -> dict[str, Any]:
    """What is kept so far."""
    if not RESULTS.exists():
        return {}
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def cpu() -> str:
    """The processor's name as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def versions(names: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Of the packages that are installed here."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
