"""The adapter through which requests opens a WebSocket: it asks and reads the answer."""

from __future__ import annotations

import io
from dataclasses import dataclass
from http.client import HTTPMessage
from types import SimpleNamespace
from typing import Any, Protocol

import requests
from urllib3 import HTTPHeaderDict, HTTPResponse

from faye_sync.driver.handshake import is_field_value
from faye_sync.errors import HandshakeError
from faye_sync.transport.answer import AnswerReader, Fields, Head, new_exchange, request_octets
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.hops import Hop, HopAdapter, Refused, Ways, leads_on
from faye_sync.transport.request import PLAIN_SCHEMES
from faye_sync.transport.route import Route


class Asking(Protocol):
    """The side of a driver that asks and judges."""

    def request_fields(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that ask for a WebSocket, with a new key each time."""

    def fault_of(self, http_version: str, fields: Any) -> str | None:
        """Judge the 101 to the last request."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A WebSocket whose handshake is done.

    Attributes:
        route: The way to the server, to be closed by whoever has this.
        head: The 101.
        early: The octets that came behind it.
    """

    route: Route
    head: Head
    early: bytes


class UpgradeAdapter(HopAdapter):
    """One attempt's transport for requests; for one thread.

    Attributes:
        opened: The WebSocket, once an answer was a 101.
    """

    MARK = ("Upgrade", "websocket")
    HARMLESS = frozenset(("user-agent", "cookie", "accept-language", "origin"))
    TUNNELS = True
    _way_down = "wss to ws"

    def __init__(self, asking: Asking, ways: Ways, attempt: Attempt) -> None:
        super().__init__(ways, attempt)
        self._asking = asking
        self._conn = new_exchange()
        self._octets = b""
        self.opened: Opened | None = None

    def give_up(self) -> None:
        """Close what was opened and will not be used."""
        if self.opened is not None:
            self.opened.route.close()
            self.opened = None

    def refusal(self, message: str) -> HandshakeError:
        """Make the error that tells of the last answer, and of those before it."""
        if not self.refusals:
            return HandshakeError(message)
        *earlier, last = self.refusals
        history = tuple(refused.response for refused in earlier)
        return HandshakeError(message, last.head.status, last.head.headers(), last.body, history)

    def unwanted(self) -> HandshakeError:
        """Make the error for a last answer that is no 101."""
        return self.refusal(f"the server answered {self.refusals[-1].head.said} instead of 101")

    # --- beneath ----------------------------------------------------------------------------------

    def _own_fields(self) -> Fields:
        return self._asking.request_fields()

    def _prepare(self, hop: Hop) -> None:
        self._conn = new_exchange()
        self._octets = request_octets(self._conn, "GET", hop.request.path_url, hop.fields)

    def _exchange(self, hop: Hop, route: Route) -> requests.Response:
        route.pipe.send_all(self._octets)
        reader = AnswerReader(self._conn, route.pipe, hop.host)
        head = reader.head()
        if head.status == 101:
            self._open(route, head, reader)
            return self.build_response(hop.request, urllib3_response(head, b""))
        body = b"" if leads_on(head) else reader.body()
        route.close()
        response = self.build_response(hop.request, urllib3_response(head, body))
        self.refusals.append(Refused(response, head, body))
        return response

    def _open(self, route: Route, head: Head, reader: AnswerReader) -> None:
        fault = self._asking.fault_of(head.http_version, head.fields)
        if fault is not None:
            earlier = tuple(refused.response for refused in self.refusals)
            raise HandshakeError(fault, 101, head.headers(), b"", earlier)
        self.give_up()
        self.opened = Opened(route, head, reader.trailing)


def urllib3_response(head: Head, body: bytes) -> HTTPResponse:
    """Dress an answer as requests expects it; it is closed, and its body is whole."""
    message = HTTPMessage()
    headers = HTTPHeaderDict()
    for name, value in head.fields:
        if name.lower() != "set-cookie" or is_field_value(value):
            # Another one would be sent back (RFC 6265 5.2), and keep every request from being made.
            message[name] = value
        if name.lower() == "location":
            headers.add(name, _plain_location(value))
        elif name.lower() != "content-encoding":
            # The body is cut, and need not be inflated for anybody.
            headers.add(name, value)
    original = SimpleNamespace(msg=message, isclosed=lambda: True, close=lambda: None)
    return HTTPResponse(
        io.BytesIO(body),
        headers,
        head.status,
        reason=head.reason,
        preload_content=False,
        decode_content=False,
        enforce_content_length=False,
        original_response=original,  # type: ignore[arg-type]  # all that requests asks it for
    )


def _plain_location(location: str) -> str:
    scheme, mark, rest = location.partition("://")
    return f"{PLAIN_SCHEMES.get(scheme.lower(), scheme)}{mark}{rest}"
