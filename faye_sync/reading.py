"""The owner's side of a connection: the two styles, and the thread that reads.

Blocking style hands messages out by receive(), callback style by listeners;
whichever comes first fixes the style. Listeners run on the thread that reads,
and no lock is held while they run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from enum import Enum
from typing import TypeVar

from faye_sync.concurrency import THREADS, Concurrency, Event as Flag, call_home, leaf_lock
from faye_sync.errors import ConnectionClosed
from faye_sync.event_target import EventTarget
from faye_sync.events import CloseEvent, Event, MessageEvent, PongEvent
from faye_sync.link import Link

R = TypeVar("R", bound="ReadingSide")

logger = logging.getLogger("faye_sync")

# Octets of messages that callback style keeps for a listener to come.
KEPT_LIMIT = 65536


class Style(Enum):
    """How messages are handed out."""

    OPEN = "not chosen yet"
    BLOCKING = "receive(), iteration or start(function)"
    CALLBACK = "message listeners"


class ReadingSide(EventTarget):
    """Receiving, dispatching, starting and waiting, for server and client alike."""

    id: str

    def __init__(self) -> None:
        super().__init__()
        self._link: Link | None = None
        self._style = Style.OPEN
        # Held by whoever receives; only ever tried, so a real lock serves greenlets too.
        self._receiving_lock = leaf_lock()
        self._dispatching: object = None
        self._is_started = False
        self._finished: Flag | None = None
        self._resumed: Flag | None = None
        self._kept_octets = 0
        self._is_told_closed = False

    # --- what the subclass adds -------------------------------------------------------------------

    def _open(self) -> Link | None:
        """Return the link, after the handshake if need be; None when it was refused."""
        raise NotImplementedError

    def _refusal_error(self) -> ConnectionClosed:
        """Make the error for using a connection that never opened."""
        raise NotImplementedError

    def _run_reader(self, reader: Callable[[], None]) -> None:
        """Run reader on a thread of its own, or wherever else it belongs."""
        self._world().spawn(f"faye-sync-{self.id}", reader)

    # --- blocking style ---------------------------------------------------------------------------

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Wait for the next message.

        Messages received before a close are handed out first. One thread may
        wait at a time, any may send meanwhile. Listeners of other events run
        in here.

        Args:
            timeout: Seconds to wait; None waits for ever, 0 only looks.

        Returns:
            str for a text message, bytes for a binary one; at most max_length
            octets on the wire.

        Raises:
            TimeoutError: Nothing came in time; the connection stays open.
            ConnectionClosed: Closed, and all messages are handed out; its code
                and reason say why, a ProtocolError behind it is its cause.
            RuntimeError: Called in callback style, in a listener, or while
                another thread receives.
        """
        if self._style is not Style.BLOCKING:
            self._choose(Style.BLOCKING)
        link = self._link or self._open()
        if link is None:
            self._replay()
            raise self._refusal_error()
        if not link.world.is_home():
            return call_home(link.world, lambda: self.receive(timeout))
        if not self._receiving_lock.acquire(False):
            raise RuntimeError(
                "another thread (or a listener's own caller) is receiving; "
                "messages are for one thread at a time"
            )
        try:
            return self._receive(link, timeout)
        finally:
            self._receiving_lock.release()

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield messages until the connection closes, however it closes.

        Raises:
            RuntimeError: As for receive().
        """
        while True:
            try:
                message = self.receive()
            except ConnectionClosed:
                return
            yield message

    # --- callback style, and threads of the library's own -----------------------------------------

    def start(self: R, function: Callable[[R], object] | None = None) -> R:
        """Read on a thread (under gevent a greenlet) of the library's own, and return at once.

        With a function, that thread runs function(connection) in blocking
        style; its end closes with 1000, an exception in it is logged and
        closes with 1011, a ConnectionClosed that leaves it is a normal end.
        Without, it dispatches to the message listeners. On a refused request
        nothing is started.

        Args:
            function: Takes the connection.

        Returns:
            The connection.

        Raises:
            RuntimeError: Started already, or the other style is in use.
        """
        if self._is_started:
            raise RuntimeError("this connection was started already; start() may be called once")
        self._choose(Style.CALLBACK if function is None else Style.BLOCKING)
        link = self._open()
        self._is_started = True
        if link is None:
            self._replay()
            return self
        self._finished = link.world.event()
        if function is None:
            self._run_reader(lambda: self._serve(link))
        else:
            self._run_reader(lambda: self._talk(link, function))
        return self

    def run(self) -> None:
        """Dispatch to the listeners on the calling thread until the connection is closed.

        Raises:
            RuntimeError: Started already, or receive() is in use.
        """
        if self._is_started:
            raise RuntimeError(
                "this connection was started already; run() is for those not started"
            )
        self._choose(Style.CALLBACK)
        link = self._open()
        self._is_started = True
        if link is None:
            self._replay()
            return
        self._finished = link.world.event()
        self._serve(link)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of what start() began; without a start, like wait_closed().

        Safe from any thread but the one that reads.

        Args:
            timeout: Seconds to wait; None waits for ever.

        Returns:
            True once it ended, False when the time is over.

        Raises:
            RuntimeError: Called in a listener, which would wait for itself.
        """
        self._refuse_in_listener("join()")
        finished, link = self._finished, self._link
        if finished is None or link is None:
            return self.wait_closed(timeout)
        return call_home(link.world, lambda: finished.wait(timeout))

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the connection is closed; reading goes on meanwhile. Safe from any thread.

        Args:
            timeout: Seconds to wait; None waits for ever, 0 only looks.

        Returns:
            True once closed, False when the time is over or nothing was opened.
        """
        link = self._link
        if link is None:
            self._replay()
            return self._is_refused()
        is_closed = link.final is not None or call_home(
            link.world, lambda: link.closed.wait(timeout)
        )
        if is_closed and self._style is not Style.CALLBACK:
            self._dispatch_rest(link)
        return is_closed

    def pause(self) -> None:
        """Hand out no more messages to listeners until resume(); safe from any thread.

        What is being read is kept, about 64 KiB of it; then the reading stops
        and the peer has to wait. Pings are answered as long as octets are read.
        """
        link = self._open()
        if link is not None and not link.incoming.is_paused:
            self._resumed = link.world.event()
            link.incoming.is_paused = True

    def resume(self) -> None:
        """Undo pause(); safe from any thread."""
        link, resumed = self._link, self._resumed
        if link is None or resumed is None:
            return
        link.incoming.is_paused = False
        if link.world.is_home():
            resumed.set()
        else:
            link.world.post(resumed.set)

    def discard(self) -> None:
        """Read and drop messages from now on, for a connection that only sends.

        Safe from any thread."""
        link = self._open()
        if link is not None:
            link.discard()

    # --- beneath ----------------------------------------------------------------------------------

    def _world(self) -> Concurrency:
        return THREADS if self._link is None else self._link.world

    def _is_refused(self) -> bool:
        return False

    def _choose(self, style: Style) -> None:
        self._refuse_in_listener("receive()" if style is Style.BLOCKING else "start()")
        if self._style not in (Style.OPEN, style):
            raise RuntimeError(
                f"messages of this connection are handed out by {self._style.value}; "
                f"they cannot also be by {style.value}: use one of the two"
            )
        if style is Style.BLOCKING and self._listens(MessageEvent.type):
            raise RuntimeError(
                "a message listener was added, so receive() would take its messages away; "
                "use either on('message', ...) or receive(), iteration and start(function)"
            )
        self._style = style

    def _check(self, name: str, listener: object) -> None:
        super()._check(name, listener)
        if name == MessageEvent.type and self._style is Style.BLOCKING:
            raise RuntimeError(
                "messages of this connection are handed out by receive(), so a message listener "
                "would never run; use one of the two"
            )

    def _listener_added(self) -> None:
        link = self._link
        if link is None:
            return
        if self._is_told_closed:
            # The reading thread has ended; there is nobody else to tell it.
            self._replay()
        else:
            link.incoming.wake()

    def _refuse_in_listener(self, call: str) -> None:
        if self._dispatching is not None and self._dispatching == self._world().current():
            raise RuntimeError(f"{call} inside a listener would wait for itself")

    def _receive(self, link: Link, timeout: float | None) -> str | bytes:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            event = link.next(deadline)
            if type(event) is MessageEvent:
                return event.data
            if event is None:
                raise TimeoutError(f"no message came within the timeout of {timeout} s")
            self._deliver_in_place(link, event)
            if event is link.final:
                raise link.closing_error()

    def _serve(self, link: Link) -> None:
        """Dispatch until the end; the body of a reading thread."""
        self._dispatching = link.world.current()
        link.on_end = self._wake_reader
        try:
            event: Event | None = None
            while event is None or event is not link.final:
                if self._kept:
                    self._replay()
                event = link.next(wakeable=self._is_wakeable())
                if event is not None:
                    self._deliver(link, event)
        except BaseException:
            # SystemExit and its like end this thread; the peer must learn of it.
            link.close(1011, "")
            raise
        finally:
            self._dispatching = None
            self._finish()

    def _talk(self: R, link: Link, function: Callable[[R], object]) -> None:
        """Run function in blocking style; the body of a thread of start(function)."""
        code = 1011
        try:
            function(self)
            code = 1000
        except ConnectionClosed:
            code = 1000
        except Exception as error:
            self._report("the function of start() raised", error)
        finally:
            link.close(code, "")
            link.closed.wait()
            self._dispatch_rest(link)
            self._finish()

    def _finish(self) -> None:
        if self._finished is not None:
            self._finished.set()

    def _is_wakeable(self) -> bool:
        """Whether something else than octets must end the wait; it costs a system call."""
        return not self._listens(MessageEvent.type) or self._listens("drain")

    def _wake_reader(self) -> None:
        self.resume()
        if self._link is not None:
            self._link.incoming.wake()

    def _deliver(self, link: Link, event: Event) -> None:
        if type(event) is MessageEvent:
            if link.incoming.is_paused and self._resumed is not None and link.final is None:
                self._resumed.wait()
            self._dispatch(event)
            if self._kept:
                self._bound_kept(link, event)
            return
        if isinstance(event, PongEvent):
            self._call_back(link, event)
        self._is_told_closed = self._is_told_closed or isinstance(event, CloseEvent)
        self._dispatch(event)

    def _deliver_in_place(self, link: Link, event: Event) -> None:
        """Deliver to listeners in blocking style, where each may be told of the end once."""
        if isinstance(event, CloseEvent) and self._is_told_closed:
            return
        self._dispatching = link.world.current()
        try:
            if self._kept:
                self._replay()
            self._deliver(link, event)
        finally:
            self._dispatching = None

    def _dispatch_rest(self, link: Link) -> None:
        """Run the listeners of what nobody will receive any more."""
        if not self._receiving_lock.acquire(False):
            return
        try:
            for event in link.rest():
                self._deliver_in_place(link, event)
        finally:
            self._receiving_lock.release()

    def _call_back(self, link: Link, event: PongEvent) -> None:
        callback = link.callback_of(event)
        if callback is not None:
            try:
                callback()
            except Exception as error:
                self._listener_failed(event, error)

    def _bound_kept(self, link: Link, event: MessageEvent) -> None:
        """Stop keeping messages that no listener comes for."""
        self._kept_octets += len(event.data)
        if self._kept_octets > KEPT_LIMIT and not self._listens(event.type):
            self._kept = type(self._kept)(e for e in self._kept if e.type != event.type)
            link.discard()
            logger.warning(
                "WebSocket %s: no message listener took %d octets; messages are dropped from now "
                "on (call discard() if this connection only sends)",
                self.id,
                self._kept_octets,
            )

    def _report(self, text: str, error: BaseException) -> None:
        logger.error("WebSocket %s: %s", self.id, text, exc_info=error)
