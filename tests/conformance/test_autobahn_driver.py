"""The driver of the Autobahn suite: that it reads, counts, accepts and refuses as it says.

A script stands in for the suite's interpreter wherever the suite itself is not needed."""

from __future__ import annotations

import json
import shlex
import socket
from pathlib import Path

import pytest

from tests.conformance import autobahn, setup_autobahn
from tests.conformance.autobahn import AutobahnError, CaseResult
from tests.support.parts import require


def line(case: str = "1.1.1", behavior: str = "OK", close: str = "OK", **fields) -> str:
    """A line of the results file."""
    result = {
        "id": case,
        "behavior": behavior,
        "behaviorClose": close,
        "duration": 0.25,
        "remoteCloseCode": 1000,
        "reason": "",
    }
    return json.dumps({**result, **fields})


def result(case: str = "1.1.1", behavior: str = "OK", close: str = "OK", **fields) -> CaseResult:
    return autobahn.parse_result(line(case, behavior, close, **fields))


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Make folder the suite's environment, and the shell script its interpreter."""
    interpreter = folder / "python"
    interpreter.write_text(f"#!/bin/sh\n{script}\n")
    interpreter.chmod(0o755)
    (folder / "ready").write_text(f"{setup_autobahn.SUITE}\n{interpreter}\n")
    monkeypatch.setenv("AUTOBAHN_DIR", str(folder))


# --- reading and counting ---------------------------------------------------------------------------


def test_a_line_of_the_results_file_is_read_in_full():
    read = autobahn.parse_result(
        line("7.1.5", "FAILED", "WRONG CODE", remoteCloseCode=1002, reason="Close: wrong.")
    )
    assert read == CaseResult("7.1.5", "FAILED", "WRONG CODE", 0.25, 1002, "Close: wrong.")


def test_results_are_in_the_order_of_their_numbers(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("\n".join(map(line, ("10.1.1", "1.1.10", "9.2", "1.1.9"))))
    assert [one.case for one in autobahn.read_results(path)] == ["1.1.9", "1.1.10", "9.2", "10.1.1"]


def test_a_verdict_counts_every_case_once():
    behaviors = ("OK", "OK", "NON-STRICT", "INFORMATIONAL", "FAILED", "UNIMPLEMENTED", "NOT RUN")
    verdict = autobahn.verdict([result(behavior=behavior) for behavior in behaviors])
    assert verdict == autobahn.Verdict(
        total=7, ok=2, non_strict=1, informational=1, failed=2, not_run=1, unclean=0
    )


@pytest.mark.parametrize(
    "close, unclean",
    [("OK", 0), ("INFORMATIONAL", 0), ("UNCLEAN", 1), ("WRONG CODE", 1), ("FAILED BY CLIENT", 1)],
)
def test_a_close_that_is_not_good_is_counted_beside_its_behavior(close, unclean):
    verdict = autobahn.verdict([result(close=close)])
    assert (verdict.ok, verdict.unclean) == (1, unclean)


def test_a_summary_names_the_bad_cases_and_the_slowest_first():
    quick = [result(f"1.1.{number}") for number in range(1, 9)]
    slow = result("6.4.1", "NON-STRICT", duration=2.0, reason="Expected A, received B.")
    lines = autobahn.summary([*quick, slow]).splitlines()
    assert lines[0].startswith("9 cases: 8 OK, 1 NON-STRICT, 0 INFORMATIONAL, 0 FAILED")
    assert lines[1] == "  6.4.1: NON-STRICT, close OK (code 1000): Expected A, received B."
    assert lines[3].split() == ["6.4.1", "2.00", "s"]
    assert len(lines) == 3 + autobahn.SLOWEST


# --- accepting --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "good",
    [result(), result("7.13.1", "INFORMATIONAL"), result(close="INFORMATIONAL")],
    ids=["ok", "informational-where-expected", "close-informational"],
)
def test_a_good_case_is_accepted(good):
    autobahn.assert_conformant([good])


@pytest.mark.parametrize(
    "bad",
    [
        result(behavior="NON-STRICT"),
        result(behavior="FAILED"),
        result(behavior="UNIMPLEMENTED"),
        result(behavior="NOT RUN"),
        result(behavior="INFORMATIONAL"),
        result(close="UNCLEAN"),
        result("7.13.1", "INFORMATIONAL", "FAILED BY CLIENT"),
    ],
    ids=lambda bad: f"{bad.case}-{bad.behavior}-{bad.behavior_close}",
)
def test_a_bad_case_is_refused_and_named(bad):
    with pytest.raises(AssertionError) as caught:
        autobahn.assert_conformant([result("1.1.2"), bad])
    _, *named = str(caught.value).splitlines()
    assert named == [
        f"  {bad.case}: {bad.behavior}, close {bad.behavior_close} (code 1000): {bad.reason}"
    ]


