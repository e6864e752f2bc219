"""What is made in a WSGI call: told to whoever asked for that, and to the log if it is forgotten."""

from __future__ import annotations

import logging
import weakref
from typing import Any

# Where an environ may have a function that is called with each WebSocket and EventSource made of
# it: how the clients of testing.py come to know the server's end.
KEY = "faye_sync.made"

logger = logging.getLogger("faye_sync")


def note_made(made: Any, kind: str, forgotten: str) -> weakref.finalize[Any, Any]:
    """Tell of a WebSocket or an EventSource, and remind of it where it is never answered with.

    Args:
        made: It, with its environ.
        kind: What log lines call it.
        forgotten: What a log line says of one that is collected unanswered.

    Returns:
        The reminder, to be detached by whoever answers.
    """
    hear = made.environ.get(KEY)
    if hear is not None:
        hear(made)
    path = made.environ.get("PATH_INFO", "")
    reminder = weakref.finalize(
        made, logger.warning, "%s %s on %s %s", kind, made.id, path, forgotten
    )
    reminder.atexit = False
    return reminder
