"""The time without a connection, from its beginning to the next connection or the end;
and the attempts that are made in it."""

from __future__ import annotations

import os

from faye_sync import clock
from faye_sync.concurrency import Concurrency
from faye_sync.driver.frames import cut_reason
from faye_sync.errors import ConnectionClosed, HandshakeError, ProxyError
from faye_sync.events import CloseEvent
from faye_sync.link import Link
from faye_sync.reconnect import Reconnect
from faye_sync.transport.attempt import Attempt, CalledOff


class Outage:
    """What one thread does to end it, and all others wait for.

    Attributes:
        world: Where the dialing is done.
        process: And by which process.
        cause: What ended the connection before; None if there was none.
        is_urgent: Whether the first attempt is due at once.
        taker: Who is to dial, or has another do so.
        decided: Raised once link or error says how it ended.
        link: The next connection.
        error: Why there is none.
        failure: Of the last attempt, or of the connection before it.
        dialer: The thread or greenlet that is at it.
        fresh: The next connection while its open listeners run, on the dialer: nobody else
            may send before they have.
    """

    def __init__(
        self, world: Concurrency, cause: Exception | None = None, *, is_urgent: bool = False
    ) -> None:
        self.world = world
        self.process = os.getpid()
        self.cause = cause
        self.is_urgent = is_urgent
        self.taker: object = None
        self.decided = world.event()
        self.link: Link | None = None
        self.error: Exception | None = None
        self.failure: Exception | None = None
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
            self.check()
        return attempt

    def rest(self, delay: float) -> None:
        """Wait for the next attempt to be due.

        Raises:
            CalledOff: There is to be none.
        """
        try:
            pause = self.attempt(None)
        except OSError:
            # No descriptor is left to be woken by: call_off() shows when the delay is over.
            self.decided.wait(delay)
            self.check()
            return
        with pause:
            try:
                # Looked at with the pause in its place, so that no hurry comes between.
                pause.wait((), 0.0 if self.is_urgent else delay)
            except CalledOff:
                if self.is_called_off:
                    raise
        self.is_urgent = False

    def check(self) -> None:
        """Say so if there is no going on.

        Raises:
            CalledOff: There is not.
        """
        if self.is_called_off:
            raise CalledOff

    def call_off(self) -> None:
        """End the dialing without a connection. For any thread and for signals."""
        self.is_called_off = True
        self._interrupt()

    def hurry(self) -> None:
        """End the present wait, or attempt, so that the next one begins. For any thread."""
        self.is_urgent = True
        self._interrupt()

    def _interrupt(self) -> None:
        if self._attempt is not None:
            self._attempt.call_off()


class Tries:
    """Counts attempts as a Reconnect has it, over all outages of one client; for the dialer."""

    def __init__(self, policy: Reconnect | None) -> None:
        self._policy = policy
        self._failed = 0
        self._stable_since = 0.0
        # The waits since a connection was last stable.
        self.waits = 0

    def opened(self) -> None:
        """A connection stands."""
        self._failed = 0
        stable = 0.0 if self._policy is None else self._policy.stable
        self._stable_since = clock.monotonic() + stable

    def gave_up(self) -> None:
        """No more attempts are made; the next begins anew."""
        self._failed = self.waits = 0

    def lost(self) -> None:
        """It is lost: if it was stable, the waits begin anew."""
        if clock.monotonic() >= self._stable_since:
            self.waits = 0

    def failed(self, error: Exception) -> bool:
        """An attempt failed; tells whether another is to be made."""
        self._failed += 1
        policy = self._policy
        if policy is None or not policy.is_worth_it(error):
            return False
        return policy.max_attempts is None or self._failed < policy.max_attempts

    def wait_after(self, error: Exception) -> float:
        """Count another wait, and choose its seconds."""
        self.waits += 1
        return 0.0 if self._policy is None else self._policy.wait(self.waits, error)


def final_event(error: Exception) -> CloseEvent:
    """Make the close event of a connection that was not to be had."""
    if isinstance(error, ConnectionClosed):
        return CloseEvent(error.code, error.reason, False, error.cause)
    if isinstance(error, HandshakeError) and not isinstance(error, ProxyError):
        return CloseEvent(1002, cut_reason(str(error)), False, "handshake")
    return CloseEvent(1006, "", False, "connect")


def for_receiver(error: Exception) -> Exception:
    """What the network did is for whoever lost a connection by it the end of that, and no more."""
    if not isinstance(error, OSError) or isinstance(error, HandshakeError | ConnectionClosed):
        return error
    closed = ConnectionClosed(1006, "", False, "connect")
    closed.__cause__ = error
    return closed
