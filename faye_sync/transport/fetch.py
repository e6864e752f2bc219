"""One request for an event stream, through requests and urllib3 on a socket of ours.

urllib3 writes the request and reads the answer; what it takes for a socket is a
Pipe, each of whose waits the attempt can call off. Nothing is ever sent twice:
a connection serves one request, and nobody below requests tries again."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import Any

import requests
from requests.utils import urldefragauth
from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from faye_sync.errors import EventSourceError
from faye_sync.sse import CONTENT_TYPE, is_event_stream
from faye_sync.transport.adapter import urllib3_response
from faye_sync.transport.answer import BODY_LIMIT, Fields, Head
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.chunks import CHUNK, chunks_of
from faye_sync.transport.hops import Hop, HopAdapter, Refused, Ways, leads_on
from faye_sync.transport.pipe import Pipe
from faye_sync.transport.route import Route
from faye_sync.transport.shadow import ask
from faye_sync.transport.wayfinder import Wayfinder


class Fetched:
    """An event stream that was opened, to be closed by whoever has it.

    Attributes:
        response: As requests has it; its body is read by chunks() alone.
        head: The status line and the headers.
    """

    def __init__(
        self, raw: BaseHTTPResponse, response: requests.Response, head: Head, route: Route
    ) -> None:
        self._raw: Any = raw
        self.response = response
        self.head = head
        self._route = route

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes, decoded; for the thread that opened it.

        Raises:
            EventSourceError: It broke off before its end, or cannot be decoded.
            OSError: The connection, as it says.
            TimeoutError: A deadline passed.
            CalledOff: So it was.
        """
        try:
            yield from chunks_of(self._raw)
        except (HTTPException, HTTPError) as error:
            raise _reason(error, "the event stream broke off") from error
        left = getattr(self._raw._original_response, "length", None)
        if left:
            raise EventSourceError(f"the event stream broke off with {left} octets to come")

    def close(self) -> None:
        """Give up the descriptor."""
        _close(self._raw)
        self._route.close()


def fetch(
    ways: Wayfinder,
    method: str,
    url: str,
    headers: Mapping[str, Any],
    auth: Any,
    attempt: Attempt,
    *,
    last_event_id: str = "",
    read_timeout: float | None = None,
    **body: Any,
) -> Fetched:
    """Open an event stream.

    Args:
        ways: How the client gets to its servers.
        method: Of HTTP.
        url: With http or https; check_url() let it through.
        headers: By name.
        auth: As auth_for() gives it.
        attempt: Its deadline, over all hops, and who may call it off, to the end of the stream.
        last_event_id: To resume after; goes to other origins too, as browsers have it.
        read_timeout: Seconds that the stream may be silent; None for ever.
        body: params, data and json, as requests takes them.

    Returns:
        The open stream.

    Raises:
        EventSourceError: The answer is no event stream, with what it is; or there is
            none that can be read, without a status.
        ConfigurationError: Something of the session or auth cannot be sent.
        OSError: The network, or TLS, as it says.
        TimeoutError: The attempt's deadline passed.
        CalledOff: So it was.
    """
    adapter = FetchAdapter(ways, attempt, last_event_id, read_timeout)
    try:
        ask(ways, adapter, method, url, headers, auth, **body)
        fetched = _fetched(adapter)
    except BaseException:
        adapter.give_up()
        raise
    attempt.allow(None)
    return fetched


def _fetched(adapter: FetchAdapter) -> Fetched:
    if adapter.fetched is not None:
        return adapter.fetched
    if not adapter.refusals:
        raise EventSourceError("the session answered by itself, so no stream was opened")
    raise adapter.unwanted()


