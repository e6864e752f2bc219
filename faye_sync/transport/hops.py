"""One request through requests, hop by hop, on sockets of ours.

requests brings its headers, cookies, auth, proxies and redirects, and calls
send() once for each hop. Whatever the first hop carried for its origin is kept
from every other, and no hop goes from https down to http."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.util import Url, parse_url

from faye_sync.driver.handshake import check_headers, is_owned
from faye_sync.errors import ConfigurationError
from faye_sync.transport.answer import Fields, Head
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.dial import Net
from faye_sync.transport.proxies import Proxy
from faye_sync.transport.request import PLAIN_SCHEMES
from faye_sync.transport.route import Route, open_route
from faye_sync.transport.tls_client import TlsSettings

PORTS = {"http": 80, "https": 443}

_REDIRECTS = frozenset((301, 302, 303, 307, 308))

# What is chosen for each hop, beside what the kind of request sets itself.
_REPLACED = frozenset(("host", "proxy-authorization"))


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
class Refused:
    """An answer that was not the one wanted: as requests has it, and as it was."""

    response: requests.Response
    head: Head
    body: bytes


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop, ready to be asked.

    Attributes:
        request: As requests prepared it.
        url: Where to.
        fields: The headers, Host first.
        proxy: That is asked for the whole URL, where it is not to tunnel.
    """

    request: requests.PreparedRequest
    url: Url
    fields: Fields
    proxy: Proxy | None

    @property
    def host(self) -> str:
        """The server's name, for errors."""
        return str(self.url.host)


class HopAdapter(HTTPAdapter):
    """One attempt's transport for requests; for one thread.

    Attributes:
        refusals: The answers so far that did not end it.
    """

    # The header that tells the request from whatever else a session asks for on its way, a token
    # maybe, which its own adapter sends.
    MARK: ClassVar[tuple[str, str]]
    # What another origin than the first may be told, of the cookies those of its domain.
    HARMLESS: ClassVar[frozenset[str]]
    # Whether a proxy is to connect to the server by CONNECT for http too.
    TUNNELS: ClassVar[bool]
    # What a hop that everybody can read would be called.
    _way_down: ClassVar[str] = "https to http"

    def __init__(self, ways: Ways, attempt: Attempt) -> None:
        super().__init__()
        self._ways = ways
        self._attempt = attempt
        self._first: Url | None = None
        self._is_secret = False
        self.refusals: list[Refused] = []

    @abstractmethod
    def refusal(self, message: str) -> Exception:
        """Make the error that tells of the last answer, and of those before it."""

    @abstractmethod
    def unwanted(self) -> Exception:
        """Make the error for a last answer that is not the one wanted."""

    @abstractmethod
    def _own_fields(self) -> Fields:
        """Return the headers that are chosen for each hop, after the others."""

    @abstractmethod
    def _exchange(self, hop: Hop, route: Route) -> requests.Response:
        """Ask and read the answer; the route is closed by the caller where this raises."""

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

        Args:
            request: MARK says which one is not the session's own business.
            stream: For the session's own requests, like timeout.
            timeout: Ours have that of the attempt, over all hops.
            verify: As requests has it.
            cert: As requests has it.
            proxies: As requests chose them.

        Returns:
            The answer.

        Raises:
            HandshakeError: Of a WebSocket: there is no answer that can be read, or it is
                faulty, or this hop would go down from https to http.
            EventSourceError: Of an event stream, likewise.
            ConfigurationError: A header cannot stand in a request.
            OSError: The network, or TLS, as it says.
            TimeoutError: The attempt's deadline passed.
        """
        name, value = self.MARK
        if request.headers.get(name) != value:
            own = self._ways.session.get_adapter(request.url or "")
            timeout = self._attempt.seconds_left() if timeout is None else timeout
            return own.send(request, stream, timeout, verify, cert, proxies)
        url = parse_url(request.url or "")
        self._check_hop(url)
        fields = self._fields(request, url)
        found = select_proxy(request.url or "", _renamed(proxies or {}))
        proxy = self._ways.proxy_from(found, verify, request) if found else None
        is_asked = not self.TUNNELS and url.scheme == "http" and proxy is not None
        is_asked = is_asked and proxy is not None and proxy.scheme in PORTS
        hop = Hop(request, url, fields, proxy if is_asked else None)
        self._prepare(hop)
        route = self._open_route(hop, proxy, verify, cert)
        try:
            self._attempt.phase = f"waiting for the answer of {url.host}"
            return self._exchange(hop, route)
        except BaseException:
            route.close()
            raise

    @property
    def was_used(self) -> bool:
        """Whether any hop was begun."""
        return self._first is not None

    # --- beneath ----------------------------------------------------------------------------------

    def _prepare(self, hop: Hop) -> None:
        """See whether it can be asked, before anything is dialed."""

    def _check_hop(self, url: Url) -> None:
        if self._first is None:
            self._first = url
        if self._is_secret and url.scheme == "http":
            raise self.refusal(
                f"redirected from {self._way_down} ({url.host}), which is refused because "
                "everybody on the way could read it"
            )
        self._is_secret = url.scheme == "https"

    def _fields(self, request: requests.PreparedRequest, url: Url) -> Fields:
        """Choose the headers for one hop, Host first, those of this kind of request last."""
        is_home = self._first is not None and _origin(url) == _origin(self._first)
        headers = request.headers if is_home else _headers_for_stranger(request)
        given = [(_text(name), _text(value)) for name, value in headers.items()]
        host = next((value for name, value in given if is_home and name.lower() == "host"), None)
        kept = [
            (name, value)
            for name, value in given
            if not (self._is_own(name) or name.lower() in _REPLACED)
            and (is_home or name.lower() in self.HARMLESS)
        ]
        fields = (("Host", host or _host_field(url)), *kept)
        try:
            check_headers((name, value) for name, value in fields if not is_owned(name))
        except ConfigurationError as error:
            # Made of the last answer, maybe: of a challenge, or a Location.
            if not self.refusals:
                raise
            raise self.refusal(f"what the server asks for cannot be sent: {error}") from error
        return (*fields, *self._own_fields())

    def _is_own(self, name: str) -> bool:
        """Whether a header is set by this kind of request alone."""
        return is_owned(name)

    def _open_route(self, hop: Hop, proxy: Proxy | None, verify: Any, cert: Any) -> Route:
        request, url = hop.request, hop.url
        tls = self._ways.tls_for(request, verify, cert) if url.scheme == "https" else None
        host = str(url.host).removeprefix("[").removesuffix("]")
        net = self._ways.net_for(request)
        return open_route(
            host, _port(url), tls, proxy, net, self._attempt, tunnels=hop.proxy is None
        )


def leads_on(head: Head) -> bool:
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
