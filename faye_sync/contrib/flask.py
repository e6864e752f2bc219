"""Flask: routes for WebSockets and event streams, in the way of flask-sock.

    from faye_sync.contrib.flask import Sock

    sock = Sock(app)

    @sock.route("/echo")
    def echo(ws):
        while True:
            ws.send(ws.receive())

Each view runs on a thread of the library's own, within its request, while the
server's worker serves others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeVar
from weakref import WeakSet

from flask import Blueprint, Flask, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import WebsocketMismatch

from faye_sync.contrib.flask_events import FlaskEventSource, FlaskItems
from faye_sync.contrib.flask_request import (
    KEY,
    NOT_BY_SOCK,
    FlaskRequest,
    HeaderPairs,
    RequestBody,
    StartResponse,
)
from faye_sync.contrib.flask_sock import ConnectionClosed, SockWebSocket, options_of
from faye_sync.contrib.flask_websocket import FlaskWebSocket as WebSocket
from faye_sync.contrib.releasing import Release, checked_release
from faye_sync.errors import ConfigurationError

__all__ = ["ConnectionClosed", "Sock", "WebSocket"]

V = TypeVar("V", bound=Callable[..., Any])
Options = Mapping[str, Any]

logger = logging.getLogger("faye_sync")

# The views that events() has made.
_EVENTS: WeakSet[Callable[..., Any]] = WeakSet()


class Sock:
    """WebSockets and event streams for a Flask application.

    SOCK_SERVER_OPTIONS of the application's configuration has options for every
    WebSocket: those of WebSocket by name, and simple-websocket's subprotocols,
    ping_interval and max_message_size.

    Args:
        app: The application; without one, init_app() has to be called.
        release: Called before each wait of each view, within its request:
            db.session.remove gives a database connection back meanwhile.

    Raises:
        TypeError: release cannot be called.
    """

    def __init__(self, app: Flask | None = None, *, release: Release | None = None) -> None:
        self._release = checked_release(release)
        self._app: Flask | None = None
        # For what is routed before there is an application.
        self._blueprint: Blueprint | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Serve an application; where the constructor was given none. May be called for several.

        Args:
            app: The application.
        """
        if self._blueprint is not None:
            app.register_blueprint(self._blueprint)
        self._app = app
        if "faye_sync" in app.extensions:
            return
        app.extensions["faye_sync"] = self
        app.before_request(_explain_mismatch)
        app.wsgi_app = _Calls(app)  # type: ignore[method-assign]  # as Flask says to
        _, ignored = options_of(app.config.get("SOCK_SERVER_OPTIONS", {}))
        if ignored:
            logger.warning(
                "SOCK_SERVER_OPTIONS: %s of simple-websocket has no meaning here and is ignored",
                ", ".join(ignored),
            )

    def route(
        self,
        rule: str,
        bp: Blueprint | None = None,
        *,
        native: bool = False,
        server_options: Options | None = None,
        release: Release | None = None,
        **options: Any,
    ) -> Callable[[V], V]:
        """Decorate a view that talks on a WebSocket: ``view(ws, **url_parameters)``.

        It runs on a thread (under gevent a greenlet) of the library's own, in
        its request, whose teardown functions run when the connection has ended.
        Its end closes with 1000, an exception in it is logged, reaches
        got_request_exception, and closes with 1011; a ConnectionClosed that
        leaves it is a normal end. before_request functions may refuse.

        Args:
            rule: The URL rule.
            bp: The blueprint to route on; the application by default.
            native: True hands over a WebSocket as it is, False one with the
                members of flask-sock's: receive(timeout) gives None, and
                ConnectionClosed has the code as its reason.
            server_options: Of this route's WebSockets, before SOCK_SERVER_OPTIONS.
            release: Of this route; that of Sock by default.
            options: Of Flask's route().

        Returns:
            The decorator, which returns the view.
        """
        kind = WebSocket if native else SockWebSocket

        def decorate(view: V) -> V:
            @wraps(view)
            def answer(*arguments: Any, **parameters: Any) -> Any:
                ws = kind(
                    request,
                    release=release or self._release,
                    **_server_options(server_options or {}),
                )
                talk = current_app.ensure_sync(view)
                return ws.start(lambda ws: talk(ws, *arguments, **parameters))

            self._where(bp).route(rule, **{**options, "websocket": True})(answer)
            return view

        return decorate

    def events(
        self,
        rule: str,
        bp: Blueprint | None = None,
        *,
        stream_options: Options | None = None,
        release: Release | None = None,
        **options: Any,
    ) -> Callable[[V], V]:
        """Decorate a view that is a generator of events: ``view(**url_parameters)``.

        It runs in its request, on a thread (under gevent a greenlet) of the
        library's own, and its teardown functions run when the stream has ended.
        A view that returns anything but a generator answers with that.

        Args:
            rule: The URL rule.
            bp: The blueprint to route on; the application by default.
            stream_options: Of EventSource.
            release: Called behind each event; that of Sock by default.
            options: Of Flask's route().

        Returns:
            The decorator, which returns the view.
        """

        def decorate(view: V) -> V:
            @wraps(view)
            def answer(*arguments: Any, **parameters: Any) -> Any:
                items = current_app.ensure_sync(view)(*arguments, **parameters)
                if not isinstance(items, Iterator):
                    return items
                kept = FlaskItems(items, release or self._release)
                stream = FlaskEventSource.stream(request, kept, **(stream_options or {}))
                kept.request = _kept_request()
                return stream

            _EVENTS.add(answer)
            self._where(bp).route(rule, **options)(answer)
            return view

        return decorate

    def _where(self, bp: Blueprint | None) -> Flask | Blueprint:
        if bp is not None:
            return bp
        if self._app is not None:
            return self._app
        if self._blueprint is None:
            self._blueprint = Blueprint("faye_sync", __name__)
        return self._blueprint


