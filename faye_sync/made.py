"""What is made in a WSGI call, and what goes wrong in it: told to whoever asked for that.

And to the log, where what was made is forgotten."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from typing import Any, Protocol

# Where an environ may have a Hearer: how the clients of testing.py come to know the server's end.
KEY = "faye_sync.made"

logger = logging.getLogger("faye_sync")


class Hearer(Protocol):
    """Whoever wants to know."""

    def made(self, connection: Any) -> None:
        """A WebSocket or an EventSource was made of the request."""

    def failed(self, error: BaseException) -> None:
        """A function or a listener of the application's raised."""


def note_failure(environ: Mapping[str, Any], error: BaseException) -> None:
    """Tell of what the application raised, beside the log."""
    hearer: Hearer | None = environ.get(KEY)
    if hearer is not None:
        hearer.failed(error)


def note_made(made: Any, kind: str, forgotten: str) -> weakref.finalize[Any, Any]:
    """Tell of a WebSocket or an EventSource, and remind of it where it is never answered with.

    Args:
        made: It, with its environ.
        kind: What log lines call it.
        forgotten: What a log line says of one that is collected unanswered.

    Returns:
        The reminder, to be detached by whoever answers.
    """
    hearer: Hearer | None = made.environ.get(KEY)
    if hearer is not None:
        hearer.made(made)
    path = made.environ.get("PATH_INFO", "")
    reminder = weakref.finalize(
        made, logger.warning, "%s %s on %s %s", kind, made.id, path, forgotten
    )
    reminder.atexit = False
    return reminder
