"""What can be asked of a connection, from any thread: its state, its end, what was agreed on."""

from __future__ import annotations

from faye_sync.events import ReadyState
from faye_sync.reading import ReadingSide
from faye_sync.terms import Terms


class Status(ReadingSide):
    """The properties that server and client share."""

    __slots__ = ("_opened_at",)

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._opened_at: float | None = None

    @property
    def ready_state(self) -> ReadyState:
        """CONNECTING, OPEN, CLOSING or CLOSED, equal to 0 to 3."""
        if self._link is not None:
            return self._link.ready_state
        return ReadyState.CLOSED if self._is_refused() else ReadyState.CONNECTING

    @property
    def closed(self) -> bool:
        """True once the closing handshake is over, or there is none to come."""
        return self.ready_state is ReadyState.CLOSED

    @property
    def close_code(self) -> int | None:
        """The code of the close event; None before."""
        if self._link is not None:
            return None if self._link.final is None else self._link.final.code
        return self._refusal_error().code if self._is_refused() else None

    @property
    def close_reason(self) -> str | None:
        """The reason of the close event; None before."""
        if self._link is not None:
            return None if self._link.final is None else self._link.final.reason
        return self._refusal_error().reason if self._is_refused() else None

    @property
    def version(self) -> str:
        """The version of the protocol: hybi-13, or a draft's: hixie-76 or hixie-75."""
        return "hybi-13" if self._link is None else self._link.driver.version

    @property
    def extensions(self) -> tuple[str, ...]:
        """Names of the extensions agreed on, in order."""
        return () if self._link is None else self._link.driver.extensions

    @property
    def opened_at(self) -> float | None:
        """The clock time, as of time.time(), at which the connection opened; None before."""
        return self._opened_at

    @property
    def buffered_amount(self) -> int:
        """Octets that were sent or queued and that the kernel has not accepted yet."""
        return 0 if self._link is None else self._link.outgoing.unsent

    @property
    def latency(self) -> float | None:
        """Seconds between the last ping that was answered and its pong; None before."""
        return None if self._link is None else self._link.liveness.latency