def test_no_case_at_all_is_refused():
    with pytest.raises(AssertionError, match="no Autobahn case ran"):
        autobahn.assert_conformant([])


# --- running ----------------------------------------------------------------------------------------


def recording(folder: Path, *lines: str) -> str:
    """A script that notes its arguments and writes these lines where --out says."""
    written = " ".join(shlex.quote(text) for text in lines)
    return f"""echo "$@" > {shlex.quote(str(folder / "arguments"))}
for argument; do case $argument in --out=*) printf '%s\\n' {written} > "${{argument#--out=}}";; esac; done"""


@pytest.mark.parametrize(
    "cases, options, wanted",
    [
        ("fast", {}, "--cases=fast --budget=60 --jobs=6 --cap=15"),
        ("limits", {}, "--cases=limits --budget=180 --jobs=1 --cap=60"),
        ("6.4.*,7.1.5", {}, "--cases=6.4.*,7.1.5 --budget=120 --jobs=1 --cap=60"),
        ("fast", {"budget": 5, "jobs": 4}, "--cases=fast --budget=5 --jobs=4 --cap=15"),
    ],
    ids=["fast", "limits", "patterns", "own-budget-and-jobs"],
)
def test_a_run_hands_the_plan_of_its_set_to_the_suite(
    tmp_path, monkeypatch, cases, options, wanted
):
    install(tmp_path, monkeypatch, recording(tmp_path, line("2.1")))
    assert autobahn.run("ws://127.0.0.1:9/x", cases, **options) == [result("2.1")]
    said = (tmp_path / "arguments").read_text()
    assert f"fuzzer.py client --url=ws://127.0.0.1:9/x {wanted} --out=" in said


def test_a_suite_that_fails_is_an_error_with_its_last_words(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "echo 'no such case' >&2; exit 2")
    with pytest.raises(AutobahnError, match="ended with status 2: no such case"):
        autobahn.run("ws://127.0.0.1:9/x")


def test_a_suite_that_hangs_is_ended_past_its_budget(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "exec tail -f /dev/null")
    monkeypatch.setattr(autobahn, "GRACE", 0.0)
    with pytest.raises(AutobahnError, match=r"did not end within 0\.1 seconds"):
        autobahn.run("ws://127.0.0.1:9/x", budget=0.1)


@pytest.mark.parametrize(
    "script, status",
    [("", 0), (line("2.1", "FAILED"), 1), (None, 2)],
    ids=["good", "bad-case", "no-suite"],
)
def test_the_exit_status_tells_good_bad_and_unknown(tmp_path, monkeypatch, capsys, script, status):
    monkeypatch.setenv("AUTOBAHN_DIR", str(tmp_path))
    if script is not None:
        install(tmp_path, monkeypatch, recording(tmp_path, script or line("2.1")))
    monkeypatch.setattr("sys.argv", ["autobahn.py", "ws://127.0.0.1:9/x"])
    assert autobahn.main() == status
    capsys.readouterr()


# --- as a server ------------------------------------------------------------------------------------


def test_clients_are_given_the_suites_address_and_judged_when_it_ends(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, f"{recording(tmp_path, line('2.1'))}\necho listening 9")
    told = []
    assert autobahn.run_clients(told.append, "2.1") == [result("2.1")]
    assert told == ["ws://127.0.0.1:9"]
    said = (tmp_path / "arguments").read_text()
    assert "fuzzer.py server --cases=2.1 --budget=120 --out=" in said


@pytest.mark.parametrize(
    "script, told",
    [
        ("echo 'no such case' >&2; exit 2", "does not listen, and said ''"),
        ("echo listening 9; echo 'it broke' >&2; exit 1", "ended with status 1: it broke"),
        ("echo listening 9; exec tail -f /dev/null", "did not end within 2 seconds"),
    ],
    ids=["never-listens", "fails", "hangs"],
)
def test_a_serving_suite_that_fails_is_an_error(tmp_path, monkeypatch, script, told):
    install(tmp_path, monkeypatch, script)
    monkeypatch.setattr(autobahn, "GRACE", 2.0 if "tail" in script else 30.0)
    with pytest.raises(AutobahnError, match=told):
        autobahn.run_clients(lambda url: None, budget=0.0 if "tail" in script else 5.0)


def test_clients_that_fail_end_the_suite(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "echo listening 9; exec tail -f /dev/null")
    with pytest.raises(ZeroDivisionError):
        autobahn.run_clients(lambda url: 1 / 0)


# --- is it there? -----------------------------------------------------------------------------------


def test_a_built_environment_is_available(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "")
    assert autobahn.available() is None


