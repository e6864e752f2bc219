"""The servers of the table, each started once for all tests that want it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.servers import Server, serve

APP = "tests.support.app:application"


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Give a server by name, which many tests share."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(name: str) -> Server:
            if name not in running:
                server = serve(name, APP, tmp_path_factory.mktemp(name))
                running[name] = stack.enter_context(server)
            return running[name]

        yield start
