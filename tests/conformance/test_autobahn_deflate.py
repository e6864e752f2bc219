"""permessage-deflate in the Autobahn suite, sections 12 and 13: as a server and as a client.

`make test` runs 60 of the 216 cases, `make conformance` all of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance import autobahn
from tests.conformance.autobahn import DEFLATE, DEFLATE_LITE
from tests.conformance.judging import ON_A_HUB, WHOLE, Judge
from tests.support.parts import require

require("autobahn", autobahn.available())

pytestmark = pytest.mark.conformance


@pytest.fixture
def judge(started: Callable) -> Judge:
    return Judge(started)


def test_60_cases_are_passed_by_a_server_and_a_client(judge):
    for results in judge.side_by_side(WHOLE, "deflate-lite", budget=110):
        assert autobahn.verdict(results) == DEFLATE_LITE


@pytest.mark.long
@pytest.mark.timeout(600)
def test_60_cases_are_passed_by_a_server_and_a_client_on_a_hub(judge):
    for results in judge.side_by_side(ON_A_HUB, "deflate-lite", budget=500):
        assert autobahn.verdict(results) == DEFLATE_LITE


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_all_216_cases_are_passed_by_a_server_and_a_client(judge):
    for results in judge.side_by_side(WHOLE, "deflate", budget=3500):
        assert autobahn.verdict(results) == DEFLATE
