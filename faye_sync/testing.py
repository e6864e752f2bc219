"""Clients for tests that speak to a WSGI application in memory: no server, no port.

    from faye_sync.testing import connect

    def test_echo():
        with connect(app, "/echo") as ws:
            ws.send("hello")
            assert ws.receive() == "hello"

Each connection is a pair of sockets in this process; the application is called
on a thread (under gevent a greenlet) of its own by the WSGI server of the
standard library, so that what a test sees is what a client would."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar
from wsgiref.handlers import SimpleHandler
from wsgiref.simple_server import WSGIRequestHandler

from faye_sync.client import Client
from faye_sync.concurrency import Event as Flag, world_here
from faye_sync.deadlines import deadline_after, seconds_left
from faye_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    EventSourceError,
    HandshakeError,
)
from faye_sync.eventsource_client import EventSourceClient
from faye_sync.jars import Jar, jar_of
from faye_sync.made import KEY
from faye_sync.moved_clock import Clock
from faye_sync.transport.in_memory import in_memory_pair
from faye_sync.websocket import WebSocket

__all__ = ["AppClient", "AppEvents", "Clock", "connect", "events"]

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

C = TypeVar("C", bound="AppClient")
E = TypeVar("E", bound="AppEvents")

# Seconds that the application has to come to its end behind its client.
PATIENCE = 10.0

_BASE = "localhost"

logger = logging.getLogger("faye_sync")


def connect(
    app: Application,
    url: str = "/",
    protocols: str | Iterable[str] | None = (),
    *,
    environ: Mapping[str, Any] | None = None,
    client: Any = None,
    **options: Any,
) -> AppClient:
    """Make a client of an application's WebSocket, for a with statement.

    Args:
        app: The WSGI application; of Flask the application itself, of Django
            what get_wsgi_application() makes.
        url: A path with its query, or a URL with ws.
        protocols: As for Client.
        environ: More for the environ of each call: REMOTE_USER, REMOTE_ADDR.
        client: The test client of Flask, of Werkzeug or of Django: its cookies
            are sent, and get those of the answer.
        options: As for Client.

    Returns:
        The client, which has all members of Client.

    Raises:
        ConfigurationError: An option cannot work.
    """
    if url.startswith("/"):
        url = f"ws://{_BASE}{url}"
    return AppClient(_Calls(app, environ, jar_of(client)), url, protocols, **options)


def events(
    app: Application,
    url: str = "/",
    *,
    environ: Mapping[str, Any] | None = None,
    client: Any = None,
    reconnect: bool | None = False,
    **options: Any,
) -> AppEvents:
    """Make a client of an application's event stream, to be iterated in a with statement.

    Args:
        app: As for connect().
        url: A path with its query, or a URL with http.
        environ: As for connect().
        client: As for connect(); its cookies are sent.
        reconnect: As for EventSourceClient, but False by default: iteration ends
            with the stream.
        options: As for EventSourceClient.

    Returns:
        The client, which has all members of EventSourceClient.

    Raises:
        ConfigurationError: An option cannot work.
    """
    if url.startswith("/"):
        url = f"http://{_BASE}{url}"
    calls = _Calls(app, environ, jar_of(client))
    return AppEvents(calls, url, reconnect=reconnect, **options)


class AppClient(Client):
    """A Client of an application in this process.

    What the application raised is raised in the test: by connect(), where it
    answered with no WebSocket, and at the end of the with statement."""

    def __init__(self, calls: _Calls, url: str, protocols: Any, **options: Any) -> None:
        super().__init__(url, protocols, **options)
        self._ways.lead_to(calls.open)
        self._calls = calls

    @property
    def server(self) -> WebSocket:
        """The application's end of the newest connection.

        Raises:
            LookupError: The application has made none.
        """
        for made in reversed(self._calls.connections):
            if isinstance(made, WebSocket):
                return made
        raise LookupError("the application has made no WebSocket yet")

    def connect(self: C) -> C:
        """Perform the handshake, as Client.connect() does.

        Returns:
            The client.

        Raises:
            HandshakeError: The application refused.
            Exception: What the application raised in place of an answer; and as
                Client.connect() raises it.
        """
        try:
            connected = super().connect()
        except HandshakeError as error:
            if error.headers is not None:
                self._calls.jar.take(self.url, error.headers)
            self._calls.settle()
            self._calls.raise_error(error)
            raise
        self._calls.jar.take(self.url, self.headers)
        return connected

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, wait for the application's end, and raise what it raised."""
        super().__exit__(kind, error, traceback)
        self._calls.settle()
        if kind is None or issubclass(kind, ConnectionClosed):
            self._calls.raise_error(error)


