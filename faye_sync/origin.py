"""Which pages may open a WebSocket here: the check of the Origin header.

Browsers send cookies with a WebSocket handshake from any page, so without this
check every page could speak as its visitor (RFC 6455 section 10.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from faye_sync.driver.handshake import Refusal
from faye_sync.errors import ConfigurationError

Environ = Mapping[str, Any]
Origins = (
    None | str | Collection[str | None] | re.Pattern[str] | Callable[[str | None, Environ], bool]
)

DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def refuse_origin(environ: Environ, origins: Origins) -> Refusal | None:
    """Check the request's Origin against what the application allows.

    Args:
        environ: Of the WSGI call.
        origins: None for the same host and port, or no Origin at all; "*" for
            all; a list of origins, None among them for requests without one; a
            compiled pattern that must match the whole; or a callable.

    Returns:
        The 403 that names both sides and the cures, or None when allowed.

    Raises:
        ConfigurationError: origins is none of these.
    """
    origin = environ.get("HTTP_ORIGIN")
    if _allowed(origin, environ, origins):
        return None
    return Refusal(
        403,
        f"Origin {_shown(origin)} may not open a WebSocket on Host "
        f"{_shown(environ.get('HTTP_HOST'))}.\n"
        "To allow it, pass origins=[...] with this origin to WebSocket (None in the list for "
        'requests without an Origin), or origins="*" for all; behind a proxy, pass the Host on '
        "(nginx: proxy_set_header Host $http_host).\n",
    )


def _allowed(origin: str | None, environ: Environ, origins: Origins) -> bool:
    if origins is None:
        return origin is None or _is_same_site(origin, environ.get("HTTP_HOST", ""))
    if isinstance(origins, str):
        if origins != "*":
            raise ConfigurationError(
                f'origins must be None, "*", a list, a compiled pattern or a callable, '
                f"got {origins!r}; for one origin pass [{origins!r}]"
            )
        return True
    if isinstance(origins, re.Pattern):
        return origin is not None and origins.fullmatch(origin) is not None
    if callable(origins):
        return bool(origins(origin, environ))
    if _is_list(origins):
        return _is_listed(origin, origins)
    raise ConfigurationError(
        f'origins must be None, "*", a list, a compiled pattern or a callable, got {origins!r}'
    )


def _is_list(origins: object) -> bool:
    return isinstance(origins, Collection) and all(isinstance(one, str | None) for one in origins)


def _is_listed(origin: str | None, allowed: Collection[str | None]) -> bool:
    if origin is None:
        return None in allowed
    address = _address(origin)
    return any(
        origin == one or (address is not None and address == _address(one))
        for one in allowed
        if one is not None
    )


def _is_same_site(origin: str, host: str) -> bool:
    """Compare host and port only: a proxy may have ended TLS."""
    address = _address(origin)
    if address is None:
        return False
    scheme, *site = address
    own = _address(f"{scheme}://{host}")
    return own is not None and list(own[1:]) == site


def _address(origin: str) -> tuple[str, str, int] | None:
    """Split an origin; None for one that has no host, such as null."""
    try:
        parts = urlsplit(origin)
        port = DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
    except ValueError:
        return None
    if not parts.hostname or port is None:
        return None
    return parts.scheme, parts.hostname, port


def _shown(value: str | None) -> str:
    return "(none)" if value is None else ascii(value[:200])
