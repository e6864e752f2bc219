"""What holds on every server of the table (tests/support/kinds.py), TLS and Unix sockets included."""

from __future__ import annotations

import pytest

from tests.support.servers import SERVERS, serve

APP = "tests.support.app:application"


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_starts_answers_and_stops_without_a_traceback(tmp_path, name):
    with serve(name, APP, tmp_path) as server:
        assert server.ask("/hello") == "hello"
        log = server.stop()
    assert "Traceback" not in log
