"""Django: views for WebSockets and event streams, under WSGI.

    from django.urls import path
    from faye_sync.contrib.django import events_view, websocket_view

    def chat(ws, room):
        for message in ws:
            ws.send(f"{ws.request.user} in {room}: {message}")

    urlpatterns = [path("chat/<room>", websocket_view(chat))]

"faye_sync.contrib.django.FayeSync" in INSTALLED_APPS has manage.py check tell
of servers that cannot. Django 4.2 and later."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Warning as CheckWarning, register
from django.db import connections
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import validate_host
from django.utils.http import is_same_domain

from faye_sync.contrib.releasing import ReleasingWebSocket, checked_release, for_101
from faye_sync.eventsource import EventSource
from faye_sync.origin import refuse_origin

__all__ = ["FayeSync", "WebSocket", "events_view", "release_connections", "websocket_view"]

View = Callable[..., HttpResponseBase]

logger = logging.getLogger("faye_sync")

# What keeps the client's socket to itself, by the module that is there where it runs.
_KEEPERS = {"mod_wsgi": "Apache's mod_wsgi", "bjoern": "bjoern"}


class WebSocket(ReleasingWebSocket):
    """A WebSocket with Django's request.

    Attributes:
        request: The HttpRequest, with its session and its user.
    """

    request: HttpRequest

    @property
    def user(self) -> Any:
        """That of the request, so that decorators which ask for it may stand around a function."""
        return self.request.user


def websocket_view(
    function: Callable[..., object], *, release: Callable[[], object] | None = None, **options: Any
) -> View:
    """Make a view of a function that talks: ``function(ws, **parameters)``.

    It runs on a thread (under gevent a greenlet) of the library's own, and its
    101 bears the headers of middlewares, cookies among them. Decorators like
    login_required may stand around the view, and refuse by HTTP. The view is not
    atomic, whatever ATOMIC_REQUESTS says.

    Args:
        function: Takes a WebSocket, whose request has user and session.
        release: Called before each wait; None closes the database connections
            that are in no transaction.
        options: Of WebSocket. origins has by default those of the same host, of
            ALLOWED_HOSTS but for "*", and CSRF_TRUSTED_ORIGINS.

    Returns:
        The view.

    Raises:
        TypeError: function or release cannot be called.
    """
    if not callable(function):
        raise TypeError(f"websocket_view() takes a function, got {type(function).__name__}")
    options = {"origins": may_open, "release": release or release_connections, **options}

    @wraps(function)
    def view(request: HttpRequest, *arguments: Any, **parameters: Any) -> HttpResponseBase:
        ws = WebSocket(request, **options)
        ws.request = request
        if ws.status_code != 101:
            answer: HttpResponseBase = ws.django_response()
            return answer
        return _Upgrade(ws, lambda ws: _talk(function, ws, arguments, parameters))

    made: View = non_atomic_requests(view)
    return made


def events_view(
    function: Callable[..., Iterable[Any]],
    *,
    release: Callable[[], object] | None = None,
    **options: Any,
) -> View:
    """Make a view of a generator of events: ``function(request, **parameters)``.

    It runs on a thread (under gevent a greenlet) of the library's own. The view is
    not atomic.

    Args:
        function: Gives the items of EventSource.stream(), or a response instead.
        release: Called behind each event; None closes the database connections
            that are in no transaction. A generator that goes through
            QuerySet.iterator() needs its connection: release=lambda: None.
        options: Of EventSource.

    Returns:
        The view.

    Raises:
        TypeError: function or release cannot be called.
    """
    if not callable(function):
        raise TypeError(f"events_view() takes a function, got {type(function).__name__}")
    let_go = checked_release(release) or release_connections

    @wraps(function)
    def view(request: HttpRequest, *arguments: Any, **parameters: Any) -> Any:
        items = function(request, *arguments, **parameters)
        if isinstance(items, HttpResponseBase):
            return items
        return EventSource.stream(request, _Items(iter(items), let_go), **options).django_response()

    made: View = non_atomic_requests(view)
    return made


def release_connections() -> None:
    """Close the calling thread's database connections that are in no transaction.

    With a pool (Django 5.1 and later) they go back to it."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def may_open(origin: str | None, environ: Mapping[str, Any]) -> bool:
    """Tell whether the pages of an origin may open a WebSocket, by Django's settings.

    Args:
        origin: Of the request; None where it has none.
        environ: Of the WSGI call.

    Returns:
        True for the same host and port, for hosts that ALLOWED_HOSTS names, and
        for CSRF_TRUSTED_ORIGINS.
    """
    if refuse_origin(environ, None) is None:
        return True
    try:
        parts = urlsplit(origin or "")
    except ValueError:
        # None that a browser sends.
        return False
    named = [host for host in settings.ALLOWED_HOSTS if host != "*"]
    if parts.hostname and validate_host(parts.hostname, named):
        return True
    return any(_is_trusted(parts, trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS)


class FayeSync(AppConfig):  # type: ignore[misc]  # Django has no types
    """Has manage.py check look for what keeps WebSockets from working."""

    name = "faye_sync.contrib.django"
    label = "faye_sync"
    verbose_name = "faye_sync"
    path = __file__.rpartition("/")[0]

    def ready(self) -> None:
        """Register the check."""
        register(check_server)


def check_server(app_configs: Any, **_: Any) -> list[CheckWarning]:
    """Look for servers that cannot serve a WebSocket under WSGI; a check of Django's.

    Args:
        app_configs: As Django passes it.

    Returns:
        A warning for each.
    """
    del app_configs
    found = []
    if "daphne" in settings.INSTALLED_APPS:
        found.append(
            CheckWarning(
                "daphne makes runserver an ASGI server, under which faye_sync cannot work.",
                hint="Take it out of INSTALLED_APPS, or use the WebSockets of channels.",
                id="faye_sync.W001",
            )
        )
    for module, name in _KEEPERS.items():
        if module in sys.modules:
            found.append(
                CheckWarning(
                    f"{name} keeps the client's socket to itself, so that no WebSocket opens.",
                    hint="Run gunicorn with its gthread or gevent worker, or uWSGI.",
                    id="faye_sync.W002",
                )
            )
    return found


# --- beneath ------------------------------------------------------------------------------------------


class _Upgrade(HttpResponse):  # type: ignore[misc]  # Django has no types
    """The answer that opens a WebSocket when the server comes for its body.

    Behind all middlewares, so that what they have added is in the 101."""

    status_code = 101

    def __init__(self, ws: WebSocket, talk: Callable[[Any], object]) -> None:
        super().__init__(status=101)
        self._ws = ws
        self._talk = talk

    def __iter__(self) -> Iterator[bytes]:
        ws = self._ws
        cookies = [("Set-Cookie", each.OutputString()) for each in self.cookies.values()]
        ws.accept(for_101((*self.items(), *cookies))).start(self._talk)
        ws.django_response()
        return iter(())


class _Items:
    """The items of a generator; what it has open of a database is closed behind each."""

    def __init__(self, items: Iterator[Any], let_go: Callable[[], object]) -> None:
        self._items = items
        self._let_go = let_go

    def __iter__(self) -> _Items:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._items)
        finally:
            self._let_go()

    def close(self) -> None:
        """End the generator, where it can be ended."""
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
        connections.close_all()


def _talk(
    function: Callable[..., object],
    ws: WebSocket,
    arguments: tuple[Any, ...],
    parameters: Mapping[str, Any],
) -> None:
    try:
        answer = function(ws, *arguments, **parameters)
    finally:
        # Those of this thread, which ends.
        connections.close_all()
    if isinstance(answer, HttpResponseBase):
        logger.warning(
            "WebSocket %s on %s: a decorator within websocket_view() answered with %d behind the "
            "101, so that it is closed with 1008; write decorator(websocket_view(function))",
            ws.id,
            ws.request.path,
            answer.status_code,
        )
        ws.close(1008)


def _is_trusted(parts: Any, trusted: str) -> bool:
    """Compare with an entry of CSRF_TRUSTED_ORIGINS, which may begin with a wildcard."""
    allowed = urlsplit(trusted)
    pattern = allowed.netloc.replace("*", "", 1) if allowed.netloc[:1] == "*" else allowed.netloc
    return bool(parts.scheme == allowed.scheme and is_same_domain(parts.netloc, pattern))
