"""What a connection grants its peer: seconds and octets, checked before anything happens."""

from __future__ import annotations

import math
from dataclasses import dataclass

from faye_sync.errors import ConfigurationError

# Whether 0 seconds make sense: never to wait does, to ping all the time does not.
_SECONDS = {
    "ping": False,
    "pong_timeout": False,
    "send_timeout": True,
    "close_timeout": True,
    "linger": True,
    "idle": False,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """One connection's limits.

    Attributes:
        ping: Seconds between keepalive pings; None for none.
        pong_timeout: Seconds without an octet after a ping; None for ever.
        send_timeout: Seconds that a send may wait; None for ever.
        close_timeout: Seconds that the peer has to answer a close; None for ever.
        max_queue: Octets that may wait unsent, and again unread.
        linger: Seconds that a process whose time is over goes on for it; None for ever.
        idle: Seconds without a message after which it counts as dead; None for ever.
        park: Whether a thread of the library's own may leave while nothing comes.
        goodbye: The reason that the peer gets when the process ends.

    Raises:
        ConfigurationError: One of them cannot work.
    """

    ping: float | None = 20.0
    pong_timeout: float | None = 20.0
    send_timeout: float | None = 30.0
    close_timeout: float | None = 10.0
    max_queue: int = 2**24
    linger: float | None = 0.0
    idle: float | None = None
    park: bool = True
    goodbye: str = "the server is going away"

    def __post_init__(self) -> None:
        for name, may_be_zero in _SECONDS.items():
            check_seconds(name, getattr(self, name), may_be_zero=may_be_zero)
        check_octets("max_queue", self.max_queue)
        check_flag("park", self.park)


def check_flag(name: str, value: object, *, may_be_none: bool = False) -> None:
    """Refuse what is neither True nor False.

    Raises:
        ConfigurationError: It is not, nor None where that may be.
    """
    if isinstance(value, bool) or (may_be_none and value is None):
        return
    allowed = "True, False or None" if may_be_none else "True or False"
    raise ConfigurationError(f"{name} must be {allowed}, got {value!r}")


def check_octets(name: str, value: object) -> None:
    """Refuse a limit that is no positive number of octets.

    Raises:
        ConfigurationError: It is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{name} must be a positive int of octets, got {value!r}")


def check_seconds(name: str, value: object, *, may_be_zero: bool) -> None:
    """Refuse a span of time that is none.

    Raises:
        ConfigurationError: It is neither seconds nor None.
    """
    if value is None:
        return
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and (0 < value < math.inf or (may_be_zero and value == 0)):  # type: ignore[operator]  # it is a number
        return
    least = "0 or more" if may_be_zero else "above 0"
    raise ConfigurationError(f"{name} must be seconds, {least}, or None for none, got {value!r}")
