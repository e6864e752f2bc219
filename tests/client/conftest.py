"""Servers that misbehave, an environment that says nothing to a client, and runs on a hub."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.endings import nothing_left
from tests.support.hostile import HostileServer, Visit, opened
from tests.support.on_a_hub import on_a_hub
from tests.support.program import Program

# What requests takes from the environment: proxies in any case, CAs, passwords.
SAYING = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ws_proxy", "wss_proxy")
ALSO_SAYING = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SAYING, *map(str.upper, SAYING), *ALSO_SAYING):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", os.devnull)


@pytest.fixture(scope="session")
def _housekept() -> None:
    """Have the housekeeping started, which lasts as long as the process."""
    from faye_sync import Client

    with HostileServer(opened(Visit.answer_close)) as server, Client(server.url()):
        pass


@pytest.fixture
def hostile(_housekept: None) -> Iterator[Callable[..., HostileServer]]:
    """Start servers that play scripts; see that no client keeps a descriptor or a thread."""
    with nothing_left(), ExitStack() as stack:

        def start(*scripts, **options) -> HostileServer:
            return stack.enter_context(HostileServer(*scripts, **options))

        yield start


@pytest.fixture(scope="session")
def _runs(request: pytest.FixtureRequest) -> Iterator[dict[str, Program]]:
    """Start all runs that tests of this session ask for, at once: most of their time they wait."""
    asking = [item for item in request.session.items if "run" in item.fixturenames]
    with ExitStack() as stack:
        yield {
            wanted: stack.enter_context(on_a_hub(wanted))
            for wanted in (item.callspec.params["run"] for item in asking)
        }


@pytest.fixture
def run(request: pytest.FixtureRequest, _runs: dict[str, Program]) -> Program:
    """The run on a hub that a test names by its parameter, as on_a_hub() has it."""
    return _runs[request.param]
