"""A WebSocket over a real TCP connection within the test's own process.

The request's head is read as a WSGI server reads it, and the environ shows the socket as Werkzeug
does; what a server does after the call is end_call()."""

from __future__ import annotations

import io
import socket
from http.client import parse_headers
from typing import Any
from urllib.parse import unquote

from faye_sync import WebSocket
from tests.support.peer import Peer, request


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """A server's end and a client's, connected over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), 20)
        server, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return server, client


class LocalPeer(Peer):
    """The client's end, which reads the 101 only when it is asked to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._held = bytearray()
        self._tcp = True
        self.head = ""

    def read_head(self) -> str:
        self.head = self._read_head()
        return self.head


class Local:
    """One WSGI call and its client. Use it in a with statement."""

    def __init__(self, early: bytes = b"", path: str = "/chat", **request_options: Any) -> None:
        self.server, client = tcp_pair()
        port = self.server.getsockname()[1]
        client.sendall(request(path, port, **request_options) + early)
        self.peer = LocalPeer(client)
        self._reader = self.server.makefile("rb")
        self.environ = environ_of(self.server, self._reader)
        self.started: list[tuple[str, list]] = []

    def open(self, **options: Any) -> WebSocket:
        """Make the connection and have it accepted; the peer has read the 101."""
        ws = WebSocket(self.environ, **options).accept()
        self.peer.read_head()
        return ws

    def call(self, ws: WebSocket) -> bytes:
        """Answer the call with the object, as a view does; returns the body."""
        return b"".join(ws(self.environ, lambda *answer: self.started.append(answer)))

    def end_call(self) -> None:
        """Drop the server's end, as every server does in the end."""
        self._reader.close()
        self.server.close()

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: Any) -> None:
        self.peer.sock.close()
        self.end_call()


def environ_of(server: socket.socket, reader: io.BufferedReader) -> dict[str, Any]:
    method, target, protocol = reader.readline().decode().split()
    path, _, query = target.partition("?")
    fields = parse_headers(reader)
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": protocol,
        "SERVER_SOFTWARE": "tests",
        "wsgi.url_scheme": "http",
        "wsgi.input": reader,
        "werkzeug.socket": server,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields.items()},
    }
