"""Wake a thread that waits for descriptors, from any other."""

from __future__ import annotations

from _socket import socketpair

from faye_sync.concurrency import Concurrency


class Waker:
    """A descriptor that becomes readable when any thread says so."""

    def __init__(self) -> None:
        self._ear, self._mouth = socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._ear.fileno()

    def wake(self) -> None:
        """Make it readable. Safe from any thread, and after close()."""
        try:
            self._mouth.send(b"\0")
        except OSError:
            # Full: it is readable as it is. Closed: nobody waits any more.
            return

    def reset(self) -> None:
        """Make it unreadable again."""
        try:
            self._ear.recv(4096)
        except BlockingIOError:
            # Something else woke the waiter.
            return

    def close(self) -> None:
        """Give up the descriptors."""
        self._ear.close()
        self._mouth.close()


class PolledFlag:
    """A flag for one waiter, who lets signal handlers run meanwhile.

    gunicorn asks for SIGTERM to restart system calls, so the main thread that waits
    for a lock would not hear of it; a poll is never restarted."""

    def __init__(self, world: Concurrency) -> None:
        self._world = world
        self._waker = Waker()
        self._flag = False

    def is_set(self) -> bool:
        """Look at the flag."""
        return self._flag

    def set(self) -> None:
        """Raise the flag and wake whoever waits. Safe from any thread, and after close()."""
        self._flag = True
        self._waker.wake()

    def clear(self) -> None:
        """Lower the flag; for whoever waits."""
        self._flag = False
        self._waker.reset()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the flag; False when timeout seconds passed first."""
        self._world.wait_readable(self._waker.fileno(), timeout)
        return self._flag

    def close(self) -> None:
        """Give up the descriptors."""
        self._waker.close()
