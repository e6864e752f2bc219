"""Choose the driver of the version that a request asks for.

hybi-13 is the only one yet. Whoever adds another gives it a row in the table and
a line in version_of()."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from faye_sync.driver.base import Driver
from faye_sync.driver.hybi import HybiServer

_SERVERS: dict[str, Callable[..., Driver]] = {HybiServer.version: HybiServer}


def version_of(environ: Mapping[str, Any]) -> str:
    """Name the protocol version of a request. Safe from any thread.

    Args:
        environ: A request that handshake.refusal() has nothing against.

    Returns:
        A key of the table: hybi-13.
    """
    del environ
    return HybiServer.version


def server_driver(
    environ: Mapping[str, Any],
    *,
    protocols: Iterable[str],
    headers: Iterable[tuple[str, str]],
    max_length: int,
    require_masking: bool = True,
) -> Driver:
    """Make a server's driver for one request. Safe from any thread.

    Args:
        environ: A request that handshake.refusal() has nothing against.
        protocols: The subprotocols that the server knows, or one str with
            commas between them.
        headers: What the answer bears beside its own headers.
        max_length: Octets that a message may have.
        require_masking: False to take unmasked frames, and those only.

    Returns:
        A driver that has not been started.

    Raises:
        ConfigurationError: A subprotocol or header cannot stand in an answer.
    """
    return _SERVERS[version_of(environ)](
        environ,
        protocols=protocols,
        headers=headers,
        max_length=max_length,
        require_masking=require_masking,
    )
