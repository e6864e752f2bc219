"""docs/benchmarks.rst is what the figures say, and every benchmark can be run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
PATIENCE = 60.0  # seconds

# Those that are no command of their own.
PARTS = ("results", "page", "servers", "deflate_memory")


@pytest.fixture
def page(monkeypatch):
    """benchmarks/page.py."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import page  # it is beside its neighbours, and in no package

    yield page
    for name in ("page", "results"):
        sys.modules.pop(name, None)


def test_the_page_and_its_charts_are_those_of_the_figures(page):
    for path, text in page.files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run benchmarks/page.py"


def test_every_workload_has_a_limit_and_a_chart_that_is_well_formed(page):
    for title, workload in page.load()["workloads"].items():
        assert not workload["limit"] or workload["costs"][workload["limit"]], title
        assert workload["costs"]["faye_sync"], title
        bars = ET.fromstring(page.chart(title, workload)).iter("{http://www.w3.org/2000/svg}rect")
        measured = sum(bool(costs) for costs in workload["costs"].values())
        assert len(list(bars)) == 1 + measured


def test_a_bar_is_as_long_as_its_figure_says(page):
    workload = {"unit": "us", "limit": "raw", "costs": {"raw": [1.0], "faye_sync": [2.0]}}
    bars = ET.fromstring(page.chart("A", workload)).iter("{http://www.w3.org/2000/svg}rect")
    _, raw, ours = [bar.get("width") for bar in bars]
    assert float(ours) == pytest.approx(2 * float(raw), rel=0.01)


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in BENCHMARKS.glob("*.py") if path.stem not in PARTS)
)
def test_a_benchmark_says_how_it_is_run(name):
    run = subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", "--help"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "usage:" in run.stdout
