"""Both sides of hybi-13: the handshake and the two halves, joined.

RFC 6455 4.1 and 4.2.2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from faye_sync.driver.client_handshake import Asked, ask, fault_of, protocol_of
from faye_sync.driver.handshake import (
    check_headers,
    check_subprotocols,
    choose_subprotocol,
    response_head,
)
from faye_sync.driver.hybi_receiving import HybiReceiving
from faye_sync.driver.hybi_sending import HybiSending


class HybiServer:
    """One connection of a server. Each half is for one thread at a time."""

    __slots__ = ("_head", "protocol", "receiving", "sending")

    version = "hybi-13"

    def __init__(
        self,
        environ: Mapping[str, Any],
        *,
        protocols: Iterable[str],
        headers: Iterable[tuple[str, str]],
        max_length: int,
        require_masking: bool = True,
    ) -> None:
        """Agree with a request that handshake.refusal() has nothing against.

        Args:
            environ: The request.
            protocols: The subprotocols that the server knows.
            headers: What the 101 bears beside its own headers.
            max_length: Octets that a message may have.
            require_masking: False to take unmasked frames, and those only.

        Raises:
            ConfigurationError: A subprotocol or header cannot stand in an answer.
        """
        self.protocol = choose_subprotocol(environ, check_subprotocols(protocols))
        self._head = response_head(environ, self.protocol, check_headers(headers))
        self.receiving = HybiReceiving(require_masking=require_masking, max_length=max_length)
        self.sending = HybiSending(masking=False)

    def start(self) -> None:
        """Queue the 101 and the OpenEvent, before any thread uses a half. Once only."""
        self.sending.framed(self._head)
        self.receiving.start()


class HybiClient:
    """One connection of a client. Each half is for one thread at a time."""

    __slots__ = ("_asked", "_protocols", "protocol", "receiving", "sending")

    version = "hybi-13"

    def __init__(self, *, protocols: Iterable[str], max_length: int) -> None:
        """Prepare to ask.

        Args:
            protocols: The subprotocols to offer, the liked ones first.
            max_length: Octets that a message may have.

        Raises:
            ConfigurationError: A subprotocol cannot stand in a request.
        """
        self._protocols = check_subprotocols(protocols)
        self._asked: Asked | None = None
        self.protocol = ""
        self.receiving = HybiReceiving(require_masking=False, max_length=max_length)
        self.sending = HybiSending(masking=True)

    def request_fields(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that ask for a WebSocket, with a new key each time."""
        self._asked = ask(self._protocols)
        return self._asked.fields()

    def fault_of(self, http_version: str, fields: Iterable[tuple[str, str]]) -> str | None:
        """Judge the 101 to the last request.

        Args:
            http_version: Of its status line.
            fields: Its headers.

        Returns:
            None when the connection is open, else what is wrong first.
        """
        if self._asked is None:
            return "it answers no request"
        pairs = tuple(fields)
        fault = fault_of(self._asked, http_version, pairs)
        if fault is None:
            self.protocol = protocol_of(pairs)
        return fault

    def start(self) -> None:
        """Queue the OpenEvent, before any thread uses a half. Once only."""
        self.receiving.start()
