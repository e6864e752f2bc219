"""faye-sync connect, listen and serve, as scripts and people run them."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.cli.conftest import PATIENCE, faye_sync
from tests.support.kinds import ROOT
from tests.support.peer import Peer
from tests.support.program import Program


@pytest.fixture
def ws(upstream):
    return f"ws://127.0.0.1:{upstream.port}"


@pytest.fixture
def http(upstream):
    return f"http://127.0.0.1:{upstream.port}"


# --- connect ------------------------------------------------------------------------------------------


def test_messages_of_the_call_are_sent_and_their_answers_printed(ws):
    run = faye_sync("connect", f"{ws}/echo", "one", "two")
    assert (run.status, run.out, run.err) == (0, "one\ntwo\n", "")


def test_lines_of_the_input_are_messages_and_all_are_answered_before_the_end(ws):
    lines = "".join(f"line {number}\n" for number in range(100))
    run = faye_sync("connect", f"{ws}/echo", stdin=lines)
    assert (run.status, run.out) == (0, lines)


def test_fewer_or_more_answers_can_be_waited_for(ws):
    assert faye_sync("connect", f"{ws}/welcome", "hello", "-n", "2").out == "welcome\nhello\n"
    assert faye_sync("connect", f"{ws}/echo", "hello", "-n", "0").out == ""


def test_json_is_laid_out_where_that_is_asked_for(ws):
    run = faye_sync("connect", f"{ws}/echo", '{"a": [1, 2]}', "--json")
    assert run.out == '{\n  "a": [\n    1,\n    2\n  ]\n}\n'
    assert faye_sync("connect", f"{ws}/echo", "[/red] plain", "--json").out == "[/red] plain\n"


def test_headers_and_cookies_are_sent(ws):
    options = ("-H", "X-Agent: a test", "--cookie", "a=1", "--cookie", "b=2")
    run = faye_sync("connect", f"{ws}/ask/me?q=it", "?", *options)
    assert run.out == "/ask/me it a test a=1; b=2\n"


def test_a_subprotocol_and_credentials_may_be_given(ws):
    assert faye_sync("connect", f"{ws}/protocols", "x", "-p", "chat").status == 0
    url = f"{ws}/guarded".replace("ws://", "ws://ann:secret@")
    assert faye_sync("connect", url, "in").out == "in\n"


def test_a_server_that_closes_ends_it_though_the_input_goes_on(ws):
    with Program("-m", "faye_sync", "connect", f"{ws}/end") as program:
        assert program.read() == "last"
        assert program.wait() == 0


@pytest.mark.parametrize("text", [":heart: [red] \t tab", "[" * 100_000], ids=["signs", "deep"])
def test_a_pipe_gets_messages_as_they_are(ws, text):
    run = faye_sync("connect", f"{ws}/echo", "--json", "--", text)
    assert (run.status, run.out) == (0, f"{text}\n")


NONSENSE = [
    ("connect", "--wait", "nan", "ws://x/", "a"),
    ("connect", "ws://[bad/", "a"),
    ("listen", "-n", "-1", "http://x/"),
    ("listen", "http://[bad/"),
    ("serve", ":app"),
    ("serve", ".x"),
    ("serve", "--port", "99999"),
    ("check", "ws://[bad"),
    ("check", "http://[bad"),
    ("check", "--timeout", "0", "http://x/"),
    ("check", "--timeout", "nan", "ws://x/"),
    ("check", "--idle", "-1", "ws://x/"),
    ("bench", "--seconds", "nan", "ws://x/"),
]


@pytest.mark.parametrize("arguments", NONSENSE, ids=" ".join)
def test_nonsense_is_a_wrong_call(arguments):
    run = faye_sync(*arguments)
    assert run.status == 2, run.err
    assert "Error: " in run.err


FAILURES = [
    pytest.param(("{ws}/refuse", "x"), 1, "403 FORBIDDEN instead of 101: not you", id="refused"),
    pytest.param(("{ws}/leave", "x", "-n", "5"), 1, "closed with 4002", id="closed"),
    pytest.param(("{ws}/echo", "-n", "1", "--wait", "0.1", "--", "x"), 0, "", id="in-time"),
    pytest.param(("{ws}/echo", "x", "-n", "2", "--wait", "0.1"), 1, "no message came", id="late"),
    pytest.param(("ws://127.0.0.1:1/", "x"), 1, "refused", id="no-server"),
    pytest.param(("http://127.0.0.1/", "x"), 2, "scheme must be", id="scheme"),
    pytest.param(("{ws}/echo", "x", "-H", "none"), 2, "a header is 'Name: value'", id="header"),
    pytest.param((), 2, "Missing argument 'URL'", id="no-url"),
]


@pytest.mark.parametrize("arguments, status, said", FAILURES)
def test_what_goes_wrong_is_said_in_a_line_and_by_the_exit_status(ws, arguments, status, said):
    run = faye_sync("connect", *(each.format(ws=ws) for each in arguments))
    assert run.status == status, run.err
    assert said in run.err


@contextmanager
def on_a_terminal(*arguments: str):
    """The command line on a terminal of its own: what it prints is read from a file."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "faye_sync", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            yield terminal, process
    finally:
        process.kill()
        process.wait()


