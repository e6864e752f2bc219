"""A connection that is opened from this side: who dials, who waits for that, what comes of it.

There is a link, or an outage, or neither: before the first and after the last.
Whoever needs a connection joins the outage; one thread takes it and dials. In
callback style that is the reading thread, in blocking style whoever was first,
or a thread of the outage's own where attempts may follow each other for long."""

from __future__ import annotations

import logging
import os
import time
from abc import abstractmethod

from faye_sync.concurrency import Concurrency, call_home, reentrant_lock, world_here
from faye_sync.connection import Connection
from faye_sync.delivery import exit_code
from faye_sync.errors import ConnectionClosed
from faye_sync.events import CloseEvent, ErrorEvent, Event, OpenEvent, ReadyState, ReconnectEvent
from faye_sync.housekeeping import housekeeper_of
from faye_sync.link import Link
from faye_sync.outage import Outage, Tries, final_event, for_receiver
from faye_sync.reconnect import Reconnect
from faye_sync.taking import Style
from faye_sync.terms import Terms
from faye_sync.transport.attempt import Attempt, CalledOff
from faye_sync.transport.request import without_secrets

logger = logging.getLogger("faye_sync")


class Dialing(Connection):
    """A client's connection, as far as opening it goes. Every method is safe from any thread."""

    def __init__(self, terms: Terms, policy: Reconnect | None, open_timeout: float | None) -> None:
        super().__init__(terms)
        self._policy = policy
        self._open_timeout = open_timeout
        self._home: Concurrency | None = None
        # Guards the steps between link, outage and end; reentrant, for signal handlers that close.
        self._dial_lock = reentrant_lock()
        self._outage: Outage | None = None
        self._close_with: tuple[int, str] | None = None
        # The end that no link tells of.
        self._final: CloseEvent | None = None
        self._failure: Exception | None = None
        self._is_discarding = False
        self._tries = Tries(policy)
        # Which process _home is of.
        self._process = 0

    @property
    @abstractmethod
    def url(self) -> str:
        """Where to."""

    @abstractmethod
    def _dial(self, attempt: Attempt) -> Link:
        """Open a link that has begun; all waits by the attempt."""

    # --- what there is now ------------------------------------------------------------------------

    def _open(self, timeout: float | None = None, late: str = "") -> Link | None:
        link = self._link
        outage = None if link is not None else self._join_outage()
        if outage is None:
            return self._link
        if outage.is_here():
            if outage.fresh is None:
                raise RuntimeError("there is no connection yet, and this thread is the one to dial")
            return outage.fresh
        if self._style is Style.CALLBACK and self._is_dispatching_here():
            # The reading thread is the one to dial, and it is in a listener.
            return None
        self._work_on(outage)
        timeout = self._terms.send_timeout if timeout is None else timeout
        return self._outcome(outage, timeout, late or f"there was no connection within {timeout} s")

    @property
    def ready_state(self) -> ReadyState:
        """CONNECTING, OPEN, CLOSING or CLOSED, equal to 0 to 3; CONNECTING between connections."""
        link = self._link_now()
        return super().ready_state if link is None else link.state

    def _link_now(self) -> Link | None:
        outage = self._outage
        return outage.fresh if outage is not None and outage.is_here() else self._link

    def _join_outage(self) -> Outage | None:
        """Return what is to be waited for; None when there is a link, or none to come."""
        with self._dial_lock:
            if self._link is not None or self._is_refused():
                return None
            if self._outage is None:
                outage = Outage(self._find_home())
                if self._is_refused():
                    # A signal handler has closed just now.
                    return None
                self._outage = outage
            return self._outage

    def _find_home(self) -> Concurrency:
        if self._home is None or self._process != os.getpid():
            self._home, self._process = world_here(), os.getpid()
        return self._home

    def _world(self) -> Concurrency:
        return self._find_home()

    def _refuse_in_listener(self, call: str) -> None:
        super()._refuse_in_listener(call)
        outage = self._outage
        if outage is not None and outage.is_here():
            raise RuntimeError(f"{call} inside a listener would wait for itself")

    def _is_dispatching_here(self) -> bool:
        return self._dispatching is not None and self._dispatching == self._world().current()

    def _outcome(self, outage: Outage, timeout: float | None, late: str) -> Link | None:
        """Wait for the end of an outage: another link, or None in callback style."""
        if not call_home(outage.world, lambda: outage.decided.wait(timeout)):
            failure = outage.failure
            raise TimeoutError(late if failure is None else f"{late}; the last attempt: {failure}")
        if outage.error is None:
            return outage.link
        if self._style is Style.CALLBACK:
            return None
        raise outage.error

    def _open_within(self, timeout: float | None, call: str, late: str) -> Link | None:
        outage = None if self._link is not None else self._join_outage()
        if outage is None:
            return self._link
        if outage.is_here():
            raise RuntimeError(f"{call} inside a listener would wait for itself")
        self._work_on(outage)
        return self._outcome(outage, timeout, late)

    # --- dialing ----------------------------------------------------------------------------------

    def _work_on(self, outage: Outage) -> None:
        """Have the outage ended by somebody; returns at once where that may take long."""
        if self._is_for_reader():
            return
        if self._receiver is None and outage.world.is_home():
            # Whoever wanted the connection is the one to read, until another thread begins to.
            self._receiver = outage.world.current()
        if self._policy is not None:
            self._spawn_dialer(outage)
        else:
            call_home(outage.world, lambda: self._run(outage))

    def _is_for_reader(self) -> bool:
        """Whether dialing is the business of the reading thread."""
        return self._style is Style.CALLBACK and self._is_started

    def _spawn_dialer(self, outage: Outage) -> None:
        try:
            if self._take(outage):
                outage.world.spawn(f"faye-sync-{self.id}-dial", lambda: self._end(outage))
        except RuntimeError as error:
            # Elsewhere, because this may be beneath the end of a link, with its lock held.
            failure = error
            housekeeper_of(outage.world).post(lambda: self._give_up(outage, failure))

    def _run(self, outage: Outage) -> None:
        """Dial, unless another is to; an interrupt leaves nothing half done."""
        try:
            if self._take(outage):
                self._end(outage)
        except BaseException as error:
            if outage.taker == outage.world.current() and not outage.decided.is_set():
                self._break_off(outage, exit_code(type(error)))
            raise

    def _take(self, outage: Outage) -> bool:
        with self._dial_lock:
            if outage.taker is not None:
                return False
            outage.taker = outage.world.current()
            return True

    def _break_off(self, outage: Outage, code: int) -> None:
        if outage.fresh is not None:
            outage.fresh.close(code, "")
            outage.fresh.disown()
        self._give_up(outage, ConnectionClosed(code, "", False, "local"))

    def _end(self, outage: Outage) -> None:
        """Dial until there is a link, or none will be."""
        outage.dialer = outage.world.current()
        try:
            link = self._dial_on(outage)
        except CalledOff:
            code, reason = self._close_with or (1006, "")
            self._give_up(outage, ConnectionClosed(code, reason, False, "local"))
        except Exception as error:
            self._give_up(outage, error)
        else:
            self._publish(outage, link)

    def _dial_on(self, outage: Outage) -> Link:
        failure = outage.cause
        while True:
            outage.check()
            if failure is not None:
                self._pause_before_next(outage, failure)
            try:
                with outage.attempt(self._open_timeout) as attempt:
                    outage.fresh = self._dial(attempt)
                    return outage.fresh
            except CalledOff:
                if outage.is_called_off:
                    raise
                # reconnect() wants the next one at once.
                failure = ConnectionClosed(1006, "", False, "local")
            except Exception as error:
                if not self._tries.failed(error):
                    raise
                failure = error

    def _pause_before_next(self, outage: Outage, failure: Exception) -> None:
        outage.failure = failure
        delay = self._tries.wait_after(failure)
        if outage.is_urgent:
            delay = 0.0
        if not self._listens(ReconnectEvent.type):
            self._log(failure, f"attempt {self._tries.waits} in {delay:.1f} s")
        self._tell(ReconnectEvent(self._tries.waits, delay, failure))
        outage.rest(delay)

    def _publish(self, outage: Outage, link: Link) -> None:
        """Run the open listeners, then let everybody use the link."""
        self._opened_at = time.time()
        self._carry_over(link)
        try:
            # The first event of a client's driver is of that kind too, and there is only one.
            link.incoming.inbox.popleft()
            self._tell(OpenEvent())
        except BaseException as error:
            # An interrupt, or sys.exit() in a listener, wherever that runs.
            link.close(exit_code(type(error)), "")
            raise
        finally:
            with self._dial_lock:
                self._tries.opened()
                # Before the outage goes, for a signal handler that closes in between.
                self._linked(link)
                self._outage = None
                outage.link, outage.dialer = link, None
            outage.decided.set()
            if self._close_with is not None:
                link.close(*self._close_with)
            if link.final is not None:
                self._ended(link)

    def _carry_over(self, link: Link) -> None:
        """Have a new link behave as the user told the one before to."""
        link.incoming.is_paused = self._resumed is not None
        if self._is_discarding:
            link.discard()

    def _give_up(self, outage: Outage, error: Exception) -> None:
        is_last = (
            self._close_with is not None
            or outage.cause is not None
            or self._style is Style.CALLBACK
            or self._is_started
        )
        try:
            if is_last:
                self._end_without_link(error)
        finally:
            with self._dial_lock:
                self._tries.gave_up()
                outage.error = error if outage.cause is None else for_receiver(error)
                outage.dialer = self._outage = None
                close_with = None if self._final is not None else self._close_with
            if close_with is not None:
                # It came just now.
                self._end_without_link(ConnectionClosed(*close_with, False, "local"))
            outage.decided.set()

    def _end_without_link(self, error: Exception) -> None:
        with self._dial_lock:
            self._final = final = final_event(error)
            self._failure = None if final.cause == "local" else error
        if self._failure is not None:
            if self._is_started and not self._listens(ErrorEvent.type):
                self._log(error, "no more attempts")
            self._tell(ErrorEvent(str(error), error))
        self._is_told_closed = True
        self._tell(final)

    def _log(self, failure: Exception, next_step: str) -> None:
        """Log what no listener hears of."""
        url = without_secrets(self.url)
        logger.warning("Client %s: no connection to %s: %s; %s", self.id, url, failure, next_step)

    def _tell(self, event: Event) -> None:
        """Run listeners on the thread that dials."""
        self._replay()
        self._dispatch(event)

    # --- the end ------------------------------------------------------------------------------------

    def _close(self, code: int) -> None:
        self.close(code)

    def _is_refused(self) -> bool:
        return self._final is not None or (self._link is None and self._is_orphan())

    def _is_orphan(self) -> bool:
        outage = self._outage
        return super()._is_orphan() if outage is None else outage.process != os.getpid()

    def _refusal_error(self) -> ConnectionClosed:
        final = self._final
        if final is None:
            return ConnectionClosed()
        error = ConnectionClosed(final.code, final.reason, False, final.cause)
        error.__cause__ = self._failure
        return error

    def _not_sent(self, link: Link | None) -> bool:
        if self._style is Style.CALLBACK:
            return False
        raise self._refusal_error() if link is None else link.closing_error()

    def _tell_of_end(self) -> None:
        outage = self._outage
        if outage is not None:
            # The one who was to dial may have ended.
            self._run(outage)
            outage.decided.wait()
        super()._tell_of_end()
