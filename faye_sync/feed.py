"""The life of one event stream: what waits to be sent, who carries it, and who is told of it.

Above the ways out: a socket of the library's own (outflow.py), or the server
that pulls (pulling.py)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from faye_sync.concurrency import Concurrency, Event as Flag, reentrant_lock
from faye_sync.events import STEPS, CloseEvent, DrainEvent, ErrorEvent, Event, OpenEvent, ReadyState
from faye_sync.outbox import PORTION, Outbox
from faye_sync.transport.waker import PolledFlag

# Ends that lose nothing of what was queued.
_ORDERLY = frozenset(("local", "shutdown"))


class Outflow(Protocol):
    """A way out to the client."""

    world: Concurrency

    def begin(self) -> None:
        """Start; from then on the feed is told."""

    def wake(self) -> None:
        """Something is in the outbox."""

    def close(self, cause: str = ...) -> None:
        """End behind what is queued."""

    def cut(self, cause: str) -> None:
        """End now."""


class Listening(Protocol):
    """Whoever has the listeners."""

    def keep(self, event: Event) -> bool:
        """Keep an event for a listener to come; False where one is there."""

    def hear(self, event: Event | None) -> None:
        """Run the listeners of an event, or with None those that kept events wait for."""

    def failed(self, text: str, error: Exception) -> None:
        """Log an exception of the user's code."""


class Feed:
    """One stream's state. Every method is safe from any thread and never waits, but
    wait_for_room()."""

    def __init__(self, name: str, max_queue: int, world: Concurrency, listening: Listening) -> None:
        self.outbox = Outbox(max_queue)
        self.world = world
        self.state = ReadyState.CONNECTING
        self._name = name
        self._listening = listening
        self.outflow: Outflow | None = None
        # Raised when there is room, or nothing to wait for any more.
        self._room: Flag = world.event()
        self._wants_room = False
        # Guards the steps of the state, and the queue of what listeners are to hear.
        self._feed_lock = reentrant_lock()
        self._is_closing = False
        self._unheard: deque[Event | None] = deque()
        self._is_telling = False

    # --- for whoever sends ------------------------------------------------------------------------

    def offer(self, block: bytes) -> bool:
        """Queue a block; False once closed. Where it is one too many the stream is cut."""
        if self._is_closing:
            return False
        if not self.outbox.put(block):
            self.cut("queue full")
            return False
        if self.outflow is not None:
            self.outflow.wake()
        if self.world.is_home():
            # Under gevent, whoever sends to a thousand streams would else hold up everybody.
            self.world.breathe()
        return True

    def close(self) -> None:
        """End the stream behind what is queued; does nothing the second time."""
        with self._feed_lock:
            if self._is_closing:
                return
            self._is_closing = True
        if self.outflow is not None:
            self.outflow.close()

    def cut(self, cause: str) -> None:
        """End the stream now."""
        self._is_closing = True
        if self.outflow is not None:
            self.outflow.cut(cause)
        else:
            self.ended(cause)

    def wait_for_room(self) -> None:
        """Wait until little is queued, or the stream has ended. At home in the stream's world."""
        while self.outbox.octets > PORTION and not self._is_closing:
            self._room.clear()
            self._wants_room = True
            # Looked at again, because it may have been drained just before.
            if self.outbox.octets > PORTION and not self._is_closing:
                self._room.wait()
            self._wants_room = False

    def wait_ended(self) -> None:
        """Wait until nothing more goes out. At home in the stream's world."""
        while not self.has_ended():
            self._room.clear()
            # Looked at again, because it may have ended just before.
            if not self.has_ended():
                self._room.wait()

    def has_ended(self) -> bool:
        """Whether nothing more goes out."""
        return self.state is ReadyState.CLOSED

    @contextmanager
    def letting_signals_in(self) -> Iterator[None]:
        """Have signal handlers run while this thread, the main one, waits for the stream."""
        flag = PolledFlag(self.world)
        self._room = flag
        try:
            yield
        finally:
            flag.close()

    def begin(self, outflow: Outflow) -> None:
        """Have a way out carry what is queued, from now on.

        Raises:
            RuntimeError: No thread could be started for it.
        """
        self.outflow = outflow
        try:
            outflow.begin()
        except RuntimeError:
            self.ended("local")
            raise
        if self._is_closing:
            outflow.close()
        outflow.wake()

    def failed(self, text: str, error: Exception) -> None:
        """Log an exception of the user's code, and tell the error listeners."""
        self._listening.failed(text, error)
        self.tell(ErrorEvent(f"{text} {error!r}", error))

    # --- told by the way out ----------------------------------------------------------------------

    def opened(self) -> None:
        """The head is on its way."""
        with self._feed_lock:
            if ReadyState.OPEN not in STEPS[self.state]:
                return
            self.state = ReadyState.OPEN
        self.tell(OpenEvent())

    def drained(self, *, was_full: bool = False) -> None:
        """Everything is with the kernel; was_full where it had to wait for that."""
        if self._wants_room:
            self._raise(self._room)
        if was_full:
            self.tell(DrainEvent())

    def ended(self, cause: str) -> None:
        """Nothing more goes out."""
        with self._feed_lock:
            if ReadyState.CLOSED not in STEPS[self.state]:
                return
            self.state = ReadyState.CLOSED
        self._is_closing = True
        self.outbox.clear()
        self._raise(self._room)
        is_clean = cause in _ORDERLY
        self.tell(CloseEvent(1000 if is_clean else 1006, "", is_clean, cause))

    def abandoned(self) -> None:
        """This is a forked child: the stream is the parent's."""
        self._feed_lock = reentrant_lock()
        self._is_closing = True
        self.state = ReadyState.CLOSED

    def _raise(self, flag: Flag) -> None:
        if self.world.is_home():
            flag.set()
        else:
            self.world.post(flag.set)

    # --- telling ----------------------------------------------------------------------------------

    def tell(self, event: Event | None) -> None:
        """Have listeners hear of an event, in order, on a thread of the library's own.

        The thread lasts as long as there is something to hear: most streams need none."""
        with self._feed_lock:
            if self._is_telling:
                self._unheard.append(event)
                return
            if event is not None and self._listening.keep(event):
                return
            self._unheard.append(event)
            self._is_telling = True
        try:
            self.world.spawn(f"faye-sync-{self._name}-events", self._run_listeners)
        except RuntimeError as error:
            with self._feed_lock:
                self._is_telling = False
            self._listening.failed("no thread could be started for the listeners:", error)

    def _run_listeners(self) -> None:
        while True:
            with self._feed_lock:
                if not self._unheard:
                    self._is_telling = False
                    return
                event = self._unheard.popleft()
            self._listening.hear(event)
