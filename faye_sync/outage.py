"""The time without a connection, from its beginning to the next connection or the end."""

from __future__ import annotations

from faye_sync.concurrency import Concurrency
from faye_sync.link import Link
from faye_sync.transport.attempt import Attempt, CalledOff


class Outage:
    """What one thread does to end it, and all others wait for.

    Attributes:
        world: Where the dialing is done.
        cause: What ended the connection before; None if there was none.
        is_urgent: Whether the first attempt is due at once.
        is_taken: Whether somebody is at it.
        decided: Raised once link or error says how it ended.
        link: The next connection.
        error: Why there is none.
        dialer: The thread or greenlet that is at it.
        fresh: The next connection while its open listeners run, on the dialer: nobody else
            may send before they have.
    """

    def __init__(
        self, world: Concurrency, cause: Exception | None = None, *, is_urgent: bool = False
    ) -> None:
        self.world = world
        self.cause = cause
        self.is_urgent = is_urgent
        self.is_taken = False
        self.decided = world.event()
        self.link: Link | None = None
        self.error: Exception | None = None
        self.dialer: object = None
        self.fresh: Link | None = None
        self.is_called_off = False
        self._attempt: Attempt | None = None

    def is_here(self) -> bool:
        """Whether the caller is the one who dials, in a listener maybe."""
        return self.dialer is not None and self.dialer == self.world.current()

    def attempt(self, timeout: float | None) -> Attempt:
        """Make the attempt that call_off() ends from now on, to be closed by the caller.

        Raises:
            CalledOff: So it was, already.
        """
        attempt = Attempt(self.world, timeout)
        self._attempt = attempt
        if self.is_called_off:
            # Looked at after that, so that no calling off comes between.
            attempt.close()
            raise CalledOff
        return attempt

    def rest(self, delay: float) -> None:
        """Wait for the next attempt to be due.

        Raises:
            CalledOff: There is to be none.
        """
        with self.attempt(None) as pause:
            try:
                pause.wait((), delay)
            except CalledOff:
                if self.is_called_off:
                    raise

    def call_off(self) -> None:
        """End the dialing without a connection. For any thread and for signals."""
        self.is_called_off = True
        self.hurry()

    def hurry(self) -> None:
        """End the present wait, or attempt, so that the next one begins. For any thread."""
        if self._attempt is not None:
            self._attempt.call_off()
