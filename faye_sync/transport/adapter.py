"""The adapter through which requests opens a WebSocket: it dials, asks and reads the answer.

requests brings its headers, cookies, auth, proxies and redirects, and calls
send() once for each hop. Whatever the first hop carried for its origin is kept
from every other."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPMessage
from types import SimpleNamespace
from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.util import Url, parse_url

from faye_sync.driver.handshake import check_headers, is_field_value, is_owned
from faye_sync.errors import ConfigurationError, HandshakeError
from faye_sync.transport.answer import AnswerReader, Fields, Head, new_exchange, request_octets
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.dial import Net
from faye_sync.transport.proxies import Proxy
from faye_sync.transport.request import PLAIN_SCHEMES
from faye_sync.transport.route import Route, open_route
from faye_sync.transport.tls_client import TlsSettings

PORTS = {"http": 80, "https": 443}


# The header that tells a handshake from whatever else a session asks for on its way.
MARK = ("Upgrade", "websocket")

_REDIRECTS = frozenset((301, 302, 303, 307, 308))

# What another origin than the first may be told, of the cookies those of its domain.
_HARMLESS = frozenset(("user-agent", "cookie", "accept-language", "origin"))
# What is chosen for each hop, beside the handshake's own.
_REPLACED = frozenset(("host", "proxy-authorization"))


class Asking(Protocol):
    """The side of a driver that asks and judges."""

    def request_fields(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that ask for a WebSocket, with a new key each time."""

    def fault_of(self, http_version: str, fields: Any) -> str | None:
        """Judge the 101 to the last request."""


class Ways(Protocol):
    """How to get to a server; session is the user's own."""

    session: requests.Session

    def net_for(self, request: requests.PreparedRequest) -> Net:
        """Choose how to open the socket for a request."""

    def tls_for(self, request: requests.PreparedRequest, verify: Any, cert: Any) -> TlsSettings:
        """Choose the TLS settings for a request to https."""

    def proxy_from(self, url: str, verify: Any, request: requests.PreparedRequest) -> Proxy:
        """Make the proxy that requests chose."""


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


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that opened nothing: as requests has it, and as it was."""

    response: requests.Response
    head: Head
    body: bytes


class UpgradeAdapter(HTTPAdapter):
    """One attempt's transport for requests; for one thread."""

    def __init__(self, asking: Asking, ways: Ways, attempt: Attempt) -> None:
        super().__init__()
        self._asking = asking
        self._ways = ways
        self._attempt = attempt
        self._first: Url | None = None
        self._is_secret = False
        self.opened: Opened | None = None
        self.refusals: list[Refused] = []

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Dial, ask, and read the answer.

        What a session asks for beside that, a token maybe, its own adapter sends.

        Args:
            request: MARK says which one is to open the WebSocket.
            stream: For the session's own requests, like timeout.
            timeout: An upgrade has that of the attempt, over all hops.
            verify: As requests has it.
            cert: As requests has it.
            proxies: As requests chose them.

        Returns:
            The answer; opened is set if it is a 101.

        Raises:
            HandshakeError: There is no answer that can be read, or it is a
                faulty 101, or this hop would go down from https to http.
            ConfigurationError: A header cannot stand in a request.
            OSError: The network, or TLS, as it says.
            TimeoutError: The attempt's deadline passed.
        """
        if request.headers.get(MARK[0]) != MARK[1]:
            own = self._ways.session.get_adapter(request.url or "")
            timeout = self._attempt.seconds_left() if timeout is None else timeout
            return own.send(request, stream, timeout, verify, cert, proxies)
        url = parse_url(request.url or "")
        self._check_hop(url)
        conn = new_exchange()
        octets = request_octets(conn, "GET", request.path_url, self._fields(request, url))
        route = self._open_route(request, url, verify, cert, proxies or {})
        try:
            self._attempt.phase = f"waiting for the answer of {url.host}"
            route.pipe.send_all(octets)
            reader = AnswerReader(conn, route.pipe, str(url.host))
            head = reader.head()
            if head.status == 101:
                self._open(route, head, reader)
            body = b"" if head.status == 101 or _leads_on(head) else reader.body()
        except BaseException:
            route.close()
            raise
        if head.status != 101:
            route.close()
        response = self.build_response(request, _urllib3_response(head, body))
        if head.status != 101:
            self.refusals.append(Refused(response, head, body))
        return response

    @property
    def was_used(self) -> bool:
        """Whether any hop was begun."""
        return self._first is not None

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

    # --- beneath ----------------------------------------------------------------------------------

    def _open(self, route: Route, head: Head, reader: AnswerReader) -> None:
        fault = self._asking.fault_of(head.http_version, head.fields)
        if fault is not None:
            earlier = tuple(refused.response for refused in self.refusals)
            raise HandshakeError(fault, 101, head.headers(), b"", earlier)
        self.give_up()
        self.opened = Opened(route, head, reader.trailing)

    def _check_hop(self, url: Url) -> None:
        if self._first is None:
            self._first = url
        if self._is_secret and url.scheme == "http":
            raise self.refusal(
                f"redirected from wss to ws ({url.host}), which is refused because everybody on "
                "the way could read it"
            )
        self._is_secret = url.scheme == "https"

    def _fields(self, request: requests.PreparedRequest, url: Url) -> Fields:
        """Choose the headers for one hop, Host first, the handshake's own last."""
        is_home = self._first is not None and _origin(url) == _origin(self._first)
        headers = request.headers if is_home else _headers_for_stranger(request)
        given = [(_text(name), _text(value)) for name, value in headers.items()]
        host = next((value for name, value in given if is_home and name.lower() == "host"), None)
        kept = [
            (name, value)
            for name, value in given
            if not (is_owned(name) or name.lower() in _REPLACED)
            and (is_home or name.lower() in _HARMLESS)
        ]
        fields = (("Host", host or _host_field(url)), *kept)
        try:
            check_headers(fields)
        except ConfigurationError as error:
            # Made of the last answer, maybe: of a challenge, or a Location.
            if not self.refusals:
                raise
            raise self.refusal(f"what the server asks for cannot be sent: {error}") from error
        return (*fields, *self._asking.request_fields())

    def _open_route(
        self,
        request: requests.PreparedRequest,
        url: Url,
        verify: Any,
        cert: Any,
        proxies: Mapping[str, str],
    ) -> Route:
        tls = self._ways.tls_for(request, verify, cert) if url.scheme == "https" else None
        found = select_proxy(request.url or "", _renamed(proxies))
        proxy = self._ways.proxy_from(found, verify, request) if found else None
        host = str(url.host).removeprefix("[").removesuffix("]")
        net = self._ways.net_for(request)
        return open_route(host, _port(url), tls, proxy, net, self._attempt)


