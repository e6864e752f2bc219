"""Both sides of hybi-13: the handshake and the two halves, joined.

RFC 6455 4.1 and 4.2.2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from faye_sync.driver.client_handshake import (
    Asked,
    ask,
    extensions_of,
    fault_of,
    protocol_of,
)
from faye_sync.driver.handshake import (
    check_headers,
    check_subprotocols,
    choose_subprotocol,
    extended_head,
    response_head,
)
from faye_sync.driver.hybi_receiving import HybiReceiving
from faye_sync.driver.hybi_sending import HybiSending
from faye_sync.driver.negotiation import Offered, check_extensions, respond
from faye_sync.driver.pipeline import Pipeline
from faye_sync.driver.unpacking import Unpacking


class _Hybi:
    """What both sides have. Each part is for one thread at a time."""

    __slots__ = ("_max_length", "_pipeline", "protocol", "receiving", "sending", "unpacking")

    version = "hybi-13"

    def __init__(self, *, is_server: bool, require_masking: bool, max_length: int) -> None:
        self.protocol = ""
        self._max_length = max_length
        self._pipeline: Pipeline | None = None
        self.receiving = HybiReceiving(require_masking=require_masking, max_length=max_length)
        self.sending = HybiSending(masking=not is_server)
        self.unpacking = Unpacking(None, max_length)

    @property
    def extensions(self) -> tuple[str, ...]:
        """The names of the extensions agreed on, in order."""
        return () if self._pipeline is None else self._pipeline.names

    def close_sessions(self) -> list[Exception]:
        """End what the extensions hold, after the last message; returns what they raised.

        Does nothing the second time."""
        return [] if self._pipeline is None else self._pipeline.close()

    def _extend(self, pipeline: Pipeline | None) -> None:
        """Have extensions at work in all parts, before the first octet is received."""
        self._pipeline = pipeline
        if pipeline is None:
            return
        self.receiving.extend(pipeline.rsv, packs_all=pipeline.shows_all)
        self.sending.extend(pipeline)
        self.unpacking = Unpacking(pipeline, self._max_length)


class HybiServer(_Hybi):
    """One connection of a server. Each half is for one thread at a time."""

    __slots__ = ("_head",)

    def __init__(
        self,
        environ: Mapping[str, Any],
        *,
        protocols: Iterable[str],
        headers: Iterable[tuple[str, str]],
        max_length: int,
        extensions: Iterable[Any] | None = (),
        require_masking: bool = True,
    ) -> None:
        """Agree with a request that handshake.refusal() has nothing against.

        Args:
            environ: The request.
            protocols: The subprotocols that the server knows.
            headers: What the 101 bears beside its own headers.
            max_length: Octets that a message may have.
            extensions: Those that the server knows.
            require_masking: False to take unmasked frames, and those only.

        Raises:
            ConfigurationError: A subprotocol or header cannot stand in an answer,
                or an extension is none.
        """
        super().__init__(is_server=True, require_masking=require_masking, max_length=max_length)
        self.protocol = choose_subprotocol(environ, check_subprotocols(protocols))
        fields = check_headers(headers)
        agreed, pipeline = respond(
            check_extensions(extensions),
            environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS"),
            {"max_length": max_length},
        )
        self._head = response_head(environ, self.protocol, agreed, fields)
        self._extend(pipeline)

    def add_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Have the 101 bear more headers; before start().

        Raises:
            ConfigurationError: One cannot stand in an answer.
        """
        self._head = extended_head(self._head, headers)

    def start(self) -> None:
        """Queue the 101 and the OpenEvent, before any thread uses a half. Once only."""
        self.sending.framed(self._head)
        self._head = b""
        self.receiving.start()


class HybiClient(_Hybi):
    """One connection of a client. Each half is for one thread at a time."""

    __slots__ = ("_asked", "_extensions", "_failures", "_offered", "_protocols")

    def __init__(
        self,
        *,
        protocols: Iterable[str],
        max_length: int,
        extensions: Iterable[Any] | None = (),
    ) -> None:
        """Prepare to ask.

        Args:
            protocols: The subprotocols to offer, the liked ones first.
            max_length: Octets that a message may have.
            extensions: Those to offer.

        Raises:
            ConfigurationError: A subprotocol cannot stand in a request, or an
                extension is none.
        """
        super().__init__(is_server=False, require_masking=False, max_length=max_length)
        self._protocols = check_subprotocols(protocols)
        self._extensions = check_extensions(extensions)
        self._asked: Asked | None = None
        self._offered: Offered | None = None
        # What the sessions of earlier offers raised as they ended.
        self._failures: list[Exception] = []

    def request_fields(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that ask for a WebSocket, with a new key each time."""
        self._failures += self._withdraw()
        self._offered = Offered(self._extensions, {"max_length": self._max_length})
        self._asked = ask(self._protocols, self._offered.value)
        return self._asked.fields()

    def fault_of(self, http_version: str, fields: Iterable[tuple[str, str]]) -> str | None:
        """Judge the 101 to the last request.

        Args:
            http_version: Of its status line.
            fields: Its headers.

        Returns:
            None when the connection is open, else what is wrong first.
        """
        if self._asked is None or self._offered is None:
            return "it answers no request"
        pairs = tuple(fields)
        fault = fault_of(self._asked, http_version, pairs)
        if fault is not None:
            return fault
        offered, self._offered = self._offered, None
        try:
            self._extend(offered.activate(extensions_of(pairs)))
        except ValueError as error:
            return str(error)
        self.protocol = protocol_of(pairs)
        return None

    def start(self) -> None:
        """Queue the OpenEvent, before any thread uses a half. Once only."""
        self.receiving.start()

    def close_sessions(self) -> list[Exception]:
        """End what the extensions hold, those of an offer without an answer too."""
        failures, self._failures = [*self._failures, *self._withdraw()], []
        return [*failures, *super().close_sessions()]

    def _withdraw(self) -> list[Exception]:
        """End the sessions of an offer that nobody answered; returns what they raised."""
        offered, self._offered = self._offered, None
        return [] if offered is None else offered.withdraw()
