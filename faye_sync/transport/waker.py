"""Wake a thread that waits for descriptors, from any other."""

from __future__ import annotations

from _socket import socketpair


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
