"""A process that ends says 1001 to the connections it holds."""

from __future__ import annotations

import signal
from contextlib import ExitStack

import pytest

from tests.support.peer import Peer
from tests.support.servers import serve

APP = "tests.support.app:application"


@pytest.mark.parametrize("name", ["werkzeug", "gunicorn-gthread", "gunicorn-gevent", "gevent"])
def test_detached_connections_get_1001_when_the_server_ends(tmp_path, name):
    with serve(name, APP, tmp_path) as server, ExitStack() as stack:
        styles = ("callbacks", "start")
        peers = [stack.enter_context(Peer(server.address, f"/{style}/echo")) for style in styles]
        for peer in peers:
            peer.say("hello")
            assert peer.read() == "hello"
        server.process.send_signal(signal.SIGTERM)
        for peer in peers:
            # Under gevent the signal may come up in a greenlet of ours, which has no reason to give.
            code, reason = peer.read_close()
            assert code == 1001
            assert reason in ("the server is going away", "")
        server.process.wait(20)
        assert "Traceback" not in server.log()
