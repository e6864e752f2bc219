"""Fixtures for pytest, by an entry point: clients of an application in this process.

Not within the package: pytest loads this in every run, and the library only where a test uses it.

    def test_chat(ws_connect):
        ann, bob = ws_connect(app, "/chat"), ws_connect(app, "/chat")
        bob.send("here")
        assert bob.receive(timeout=5) == "here"  # so he is in the room by now
        ann.send("hello")
        assert bob.receive(timeout=5) == "hello"

Each is closed behind the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from faye_sync.testing import AppClient, AppEvents, Clock


@pytest.fixture
def ws_connect() -> Iterator[Callable[..., AppClient]]:
    """Call it as faye_sync.testing.connect(): an open client, which is closed behind the test."""
    from faye_sync.testing import connect  # noqa: PLC0415  # see above

    with ExitStack() as stack:

        def enter(*arguments: Any, **options: Any) -> AppClient:
            return stack.enter_context(connect(*arguments, **options))

        yield enter


@pytest.fixture
def ws_events() -> Iterator[Callable[..., AppEvents]]:
    """Call it as faye_sync.testing.events(): an open stream, which is closed behind the test."""
    from faye_sync.testing import events  # noqa: PLC0415  # see above

    with ExitStack() as stack:

        def enter(*arguments: Any, **options: Any) -> AppEvents:
            return stack.enter_context(events(*arguments, **options))

        yield enter


@pytest.fixture
def ws_clock() -> Iterator[Clock]:
    """Have the library go by a clock that the test moves: ws_clock.advance(seconds)."""
    from faye_sync.testing import Clock  # noqa: PLC0415  # see above

    with Clock() as clock:
        yield clock
