"""Choose the driver of the version that a request asks for.

Whoever adds another gives it a row in each of the two tables and a line in
version_of()."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from faye_sync.driver.base import ServerDriver
from faye_sync.driver.extension_header import parse_extensions
from faye_sync.driver.handshake import Check, Refusal, refusal
from faye_sync.driver.hixie import HixieServer75, HixieServer76
from faye_sync.driver.hixie_handshake import refusal_75, refusal_76
from faye_sync.driver.hybi import HybiServer

# Whoever sends one of these means RFC 6455, and whoever sends one of the others hixie-76.
_MARKS = ("HTTP_SEC_WEBSOCKET_VERSION", "HTTP_SEC_WEBSOCKET_KEY")
_MARKS_76 = ("HTTP_SEC_WEBSOCKET_KEY1", "HTTP_SEC_WEBSOCKET_KEY2")

_DRAFTS: dict[str, Callable[..., ServerDriver]] = {
    HixieServer76.version: HixieServer76,
    HixieServer75.version: HixieServer75,
}


def _refusal_13(environ: Mapping[str, Any]) -> Refusal | None:
    found = refusal(environ)
    if found is not None:
        return found
    try:
        parse_extensions(environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS"))
    except ValueError as error:
        return Refusal(400, f"{error}.")
    return None


_REFUSALS: dict[str, Check] = {
    HybiServer.version: _refusal_13,
    HixieServer76.version: refusal_76,
    HixieServer75.version: refusal_75,
}


def version_of(environ: Mapping[str, Any], *, allow_drafts: bool = False) -> str:
    """Name the protocol version of a request. Safe from any thread.

    Args:
        environ: The request.
        allow_drafts: Whether the drafts are spoken.

    Returns:
        A key of the tables: hybi-13, hixie-76 or hixie-75.
    """
    if not allow_drafts or any(mark in environ for mark in _MARKS):
        return HybiServer.version
    is_76 = any(mark in environ for mark in _MARKS_76)
    return HixieServer76.version if is_76 else HixieServer75.version


def refusal_of(environ: Mapping[str, Any], *, allow_drafts: bool = False) -> Refusal | None:
    """Judge a request by the version that it asks for. Safe from any thread.

    Args:
        environ: The request.
        allow_drafts: Whether the drafts are spoken.

    Returns:
        None when a WebSocket may be opened, else what is wrong first.
    """
    return _REFUSALS[version_of(environ, allow_drafts=allow_drafts)](environ)


def server_driver(
    environ: Mapping[str, Any],
    *,
    url: str = "",
    protocols: Iterable[str],
    headers: Iterable[tuple[str, str]],
    max_length: int,
    extensions: Iterable[Any] | None = (),
    allow_drafts: bool = False,
    require_masking: bool = True,
) -> ServerDriver:
    """Make a server's driver for one request. Safe from any thread.

    Args:
        environ: A request that refusal_of() has nothing against.
        url: The URL that the client asked for, with ws or wss.
        protocols: The subprotocols that the server knows, or one str with
            commas between them.
        headers: What the answer bears beside its own headers.
        max_length: Octets that a message may have.
        extensions: Those that the server knows.
        allow_drafts: Whether the drafts are spoken.
        require_masking: False to take unmasked frames, and those only.

    Returns:
        A driver that has not been started.

    Raises:
        ConfigurationError: A subprotocol or header cannot stand in an answer,
            or an extension is none.
    """
    draft = _DRAFTS.get(version_of(environ, allow_drafts=allow_drafts))
    if draft is not None:
        return draft(environ, url=url, protocols=protocols, headers=headers, max_length=max_length)
    return HybiServer(
        environ,
        protocols=protocols,
        headers=headers,
        max_length=max_length,
        extensions=extensions,
        require_masking=require_masking,
    )
