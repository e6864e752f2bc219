"""The owner's side of a connection: the two styles, and the thread that reads.

Blocking style hands messages out by receive(), callback style by listeners;
whichever comes first fixes the style. Listeners run on the thread that reads,
and no lock is held while they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from faye_sync.concurrency import THREADS, call_home, leaf_lock
from faye_sync.link import Link
from faye_sync.parking import Berth
from faye_sync.taking import Style, Taking
from faye_sync.terms import Terms

R = TypeVar("R", bound="ReadingSide")


class ReadingSide(Taking):
    """Dispatching, starting and waiting, for server and client alike."""

    __slots__ = ("_begun_lock", "_is_started", "_terms")

    def __init__(self, terms: Terms) -> None:
        super().__init__()
        self._terms = terms
        self._is_started = False
        # Held from the first start() or run() on; only ever tried.
        self._begun_lock = leaf_lock()

    # --- what the subclass adds -------------------------------------------------------------------

    def _may_park(self) -> bool:
        """Whether the thread that dispatches may leave while nothing comes."""
        return self._terms.park and self._world() is THREADS

    def _run_reader(self, reader: Callable[[], object]) -> None:
        """Run reader on a thread of its own, or wherever else it belongs."""
        self._world().spawn(f"faye-sync-{self.id}", reader)

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
                self._run_dispatcher()
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

    def _run_dispatcher(self) -> None:
        if not self._may_park():
            self._run_reader(self._serve)
            return
        self._berth = Berth(self._serve)
        self._berth.begin()

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

    def _is_reader(self, link: Link) -> bool:
        """Whether the caller is the one who reads, or would."""
        reader = self._dispatching if self._style is Style.CALLBACK else self._receiver
        return reader is not None and reader == link.world.current()

    def _dispatch_rest(self, link: Link) -> None:
        """Run the listeners of what nobody will receive any more."""
        held = False
        try:
            for held in self._attempts_to_receive:
                break
            for event in link.handout.rest() if held else ():
                if event is not link.final or not self._is_followed(link):
                    self._deliver_in_place(link, event)
        finally:
            if held:
                self._receiving_lock.release()
