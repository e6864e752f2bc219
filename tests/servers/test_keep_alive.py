"""A request for a WebSocket on a connection that served pages before, as proxies send it."""

from __future__ import annotations

import time

import pytest

from tests.support.peer import PATIENCE, TEXT, Address, Peer, frame, request

# Those that keep a connection open behind a page.
KEEPING = [
    "gunicorn-gthread",
    "gunicorn-gthread-tls",
    "gunicorn-gevent",
    "gunicorn-gevent-pywsgi-tls",
    "gevent",
    "gevent-tls",
    "cheroot",
    "cheroot-tls",
    "waitress",
    "eventlet",
    "eventlet-tls",
]


class LatePeer(Peer):
    """A connection that asks for a page first."""

    def __init__(self, address: Address, path: str) -> None:
        self._path = path
        page = {"Upgrade": "no", "Connection": "keep-alive"}
        super().__init__(address, "/hello", headers=page.items())

    def _read_head(self) -> str:
        """Read the page that was asked for, ask for the WebSocket, and read its 101."""
        deadline = time.monotonic() + PATIENCE
        while not self._held.endswith(b'"hello"'):
            self._read_more(deadline)
        self._held.clear()
        self.send(request(self._path) + frame(TEXT, b"early"))
        return super()._read_head()


@pytest.mark.parametrize("style", ["callbacks", "start", "attached"])
@pytest.mark.parametrize("name", KEEPING)
def test_a_connection_that_served_a_page_can_become_a_websocket(started, name, style):
    server = started(name)
    with LatePeer(server.address, f"/{style}/echo") as peer:
        assert peer.read() == "early"
        peer.say("hello")
        assert peer.read() == "hello"
        assert peer.close() == (1000, "")
    assert server.ask("/hello") == "hello"
