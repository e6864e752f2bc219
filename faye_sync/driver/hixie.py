"""The drafts before RFC 6455, for servers: the handshakes and the two halves, joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from faye_sync.driver.handshake import check_headers, check_subprotocols, extended_head
from faye_sync.driver.hixie_handshake import challenge_of, head_75, head_76
from faye_sync.driver.hixie_receiving import HixieReceiving
from faye_sync.driver.hixie_sending import HixieSending
from faye_sync.driver.unpacking import Unpacking


class _Hixie:
    """What both drafts have. Each half is for one thread at a time."""

    version = ""
    protocol = ""
    extensions: tuple[str, ...] = ()

    def __init__(self, head: bytes, receiving: HixieReceiving, *, max_length: int) -> None:
        self._head = head
        self.receiving = receiving
        self.sending = HixieSending(self.version, has_close=self.version == HixieServer76.version)
        self.unpacking = Unpacking(None, max_length)

    def add_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Have the 101 bear more headers, as HybiServer does."""
        self._head = extended_head(self._head, headers)

    def start(self) -> None:
        """Queue the 101, and the OpenEvent where no proof is due. Once only."""
        self.sending.framed(self._head)
        self.receiving.start()

    def close_sessions(self) -> list[Exception]:
        """Do nothing: the drafts have no extensions."""
        return []


class HixieServer75(_Hixie):
    """One connection of a server that speaks hixie-75."""

    version = "hixie-75"

    def __init__(
        self,
        environ: Mapping[str, Any],
        *,
        url: str,
        protocols: Iterable[str],
        headers: Iterable[tuple[str, str]],
        max_length: int,
    ) -> None:
        """Agree with a request that refusal_75() has nothing against.

        Args:
            environ: The request.
            url: What the client asked for, with ws or wss.
            protocols: The subprotocols that the server knows; the drafts have none.
            headers: What the 101 bears beside its own headers.
            max_length: Octets that a message may have.

        Raises:
            ConfigurationError: A subprotocol or header cannot stand in an answer.
        """
        check_subprotocols(protocols)
        head = head_75(environ, url, check_headers(headers))
        super().__init__(head, HixieReceiving(max_length=max_length), max_length=max_length)


class HixieServer76(_Hixie):
    """One connection of a server that speaks hixie-76."""

    version = "hixie-76"

    def __init__(
        self,
        environ: Mapping[str, Any],
        *,
        url: str,
        protocols: Iterable[str],
        headers: Iterable[tuple[str, str]],
        max_length: int,
    ) -> None:
        """Agree with a request that refusal_76() has nothing against; otherwise as hixie-75."""
        check_subprotocols(protocols)
        head = head_76(environ, url, check_headers(headers))
        receiving = HixieReceiving(max_length=max_length, challenge=challenge_of(environ))
        super().__init__(head, receiving, max_length=max_length)
