"""The opening handshake of a client, through requests."""

from __future__ import annotations

from faye_sync.driver.handshake import Pairs
from faye_sync.errors import HandshakeError
from faye_sync.transport.adapter import Asking, Opened, UpgradeAdapter
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.request import joined_headers
from faye_sync.transport.shadow import ask, auth_for
from faye_sync.transport.wayfinder import Wayfinder


def upgrade(ways: Wayfinder, url: str, headers: Pairs, asking: Asking, attempt: Attempt) -> Opened:
    """Open a WebSocket.

    Args:
        ways: How the client gets to its servers.
        url: With ws or wss; check_url() let it through.
        headers: More headers; check_request_headers() let them through.
        asking: The driver's side of the handshake.
        attempt: Its deadline, over all hops.

    Returns:
        The open WebSocket, to be closed by the caller.

    Raises:
        HandshakeError: The server did not open it.
        ConfigurationError: Something of the session or auth cannot be sent.
        OSError: The network, or TLS, as it says.
        TimeoutError: The attempt's deadline passed.
    """
    adapter = UpgradeAdapter(asking, ways, attempt)
    try:
        auth = auth_for(ways.auth, url, headers)
        ask(ways, adapter, "GET", url, joined_headers(headers), auth)
        return _opened(adapter)
    except BaseException:
        adapter.give_up()
        raise


def _opened(adapter: UpgradeAdapter) -> Opened:
    if adapter.opened is not None:
        return adapter.opened
    if not adapter.refusals:
        raise HandshakeError("the session answered by itself, so no WebSocket was opened")
    raise adapter.unwanted()
