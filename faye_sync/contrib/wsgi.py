"""Any WSGI framework: WebSockets and event streams beside an application, by their paths.

    from faye_sync.contrib.wsgi import Router

    router = Router(app)

    @router.route("/rooms/<name>")
    def talk(ws, name):
        for message in ws:
            ws.send(message)

    application = router

Rules are Werkzeug's. What matches none goes to the application as it came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Response

from faye_sync.eventsource import EventSource
from faye_sync.websocket import WebSocket

V = TypeVar("V", bound=Callable[..., Any])
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
Answer = Callable[[Environ, Mapping[str, Any]], Application]


class Router:
    """A WSGI application that answers at its own paths, and has another answer at all others.

    Safe from any thread once it serves; routes are added before.

    Args:
        app: That other; None answers with 404.
        **options: Of every WebSocket; those of a route come before them.

    Raises:
        TypeError: app cannot be called.
    """

    def __init__(self, app: Application | None = None, **options: Any) -> None:
        if app is not None and not callable(app):
            raise TypeError(f"app must be a WSGI application, got {type(app).__name__}")
        self._app = app or Response("Not Found\n", 404)
        self._options = options
        self._sockets = Map()
        self._streams = Map()

    def route(self, rule: str, **options: Any) -> Callable[[V], V]:
        """Decorate a function that talks: ``function(ws, **parameters)``.

        It runs on a thread (under gevent a greenlet) of the library's own, as
        WebSocket.start() has it.

        Args:
            rule: A rule of Werkzeug's.
            options: Of WebSocket.

        Returns:
            The decorator, which returns the function.
        """

        def prepare(function: Callable[..., Any], ws: WebSocket, parameters: Any) -> None:
            ws.start(lambda ws: function(ws, **parameters))

        return self._upgrades(rule, options, prepare)

    def view(self, rule: str, **options: Any) -> Callable[[V], V]:
        """Decorate a function that decides within the call: ``function(ws, **parameters)``.

        It may reject, add listeners, start() another function, or talk; the call
        is answered with the WebSocket when it returns.

        Args:
            rule: A rule of Werkzeug's.
            options: Of WebSocket.

        Returns:
            The decorator, which returns the function.
        """

        def prepare(function: Callable[..., Any], ws: WebSocket, parameters: Any) -> None:
            function(ws, **parameters)

        return self._upgrades(rule, options, prepare)

    def events(self, rule: str, **options: Any) -> Callable[[V], V]:
        """Decorate a generator of events: ``function(es, **parameters)``.

        Its items are those of EventSource.stream(); es is the stream itself,
        for its last_event_id and environ.

        Args:
            rule: A rule of Werkzeug's.
            options: Of EventSource.

        Returns:
            The decorator, which returns the function.
        """

        def decorate(function: V) -> V:
            def answer(environ: Environ, parameters: Mapping[str, Any]) -> EventSource:
                items = _Items(function, parameters)
                items.stream = EventSource.stream(environ, items, **options)
                return items.stream

            self._streams.add(Rule(rule, endpoint=answer, methods=["GET"]))
            return function

        return decorate

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a WSGI call.

        Args:
            environ: The WSGI environ.
            start_response: As PEP 3333 has it.

        Returns:
            The body.
        """
        rules = self._sockets if WebSocket.is_websocket(environ) else self._streams
        return self._find(rules, environ)(environ, start_response)

    # --- beneath --------------------------------------------------------------------------------------

    def _upgrades(
        self,
        rule: str,
        options: Mapping[str, Any],
        prepare: Callable[[Callable[..., Any], WebSocket, Any], None],
    ) -> Callable[[V], V]:
        def decorate(function: V) -> V:
            def answer(environ: Environ, parameters: Mapping[str, Any]) -> WebSocket:
                ws = WebSocket(environ, **{**self._options, **options})
                prepare(function, ws, parameters)
                return ws

            self._sockets.add(Rule(rule, endpoint=answer, websocket=True))
            return function

        return decorate

    def _find(self, rules: Map, environ: Environ) -> Application:
        try:
            answer, parameters = rules.bind_to_environ(environ).match()
        except RequestRedirect as redirect:
            return redirect.get_response(environ)
        except HTTPException:
            # No rule of ours, or not for this method: what it is to be is the application's to say.
            return self._app
        return answer(environ, parameters)  # type: ignore[no-any-return]  # an endpoint may be anything


class _Items:
    """What a generator gives, once the stream that it is given is there."""

    stream: EventSource

    def __init__(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> None:
        self._function = function
        self._parameters = parameters
        self._items: Any = None

    def __iter__(self) -> Any:
        self._items = iter(self._function(self.stream, **self._parameters))
        return self._items

    def close(self) -> None:
        """End the generator, where there is one to be ended."""
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