def read_until(terminal, pattern: str) -> str:
    text = ""
    while not re.search(pattern, text):
        octets = os.read(terminal.fileno(), 4096)
        assert octets, text
        text += octets.decode()
    return text


def test_a_terminal_has_a_prompt_and_commands(ws):
    with on_a_terminal("connect", f"{ws}/echo") as (terminal, process):
        read_until(terminal, r"connected to .*/help.*\s> ")
        terminal.write(b"hello\n")
        read_until(terminal, "< hello")
        terminal.write(b"/ping\n")
        read_until(terminal, r"pong after \d+\.\d ms")
        terminal.write(b"/help\n")
        read_until(terminal, "all else is sent")
        terminal.write(b"/close 4001 enough\n")
        read_until(terminal, "closed: 4001 enough")
        assert process.wait(PATIENCE) == 1


def test_the_end_of_the_input_of_a_terminal_closes_normally(ws):
    with on_a_terminal("connect", f"{ws}/echo") as (terminal, process):
        # Before the prompt the line is the kernel's to edit, and not the program's.
        read_until(terminal, r"connected to .*\s> ")
        terminal.write(b"\x04")
        assert process.wait(PATIENCE) == 0


# --- listen -------------------------------------------------------------------------------------------


def test_events_are_printed_as_they_come_and_resumed(http):
    run = faye_sync("listen", f"{http}/feed", "-n", "2")
    assert (run.status, run.out) == (0, "[1] event 1\n[2] event 2\n")
    run = faye_sync("listen", f"{http}/feed", "--last-event-id", "2", "--no-reconnect")
    assert (run.status, run.out) == (0, "[3] event 3\n[4] event 4\n[5] event 5\n")


@pytest.mark.parametrize(
    "url, status, said",
    [("{http}/missing", 1, "404"), ("{http}/page", 1, "text/plain"), ("ws://x/", 2, "scheme")],
)
def test_what_is_no_stream_is_said(http, url, status, said):
    run = faye_sync("listen", url.format(http=http))
    assert run.status == status
    assert said in run.err


# --- bench --------------------------------------------------------------------------------------------


def test_an_echo_is_measured(ws):
    run = faye_sync("bench", f"{ws}/echo", "-c", "3", "--seconds", "0.5", "--size", "100")
    assert run.status == 0, run.err
    said = r"([\d,]+) messages of 100 octets on 3 connections in 0.5 s: [\d,]+ a second\nmedian "
    total = int(re.match(said, run.out)[1].replace(",", ""))
    assert total > 0
    rows = re.findall(r"^under +[\d.]+ [um]s +([\d,]+) #*$", run.out, re.MULTILINE)
    assert sum(int(row.replace(",", "")) for row in rows) == total


def test_a_server_that_echoes_nothing_fails_the_measurement(ws):
    run = faye_sync("bench", f"{ws}/end", "-c", "2", "--seconds", "0.2")
    assert run.status == 1
    assert "2 connections: connection closed with 1000" in run.err


# --- serve, and the rest ------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("--gevent",)], ids=["threads", "gevent"])
@pytest.mark.parametrize("app", ["", "tests.support.behaviours_app:application"])
def test_an_echo_or_an_application_is_served(arguments, app):
    called = ("-m", "faye_sync", "serve", *filter(None, [app]), "--port", "0", *arguments)
    with Program(*called) as program:
        port = int(re.search(r":(\d+)/", program.read())[1])
        with Peer(("127.0.0.1", port), "/echo") as peer:
            peer.say("hello")
            assert peer.read() == "hello"
            assert peer.close() == (1000, "")


@pytest.mark.parametrize(
    "app, said", [("nowhere:app", "no module nowhere"), ("tests:app", "tests has no app")]
)
def test_an_application_that_is_not_there_is_said(app, said):
    run = faye_sync("serve", app)
    assert run.status == 2
    assert said in run.err


def test_the_version_and_the_commands_are_told():
    assert faye_sync("--version").out.startswith("faye-sync, version 0")
    listed = faye_sync("--help").out
    assert all(
        f"\n  {name} " in listed for name in ("bench", "check", "connect", "listen", "serve")
    )


def test_without_click_it_says_what_to_install(tmp_path):
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError('no click', name='click')")
    done = subprocess.run(
        [sys.executable, "-m", "faye_sync"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'faye-sync[cli]'" in done.stderr
