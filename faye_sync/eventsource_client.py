"""EventSourceClient: an event stream from its other end, for programs without an event loop."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator
from types import TracebackType
from typing import Any, TypeVar

import requests
from werkzeug.datastructures import Headers

from faye_sync.concurrency import Event as Flag, call_home, leaf_lock, world_here
from faye_sync.errors import EventSourceError
from faye_sync.event_request import EventRequest, HeaderPairs, check_id
from faye_sync.events import (
    CloseEvent,
    ErrorEvent,
    OpenEvent,
    ReadyState,
    ReconnectEvent,
    ServerSentEvent,
)
from faye_sync.resuming import Resuming, cause_of
from faye_sync.sse import EventParser
from faye_sync.stream_listeners import StreamListeners
from faye_sync.terms import check_octets, check_seconds
from faye_sync.transport.attempt import Attempt, CalledOff
from faye_sync.transport.fetch import Fetched
from faye_sync.transport.request import without_secrets

C = TypeVar("C", bound="EventSourceClient")

logger = logging.getLogger("faye_sync")


class EventSourceClient(StreamListeners):
    """The client's end of an event stream.

    Asks for it when it is first used. Used by iteration in the caller's thread, or
    by listeners with run(), or start() for a reading thread of the library's own.
    A GET is asked for again whenever it ends, with the id of the last event, until
    close(), a 204 or an answer that is final; any other method is sent exactly once.

    Args:
        url: With http or https.
        session: Its cookies, auth, headers, proxies, verify and cert apply, and
            cookies of the answer go into it; None for the rules of requests.get().
        method: Of HTTP.
        headers: More headers for the request, a mapping or pairs; or a callable
            that returns them, asked before every attempt.
        params: As requests takes them.
        data: As requests takes it.
        json: As requests takes it.
        last_event_id: What to resume after at first.
        reconnect: True or False force it; None for GET alone.
        retry: Seconds before the stream is asked for again, until it says another
            number; more after failures, and some by chance.
        max_delay: Seconds that no wait exceeds, but for what the server asks, and chance.
        open_timeout: Seconds for look-up, TCP, proxy, TLS, redirects and the head
            of the answer together; None for ever.
        read_timeout: Seconds that an open stream may be silent; None for ever. A
            server that pings need not be given longer than a few pings.
        max_event_size: Octets of the largest event taken.
        retry_statuses: Of answers that are not final, 503 for example.

    Raises:
        ConfigurationError: An option cannot work; nothing was sent.
    """

    def __init__(
        self,
        url: str,
        *,
        session: requests.Session | None = None,
        method: str = "GET",
        headers: HeaderPairs | Callable[[], HeaderPairs] | None = None,
        params: Any = None,
        data: Any = None,
        json: Any = None,
        last_event_id: str = "",
        reconnect: bool | None = None,
        retry: float = 3.0,
        max_delay: float = 30.0,
        open_timeout: float | None = 10.0,
        read_timeout: float | None = None,
        max_event_size: int = 2**26,
        retry_statuses: Collection[int] = (),
    ) -> None:
        super().__init__()
        body = {"params": params, "data": data, "json": json}
        self._request = EventRequest(url, session, method, headers, read_timeout, body)
        self._goes_on = self._request.is_repeated(reconnect)
        check_seconds("open_timeout", open_timeout, may_be_zero=False)
        check_octets("max_event_size", max_event_size)
        self._open_timeout = open_timeout
        self._max_event_size = max_event_size
        self._resuming = Resuming(retry, max_delay, retry_statuses)
        self._parser = EventParser(check_id(last_event_id), max_event_size=max_event_size)
        self._fetched: Fetched | None = None
        self._state = ReadyState.CONNECTING
        # Held by whoever reads; only ever tried.
        self._reader_lock = leaf_lock()
        self._finished: Flag | None = None
        self._is_closed = False
        self._is_outage_known = False
        self._attempt: Attempt | None = None

    # --- blocking style -----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ServerSentEvent]:
        """Yield events as they come; asks for the stream, and again where it ends.

        One that was left is gone on with by the next iteration, on another
        connection.

        Raises:
            EventSourceError: The answer is no event stream, and final; or an event
                exceeds max_event_size; or a stream that is not asked for again
                broke off.
            OSError: Where it is not asked for again: the network, or TLS, as it says.
            TimeoutError: Likewise, open_timeout or read_timeout passed.
            ConfigurationError: What headers or session gave cannot work.
            RuntimeError: Another thread reads already, or a listener is there for events
                of the stream, which iteration would not call.
        """
        self._check_iterable()
        return self._read()

    def __enter__(self: C) -> C:
        """Return the client, to be closed at the end of the with statement."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, and after start() wait for the listeners."""
        self.close()
        if self._is_started and not self._is_dispatching_here():
            self.join(self._open_timeout)

    # --- callback style -----------------------------------------------------------------------------

    def start(self: C) -> C:
        """Read on a thread (under gevent a greenlet) of the library's own, and return at once.

        Returns:
            The client.

        Raises:
            RuntimeError: Something reads already, or no thread could be started.
        """
        finished = self._begin()
        try:
            self._world.spawn(f"faye-sync-{self.id}", self._serve)
        except RuntimeError:
            self._end(CloseEvent(1006, "", False, "local"))
            finished.set()
            raise
        return self

    def run(self) -> None:
        """Dispatch to the listeners on the calling thread until the stream has ended for good.

        Raises:
            RuntimeError: Something reads already.
        """
        self._begin()
        call_home(self._world, self._serve)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of what start() began. Safe from any thread but the one that reads.

        Args:
            timeout: Seconds to wait; None waits for ever.

        Returns:
            True once it ended, False when the time is over or nothing was started.

        Raises:
            RuntimeError: Called in a listener, which would wait for itself.
        """
        if self._is_dispatching_here():
            raise RuntimeError("join() inside a listener would wait for itself")
        if self._is_orphan():
            return True
        finished = self._finished
        return finished is not None and call_home(self._world, lambda: finished.wait(timeout))

    def close(self) -> None:
        """End the stream, whatever it is at, and hand out no more events.

        Returns at once. Safe from any thread, twice too."""
        self._is_closed = True
        self._parser.is_stopped = True
        attempt = self._attempt
        if attempt is not None and not self._is_orphan():
            attempt.call_off()
        if not self._is_started and self._reader_lock.acquire(False):
            # Nobody reads who would tell of it.
            try:
                self._end(CloseEvent(1000, "", True, "local"))
            finally:
                self._reader_lock.release()

    # --- what can be asked --------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the stream came from, after redirects; before, the URL that was given."""
        return self._request.url if self._fetched is None else str(self._fetched.response.url)

    @property
    def last_event_id(self) -> str:
        """What the next attempt resumes after: that of the event which was handed out last."""
        return self._parser.taken_id

    @property
    def retry(self) -> float:
        """Seconds now in force: the stream's, or before it said any the client's."""
        return self._resuming.retry if self._parser.retry is None else self._parser.retry

    @property
    def ready_state(self) -> ReadyState:
        """CONNECTING, also between two streams, OPEN or CLOSED; equal to 0, 1 and 3."""
        return ReadyState.CLOSED if self.closed else self._state

    @property
    def closed(self) -> bool:
        """True once no more events will come, and in a child of the process that reads."""
        return self._state is ReadyState.CLOSED or self._is_orphan()

    @property
    def headers(self) -> Headers:
        """The headers of the last answer that was an event stream; empty before."""
        return Headers() if self._fetched is None else self._fetched.head.headers()

    @property
    def status_code(self) -> int | None:
        """200 once a stream was opened, None before."""
        return None if self._fetched is None else self._fetched.head.status

    # --- reading ------------------------------------------------------------------------------------

    def _read(self) -> Iterator[ServerSentEvent]:
        """Yield the events of all streams; raises what is final."""
        if self.closed:
            return
        if not self._reader_lock.acquire(False):
            raise RuntimeError("another thread reads already")
        try:
            self._world = world_here()
            self._is_iterated = not self._is_started
            while not self.closed:
                error: Exception | None = None
                try:
                    yield from self._read_once()
                except CalledOff:
                    break
                except Exception as failure:
                    error = failure
                if self._is_closed:
                    break
                self._go_on_after(error)
            if self._is_closed:
                self._end(CloseEvent(1000, "", True, "local"))
        finally:
            self._is_iterated = False
            if self._state is ReadyState.OPEN:
                # The loop was left, and the next one asks anew.
                self._state = ReadyState.CONNECTING
            self._reader_lock.release()

    def _read_once(self) -> Iterator[ServerSentEvent]:
        """Yield the events of one stream."""
        with self._new_attempt(self._open_timeout) as attempt:
            fetched = self._request.make(attempt, self.last_event_id)
            try:
                self._opened(fetched)
                yield from self._parser.parse(fetched.chunks())
            finally:
                fetched.close()

    def _new_attempt(self, timeout: float | None) -> Attempt:
        """Make the attempt that close() calls off from now on."""
        attempt = Attempt(self._world, timeout)
        self._attempt = attempt
        if self._is_closed:
            # Looked at after that, so that no close comes between.
            attempt.call_off()
        return attempt

    def _opened(self, fetched: Fetched) -> None:
        self._fetched = fetched
        self._resuming.retry = self.retry
        self._parser = EventParser(self.last_event_id, max_event_size=self._max_event_size)
        self._parser.is_stopped = self._is_closed
        self._state = ReadyState.OPEN
        self._resuming.opened()
        self._tell(OpenEvent())

    def _is_orphan(self) -> bool:
        """Whether this process is a child of the one that reads."""
        attempt = self._attempt
        return attempt is not None and attempt.process != os.getpid()

    # --- what follows on a stream -------------------------------------------------------------------

    def _go_on_after(self, error: Exception | None) -> None:
        """Wait for the next attempt to be due; or end, and raise what is final.

        Without an error the stream came to its end."""
        was_good, self._parser.has_given = self._parser.has_given, False
        is_too_big = error is not None and error is self._parser.failure
        if getattr(error, "status_code", None) == 204 or (error is None and not self._goes_on):
            self._end(CloseEvent(1000, "", True, "peer"))
        elif error is None:
            ended = EventSourceError("the server ended the event stream")
            self._wait_after(ended, was_good, is_lost=False)
        elif self._goes_on and not is_too_big and self._resuming.is_worth_it(error):
            self._tell(ErrorEvent(str(error), error))
            self._wait_after(error, was_good, is_lost=True)
        else:
            self._tell(ErrorEvent(str(error), error))
            was_open = self._state is ReadyState.OPEN
            self._end(CloseEvent(1006, str(error), False, cause_of(error, was_open=was_open)))
            raise error

    def _wait_after(self, error: Exception, was_good: bool, *, is_lost: bool) -> None:
        self._state = ReadyState.CONNECTING
        self._resuming.retry = self.retry
        delay = self._resuming.next_delay(error, was_good=was_good)
        attempt = self._resuming.attempt
        # Once for each outage; that a stream ends, and no more, is its server's way of going on.
        self._is_outage_known &= attempt > 1
        if not self._is_outage_known and (is_lost or attempt > 1):
            self._is_outage_known = True
            where = without_secrets(self._request.url)
            logger.warning("EventSourceClient %s to %s: %s", self.id, where, error)
        self._tell(ReconnectEvent(attempt, delay, error))
        with self._new_attempt(None) as pause:
            try:
                pause.wait((), delay)
            except CalledOff:
                return  # to the loop, which looks why

    def _end(self, event: CloseEvent) -> None:
        if self.closed:
            return
        self._state = ReadyState.CLOSED
        self._tell(event)

    # --- callback style, beneath ----------------------------------------------------------------

    def _begin(self) -> Flag:
        if self._is_started or not self._reader_lock.acquire(False):
            raise RuntimeError("something reads this stream already; make another client")
        self._is_started = True
        self._finished = finished = self._world.event()
        self._reader_lock.release()
        return finished

    def _serve(self) -> None:
        """Dispatch until the end; the body of a reading thread."""
        try:
            for event in self._read():
                self._tell(event)
        except Exception as error:
            # The listeners were told of it, by error and close.
            logger.debug("EventSourceClient %s ended: %r", self.id, error)
        finally:
            self._end(CloseEvent(1006, "", False, "local"))
            if self._finished is not None:
                self._finished.set()
