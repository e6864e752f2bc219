"""docs/conformance.rst is whole: its tables have every case and everyone who was judged.

Whether it still is so, `make conformance` tells, which writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conformance.autobahn import EXPECTED_INFORMATIONAL
from tests.conformance.judging import KEPT, WHOLE, Peer
from tests.support import conformance_page
from tests.support.conformance_page import Run, rewritten, title_of
from tests.support.servers_page import part
from tests.test_readme import exists, rows

PAGE = conformance_page.PAGE.read_text(encoding="utf-8")


def told(name: str) -> list[list[str]]:
    return rows(part(name).search(PAGE)[1])


def test_all_517_cases_are_ok_on_both_sides_but_for_three():
    *sections, total = told("sections")
    assert [int(row[0]) for row in sections] == list(conformance_page.SECTIONS)
    for _, _, cases, server_ok, server_info, _, client_ok, client_info, _ in [*sections, total]:
        assert int(server_ok) + int(server_info) == int(cases)
        assert int(client_ok) + int(client_info) == int(cases)
    assert [total[place] for place in (2, 3, 4, 6, 7)] == ["517", "514", "3", "514", "3"]


def test_everyone_is_there_and_passed_what_was_run():
    found = told("peers")
    assert [row[:3] for row in found] == [
        [peer.side, title_of(peer), peer.style] for peer in KEPT["fast"]
    ]
    for row, peer in zip(found, KEPT["fast"], strict=True):
        assert [shown(cell) for cell in row[3:]] == [*sizes(peer)], row


def shown(cell: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d+) of (\d+), \d+ s", cell)
    return match and (int(match[1]), int(match[2]))


def sizes(peer: Peer) -> Iterator[tuple[int, int] | None]:
    yield 247, 247
    yield (54, 54) if peer in KEPT["limits"] else None
    if peer in KEPT["deflate"]:
        yield 216, 216
    else:
        yield (60, 60) if peer in KEPT["deflate-lite"] else None


def test_the_machine_and_the_versions_are_named():
    text = part("machine").search(PAGE)[1]
    for named in ("autobahntestsuite", "cores", "Python", "gunicorn", "gevent", "isal"):
        assert re.search(rf"\b{named}\b.*\d", text), named


def test_every_command_of_make_on_the_page_is_a_target():
    commands = set(re.findall(r"``(make [\w-]+)``", PAGE))
    assert commands == {"make conformance", "make test"}
    assert all(map(exists, commands))


# --- how it is written ------------------------------------------------------------------------------------


def result(case: str, behavior: str = "OK", at_close: str = "OK") -> tuple[str, str, str, float]:
    return case, behavior, at_close, 0.25


def runs() -> dict:
    """As if everyone had run a few cases."""
    few = {
        "fast": [
            result("1.1.1"),
            *(result(one, "INFORMATIONAL") for one in EXPECTED_INFORMATIONAL),
        ],
        "limits": [result("9.1.1")],
        "deflate": [result("12.1.1"), result("13.1.1")],
        "deflate-lite": [result("12.1.1")],
    }
    return {(peer, cases): Run(1.5, few[cases]) for cases, peers in KEPT.items() for peer in peers}


def test_writing_it_again_leaves_no_trace_of_what_was_there():
    once = rewritten(PAGE, runs())
    assert rewritten(once, runs()) == once
    row = rows(part("sections").search(once)[1])[-1]
    assert row == ["all", "", "7", "4", "3", "1", "4", "3", "1"]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(result("1.1.1", "NON-STRICT"), id="non-strict"),
        pytest.param(result("1.1.1", "INFORMATIONAL"), id="informational where it should not be"),
        pytest.param(result("1.1.1", "OK", "UNCLEAN"), id="unclean"),
    ],
)
def test_a_bad_case_is_seen_on_the_page(bad):
    found = runs()
    found[WHOLE[0], "fast"].results[0] = bad
    row = next(
        line
        for line in rows(part("peers").search(rewritten(PAGE, found))[1])
        if line[:3] == ["server", title_of(WHOLE[0]), WHOLE[0].style]
    )
    assert row[3] == "3 of 4, 2 s"


def test_the_page_is_left_as_it_is_unless_all_was_run(tmp_path, capsys):
    assert conformance_page.main([str(tmp_path)]) == 1
    assert "is left as it is" in capsys.readouterr().err
    assert conformance_page.PAGE.read_text(encoding="utf-8") == PAGE
