"""Servers that run tests/servers/app.py, each started once for all tests that want it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.servers import SERVERS, Server, serve

APP = "tests.servers.app:application"
names = itertools.count(1)


@pytest.fixture(scope="session")
def deeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Give a server by name and SO_SNDBUF, which many tests share."""
    running: dict[tuple[str, int | None], Server] = {}
    with ExitStack() as stack:

        def start(name: str, send_buffer: int | None = None) -> Server:
            key = (name, send_buffer)
            if key not in running:
                folder = tmp_path_factory.mktemp(name)
                server = serve(name, APP, folder, send_buffer=send_buffer)
                running[key] = stack.enter_context(server)
            return running[key]

        yield start


@pytest.fixture
def name() -> str:
    """A word for a connection that no other test uses."""
    return f"connection-{next(names)}"


@pytest.fixture(params=list(SERVERS))
def any_server(request: pytest.FixtureRequest, deeds: Callable[..., Server]) -> Server:
    return deeds(request.param)


@pytest.fixture(params=["werkzeug", "gunicorn-gthread", "gunicorn-gevent", "gevent"])
def main_server(request: pytest.FixtureRequest, deeds: Callable[..., Server]) -> Server:
    """One server of each way to take the socket."""
    return deeds(request.param)
