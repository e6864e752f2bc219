"""Servers of other projects, and this library's own, that all know the same few paths.

Each is a process that listens on a socket of this one, like those of servers.py. The paths:

    /echo       sends every message back
    /head       says what it saw of the request, in JSON: path, headers, protocol, peer
    /fragments  sends one text and one binary message in several frames
    /ping       pings with 124 octets, and says "answered" when their pong came
    /both       sends 8 MB while it reads a message, then says the SHA-256 of what it read
    /part       closes as the first message asks: "4001 the reason"
    /closes     says how the connections with ?note=name in their query ended, in JSON

All speak the subprotocols "chat" and "mqtt", and take the first that the client offers."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.certificates import certificate
from tests.support.daemons import spawn
from tests.support.kinds import ROOT, SERVERS, Kind
from tests.support.parts import require
from tests.support.peer import Peer
from tests.support.servers import Server, serve

PATIENCE = 20.0  # seconds to wait for what should come at once
BIG = 8 * 2**20  # octets of the messages of /both

APP = "tests.support.reference_app:application"
SUPPORT = ROOT / "tests" / "support"
NODE_PACKAGE = ROOT / "node_modules" / "ws"


def _foreign(program: str, *arguments: str, tls: bool = False) -> Kind:
    def command(app: str, fd: int) -> list[str]:
        files = (certificate().chain, certificate().key) if tls else ()
        return [program, *arguments, str(fd), *files]

    return Kind(command, tls=tls)


def _websockets(style: str, *, tls: bool = False) -> Kind:
    return _foreign(sys.executable, str(SUPPORT / "serve_reference.py"), style, tls=tls)


def _node(*, tls: bool = False) -> Kind:
    return _foreign("node", str(SUPPORT / "reference_server.js"), tls=tls)


FOREIGN = {
    "websockets-sync": _websockets("sync"),
    "websockets-sync-tls": _websockets("sync", tls=True),
    "websockets-asyncio": _websockets("asyncio"),
    "websockets-asyncio-tls": _websockets("asyncio", tls=True),
    "node-ws": _node(),
    "node-ws-tls": _node(tls=True),
}
OWN = ("gunicorn-gthread", "gunicorn-gthread-tls", "gunicorn-gevent", "gunicorn-gevent-tls")
REFERENCES = (*FOREIGN, *OWN)


@dataclass(frozen=True)
class Reference:
    """A server that runs."""

    name: str
    server: Server

    def url(self, what: str, **query: str) -> str:
        return self.server.ws(f"/{what}") + ("?" + urlencode(query) if query else "")

    @property
    def options(self) -> dict[str, Any]:
        """What a client has to be told of it."""
        return {"ca": certificate().authority} if self.server.tls else {}

    def closed(self, note: str) -> list:
        """Ask how the connection with that note ended: code and reason."""
        deadline = time.monotonic() + PATIENCE
        while note not in (closes := self._closes()):
            # The end of the closing handshake is the client's before it is the server's.
            assert time.monotonic() < deadline, f"no end of {note} among {closes}"
        return closes[note]

    def _closes(self) -> dict[str, list]:
        with Peer(self.server.address, "/closes") as peer:
            return json.loads(peer.read())


@contextmanager
def serve_reference(name: str, folder: Path, host: str = "127.0.0.1") -> Iterator[Reference]:
    """Start one of REFERENCES.

    Args:
        name: Of the server.
        folder: Where its log goes.
        host: The address to listen on, for those of FOREIGN; its numbers may be IPv6.
    """
    if name in SERVERS:
        with serve(name, APP, folder) as server:
            yield Reference(name, server)
        return
    if name.startswith("node"):
        require("node", None if shutil.which("node") else "not on the path")
        require("ws", None if NODE_PACKAGE.exists() else "not installed, see `make setup`")
    with _start(name, folder, host) as server:
        yield Reference(name, server)


def _start(name: str, folder: Path, host: str) -> Server:
    kind = FOREIGN[name]
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.bind((host, 0))
        listener.listen(128)
        port = listener.getsockname()[1]
        log_path = folder / f"{name}-{port}.log"
        with log_path.open("wb") as log:
            process = spawn(kind.command("", listener.fileno()), log, listener.fileno())
    return Server(name, port, process, log_path, kind)
