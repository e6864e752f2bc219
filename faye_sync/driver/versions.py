"""Choose the driver of the version that a request asks for.

hybi-13 is the only one yet. Whoever adds another gives it a row in the table and
a line in version_of()."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from faye_sync.driver.base import Driver
from faye_sync.driver.handshake import Refusal, refusal
from faye_sync.driver.hybi import HybiServer

_SERVERS: dict[str, Callable[..., Driver]] = {HybiServer.version: HybiServer}


def refusal_of(environ: Mapping[str, Any], *, allow_drafts: bool = False) -> Refusal | None:
    """Judge a request by the version that it asks for. Safe from any thread.

    Args:
        environ: The request.
        allow_drafts: Whether the drafts are spoken.

    Returns:
        None when a WebSocket may be opened, else what is wrong first.
    """
    del allow_drafts
    return refusal(environ)


def version_of(environ: Mapping[str, Any], *, allow_drafts: bool = False) -> str:
    """Name the protocol version of a request. Safe from any thread.

    Args:
        environ: A request that refusal_of() has nothing against.
        allow_drafts: Whether the drafts are spoken.

    Returns:
        A key of the table: hybi-13.
    """
    del environ, allow_drafts
    return HybiServer.version


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
) -> Driver:
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
        ConfigurationError: A subprotocol or header cannot stand in an answer.
    """
    del url
    return _SERVERS[version_of(environ, allow_drafts=allow_drafts)](
        environ,
        protocols=protocols,
        headers=headers,
        max_length=max_length,
        extensions=extensions,
        require_masking=require_masking,
    )
