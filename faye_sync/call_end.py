"""The end of a WSGI call, which the far end of the swap tells, however the call ends."""

from __future__ import annotations

from collections.abc import Callable

from faye_sync.housekeeping import housekeeper_of
from faye_sync.readiness import READ
from faye_sync.transport.hijack import Taken, drain


def watch_call(taken: Taken, tell: Callable[[], object]) -> None:
    """Have housekeeping see when the server drops its end, and tell so.

    What the server still writes is thrown away meanwhile.

    Args:
        taken: The client's connection, and the far end of what the server has.
        tell: Run once on housekeeping; it must not wait.

    Raises:
        RuntimeError: The housekeeping thread could not be started.
    """
    housekeeper = housekeeper_of(taken.world)
    fd = taken.far_end.fileno()

    def look(_: int = 0) -> None:
        if not drain(taken.far_end):
            housekeeper.arm(fd, READ, look)
            return
        housekeeper.forget(fd)
        taken.far_end.close()
        tell()

    try:
        housekeeper.post(look)
    except RuntimeError:
        taken.far_end.close()
        raise
