"""What a client asks for: the URL and the headers, checked before a socket is opened."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from faye_sync.driver.handshake import Pairs, check_headers
from faye_sync.errors import ConfigurationError

# What requests knows WebSocket's schemes by.
PLAIN_SCHEMES = {"ws": "http", "wss": "https"}


def check_url(url: object, schemes: Collection[str] = tuple(PLAIN_SCHEMES)) -> str:
    """Refuse what is no URL of a WebSocket (RFC 6455 3), or of a page.

    Args:
        url: A fragment is dropped.
        schemes: Those that it may have: ws and wss, or others.

    Returns:
        The URL.

    Raises:
        ConfigurationError: It is none; userinfo is not shown.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"a URL must be a str, got {type(url).__name__}")
    found = next((sign for sign in url if sign <= " " or sign == "\x7f"), None)
    if found is not None:
        raise ConfigurationError(f"a URL has no blanks or control characters, got {found!a}")
    try:
        parsed = parse_url(url)
        urlsplit(url)
    except (LocationParseError, ValueError):
        raise ConfigurationError(f"this is no URL: {without_secrets(url)!a}") from None
    if parsed.scheme not in schemes:
        raise ConfigurationError(
            f"scheme must be {' or '.join(schemes)}, got {parsed.scheme or 'none'} in "
            f"{without_secrets(url)!a}"
        )
    if not parsed.host or parsed.port == 0:
        part = "host" if not parsed.host else "port above 0"
        raise ConfigurationError(f"a URL has a {part}, got {without_secrets(url)!a}")
    return url.partition("#")[0]


def check_request_headers(headers: Pairs) -> Pairs:
    """Refuse headers that cannot stand in a handshake's request.

    Args:
        headers: Pairs of name and value.

    Returns:
        The same pairs.

    Raises:
        ConfigurationError: As check_headers() has it, or one is for a proxy.
    """
    if sum(name.lower() == "host" for name, _ in check_headers(headers)) > 1:
        raise ConfigurationError("Host comes more than once; a request has one (RFC 9110 7.2)")
    for name, _ in headers:
        if name.lower() == "proxy-authorization":
            raise ConfigurationError(
                f"{name} is for the proxy; pass proxy={{'origin': ..., 'headers': ...}}"
            )
    return headers


def without_secrets(url: str) -> str:
    """Make a URL fit for logs and errors.

    Args:
        url: Any text.

    Returns:
        It, with "..." for userinfo and query, either of which may hold a secret.
    """
    before, at, after = url.rpartition("@")
    scheme, mark, _ = before.partition("://")
    shown = f"{scheme if mark else ''}{mark}...@{after}" if at else url
    path, mark, _ = shown.partition("?")
    return f"{path}?..." if mark else shown


def plain_url(url: str) -> str:
    """Say a URL as requests knows it.

    Args:
        url: check_url() let it through.

    Returns:
        It with http or https, without the userinfo.
    """
    parsed = parse_url(url)
    return Url(
        PLAIN_SCHEMES.get(str(parsed.scheme), parsed.scheme),
        None,
        parsed.host,
        parsed.port,
        parsed.path,
        parsed.query,
    ).url


def joined_headers(headers: Pairs) -> dict[str, str | None]:
    """Join headers of one name (RFC 9110 5.3, RFC 6265 5.4), as requests takes them.

    Args:
        headers: check_request_headers() let them through.

    Returns:
        By name; None for what a session has for page requests.
    """
    joined: dict[str, str | None] = {"Accept": None, "Accept-Encoding": None}
    names: dict[str, str] = {name.lower(): name for name in joined}
    for name, value in headers:
        known = names.setdefault(name.lower(), name)
        earlier = joined.get(known)
        mark = "; " if name.lower() == "cookie" else ", "
        joined[known] = value if earlier is None else f"{earlier}{mark}{value}"
    return joined
