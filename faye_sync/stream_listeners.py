"""Listeners of an event stream: whatever the server calls its events, they are heard by that name."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from faye_sync.concurrency import world_here
from faye_sync.event_target import Attribute, EventTarget
from faye_sync.events import Event, ReconnectEvent, ServerSentEvent

logger = logging.getLogger("faye_sync")

# What is told of the stream itself, whoever takes its events.
_OF_THE_STREAM = frozenset({"open", "error", "reconnect", "close"})


class StreamListeners(EventTarget):
    """Listeners called by whoever reads. They may be added from any thread.

    Attributes:
        id: A short name, in every line of the log.
    """

    onreconnect = Attribute(ReconnectEvent.type)

    def __init__(self) -> None:
        super().__init__()
        self.id = secrets.token_hex(4)
        # Where it is read: that of start(), or of whoever iterates.
        self._world = world_here()
        self._is_started = False
        self._is_iterated = False
        self._dispatching: object = None
        # Whether a listener was added since events were replayed.
        self._has_newcomers = False

    @property
    def closed(self) -> bool:
        """True once no more events will come."""
        raise NotImplementedError

    def _check_iterable(self) -> None:
        """Refuse iteration where listeners are to have the events."""
        if self._is_started:
            raise RuntimeError("start() or run() reads already; add a message listener instead")
        for name in tuple(self._listeners):
            if name not in _OF_THE_STREAM and self._listens(name):
                raise RuntimeError(
                    f"iteration would call no listener of {name!r}: use start() or run(), or take "
                    "the listener away by off()"
                )

    def _tell(self, event: Event) -> None:
        """Hand event to its listeners; on the reading thread."""
        outer, self._dispatching = self._dispatching, self._world.current()
        try:
            if self._has_newcomers:
                self._has_newcomers = False
                self._replay()
            self._dispatch(event)
        finally:
            self._dispatching = outer

    def _is_dispatching_here(self) -> bool:
        return self._dispatching is not None and self._dispatching == self._world.current()

    # --- as EventTarget has it ----------------------------------------------------------------------

    def _keep(self, event: Event) -> Any:
        # Events of the stream that nobody listens to are for nobody, as in a browser.
        return () if isinstance(event, ServerSentEvent) else super()._keep(event)

    def _check_name(self, name: str) -> None:
        # Those of the stream are called what the server calls them.
        if not isinstance(name, str):
            raise TypeError(f"the name of an event is a str, got {type(name).__name__}")

    def _check(self, name: str, listener: object) -> None:
        super()._check(name, listener)
        if self._is_iterated and name not in _OF_THE_STREAM:
            raise RuntimeError(
                f"the stream is iterated, so no listener of {name!r} would be called; look at "
                "event.type in the loop, or use start() or run()"
            )

    def _listener_added(self) -> None:
        self._has_newcomers = True
        if self.closed:
            self._replay()

    def _report(self, text: str, error: BaseException) -> None:
        logger.error("EventSourceClient %s: %s", self.id, text, exc_info=error)
