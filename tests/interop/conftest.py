"""Fixtures of the tests with clients of other projects."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.interop.served import PAIRS, Served
from tests.support.servers import Server

notes = (f"note-{number}" for number in itertools.count())


@pytest.fixture(params=PAIRS)
def served(request: pytest.FixtureRequest, started: Callable[[str], Server]) -> Served:
    name, style = request.param
    return Served(started(name), style)


@pytest.fixture
def note() -> str:
    """A name that no other connection has."""
    return next(notes)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the clients away from a proxy that the machine may name."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