class FetchAdapter(HopAdapter):
    """One attempt's transport for requests; for one thread.

    Attributes:
        fetched: The event stream, once an answer was one.
    """

    MARK = ("Accept", CONTENT_TYPE)
    HARMLESS = frozenset(
        (
            "accept",
            "accept-encoding",
            "accept-language",
            "cache-control",
            "content-length",
            "content-type",
            "cookie",
            "origin",
            "transfer-encoding",
            "user-agent",
        )
    )
    TUNNELS = False

    def __init__(
        self, ways: Ways, attempt: Attempt, last_event_id: str, read_timeout: float | None
    ) -> None:
        super().__init__(ways, attempt)
        # What blanks it begins or ends with no header can carry. requests would take it for latin-1.
        self._last_event_id = last_event_id.strip(" \t").encode().decode("latin-1")
        self._read_timeout = read_timeout
        self.fetched: Fetched | None = None

    def give_up(self) -> None:
        """Close what was opened and will not be used."""
        if self.fetched is not None:
            self.fetched.close()
            self.fetched = None

    def refusal(self, message: str) -> EventSourceError:
        """Make the error that tells of the last answer."""
        if not self.refusals:
            return EventSourceError(message)
        last = self.refusals[-1]
        return EventSourceError(message, last.head.status, last.head.headers(), last.body)

    def unwanted(self) -> EventSourceError:
        """Make the error for a last answer that is no event stream."""
        head = self.refusals[-1].head
        kind = head.headers().get("Content-Type", "none")
        if head.status != 200:
            return self.refusal(f"the server answered {head.said}, and no event stream")
        return self.refusal(f"Content-Type must be {CONTENT_TYPE}, got {kind[:80]!r}")

    # --- beneath ----------------------------------------------------------------------------------

    def _own_fields(self) -> Fields:
        last = self._last_event_id
        return (("Last-Event-ID", last),) if last else ()

    def _is_own(self, name: str) -> bool:
        # Whether the connection lasts is for this side to say, and it says nothing.
        return name.lower() in ("connection", "last-event-id")

    def _exchange(self, hop: Hop, route: Route) -> requests.Response:
        sock = _PipeSocket(route.pipe, self._before_read)
        raw = _answer(_Connection(hop.host, sock), hop)
        if sock.file.has_ended:
            # http.client takes the end of the connection for that of the head.
            raise EventSourceError(f"{hop.host} closed the connection before a whole answer")
        head = Head(raw.status, raw.reason or "", "1.1", tuple(raw.headers.items()))
        if head.status == 200 and is_event_stream(raw.headers.get("Content-Type", "")):
            self.give_up()
            response = self.build_response(hop.request, raw)
            self.fetched = Fetched(raw, response, head, route)
            return response
        body = b"" if leads_on(head) else _start_of(raw)
        _close(raw)
        route.close()
        response = self.build_response(hop.request, urllib3_response(head, body))
        self.refusals.append(Refused(response, head, body))
        return response

    def _before_read(self) -> None:
        """Renew the deadline of an open stream."""
        if self.fetched is not None and self._read_timeout is not None:
            late = f"nothing came within the read_timeout of {self._read_timeout} s"
            self._attempt.phase = ""
            self._attempt.allow(self._read_timeout, late)


class _Connection(HTTPConnection):
    """urllib3's connection, on a socket that is open, and never on another."""

    auto_open = 0

    class response_class(HTTPResponse):  # noqa: N801  # http.client's name for it
        """An answer, without the interim ones before it (RFC 9110 15.2)."""

        def begin(self) -> None:
            super().begin()
            # http.client itself passes over 100 alone. Behind a 101 there is no HTTP.
            while 101 < self.status < 200:
                self.headers = None  # type: ignore[assignment]  # as before the first
                super().begin()

    def __init__(self, host: str, sock: _PipeSocket) -> None:
        super().__init__(host)
        self.sock = sock


class _PipeSocket:
    """What http.client calls of a socket. The route that the pipe is of is closed elsewhere."""

    def __init__(self, pipe: Pipe, before_read: Callable[[], None]) -> None:
        self._pipe = pipe
        self.file = _PipeFile(pipe, before_read)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(self.file, CHUNK)

    def sendall(self, data: Any) -> None:
        self._pipe.send_all(bytes(data))

    def settimeout(self, _: Any) -> None:
        """Nothing to do: deadlines are the attempt's."""

    setsockopt = shutdown = settimeout

    def close(self) -> None:
        """Nothing to do: the route is closed by whoever has it."""


class _PipeFile(io.RawIOBase):
    """The octets that come through a pipe, as a file."""

    def __init__(self, pipe: Pipe, before_read: Callable[[], None]) -> None:
        super().__init__()
        self._pipe = pipe
        self._before_read = before_read
        self._held = memoryview(b"")
        self.has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._held:
            self._before_read()
            self._held = memoryview(self._pipe.recv())
            self.has_ended = not self._held
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size


def _answer(conn: _Connection, hop: Hop) -> BaseHTTPResponse:
    request = hop.request
    headers = HTTPHeaderDict(hop.fields)
    target = request.path_url
    if hop.proxy is not None:
        # RFC 9112 3.2.2: a proxy is asked for the whole URL.
        target = str(urldefragauth(request.url or ""))
        headers.extend(hop.proxy.headers)
    is_chunked = request.body is not None and "Content-Length" not in headers
    try:
        # A server that refuses may answer, and close, before it was told all.
        with suppress(BrokenPipeError):
            conn.request(
                str(request.method),
                target,
                body=request.body,
                headers=headers,
                chunked=is_chunked,
                preload_content=False,
                decode_content=False,
            )
        return conn.getresponse()
    except (HTTPException, HTTPError) as error:
        raise _reason(error, f"{hop.host} gave no answer that can be read") from error


def _reason(error: Exception, what: str) -> Exception:
    """Say what stopped urllib3, as the error that it is or as one of ours."""
    beneath = error.__cause__ if isinstance(error, HTTPError) else None
    if isinstance(beneath, OSError):
        return beneath
    return EventSourceError(f"{what}: {error}")


def _close(raw: Any) -> None:
    """Close what http.client has of an answer.

    Left to the collector, which may close the file beneath first, it complains from Python 3.13 on."""
    if raw._original_response is not None:
        raw._original_response.close()


def _start_of(raw: Any) -> bytes:
    """Read what there is of a refusal's body, up to BODY_LIMIT octets, as it came."""
    body = bytearray()
    # Late, reset or cut short: what came is better than nothing.
    with suppress(OSError, HTTPException):
        while len(body) < BODY_LIMIT and (octets := raw._original_response.read1(CHUNK)):
            body += octets
    return bytes(body[:BODY_LIMIT])
