"""The owner's side of a connection: the two styles, and the thread that reads.

Blocking style hands messages out by receive(), callback style by listeners;
whichever comes first fixes the style. Listeners run on the thread that reads,
and no lock is held while they run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from enum import Enum
from typing import TypeVar

from faye_sync.concurrency import NO_WAIT, call_home, leaf_lock
from faye_sync.delivery import Delivery, exit_code
from faye_sync.errors import ConnectionClosed
from faye_sync.events import DrainEvent, MessageEvent
from faye_sync.link import Link

R = TypeVar("R", bound="ReadingSide")


class Style(Enum):
    """How messages are handed out."""

    OPEN = "not chosen yet"
    BLOCKING = "receive(), iteration or start(function)"
    CALLBACK = "message listeners"


class ReadingSide(Delivery):
    """Receiving, dispatching, starting and waiting, for server and client alike."""

    def __init__(self) -> None:
        super().__init__()
        self._style = Style.OPEN
        self._is_started = False
        # What the peer gets from a call that ends without a close.
        self._unless_closed = 1011
        # Who called start(function), and so leaves the reading to another.
        self._starter: object = None
        # Held from the first start() or run() on; only ever tried.
        self._begun_lock = leaf_lock()
        # Held by whoever receives; only ever tried, so a real lock serves greenlets too.
        self._receiving_lock = leaf_lock()

    # --- what the subclass adds -------------------------------------------------------------------

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
        in here. Where this opens a client's connection, open_timeout bounds
        that, unless it has a Reconnect.

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
        is_first = self._style is not Style.BLOCKING
        if is_first:
            self._choose(Style.BLOCKING)
        link = self._source or self._source_when_open(timeout)
        if link is None:
            self._replay()
            raise self._refusal_error()
        if not link.world.is_home():
            return call_home(link.world, lambda: self.receive(timeout))
        if is_first:
            self._receiver = link.world.current()
        held = False
        try:
            (held,) = map(self._receiving_lock.acquire, NO_WAIT)
            if held:
                return self._receive(link, timeout)
            raise self._second_receiver_error(link)
        except (KeyboardInterrupt, SystemExit) as error:
            self._unless_closed = exit_code(type(error))
            raise
        finally:
            if held:
                self._receiving_lock.release()

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield messages until the connection closes, however it closes.

        Raises:
            RuntimeError: As for receive(), and on the thread that called
                start(function), which reads already.
        """
        self._refuse_second_reader()
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
            TypeError: function cannot be called.
            RuntimeError: Started already, or the other style is in use, or no
                thread could be started; then the peer gets 1011.
        """
        if function is not None and not callable(function):
            raise TypeError(f"start() takes a function, got {type(function).__name__}")
        style = Style.CALLBACK if function is None else Style.BLOCKING
        if not self._begin(style, "start()"):
            return self
        try:
            if function is None:
                self._run_reader(self._serve)
            else:
                self._starter, self._receiver = self._world().current(), None
                self._run_reader(lambda: self._talk(function))
        except RuntimeError:
            # No thread could be started, so nobody will ever read.
            self._close(1011)
            if self._link is not None:
                self._link.disown()
            self._finish()
            raise
        return self

    def run(self) -> None:
        """Dispatch to the listeners on the calling thread until the connection is closed.

        Raises:
            RuntimeError: Started already, or receive() is in use.
        """
        if self._begin(Style.CALLBACK, "run()"):
            call_home(self._world(), self._serve)

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
        finished = self._finished
        if finished is None:
            return self.wait_closed(timeout)
        return self._is_orphan() or call_home(self._world(), lambda: finished.wait(timeout))

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
        return self._wait_for_end(link, timeout)

    # --- beneath ----------------------------------------------------------------------------------

    def _wait_for_end(self, link: Link, timeout: float | None) -> bool:
        if link.final is None and self._is_reader(link):
            link.leave()
        is_closed = link.final is not None or call_home(
            link.world, lambda: link.closed.wait(timeout)
        )
        if is_closed and self._style is not Style.CALLBACK and self._is_reader(link):
            self._dispatch_rest(link)
        return is_closed

    def _is_refused(self) -> bool:
        return False

    def _is_orphan(self) -> bool:
        """Whether this is a forked child: the threads of this connection are the parent's."""
        return self._link is not None and self._link.is_abandoned

    def _begin(self, style: Style, call: str) -> bool:
        """Claim the reading for one start() or run(), and open the connection; False if refused."""
        if not self._begun_lock.acquire(False):
            raise RuntimeError(f"this connection was started already, so {call} comes too late")
        try:
            self._choose(style)
            is_open = self._open_for_reader()
        except BaseException:
            self._begun_lock.release()
            raise
        self._is_started = True
        if is_open:
            self._finished = self._world().event()
        else:
            self._replay()
        return is_open

    def _open_for_reader(self) -> bool:
        """Do what is to be done before a reading thread begins; False when there is none to be."""
        return self._open() is not None

    def _source_when_open(self, timeout: float | None) -> Link | None:  # noqa: ARG002  # for clients
        return self._open()

    @staticmethod
    def _second_receiver_error(link: Link) -> Exception:
        if link.is_abandoned:
            return link.closing_error()
        return RuntimeError(
            "another thread (or a listener's own caller) is receiving; "
            "messages are for one thread at a time"
        )

    def _refuse_second_reader(self) -> None:
        current = self._world().current()
        if self._starter is not None and self._starter == current != self._receiver:
            raise RuntimeError(
                "the function of start() reads this connection, so it cannot be iterated here "
                "(Bottle iterates what a view returns: return an empty answer with ws.status_code)"
            )

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

    def _receive(self, link: Link, timeout: float | None) -> str | bytes:
        if timeout is not None and math.isnan(timeout):
            raise ValueError("timeout must be seconds, or None for ever, got nan")
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            event = link.next(deadline, wakeable=self._listens(DrainEvent.type))
            if link.incoming.is_woken:
                self._replay_anew(link)
            if type(event) is MessageEvent:
                return event.data
            if event is None:
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(no_message_within(timeout))
                continue
            following = None
            if event is link.final:
                following = self._following(link, deadline, timeout)
            if following is not None:
                link = following
                continue
            self._deliver_in_place(link, event)
            if event is link.final:
                raise link.closing_error()

    def _is_reader(self, link: Link) -> bool:
        """Whether the caller is the one who reads, or would."""
        reader = self._dispatching if self._style is Style.CALLBACK else self._receiver
        return reader is not None and reader == link.world.current()

    def _dispatch_rest(self, link: Link) -> None:
        """Run the listeners of what nobody will receive any more."""
        held = False
        try:
            (held,) = map(self._receiving_lock.acquire, NO_WAIT)
            for event in link.rest() if held else ():
                if event is not link.final or not self._is_followed(link):
                    self._deliver_in_place(link, event)
        finally:
            if held:
                self._receiving_lock.release()


def no_message_within(timeout: float | None) -> str:
    """Say that a receive() came to its deadline."""
    return f"no message came within the timeout of {timeout} s"
