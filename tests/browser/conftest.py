"""The Flask examples as processes of their own, and a headless Chromium to visit them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import IO

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.support.parts import require

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START = 20.0  # seconds the server may take to print its address


class Server:
    """An example on a free port; url is where it listens."""

    def __init__(self, example: str) -> None:
        paths = (os.environ.get("PYTHONPATH"), str(ROOT))
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / example), "--port", "0"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        address: Future[str] = Future()
        self._reader = threading.Thread(target=_read, args=(self._process.stderr, address))
        self._reader.start()
        try:
            self.url = address.result(timeout=START)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the process without a farewell to anybody; harmless when it has ended."""
        self._process.kill()
        self._process.wait()
        self._reader.join()


def _read(log: IO[str], address: Future[str]) -> None:
    """Pass the log on to its end, for pytest to show with a failure; find the address in it."""
    with log:
        for line in log:
            sys.stderr.write(line)
            found = re.search(r"Running on (http://\S+)", line)
            if found and not address.done():
                address.set_result(found[1])
    if not address.done():
        address.set_exception(RuntimeError("the server ended at once: see its log"))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server("flask_echo.py")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def events_server() -> Iterator[Server]:
    server = Server("flask_events.py")
    yield server
    server.kill()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    browser, its_driver = shutil.which("chromium"), shutil.which("chromedriver")
    require("chromium", None if browser else "not on the path")
    require("chromium", None if its_driver else "chromedriver is not on the path")
    driver = open_chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


def open_chromium(folder: Path, *flags: str) -> webdriver.Chrome:
    """Start a headless one, with a profile of its own in the folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={folder}", *flags):
        options.add_argument(flag)
    # The path is given, else Selenium would look for a driver to download.
    return webdriver.Chrome(options, Service(executable_path=shutil.which("chromedriver")))
