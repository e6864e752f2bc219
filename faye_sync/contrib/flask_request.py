"""A Flask request that outlasts its call, for a WebSocket or an event stream.

Flask keeps what belongs to a request in context variables, and ends the
request where the call ends. So the call runs in a Context of its own, and the
request is pushed in there once more: what Flask takes away is then the second
push, and whoever works for the request later enters that very Context, on
whatever thread, and takes away the first: teardown functions run then, once.

A Context is entered by one thread at a time; who only wants to see the request
while another may be in there enters a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import copy_context
from inspect import signature
from typing import Any, Protocol, TypeVar

import flask.globals
from flask import current_app, got_request_exception

T = TypeVar("T")

# Where an environ has the request that its call may leave behind.
KEY = "faye_sync.flask_request"

NOT_BY_SOCK = (
    "this request did not come by way of Sock: call Sock(app), or sock.init_app(app), where the "
    "application is made"
)

# Flask 2.3 and later, with a blinker of its time, have coroutines listen too.
_KNOWS_WRAPPERS = "_async_wrapper" in signature(got_request_exception.send).parameters

HeaderPairs = list[tuple[str, str]]
StartResponse = Callable[..., Any]


class Answer(Protocol):
    """A WebSocket or an event stream, which begins when Flask has left the request."""

    def is_told(self, status: str, headers: HeaderPairs) -> bool:
        """Whether this is the head of the answer that a view gave with it, or of another."""

    def answer(
        self, headers: HeaderPairs, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Begin with the headers of Flask's answer; returns the body."""


class FlaskRequest:
    """One request, and the Context in which it is there.

    Attributes:
        answer: The WebSocket or EventSource that the view answered with, if any.
    """

    def __init__(self) -> None:
        """Make one for a call that is about to run, in a copy of what is there now."""
        self.answer: Answer | None = None
        self._context = copy_context()
        # The pushes that are ours to take away: one or none.
        self._pushed: list[Any] = []

    def keep(self) -> None:
        """Have the request outlast its call. Within the call, by its own thread; once is enough."""
        if not self._pushed:
            request = _current()
            request.push()
            self._pushed.append(request)

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call function in the request. For one thread at a time."""
        return self._context.run(function, *arguments)

    def run_beside(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call function in the request, on any thread, whoever else is in there."""
        return self._context.copy().run(function, *arguments)

    def failed(self, error: Exception) -> None:
        """Tell those who listen to Flask's got_request_exception."""

        def tell() -> None:
            app: Any = current_app._get_current_object()  # type: ignore[attr-defined]  # of a proxy
            more = {"_async_wrapper": app.ensure_sync} if _KNOWS_WRAPPERS else {}
            got_request_exception.send(app, exception=error, **more)

        self.run_beside(tell)

    def end(self, error: BaseException | None = None) -> None:
        """Run the teardown functions with error; does nothing the second time.

        Raises:
            Exception: What they raised.
        """
        if self._pushed:
            self.run(self._pushed.pop().pop, error)


class RequestBody:
    """The body of an ordinary answer, gone through in the request as Flask would."""

    def __init__(self, request: FlaskRequest, body: Iterable[bytes]) -> None:
        self._request = request
        self._body = body
        self._items: Iterator[bytes] | None = None

    def __iter__(self) -> RequestBody:
        return self

    def __next__(self) -> bytes:
        return self._request.run(self._next)

    def close(self) -> None:
        """Close the body, begun or not: PEP 3333 has servers do so in any case."""
        close = getattr(self._body, "close", None)
        if close is not None:
            self._request.run(close)

    def _next(self) -> bytes:
        if self._items is None:
            self._items = iter(self._body)
        return next(self._items)


def _current() -> Any:
    """Give the request's context itself, by the name that this Flask has for it."""
    proxy: Any = getattr(flask.globals, "request_ctx", None)
    if proxy is not None:
        return proxy._get_current_object()
    return flask.globals._request_ctx_stack.top  # type: ignore[attr-defined]  # before 2.2