def _leads_on(head: Head) -> bool:
    """Whether it is a redirect, whose body nobody reads."""
    return head.status in _REDIRECTS and "Location" in head.headers()


def _headers_for_stranger(request: requests.PreparedRequest) -> Mapping[str, str]:
    """Leave out the cookies of no domain, which http.cookiejar sends to everybody."""
    stranger = request.copy()
    stranger.headers.pop("Cookie", None)
    jar = requests.cookies.RequestsCookieJar()
    for cookie in getattr(request, "_cookies", None) or ():
        if cookie.domain:
            jar.set_cookie(cookie)
    found: str | None = requests.cookies.get_cookie_header(jar, stranger)  # type: ignore[no-untyped-call]  # it has none
    if found:
        stranger.headers["Cookie"] = found
    return stranger.headers


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _origin(url: Url) -> tuple[str | None, str | None, int]:
    return url.scheme, url.host, _port(url)


def _port(url: Url) -> int:
    return url.port or PORTS[str(url.scheme)]


def _host_field(url: Url) -> str:
    host, port = str(url.host), _port(url)
    if "%" in host:
        # The zone of an address means something on this machine only (RFC 6874 section 4).
        host = f"{host.partition('%')[0]}]"
    return host if port == PORTS[str(url.scheme)] else f"{host}:{port}"


def _renamed(proxies: Mapping[str, str]) -> dict[str, str]:
    """Have proxies for ws and wss stand where requests looks for those of http and https."""
    renamed = dict(proxies)
    for name, proxy in proxies.items():
        scheme, mark, host = name.partition("://")
        if scheme in PLAIN_SCHEMES:
            renamed[f"{PLAIN_SCHEMES[scheme]}{mark}{host}"] = proxy
    return renamed


def _urllib3_response(head: Head, body: bytes) -> HTTPResponse:
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
