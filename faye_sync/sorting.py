"""What each thing received leads to, apart from messages.

Pings are answered as they come, pongs find the ping they answer, and the rest
waits in the inbox for the owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from faye_sync.driver.base import Received, Reply
from faye_sync.events import CloseEvent, ErrorEvent, Event, PingEvent, PongEvent
from faye_sync.liveness import Liveness
from faye_sync.receiving import Incoming
from faye_sync.sending import Outgoing


class Owner(Protocol):
    """The connection whose events are sorted."""

    incoming: Incoming
    outgoing: Outgoing
    liveness: Liveness
    final: CloseEvent | None

    def ends_with(self, ending: CloseEvent | ErrorEvent) -> None:
        """This is what ends the connection, once all before it was handed out."""


class Sorting:
    """One connection's sorting, with the reading lock held; callback_of() is the owner's."""

    def __init__(self, owner: Owner, listens: Callable[[str], bool]) -> None:
        self._owner = owner
        self._listens = listens
        self._callbacks: list[tuple[PongEvent, Callable[[], object]]] = []

    def sort(self, event: Received) -> None:
        """Act on what came, and have it wait for the owner where he wants it."""
        if isinstance(event, PingEvent):
            self._answer(event)
        elif isinstance(event, PongEvent):
            self._find_ping(event)
        elif isinstance(event, Reply):
            self._owner.outgoing.reply(event.data)
        else:
            if isinstance(event, CloseEvent | ErrorEvent):
                self._owner.ends_with(event)
            self._owner.incoming.inbox.append(event)

    def keep_if_heard(self, event: Event) -> None:
        """Have an event wait for the owner, if somebody listens to its kind."""
        if self._listens(event.type):
            self._owner.incoming.inbox.append(event)

    def callback_of(self, event: PongEvent) -> Callable[[], object] | None:
        """Take the callback of the ping that event answers; for the owner."""
        if self._callbacks and self._callbacks[0][0] is event:
            return self._callbacks.pop(0)[1]
        return None

    def _answer(self, ping: PingEvent) -> None:
        if self._owner.final is None:
            self._owner.outgoing.pong(ping.data)
        self.keep_if_heard(ping)

    def _find_ping(self, pong: PongEvent) -> None:
        callback = self._owner.liveness.answered(pong.data)
        if callback is None:
            self.keep_if_heard(pong)
            return
        self._callbacks.append((pong, callback))
        self._owner.incoming.inbox.append(pong)