class AppEvents(EventSourceClient):
    """An EventSourceClient of an application in this process; raises as AppClient does."""

    def __init__(self, calls: _Calls, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._request.ways.lead_to(calls.open)
        self._calls = calls

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, wait for the application's end, and raise what it raised."""
        super().__exit__(kind, error, traceback)
        self._calls.settle()
        if kind is None or issubclass(kind, EventSourceError):
            self._calls.raise_error(error)


# --- the application's side -------------------------------------------------------------------------


class _Calls:
    """The calls that one client causes, and what came of them."""

    def __init__(self, app: Application, environ: Mapping[str, Any] | None, jar: Jar) -> None:
        if not callable(app):
            raise ConfigurationError(f"app must be a WSGI application, got {type(app).__name__}")
        self.app = app
        self.jar = jar
        # WebSockets and EventSources of the application, in order.
        self.connections: list[Any] = []
        self._errors: list[BaseException] = []
        self._environ = dict(environ or {})
        self._world = world_here()
        self._ends: list[Flag] = []

    def open(self) -> Any:
        """Begin a call; returns the client's end of the connection."""
        server, client = in_memory_pair()
        over = self._world.event()
        self._ends.append(over)

        def serve() -> None:
            try:
                _Exchange(server, ("127.0.0.1", 0), self)  # type: ignore[arg-type]  # all it needs of a server
            finally:
                server.close()
                over.set()

        self._world.spawn("faye-sync-testing", serve)
        return client

    def complete(self, environ: dict[str, Any]) -> None:
        """Add to a call's environ what the test wants there."""
        environ.update({KEY: self, **self._environ})
        self.jar.add(environ)

    # --- as made.py has it --------------------------------------------------------------------------

    def made(self, connection: Any) -> None:
        """Note what the application has made of a request."""
        self.connections.append(connection)

    def failed(self, error: BaseException) -> None:
        """Note what the application raised; that a connection is closed is no failure of its."""
        if not isinstance(error, ConnectionClosed):
            self._errors.append(error)

    def settle(self) -> None:
        """Wait until the application has come to its end."""
        deadline = deadline_after(PATIENCE)
        waits = [over.wait for over in self._ends]
        opened = (
            each for each in self.connections if isinstance(each, WebSocket) and each.opened_at
        )
        waits += [each.join for each in opened]
        if not all(wait(seconds_left(deadline)) for wait in waits):
            self._errors.append(
                TimeoutError(f"the application did not come to its end within {PATIENCE:g} s")
            )

    def raise_error(self, cause: BaseException | None) -> None:
        """Raise what the application raised first, if it did."""
        if self._errors:
            raise self._errors[0] from cause

    # --- as a server of the standard library has it --------------------------------------------------

    base_environ: Mapping[str, str] = {
        "SERVER_NAME": _BASE,
        "SERVER_PORT": "80",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REMOTE_HOST": "",
        "CONTENT_LENGTH": "",
        "SCRIPT_NAME": "",
    }


class _Exchange(WSGIRequestHandler):
    """One request and its answer."""

    server: _Calls  # type: ignore[assignment]  # all it needs of a server

    def handle(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if self.raw_requestline and self.parse_request():
            call = _Call(self.server, self.rfile, self.wfile, self.get_environ())
            call.run(self.server.app)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log what BaseHTTPRequestHandler would print."""
        logger.debug(format, *arguments)


class _Call(SimpleHandler):
    """One call of the application."""

    environ: dict[str, Any]

    def __init__(self, calls: _Calls, stdin: Any, stdout: Any, environ: dict[str, Any]) -> None:
        super().__init__(stdin, stdout, sys.stderr, environ, multithread=True, multiprocess=False)
        # That of the process may hold anything.
        self.os_environ = {}
        self._calls = calls

    def setup_environ(self) -> None:
        super().setup_environ()
        self._calls.complete(self.environ)

    def log_exception(self, exc_info: Any) -> None:
        self._calls.failed(exc_info[1])
