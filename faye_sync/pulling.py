"""From an outbox to a client by way of the WSGI server, which pulls block after block.

For servers that do not show the client's socket: that it has left is seen when
the server fails to write, so at the next event or ping."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from faye_sync.concurrency import Concurrency
from faye_sync.housekeeping import housekeeper_of
from faye_sync.outbox import Outbox
from faye_sync.outflow import Told
from faye_sync.sse import PING


class PulledOutflow:
    """A stream that the server pulls. Every method is safe from any thread, but for the server's."""

    # Of what housekeeping keeps: there is nothing to watch.
    turn = 0

    def __init__(
        self,
        world: Concurrency,
        outbox: Outbox,
        told: Told,
        ping: float | None,
        advance: Callable[[], bool] | None,
    ) -> None:
        self.world = world
        self.housekeeper = housekeeper_of(world)
        self._outbox = outbox
        self._told = told
        self._ping = ping
        # Has another event queued, in the server's own thread; False when there is none.
        self._advance = advance
        # Raised whenever there is something to look at.
        self._news = world.event()
        self._ending = ""
        self._is_over = False

    def begin(self) -> None:
        """Be told of the end of the process."""
        self.housekeeper.enroll(self)
        self._told.opened()

    def wake(self) -> None:
        """Have the server's thread look at the outbox."""
        if self._news.is_set():
            return
        if self.world.is_home():
            self._news.set()
        else:
            self.world.post(self._news.set)

    def close(self, cause: str = "local") -> None:
        """End the stream behind what is queued; returns at once."""
        self._ending = self._ending or cause
        self.wake()

    def cut(self, cause: str) -> None:
        """End the stream without what is queued; what the server is writing takes its time."""
        self._ending = self._ending or cause
        self._outbox.clear()
        self.wake()

    # --- for the server -----------------------------------------------------------------------------

    def pull(self) -> Iterator[bytes]:
        """Yield blocks, several events in one where several wait, until the stream ends."""
        while block := self._next():
            yield block
            # A server that never waits for its client would never let another greenlet run.
            self.world.breathe()
        self._finish(self._ending)

    def shut(self) -> None:
        """The server is done with it: where the stream has not ended, its client has left."""
        self._finish(self._ending or "eof")

    def _next(self) -> bytes:
        """Wait for the next block; empty at the end."""
        while True:
            # Lowered before the look, so that nothing that comes behind it is missed.
            self._news.clear()
            block = self._outbox.take()
            if block or self._ending:
                return block
            self._told.drained()
            if self._advance is not None:
                if not self._advance():
                    self.close()
            elif not self._news.wait(self._ping):
                return PING

    def _finish(self, cause: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._ending = cause
        self.housekeeper.live.discard(self)
        self._told.ended(cause)

    # --- for housekeeping, as of all that it keeps --------------------------------------------------

    def fileno(self) -> int:
        """None: the server has it."""
        return -1

    def neglected(self) -> None:
        """Nothing to do: a stream is never hot."""

    def say_goodbye(self) -> None:
        """The process ends: end the stream, whose client comes again and resumes."""
        self.close("shutdown")

    def lingers(self, overdue: float) -> bool:  # noqa: ARG002  # its client resumes elsewhere
        """No process goes on for a stream."""
        return False

    def see_off(self, timeout: float) -> None:
        """Nothing to do: the server writes."""

    def abandon(self) -> None:
        """This is a forked child: the server's thread is the parent's."""
        self._ending, self._is_over = "eof", True
        self._told.abandoned()
