"""One request over HTTP/2, right or wrong; one connection each."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)

from tests.support.certificates import certificate
from tests.support.peer import PATIENCE

Fields = Iterable[tuple[str, str]]
GET = ((":method", "GET"),)
CONNECT = ((":method", "CONNECT"), (":protocol", "websocket"))
"""RFC 8441, by which WebSocket comes to HTTP/2 where a server knows it."""


@dataclass
class Answer:
    """What came: a status and a body, or the error code that ended stream or connection."""

    status: int | None = None
    body: bytes = b""
    error: int | None = None

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(port: int, path: str, fields: Fields = (), *, method: Fields = GET) -> Answer:
    """Send one request over TLS, where the server must choose h2; returns the Answer."""
    head = [
        *method,
        (":scheme", "https"),
        (":authority", f"127.0.0.1:{port}"),
        (":path", path),
        *fields,
    ]
    with connect(port) as sock:
        return converse(sock, head)


def connect(port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=certificate().authority)
    context.set_alpn_protocols(["h2"])
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    try:
        secure = context.wrap_socket(sock, server_hostname="127.0.0.1")
        assert secure.selected_alpn_protocol() == "h2"
    except BaseException:
        sock.close()
        raise
    return secure


def converse(sock: ssl.SSLSocket, head: list[tuple[str, str]]) -> Answer:
    # Neither judged nor mended: what HTTP/2 forbids is sent all the same.
    as_it_is = {"validate_outbound_headers": False, "normalize_outbound_headers": False}
    connection = H2Connection(H2Configuration(header_encoding="utf-8", **as_it_is))
    connection.initiate_connection()
    connection.send_headers(1, head, end_stream=True)
    answer = Answer()
    while True:
        sock.sendall(connection.data_to_send())
        piece = sock.recv(65536)
        assert piece, f"the connection ended after {answer}"
        for event in connection.receive_data(piece):
            if take(answer, event):
                return answer


def take(answer: Answer, event: object) -> bool:
    """Add an event to the answer; True when nothing more follows."""
    if isinstance(event, ResponseReceived):
        answer.status = int(dict(event.headers)[":status"])
    elif isinstance(event, DataReceived):
        answer.body += event.data
    elif isinstance(event, StreamReset | ConnectionTerminated):
        answer.error = event.error_code
    return isinstance(event, StreamEnded | StreamReset | ConnectionTerminated)