class _Calls:
    """An application's wsgi_app, for whose calls a request may be kept."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._wsgi_app: Callable[..., Iterable[bytes]] = app.wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not (WebSocket.is_websocket(environ) or self._leads_to_events(environ)):
            return self._wsgi_app(environ, start_response)
        kept = environ[KEY] = FlaskRequest()
        heads: list[HeaderPairs] = []

        def begin(status: str, headers: HeaderPairs, *error: Any) -> Any:
            if kept.answer is None or not kept.answer.is_told(status, headers):
                return start_response(status, headers, *error)
            heads.append(headers)
            return None

        try:
            body = kept.run(self._wsgi_app, environ, begin)
        except BaseException as error:
            # Where Flask passes on what a view raised, for a debugger or a test.
            kept.end(error)
            raise
        if kept.answer is not None and heads:
            return kept.answer.answer(heads[0], environ, start_response)
        # An ordinary answer, be it that a function of after_request() put it in another's place.
        kept.end()
        return RequestBody(kept, body)

    def _leads_to_events(self, environ: dict[str, Any]) -> bool:
        """Whether the view is one of events(), whatever the client says that it accepts."""
        views = self._app.view_functions
        if not any(view in _EVENTS for view in views.values()):
            return False
        try:
            endpoint, _ = self._app.url_map.bind_to_environ(environ).match()
        except HTTPException:
            return False
        return views.get(endpoint) in _EVENTS


def _kept_request() -> FlaskRequest:
    """Have the current request outlast its call."""
    kept: FlaskRequest | None = request.environ.get(KEY)
    if kept is None:
        raise ConfigurationError(NOT_BY_SOCK)
    kept.keep()
    return kept


def _server_options(own: Options) -> dict[str, Any]:
    options, _ = options_of({**current_app.config.get("SOCK_SERVER_OPTIONS", {}), **own})
    return options


def _explain_mismatch() -> None:
    """Say in the log why Flask is about to answer an upgrade with 400."""
    if isinstance(request.routing_exception, WebsocketMismatch) and WebSocket.is_websocket(request):
        logger.warning(
            "%s asked for a WebSocket and gets 400: the route of this path has no websocket=True; "
            "write @sock.route(rule), or @app.route(rule, websocket=True)",
            request.path,
        )
