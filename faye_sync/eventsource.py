"""EventSource: the server's end of an event stream, from the environ of a WSGI call."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from faye_sync.concurrency import world_here, world_of
from faye_sync.driver.handshake import check_headers, pairs_of
from faye_sync.environ import environ_of, page_url_of
from faye_sync.errors import ConfigurationError
from faye_sync.event_target import EventTarget
from faye_sync.events import Event, ReadyState
from faye_sync.feed import Feed
from faye_sync.made import note_failure, note_made
from faye_sync.pumping import Pump
from faye_sync.sse import CONTENT_TYPE, PING, encode as encode_event
from faye_sync.streaming import Streaming, find_way
from faye_sync.terms import check_octets, check_seconds

HeaderPairs = Mapping[str, str] | Iterable[tuple[str, str]]
StartResponse = Callable[..., Any]

logger = logging.getLogger("faye_sync")

_FORGOTTEN = (
    "was never answered with; return it from the view (Flask: return es; Django: return "
    "es.django_response(); plain WSGI: return es(environ, start_response))"
)
_HEADERS = {
    "Content-Type": f"{CONTENT_TYPE}; charset=utf-8",
    "Cache-Control": "no-cache, no-store, no-transform",
    # nginx would hold events back until a buffer is full.
    "X-Accel-Buffering": "no",
    # And so would whatever compresses, nginx's gzip and Django's GZipMiddleware among them: they
    # leave alone what has a coding.
    "Content-Encoding": "identity",
}
# What the server decides (PEP 3333, "Other HTTP Features"), and what makes it an event stream.
_NOT_FOR_USERS = frozenset(
    ("connection", "content-length", "content-type", "keep-alive", "transfer-encoding", "upgrade")
)


class EventSource(EventTarget):
    """The server's end of an event stream, made in a WSGI call, to be returned from it.

    send() may be called from any thread, before and after. Listeners of open,
    drain, error and close run one after the other on a thread (under gevent a
    greenlet) of the library's own.

    Args:
        environ: The WSGI environ, or a request object that has one.
        headers: More headers for the answer, a mapping or pairs; CORS, for example.
        retry: Seconds that the client is to wait before it reconnects; None
            leaves it to the client.
        ping: Seconds without an event after which a comment is sent; None for never.
        max_queue: Octets of events that may wait for a slow client. One event
            more ends the stream; its client comes again, and resumes by id.
        send_timeout: Seconds that the client may take nothing before the stream is
            ended; None for ever. Where the server hides the socket, only
            max_queue ends it.
        detach: True insists on leaving the WSGI call at once, False stays in
            it until the stream ends; None leaves it where the server allows.

    Raises:
        ConfigurationError: An option cannot work.
        HijackError: The server sends no body before it is whole; or detach is
            True, and the server does not show the client's socket.
        TypeError: environ is neither a mapping nor has one.
    """

    _names = ("open", "drain", "error", "close")

    def __init__(
        self,
        environ: Any,
        *,
        headers: HeaderPairs | None = None,
        retry: float | None = 5.0,
        ping: float | None = 10.0,
        max_queue: int = 2**20,
        send_timeout: float | None = 30.0,
        detach: bool | None = None,
    ) -> None:
        super().__init__()
        self.environ = environ_of(environ)
        self.id = secrets.token_hex(4)
        self._headers = _checked_headers(headers)
        check_seconds("retry", retry, may_be_zero=True)
        check_seconds("ping", ping, may_be_zero=False)
        check_seconds("send_timeout", send_timeout, may_be_zero=False)
        check_octets("max_queue", max_queue)
        _check_detach(detach)
        found = find_way(self.environ, must_detach=detach is True)
        world = world_here() if found is None else world_of(found.sock)
        self._feed = Feed(self.id, max_queue, world, _Listeners(self))
        # First, so that the client's stream opens at once.
        self._feed.offer(PING if retry is None else encode_event(None, retry=retry))
        self._streaming = Streaming(
            self.id,
            found,
            self._feed,
            ping,
            send_timeout,
            stays=detach is False,
            is_head=self.environ.get("REQUEST_METHOD") == "HEAD",
        )
        self._reminder = note_made(self, "EventSource", _FORGOTTEN)

    @staticmethod
    def is_eventsource(environ: Any) -> bool:
        """Tell whether a request asks for an event stream: GET, and Accept lists its type.

        The constructor takes other requests too. Safe from any thread.

        Args:
            environ: The WSGI environ, or a request object that has one.

        Returns:
            True when it does.

        Raises:
            TypeError: environ is neither a mapping nor has one.
        """
        asked = environ_of(environ)
        accept = parse_accept_header(asked.get("HTTP_ACCEPT"), MIMEAccept)
        is_listed = any(
            value.partition(";")[0].strip().lower() == CONTENT_TYPE and quality > 0
            for value, quality in accept
        )
        return asked.get("REQUEST_METHOD") == "GET" and is_listed

    # With its own docstring.
    encode = staticmethod(encode_event)

    @classmethod
    def stream(cls, environ: Any, iterable: Iterable[Any], **options: Any) -> EventSource:
        """Make an EventSource that sends what an iterable gives, and ends with it.

        The iterable is worked through on a thread (under gevent a greenlet) of the
        library's own, which waits while the client is slow; pings go out
        meanwhile. It is closed, if it can be, when the client has left and it
        gives the next item. With detach=False it is worked through in the
        server's thread, for generators that need it.

        Args:
            environ: The WSGI environ, or a request object that has one.
            iterable: Of str, int or float as data, mappings of encode()'s
                keywords, ServerSentEvents, and None for a ping.
            options: Those of the constructor.

        Returns:
            The EventSource, to be returned from the call.

        Raises:
            ConfigurationError: As the constructor raises it, like HijackError and
                TypeError; TypeError also where iterable is none.
        """
        if isinstance(iterable, str | bytes | Mapping) or not hasattr(iterable, "__iter__"):
            raise TypeError(f"stream() takes an iterable of events, got {type(iterable).__name__}")
        stream = cls(environ, **options)
        stream._streaming.pump = Pump(iterable, stream._feed)
        return stream

    # --- sending ----------------------------------------------------------------------------------

    def send(
        self,
        data: str | float,
        event: str | None = None,
        id: str | int | None = None,  # the field's own name
    ) -> bool:
        """Queue one event, and write what the client's kernel takes. Never waits.

        Safe from any thread, and before the object is called.

        Args:
            data: Text, or a number; all ends of lines in it become LF.
            event: Its name; None for message.
            id: What the client resumes after, by Last-Event-ID; an empty one
                resets the client's, None leaves it.

        Returns:
            True when it is queued; False once closed, and where max_queue
            octets wait already: then the stream has been ended.

        Raises:
            TypeError: data is no str, int or float; json.dumps() makes one.
            ValueError: event or id has CR, LF or NUL, or a text a lone surrogate.
        """
        if data is None:
            raise TypeError("an event carries str, int or float, got NoneType")
        return self._feed.offer(encode_event(data, event, id))

    def ping(self) -> bool:
        """Send a comment, which no client shows; otherwise like send().

        Returns:
            True when it is queued, False once closed.
        """
        return self._feed.offer(PING)

    def close(self) -> None:
        """End the stream behind what is queued; returns at once, safe from any thread.

        A client reconnects then, as always: answer it with 204 to have it stay away."""
        self._feed.close()

    # --- what can be asked ------------------------------------------------------------------------

    @cached_property
    def url(self) -> str:
        """The URL the client asked for."""
        return page_url_of(self.environ)

    @cached_property
    def last_event_id(self) -> str:
        """What the client resumes after: its Last-Event-ID, or lastEventId of the query; or ""."""
        sent = self.environ.get("HTTP_LAST_EVENT_ID")
        if sent is not None:
            # PEP 3333 has every header in latin-1, browsers send this one in UTF-8.
            return str(sent).encode("latin-1", "replace").decode("utf-8", "replace")
        query = parse_qs(self.environ.get("QUERY_STRING", ""))
        return str(query.get("lastEventId", [""])[0])

    @property
    def ready_state(self) -> ReadyState:
        """CONNECTING before the server has pulled, then OPEN, then CLOSED; equal to 0, 1 and 3."""
        return self._feed.state

    @property
    def closed(self) -> bool:
        """True once the stream has ended, whoever ended it."""
        return self._feed.state is ReadyState.CLOSED

    # --- the answer -------------------------------------------------------------------------------

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer the WSGI call: the last thing a view does, by calling or returning the object.

        Args:
            environ: The WSGI environ.
            start_response: As PEP 3333 has it.

        Returns:
            The body.
        """
        body = self._answer(environ)
        start_response("200 OK", [*self._headers])
        return body

    def django_response(self) -> Any:
        """Answer the call of a Django view: return es.django_response().

        Otherwise like calling the object.

        Returns:
            A django.http.StreamingHttpResponse.

        Raises:
            ImportError: Django is not installed.
        """
        from django.http import StreamingHttpResponse  # noqa: PLC0415  # for those who have it

        response = StreamingHttpResponse(self._answer(self.environ))
        for name, value in self._headers:
            response[name] = value
        return response

    # --- beneath ----------------------------------------------------------------------------------

    def _answer(self, environ: Mapping[str, Any]) -> Iterable[bytes]:
        self._reminder.detach()
        for each in (environ, self.environ):
            if isinstance(each, dict) and "eventlet.input" in each:
                # Otherwise it collects 16 KiB before it sends a chunk.
                each["eventlet.minimum_write_chunk_size"] = 1
        return self._streaming

    def _listener_added(self) -> None:
        if self._kept:
            self._feed.tell(None)

    def _report(self, text: str, error: BaseException) -> None:
        logger.error("EventSource %s: %s", self.id, text, exc_info=error)
        note_failure(self.environ, error)


class _Listeners:
    """The listeners of a stream, for its feed."""

    def __init__(self, source: EventSource) -> None:
        self._source = source

    def keep(self, event: Event) -> bool:
        # _keep() gives those that came just now.
        return not (self._source._listens(event.type) or self._source._keep(event))

    def hear(self, event: Event | None) -> None:
        if event is None:
            self._source._replay()
        else:
            self._source._dispatch(event)

    def failed(self, text: str, error: Exception) -> None:
        self._source._report(text, error)


def _check_detach(detach: object) -> None:
    if detach is not None and not isinstance(detach, bool):
        raise ConfigurationError(f"detach must be True, False or None, got {detach!r}")


def _checked_headers(headers: HeaderPairs | None) -> tuple[tuple[str, str], ...]:
    given = check_headers(pairs_of(headers))
    names = {name.lower() for name, _ in given}
    refused = sorted(names & _NOT_FOR_USERS)
    if refused:
        raise ConfigurationError(
            f"headers of an EventSource cannot have {', '.join(refused)}: the server and the "
            "stream set these"
        )
    own = ((name, value) for name, value in _HEADERS.items() if name.lower() not in names)
    return (*own, *given)
