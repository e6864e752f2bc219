"""Each framework's application on a few real servers, one process for all tests that want it."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.support.peer import PATIENCE
from tests.support.servers import Server, serve

FRAMEWORKS = ("flask", "django", "bottle", "falcon", "pyramid")
SERVERS = ("werkzeug", "gunicorn-gthread", "gunicorn-gevent")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with each framework that its module names in ONLY, or all, on the servers in ON."""
    if "running" in metafunc.fixturenames:
        frameworks = getattr(metafunc.module, "ONLY", FRAMEWORKS)
        servers = getattr(metafunc.module, "ON", SERVERS)
        metafunc.parametrize(
            "running",
            [(framework, server) for framework in frameworks for server in servers],
            ids="-on-".join,
            indirect=True,
            scope="session",  # so that pytest puts the tests of one site one after another
        )


def tracebacks(log: str) -> int:
    """Count exceptions that were logged; a chain is one, as Pyramid makes of whatever is raised."""
    return log.count("Traceback (most recent call last)") - log.count(
        "During handling of the above"
    )


class Site:
    """An application on a server, with what the current test has it log."""

    def __init__(self, framework: str, server: Server) -> None:
        self.framework = framework
        self.server = server
        self.address = server.address
        self.get = server.get
        self._before = 0
        self.expected = 0  # tracebacks, of the whole log

    def begin(self) -> None:
        self._before = len(self.server.log().encode())

    def log(self) -> str:
        """What was logged since the test began; what still runs may log more."""
        return self.server.log().encode()[self._before :].decode()

    def wait_for_log(self, pattern: str) -> str:
        """Wait until a line matches; returns the log up to it. A server logs when it likes to."""
        place = f"--bytes=+{self._before + 1}"
        command = ["tail", place, "--follow", str(self.server.log_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
            alarm = threading.Timer(PATIENCE, tail.kill)
            alarm.start()
            seen = ""
            try:
                for line in tail.stdout:
                    seen += line
                    if re.search(pattern, line):
                        return seen
            finally:
                alarm.cancel()
                tail.kill()
        raise AssertionError(f"nothing in the log matched {pattern!r}: {seen}")

    def wait_for_traceback(self, last_line: str) -> None:
        """Wait for the one traceback that the test causes, by its last line.

        A second one, or one that no test waited for, is a fault: here, or at the site's end."""
        self.expected += 1
        assert tracebacks(self.wait_for_log(rf"^(?:[\w.]+\.)?{last_line}")) == 1


@pytest.fixture(scope="session")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    framework, name = request.param
    folder = tmp_path_factory.mktemp(framework)
    with serve(name, f"tests.frameworks.{framework}_app:application", folder) as server:
        site = Site(framework, server)
        yield site
    assert tracebacks(server.log()) == site.expected


@pytest.fixture
def site(running: Site) -> Site:
    running.begin()
    return running
