"""Which proxy to go through, and how: a URL, checked, and the tunnel through it.

No text shows a password, so none shows a proxy's URL."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from faye_sync.driver.handshake import Pairs, check_headers
from faye_sync.errors import ConfigurationError
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.connect import connect_by_http
from faye_sync.transport.pipe import Pipe
from faye_sync.transport.socks import SCHEMES, Login, check_socks, connect_by_socks
from faye_sync.transport.tls_client import TlsSettings

_PORTS = {
    "http": 80,
    "https": 443,
    **dict.fromkeys(SCHEMES, 1080),
}

# What no host has, though urlsplit() lets it through.
_NOT_IN_HOST = re.compile(r"[\0- \x7f/?#@\\\[\]<>]")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and what it is told.

    Attributes:
        scheme: http, https, socks4, socks4a, socks5 or socks5h.
        host: Without brackets.
        port: Its own, or the scheme's.
        username: Percent-decoded; None if the URL has none.
        password: Likewise.
        headers: Of a CONNECT, Proxy-Authorization among them.
        tls: How to speak TLS with the proxy itself; for https.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    headers: Pairs = field(default=(), repr=False)
    tls: TlsSettings | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def proxy_of(url: str, headers: Pairs = (), tls: TlsSettings | None = None) -> Proxy:
    """Read the URL of a proxy.

    Args:
        url: As environment variables have it: without a scheme it is http.
        headers: Of a CONNECT. Proxy-Authorization is made of the URL if it is not among them.
        tls: For https.

    Returns:
        The proxy.

    Raises:
        ConfigurationError: The URL or a header cannot work, or PySocks is not installed.
    """
    parts = _split(url)
    scheme, host, port = parts.scheme, _host(parts), _port(parts)
    login = Login(
        *(None if part is None else unquote(part) for part in (parts.username, parts.password))
    )
    if scheme in SCHEMES:
        check_socks(scheme, login)
        return Proxy(scheme, host, port, *login)
    return Proxy(
        scheme, host, port, *login, (*_checked(headers), *_credentials(login, headers)), tls
    )


def tunnel(pipe: Pipe, proxy: Proxy, host: str, port: int, attempt: Attempt) -> None:
    """Have a proxy connect to a server; from then on the pipe leads there.

    Args:
        pipe: To the proxy.
        proxy: Which one that is.
        host: Of the server, without brackets.
        port: Of the server.
        attempt: Its deadline, and who may call it off.

    Raises:
        ProxyError: It did not; with its answer, if it gave one.
        ConfigurationError: The host cannot stand in a request.
        OSError: Of the connection to the proxy, or of a look-up of the host.
        TimeoutError: The deadline passed.
        CalledOff: So it was.
    """
    who = f"the proxy {proxy}"
    if proxy.scheme in SCHEMES:
        login = Login(proxy.username, proxy.password)
        connect_by_socks(pipe, who, proxy.scheme, login, host, port, attempt)
    else:
        connect_by_http(pipe, who, proxy.headers, host, port)


def _split(url: object) -> SplitResult:
    if not isinstance(url, str) or not url.isprintable():
        raise ConfigurationError("a proxy's URL must be a str without control characters")
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
    except ValueError:
        # Its text may show the password.
        raise ConfigurationError("a proxy's URL has a host that is none") from None
    if parts.scheme not in _PORTS:
        known = ", ".join(_PORTS)
        raise ConfigurationError(f"a proxy's scheme must be one of {known}, got {parts.scheme!r}")
    if "@" in parts.path + parts.query + parts.fragment:
        # Else the host would be the user name, and its look-up tell it to the world.
        raise ConfigurationError(
            "a proxy's user name and password must have / ? # percent-encoded: %2F %3F %23"
        )
    return parts


def _host(parts: SplitResult) -> str:
    host = unquote(parts.hostname or "")
    if not host or _NOT_IN_HOST.search(host):
        raise ConfigurationError(f"a proxy's URL needs a host, got {host!r}")
    return host


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        # Its text may show a password that was not percent-encoded.
        port = 0
    if port == 0:
        raise ConfigurationError("a proxy's port must be a number from 1 to 65535") from None
    return port or _PORTS[parts.scheme]


def _checked(headers: Pairs) -> Pairs:
    for name, value in headers:
        if str(name).lower() == "host":
            raise ConfigurationError("a proxy's headers have a Host already; leave it out")
        try:
            check_headers([(name, value)])
        except ConfigurationError:
            if not _is_authorization(name):
                raise
            raise ConfigurationError(f"a proxy's {name} holds what cannot be sent") from None
    return tuple(headers)


def _is_authorization(name: str) -> bool:
    return name.lower() == "proxy-authorization"


def _credentials(login: Login, headers: Pairs) -> Pairs:
    """What basic authentication sends (RFC 7617), unless the caller has said it."""
    if login.username is None or any(_is_authorization(name) for name, _ in headers):
        return ()
    octets = f"{login.username}:{login.password or ''}".encode()
    return (("Proxy-Authorization", f"Basic {b64encode(octets).decode()}"),)
