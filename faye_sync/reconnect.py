"""When to connect again: what is worth another attempt, and how long to wait for it.

Pure: knows neither sockets nor threads. Retry-After is RFC 9110 10.2.3."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from werkzeug.http import parse_date

from faye_sync.errors import (
    ConfigurationError,
    EventSourceError,
    FayeSyncError,
    HandshakeError,
)

# Seconds; a server that says more means never.
LONGEST_RETRY_AFTER = 86400.0


@dataclass(frozen=True, slots=True)
class Reconnect:
    """How a client connects again, from its first attempt on.

    Attributes:
        initial: Seconds before the second attempt.
        factor: By which each wait is longer than the one before, 1 or more.
        maximum: Seconds that no wait exceeds, but for a Retry-After.
        jitter: The part of each wait that is left to chance, 0 to 1: of 0.5,
            a wait of 8 is one of 4 to 8 seconds.
        max_attempts: Attempts without success after which the last error
            stands; None for no end.
        statuses: Of refusals that are worth another attempt.
        stable: Seconds open after which the waits begin anew.
        idle: Seconds without a message after which a connection counts as dead
            though pongs come; None for never.

    Raises:
        ConfigurationError: One of them cannot work.
    """

    initial: float = 1.0
    factor: float = 2.0
    maximum: float = 60.0
    jitter: float = 0.5
    max_attempts: int | None = None
    statuses: Collection[int] = (408, 425, 429, 500, 502, 503, 504)
    stable: float = 10.0
    idle: float | None = None

    def __post_init__(self) -> None:
        for name, (allowed, is_allowed) in _ALLOWED.items():
            value = getattr(self, name)
            if not is_allowed(value):
                raise ConfigurationError(f"{name} of Reconnect must be {allowed}, got {value!r}")

    def is_worth_it(self, error: BaseException) -> bool:
        """Tell whether another attempt may go better.

        Args:
            error: What the last one ended with.

        Returns:
            True for what the network did, for an answer that never came, and for
            refusals with one of the statuses.
        """
        if isinstance(error, HandshakeError | EventSourceError):
            return error.status_code is None or error.status_code in self.statuses
        # A certificate that is not trusted is no better a second later. By its name, because ssl is
        # a thing of the transport's.
        is_untrusted = type(error).__name__ == "SSLCertVerificationError"
        is_network = isinstance(error, OSError)
        return is_network and not is_untrusted

    def wait(self, attempt: int, error: BaseException) -> float:
        """Choose the seconds to wait.

        Args:
            attempt: Counts those without success, from 1.
            error: What the last one ended with; its Retry-After is honoured.

        Returns:
            Seconds, with chance in them.
        """
        try:
            longest = min(self.maximum, self.initial * self.factor ** (attempt - 1))
        except OverflowError:
            longest = self.maximum
        delay = longest * (1 - self.jitter * random.random())  # noqa: S311  # no secret
        return max(delay, retry_after(error))


def _in_range(least: float, most: float = sys.float_info.max) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    )


def _is_count(value: Any) -> bool:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (is_int and value > 0)


def _are_statuses(value: Any) -> bool:
    is_some = isinstance(value, Collection) and not isinstance(value, str | bytes)
    return is_some and all(isinstance(status, int) for status in value)


_SECONDS = ("seconds, 0 or more", _in_range(0.0))
_ALLOWED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "initial": _SECONDS,
    "factor": ("1 or more", _in_range(1.0)),
    "maximum": _SECONDS,
    "jitter": ("0 to 1", _in_range(0.0, 1.0)),
    "max_attempts": ("an int of 1 or more, or None", _is_count),
    "statuses": ("a collection of ints", _are_statuses),
    "stable": _SECONDS,
    "idle": (
        "seconds above 0, or None",
        lambda value: value is None or (_in_range(0.0)(value) and value > 0),
    ),
}


def retry_after(error: BaseException) -> float:
    """Read the seconds that the server of an error asks to wait (RFC 9110 10.2.3).

    Safe from any thread.

    Args:
        error: One of ours has the headers of the answer; others have none.

    Returns:
        Seconds, up to LONGEST_RETRY_AFTER; 0 where it asks nothing.
    """
    headers = getattr(error, "headers", None) if isinstance(error, FayeSyncError) else None
    value = "" if headers is None else headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:20]), LONGEST_RETRY_AFTER)
    try:
        date = parse_date(value)
    except OverflowError:
        # A year, a day or a zone beyond all bounds.
        return 0.0
    if date is None:
        return 0.0
    return min(max(0.0, (date - datetime.now(timezone.utc)).total_seconds()), LONGEST_RETRY_AFTER)


def idle_of(policy: object) -> float | None:
    """Refuse what is no Reconnect. Safe from any thread.

    Args:
        policy: A Reconnect, or None.

    Returns:
        Its idle; None where there is no policy.

    Raises:
        ConfigurationError: It is neither.
    """
    if policy is None:
        return None
    if not isinstance(policy, Reconnect):
        raise ConfigurationError(f"reconnect must be a Reconnect or None, got {policy!r}")
    return policy.idle
