"""Settings of the whole test run. What tests share is in tests/support/."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

# So that an assert in a helper explains itself as one in a test does.
pytest.register_assert_rewrite("tests.support")

APP = "tests.support.app:application"


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory):
    """Give a server of the table by name, started once for all tests that want it."""
    # Only now: what was imported before the line above is not rewritten.
    from tests.support.servers import serve

    running = {}
    with ExitStack() as stack:

        def start(name: str):
            if name not in running:
                server = serve(name, APP, tmp_path_factory.mktemp(name))
                running[name] = stack.enter_context(server)
            return running[name]

        yield start
