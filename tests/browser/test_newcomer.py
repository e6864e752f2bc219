"""A newcomer's path: an empty environment, README's first program, then the tutorial, step by step."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import ROOT
from tests.support.pages import programs

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PATIENCE = 20.0  # seconds to wait for what should come at once
INSTALLATION = 400.0  # seconds
ROUTE = '@sock.route("/chat")\n'
MAIN = '\n\nif __name__ == "__main__":\n'

README_PROGRAM = programs(ROOT / "README.rst")[0]
STEP_1, STEP_2, STEP_3, TEST = programs(ROOT / "docs" / "tutorial.rst")
HEAD, _, TAIL = STEP_1.partition(ROUTE)
END = MAIN + TAIL.partition(MAIN)[2]


def after_step_2() -> str:
    return f"{HEAD}{STEP_2}{END}"


def after_step_3() -> str:
    before, _, _ = STEP_2.partition(ROUTE)
    return f"{HEAD}{before}{STEP_3}{END}"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but what the tutorial installs, and its folder of programs."""
    folder = tmp_path_factory.mktemp("newcomer")
    made = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", made], check=True, timeout=INSTALLATION)
    pip = [made / "bin" / "python", "-m", "pip", "install", "--quiet"]
    wanted = [f"{ROOT}[flask]", "gunicorn", "pytest"]
    done = subprocess.run(
        [*pip, *wanted], capture_output=True, text=True, timeout=INSTALLATION, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(folder: Path, program: str, *command: str) -> Iterator[str]:
    """Save a program as chat.py and run it; where it asks for port 8000 it gets a free one."""
    port = free_port()
    assert program.count("port=8000") == 1
    (folder / "chat.py").write_text(program.replace("port=8000", f"port={port}"), encoding="utf-8")
    called = [part.replace("8000", str(port)) for part in command or ("python", "chat.py")]
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [folder / "venv" / "bin" / called[0], *called[1:]],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_it_listens(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)
        sys.stderr.write(log.read_text())
    assert "Traceback" not in log.read_text()


def wait_until_it_listens(port: int, process: subprocess.Popen) -> None:
    def look(_: object) -> bool:
        assert process.poll() is None, "it has ended"
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    WebDriverWait(None, PATIENCE, 0.05).until(look, "it never listened")


class Visitor:
    """Somebody at a tab of the chat."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        driver.switch_to.new_window("tab")
        self._driver, self._handle = driver, driver.current_window_handle
        driver.get(url)

    def says(self, text: str) -> None:
        self._driver.switch_to.window(self._handle)
        self._driver.find_element(By.TAG_NAME, "input").send_keys(text, Keys.ENTER)

    def sees(self, pattern: str) -> bool:
        def look(driver: webdriver.Chrome) -> bool:
            driver.switch_to.window(self._handle)
            shown = driver.find_element(By.TAG_NAME, "pre").text
            return re.search(pattern, shown, re.MULTILINE) is not None

        return WebDriverWait(self._driver, PATIENCE, 0.05).until(look, f"never saw {pattern!r}")

    def leaves(self) -> None:
        self._driver.switch_to.window(self._handle)
        self._driver.close()
        self._driver.switch_to.window(self._driver.window_handles[0])


def test_readmes_first_program_is_a_chat_of_two_tabs(chromium, environment):
    with running(environment, README_PROGRAM) as url:
        ann, bob = Visitor(chromium, url), Visitor(chromium, url)
        bob.says("here")
        assert bob.sees("^here$")
        ann.says("Grüße")
        assert ann.sees("^Grüße$")
        assert bob.sees("^Grüße$")
        ann.leaves()
        bob.says("alone")
        assert bob.sees("^alone$")
        bob.leaves()


def test_step_1_says_back_what_is_said(chromium, environment):
    with running(environment, STEP_1) as url:
        ann = Visitor(chromium, url)
        ann.says("hello")
        assert ann.sees("^hello$")
        ann.leaves()


def test_step_2_has_everybody_hear_everybody(chromium, environment):
    with running(environment, after_step_2()) as url:
        ann, bob = Visitor(chromium, url), Visitor(chromium, url)
        bob.says("here")
        assert bob.sees("^here$")
        ann.says("hello")
        assert bob.sees("^hello$")
        bob.leaves()
        ann.leaves()


def test_step_3_tells_who_said_it(chromium, environment):
    with running(environment, after_step_3()) as url:
        ann = Visitor(chromium, f"{url}/name/ann")
        assert ann.sees("^ann is here$")
        ann.says("hello")
        assert ann.sees("^ann: hello$")
        bob = Visitor(chromium, f"{url}/name/bob")
        assert ann.sees("^bob is here$")
        bob.leaves()
        assert ann.sees("^bob has left$")
        ann.leaves()


def test_step_4_is_a_test_that_passes(environment):
    (environment / "chat.py").write_text(after_step_3(), encoding="utf-8")
    (environment / "test_chat.py").write_text(TEST, encoding="utf-8")
    pytest_of_its = environment / "venv" / "bin" / "pytest"
    done = subprocess.run(
        [pytest_of_its, "-q", "test_chat.py"],
        cwd=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 3,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_step_5_serves_it_with_gunicorn(chromium, environment):
    page = (ROOT / "docs" / "tutorial.rst").read_text(encoding="utf-8")
    command = re.search(r"\$ (gunicorn .*)\n", page)[1].split()
    with running(environment, after_step_3(), *command) as url:
        ann = Visitor(chromium, f"{url}/name/ann")
        ann.says("hello")
        assert ann.sees("^ann: hello$")
        ann.leaves()
