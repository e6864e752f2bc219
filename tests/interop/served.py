"""What the clients of other projects talk to: each server, in each style of handler."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from tests.support.servers import Server

SERVERS = ("werkzeug", "gunicorn-gthread", "gunicorn-gevent", "gevent", "gevent-unpatched")
STYLES = ("callbacks", "start", "attached")
PATIENCE = 20.0  # seconds to wait for what should come at once

PAIRS = [pytest.param((name, style), id=f"{name}-{style}") for name in SERVERS for style in STYLES]


@dataclass
class Served:
    """A server, and one style of its handlers."""

    server: Server
    style: str

    def url(self, what: str = "echo", **query: str) -> str:
        return self.server.ws(f"/{self.style}/{what}") + ("?" + urlencode(query) if query else "")

    def closed(self, note: str) -> list:
        """Ask how the connection with that note ended: code, reason, was_clean, cause."""
        deadline = time.monotonic() + PATIENCE
        while note not in (closes := self.server.ask("/closes")):
            # The end of the closing handshake is the client's before it is the server's.
            assert time.monotonic() < deadline, f"no close event for {note} among {closes}"
        return closes[note]
