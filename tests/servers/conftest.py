"""Servers that run tests/servers/app.py, each started once for all tests that want it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.servers import SERVERS, Kind, Server, serve

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


@pytest.fixture(scope="session", params=SERVERS)
def any_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Each server of the table. pytest runs all tests of one before it starts the next."""
    with serve(request.param, APP, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def early_server(any_server: Server) -> Server:
    """Each server that keeps octets which come in the segment of the request."""
    return any_server


@pytest.fixture
def duplex_server(any_server: Server) -> Server:
    """Each server that moves octets one way while those of the other way wait."""
    return any_server


NEEDS: dict[str, Callable[[Kind], bool]] = {
    "early_server": lambda kind: kind.early,
    "duplex_server": lambda kind: kind.duplex,
}
"""By fixture: whether a server can do what its tests are about."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have no tests of what a server cannot do, as the table says."""
    beyond = {item for item in items if is_beyond_its_server(item)}
    items[:] = [item for item in items if item not in beyond]
    config.hook.pytest_deselected(items=list(beyond))


def is_beyond_its_server(item: pytest.Item) -> bool:
    needs = [NEEDS[fixture] for fixture in NEEDS if fixture in getattr(item, "fixturenames", ())]
    return any(not need(SERVERS[item.callspec.params["any_server"]]) for need in needs)


@pytest.fixture(params=["werkzeug", "gunicorn-gthread", "gunicorn-gevent", "gevent"])
def main_server(request: pytest.FixtureRequest, deeds: Callable[..., Server]) -> Server:
    """One server of each way to take the socket."""
    return deeds(request.param)
