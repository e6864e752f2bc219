"""From the link's events to the listeners, on whichever thread reads.

In callback style one thread serves them all until the end; in blocking style
receive() hands out the messages and delivers the rest on its way. No lock is
held while a listener runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from faye_sync.concurrency import THREADS, Concurrency, Event as Flag, leaf_lock
from faye_sync.errors import ConnectionClosed
from faye_sync.event_target import EventTarget
from faye_sync.events import CloseEvent, DrainEvent, Event, MessageEvent, PongEvent
from faye_sync.link import Link
from faye_sync.parking import Berth
from faye_sync.receiving import EVENT_COST

D = TypeVar("D", bound="Delivery")

logger = logging.getLogger("faye_sync")

# Octets of messages that callback style keeps for a listener to come.
KEPT_LIMIT = 65536


# What the exception that ends a with, or a reading thread, leaves the peer; anything else is 1011.
EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (ConnectionClosed, 1000),
    (GeneratorExit, 1000),
    (KeyboardInterrupt, 1001),
    (SystemExit, 1001),
)


def exit_code(kind: type[BaseException]) -> int:
    """Choose the close code for an exception that ends the use of a connection."""
    return next((code for error, code in EXIT_CODES if issubclass(kind, error)), 1011)


class Delivery(EventTarget):
    """The listeners' side of a connection: pausing, dropping, and the thread that dispatches."""

    __slots__ = (
        "_berth",
        "_dispatched",
        "_dispatching",
        "_finished",
        "_is_told_closed",
        "_keeps_messages",
        "_link",
        "_pause_lock",
        "_receiver",
        "_resumed",
        "_source",
    )

    id: str
    # What log lines call it.
    _kind = "WebSocket"

    def __init__(self) -> None:
        super().__init__()
        self._link: Link | None = None
        # The link whose messages are handed out next: an earlier one, where a new one came since.
        self._source: Link | None = None
        self._dispatching: object = None
        # The thread or greenlet that receives in blocking style.
        self._receiver: object = None
        self._finished: Flag | None = None
        # The place to come back to, where the thread that dispatches may leave meanwhile.
        self._berth: Berth | None = None
        # Whose events are being dispatched.
        self._dispatched: Link | None = None
        # Guards the step into a pause and out of it.
        self._pause_lock = leaf_lock()
        self._resumed: Flag | None = None
        self._is_told_closed = False
        self._keeps_messages = False

    # --- what a subclass adds -----------------------------------------------------------------------

    def _open(self, timeout: float | None = None) -> Link | None:
        """Return the link, after the handshake if need be; None when it was refused.

        Where another thread is at it, waits at most timeout seconds for that."""
        raise NotImplementedError

    def _reader_link(self) -> Link | None:
        """Return the link for a reading thread to begin with; None if there is to be none."""
        return self._link

    def _following(
        self,
        link: Link,  # noqa: ARG002  # for clients
        deadline: float | None = None,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002
    ) -> Link | None:
        """Return the link to be read after one that ended; None if that was the last.

        Waits for it until a clock time; a TimeoutError names the user's timeout."""
        return None

    def _is_followed(self, link: Link) -> bool:  # noqa: ARG002  # for clients
        """Whether the end of link is not that of the connection."""
        return False

    def _dispatch_rest(self, link: Link) -> None:
        """Run the listeners of what nobody will receive any more."""
        raise NotImplementedError

    # --- for users ----------------------------------------------------------------------------------

    def pause(self) -> None:
        """Hand out no more messages to listeners until resume(); safe from any thread.

        What is being read is kept, about 64 KiB of it; then the reading stops
        and the peer has to wait. Pings are answered as long as octets are read.
        """
        link = self._open()
        if link is None:
            return
        with self._pause_lock:
            if self._resumed is None:
                self._resumed = link.world.event()
            link.incoming.is_paused = True
        if link.final is not None:
            # The end, which resumes, may have come just before.
            self.resume()

    def resume(self) -> None:
        """Undo pause(); safe from any thread."""
        with self._pause_lock:
            resumed, self._resumed = self._resumed, None
            if self._link is not None:
                self._link.incoming.is_paused = False
        if resumed is None:
            return
        world = self._world()
        if world.is_home():
            resumed.set()
        else:
            world.post(resumed.set)

    def discard(self) -> None:
        """Read and drop messages from now on, for a connection that only sends.

        Safe from any thread."""
        link = self._open()
        if link is not None:
            link.discard()

    # --- the bodies of reading threads ----------------------------------------------------------------

    def _serve(self) -> Link | None:
        """Dispatch until the end, or while the berth has patience; returns the link that is left."""
        self._dispatching = self._world().current()
        try:
            self._replay()
            link = self._dispatched or self._reader_link()
            while link is not None:
                if not self._dispatch_all(link):
                    return link
                link = self._following(link)
        except BaseException as error:
            self._leave(error)
            raise
        finally:
            self._dispatching = None
        self._dispatched = None
        self._finish()
        return None

    def _dispatch_all(self, link: Link) -> bool:
        """Dispatch what comes from one link, its end included unless another link follows.

        Returns:
            False when nothing came for too long, and the thread is to leave.
        """
        if self._berth is not None and link is not self._dispatched:
            self._berth.take_in(link)
        self._dispatched = link
        is_over = False
        while not is_over:
            is_wakeable = self._is_wakeable()
            # A listener that came just now may wake a reader who cannot be woken any more.
            self._release_messages()
            event = link.handout.next(wakeable=is_wakeable)
            if link.incoming.is_woken:
                self._replay_anew(link)
            elif event is None:
                return False
            is_over = event is not None and event is link.final
            if event is not None and not (is_over and self._is_followed(link)):
                self._deliver(link, event)
        return True

    def _talk(self: D, function: Callable[[D], object]) -> None:
        """Run function, which reads in blocking style, and close behind it."""
        self._receiver = self._world().current()
        code = 1000
        try:
            if self._reader_link() is None:
                self._finish()
                return
            function(self)
        except Exception as error:
            code = exit_code(type(error))
            if not isinstance(error, ConnectionClosed):
                self._report("the function of start() raised", error)
        except BaseException as error:
            self._leave(error)
            raise
        self._close(code)
        self._tell_of_end()

    def _leave(self, error: BaseException) -> None:
        """SystemExit and its like end this thread at once: another tells of the end."""
        self._close(exit_code(type(error)))
        if self._link is not None:
            self._link.disown()
        self._world().spawn(f"faye-sync-{self.id}-end", self._tell_of_end)

    def _close(self, code: int) -> None:
        """Begin to close, where there is something to close."""
        if self._link is not None:
            self._link.close(code, "")

    def _tell_of_end(self) -> None:
        """Wait for the end, and run the listeners that nobody else will."""
        link = self._link
        if link is not None:
            link.closed.wait()
            self._dispatch_rest(link)
        self._finish()

    def _finish(self) -> None:
        if self._finished is not None:
            self._finished.set()

    # --- one event ------------------------------------------------------------------------------------

    def _deliver(self, link: Link, event: str | bytes | Event) -> None:
        if isinstance(event, (str, bytes)):
            self._deliver_message(link, MessageEvent(event))
            return
        if isinstance(event, PongEvent):
            self._call_back(link, event)
        elif isinstance(event, CloseEvent):
            if self._is_told_closed:
                return
            self._is_told_closed = True
            # For listeners that came before the flag; whoever comes after it replays himself.
            self._replay()
        self._dispatch(event)

    def _deliver_in_place(self, link: Link, event: Event) -> None:
        """Deliver to listeners in blocking style, on the thread that happens to read."""
        self._dispatching = link.world.current()
        try:
            self._deliver(link, event)
        finally:
            self._dispatching = None

    def _deliver_message(self, link: Link, event: MessageEvent) -> None:
        """Deliver a message unless paused, behind those that are kept; or keep it too."""
        while (resumed := self._resumed) is not None:
            if link.final is not None and not self._is_followed(link):
                break
            resumed.wait()
        if self._keeps_messages:
            self._kept.append(event)
            self._release_messages()
        else:
            self._keeps_messages = not self._dispatch(event)
        if self._keeps_messages:
            self._bound_kept(link)

    def _release_messages(self) -> None:
        """Hand kept messages to the first listener, before any later one."""
        if self._keeps_messages and self._listens(MessageEvent.type):
            self._replay()
            # A listener for one message only leaves the rest for the next.
            self._keeps_messages = any(isinstance(event, MessageEvent) for event in self._kept)

    def _replay_anew(self, link: Link) -> None:
        """Hand kept events to listeners that were added meanwhile."""
        link.incoming.is_woken = False
        outer, self._dispatching = self._dispatching, link.world.current()
        try:
            self._replay()
        finally:
            self._dispatching = outer

    def _call_back(self, link: Link, event: PongEvent) -> None:
        callback = link.sorting.callback_of(event)
        if callback is not None:
            try:
                callback()
            except Exception as error:
                self._listener_failed(event, error)

    def _bound_kept(self, link: Link) -> None:
        """Stop keeping messages that no listener comes for."""
        kept = sum(len(e.data) + EVENT_COST for e in self._kept if isinstance(e, MessageEvent))
        if kept > KEPT_LIMIT:
            self._kept = [e for e in self._kept if not isinstance(e, MessageEvent)]
            self._keeps_messages = False
            link.discard()
            logger.warning(
                "%s %s: no message listener took %d octets; messages are dropped from now "
                "on (call discard() if this connection only sends)",
                self._kind,
                self.id,
                kept,
            )

    # --- beneath --------------------------------------------------------------------------------------

    def _world(self) -> Concurrency:
        return THREADS if self._link is None else self._link.world

    def _is_wakeable(self) -> bool:
        """Whether something else than octets must end the wait; it costs a system call."""
        return not self._listens(MessageEvent.type) or self._listens(DrainEvent.type)

    def _ended(self, link: Link) -> None:
        """A link came to its end: wake whoever waits with it. On any thread."""
        self.resume()
        link.incoming.wake()

    def _listener_added(self) -> None:
        if self._is_told_closed:
            # The reading thread has ended; there is nobody else to tell it.
            self._replay()
        elif self._link is not None:
            self._link.incoming.wake()

    def _refuse_in_listener(self, call: str) -> None:
        if self._dispatching is not None and self._dispatching == self._world().current():
            raise RuntimeError(f"{call} inside a listener would wait for itself")

    def _report(self, text: str, error: BaseException) -> None:
        logger.error("%s %s: %s", self._kind, self.id, text, exc_info=error)
