"""When a client asks for its event stream again: never sooner than it was told, later after failures.

Pure: knows neither sockets nor threads. WHATWG HTML 9.2.3 lets a client wait
longer than the reconnection time, so all chance is added."""

from __future__ import annotations

import random
import time
from collections.abc import Collection

from faye_sync.reconnect import Reconnect, retry_after
from faye_sync.terms import check_seconds

# Seconds that a stream stands until it counts as good though it gave no event.
GOOD = 5.0
# The part of a wait that chance may add.
JITTER = 0.5
# Seconds that a second failure waits at least, where the server asked for none at all.
LEAST = 0.1


class Resuming:
    """One client's waits. For the thread that reads.

    Attributes:
        retry: Seconds now in force: the client's, or what the stream said last.
        attempt: Counts the attempts since a stream was good, from 0.

    Raises:
        ConfigurationError: An option cannot work.
    """

    def __init__(self, retry: float, max_delay: float, statuses: Collection[int]) -> None:
        check_seconds("retry", retry, may_be_zero=True)
        check_seconds("max_delay", max_delay, may_be_zero=True)
        self.retry = retry
        self.attempt = 0
        self._max_delay = max_delay
        self._policy = Reconnect(statuses=statuses)
        self._opened_at: float | None = None

    def opened(self) -> None:
        """A stream stands."""
        self._opened_at = time.monotonic()

    def is_worth_it(self, error: BaseException) -> bool:
        """Tell whether another attempt may go better than the one that ended with error."""
        return self._policy.is_worth_it(error)

    def next_delay(self, error: BaseException, *, was_good: bool) -> float:
        """Choose the seconds to the next attempt, and count it.

        Args:
            error: What ended the last one; its Retry-After is honoured.
            was_good: Whether an event came.

        Returns:
            Seconds, with chance in them.
        """
        opened_at, self._opened_at = self._opened_at, None
        stood = opened_at is not None and time.monotonic() - opened_at >= GOOD
        if was_good or stood:
            self.attempt = 0
        self.attempt += 1
        longest = max(self._max_delay, self.retry)
        least = LEAST if self.attempt > 1 else 0.0
        # Of more doublings than that a float cannot tell.
        delay = min(longest, max(self.retry, least) * 2.0 ** min(self.attempt - 1, 64))
        delay += delay * JITTER * random.random()  # noqa: S311  # no secret
        return max(delay, retry_after(error))


def cause_of(error: Exception, *, was_open: bool) -> str:
    """Say in a word of CloseEvent.cause what ended a stream, or kept it from opening."""
    if isinstance(error, TimeoutError) and was_open:
        return "idle"
    if getattr(error, "status_code", None) is not None:
        return "handshake"
    if isinstance(error, ConnectionResetError):
        return "reset"
    return "eof" if was_open else "connect"