def test_without_an_environment_the_command_that_builds_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOBAHN_DIR", str(tmp_path))
    assert "run: python tests/conformance/setup_autobahn.py" in autobahn.available()


def test_a_machine_without_python_2_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AUTOBAHN_DIR", str(tmp_path))
    status = setup_autobahn.report_missing(tmp_path, "CPython 2.7 was not found.")
    assert (status, autobahn.available()) == (3, "CPython 2.7 was not found.")
    assert capsys.readouterr().err == "CPython 2.7 was not found.\n"


@pytest.mark.parametrize(
    "stamp, ready",
    [
        (None, False),
        ("", False),
        ("{suite}\n{folder}/python\n", True),
        ("{suite}\n{folder}/gone\n", False),
        ("autobahntestsuite==0.7.6\n{folder}/python\n", False),
    ],
    ids=["none", "empty", "whole", "interpreter-gone", "another-version"],
)
def test_only_a_stamp_of_this_version_with_its_interpreter_is_ready(
    tmp_path, monkeypatch, stamp, ready
):
    install(tmp_path, monkeypatch, "")
    (tmp_path / "ready").unlink()
    if stamp is not None:
        text = stamp.format(suite=setup_autobahn.SUITE, folder=tmp_path)
        (tmp_path / "ready").write_text(text)
    assert setup_autobahn.is_ready(tmp_path) is ready


@pytest.mark.parametrize(
    "script, taken",
    [
        ("echo \"('CPython', 2, 7)\"", True),
        ("echo \"('PyPy', 2, 7)\"", False),
        ("echo CPython 3 11", False),
        ("echo 'pyenv: python2.7: command not found' >&2; exit 127", False),
    ],
    ids=["cpython-2.7", "pypy", "python-3", "shim-of-nothing"],
)
def test_only_a_cpython_2_7_that_runs_is_taken(tmp_path, monkeypatch, script, taken):
    install(tmp_path, monkeypatch, script)
    assert setup_autobahn.is_cpython27(str(tmp_path / "python")) is taken


# --- with the suite ---------------------------------------------------------------------------------


@pytest.fixture
def suite():
    require("autobahn", autobahn.available())


def unheard() -> socket.socket:
    """A listening socket that nobody accepts from: TCP connects, and no octet ever comes."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)
    return listener


def url_of(listener: socket.socket) -> str:
    return f"ws://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.conformance
@pytest.mark.usefixtures("suite")
def test_a_server_that_is_not_there_fails_every_case():
    with unheard() as listener:
        url = url_of(listener)
    results = autobahn.run(url, "1.1.*", budget=60)
    assert autobahn.verdict(results) == autobahn.Verdict(8, 0, 0, 0, 8, 0, 8)
    assert "Cannot connect" in results[0].reason


@pytest.mark.conformance
@pytest.mark.usefixtures("suite")
def test_what_the_budget_cuts_off_was_not_run():
    with unheard() as listener:
        results = autobahn.run(url_of(listener), "1.1.*", budget=0.5, jobs=2)
    assert autobahn.verdict(results) == autobahn.Verdict(8, 0, 0, 0, 0, 8, 8)
    assert results[0].reason == "The budget of 0.5 seconds was spent."


@pytest.mark.conformance
@pytest.mark.usefixtures("suite")
@pytest.mark.parametrize(
    "pattern, cases",
    [("10.1.1", ["10.1.1"]), ("2.1*", ["2.1", "2.10", "2.11"]), ("2.11, 2.9", ["2.9", "2.11"])],
    ids=["whole", "star-is-anchored", "list"],
)
def test_patterns_match_from_end_to_end(pattern, cases):
    with unheard() as listener:
        url = url_of(listener)
    assert [one.case for one in autobahn.run(url, pattern, budget=60)] == cases


@pytest.mark.conformance
@pytest.mark.usefixtures("suite")
def test_a_pattern_without_a_case_is_an_error():
    with pytest.raises(AutobahnError, match="no case matches"):
        autobahn.run("ws://127.0.0.1:9/", "99.*")


@pytest.mark.conformance
@pytest.mark.usefixtures("suite")
@pytest.mark.parametrize(
    "cases, total", [("fast", 247), ("limits", 54), ("deflate", 216), ("deflate-lite", 60)]
)
def test_a_set_has_as_many_cases_as_the_suite_has(cases, total):
    with unheard() as listener:
        url = url_of(listener)
    assert len(autobahn.run(url, cases, budget=60)) == total


@pytest.mark.conformance
@pytest.mark.usefixtures("suite")
def test_a_case_that_no_client_ran_was_not_run():
    results = autobahn.run_clients(lambda url: None, "1.1.*", budget=0.5)
    assert autobahn.verdict(results) == autobahn.Verdict(8, 0, 0, 0, 0, 8, 8)
