"""Write docs/benchmarks.rst and its charts from what the benchmarks left behind.

    python benchmarks/page.py

Reads docs/benchmarks/results.json; measures nothing."""

# ruff: noqa: INP001

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

from results import RESULTS, load

PAGE = RESULTS.parents[1] / "benchmarks.rst"

ROW, BAR, LEFT, WIDTH = 24, 16, 170, 720  # pixels
OURS, LIMIT, PEER = "#c2410c", "#94a3b8", "#2563eb"

HEAD = """\
Benchmarks
==========

What a message costs, beside the peers and the bare socket. ``make bench`` measures all of it again
and writes this page; each workload goes round all servers, a round each, so that a machine that is
busy for a while is so for all of them. Less is better everywhere. "Raw" rows are limits: loops over
a bare socket that do no more than a server must, so they check, unmask and know nothing.

Behind each name stand the median of all rounds, the least and the most of them, and how that
median compares with the limit's and with ours. CPU time is user and system time of the process,
all of its threads, by the kernel's clock. Figures that differ by less than 15 % are equal here.

"""


def slug(title: str) -> str:
    """Make a file's name of a title."""
    return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")


def told(value: float) -> str:
    """Write a figure with three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(cost: float, other: float | None) -> str:
    """Write how a cost compares; nothing where there is none to compare with."""
    return f"{cost / other:.2f}" if other else ""


def ranked(workload: dict[str, Any]) -> list[tuple[str, list[float]]]:
    """Order the rows, the cheapest first."""
    rows = [(name, costs) for name, costs in workload["costs"].items() if costs]
    return sorted(rows, key=lambda row: median(row[1]))


def ours_of(workload: dict[str, Any]) -> float | None:
    """The median that the others are compared with."""
    costs = workload["costs"].get("faye_sync")
    return median(costs) if costs else None


def chart(title: str, workload: dict[str, Any]) -> str:
    """Draw one workload: a bar for each, cut off where it is more than eight times ours."""
    rows = ranked(workload)
    ours = ours_of(workload) or median(rows[0][1])
    most = min(max(median(costs) for _, costs in rows), 8 * ours)
    scale = (WIDTH - LEFT - 90) / most
    height = ROW * (len(rows) + 1) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"',
        f'     viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="4" y="16" font-weight="bold">{escape(title)}, {escape(workload["unit"])}</text>',
    ]
    for i, (name, costs) in enumerate(rows, 1):
        cost = median(costs)
        colour = OURS if "faye_sync" in name else LIMIT if name.startswith("raw") else PEER
        length, y = min(cost, most) * scale, i * ROW + 4
        lines += [
            f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 13}">{told(cost)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def table(workload: dict[str, Any]) -> str:
    """Write one workload's rows."""
    limit = workload["costs"].get(workload["limit"])
    ours = ours_of(workload)
    rows = [("", "median", "least", "most", "to limit", "to ours")]
    for name, costs in ranked(workload):
        cost = median(costs)
        figures = (told(cost), told(min(costs)), told(max(costs)))
        rows.append(
            (name, *figures, ratio(cost, median(limit) if limit else None), ratio(cost, ours))
        )
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        first, *rest = row
        lines.append(f"   * - {first}".rstrip())
        lines += [f"     - {cell}".rstrip() for cell in rest]
    return "\n".join(lines)


def section(title: str, workload: dict[str, Any]) -> str:
    """Write one workload: its chart, its table, its command."""
    return "\n".join(
        [
            title,
            "-" * len(title),
            "",
            f".. image:: benchmarks/{slug(title)}.svg",
            f"   :alt: {title}, {workload['unit']}",
            "",
            table(workload),
            "",
            f"In {workload['unit']}; ``{workload['command']}``.",
            "",
            "",
        ]
    )


def page(results: dict[str, Any]) -> str:
    """Write the whole page."""
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    where = f"Measured on {results['machine']}, with Python {results['python']} and {versions}.\n\n"
    sections = [section(*item) for item in results["workloads"].items()]
    return (HEAD + where + "".join(sections)).rstrip() + "\n"


def files() -> dict[Path, str]:
    """All files of the page, with what is to be in them."""
    results = load()
    charts = {
        RESULTS.with_name(f"{slug(title)}.svg"): chart(title, workload)
        for title, workload in results["workloads"].items()
    }
    return {PAGE: page(results), **charts}


def main() -> None:
    """Write them, and remove charts of workloads that are no more."""
    wanted = files()
    for path in set(RESULTS.parent.glob("*.svg")) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
