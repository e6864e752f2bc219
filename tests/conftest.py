"""Settings of the whole test run, and the servers that all of it shares."""

from __future__ import annotations

import gc
import signal
from contextlib import ExitStack

import pytest
from hypothesis import settings

# So that an assert in a helper explains itself as one in a test does.
pytest.register_assert_rewrite("tests.support")

# A script ignores Ctrl-C for what it runs in the background, and so would every server started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run: a failure is the change's own, and no machine is too slow.
settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.load_profile("suite")

APP = "tests.support.app:application"


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory):
    """Give a server of the table by name, started once for all tests that want it."""
    # Not above: what is imported before its asserts are registered is not rewritten.
    from tests.support.servers import serve

    running = {}
    with ExitStack() as stack:

        def start(name: str):
            if name not in running:
                server = serve(name, APP, tmp_path_factory.mktemp(name))
                running[name] = stack.enter_context(server)
            return running[name]

        yield start


@pytest.fixture
def uncollected():
    """No collection for as long as a signal is on its way: what is raised in one is swallowed.

    Hypothesis has a callback there."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def local():
    """One WSGI call within this process, with its client at the other end of a TCP connection."""
    from tests.support.local import Local

    with Local() as call:
        yield call
