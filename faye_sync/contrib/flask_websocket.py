"""WebSocket for Flask: listeners and start functions see the request, which ends with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from faye_sync.contrib.flask_request import (
    KEY,
    NOT_BY_SOCK,
    FlaskRequest,
    HeaderPairs,
    StartResponse,
)
from faye_sync.contrib.releasing import Release, ReleasingWebSocket, for_101
from faye_sync.errors import ConfigurationError, ConnectionClosed
from faye_sync.events import Event
from faye_sync.taking import Style

W = TypeVar("W", bound="FlaskWebSocket")

logger = logging.getLogger("faye_sync")


class FlaskWebSocket(ReleasingWebSocket):
    """A WebSocket whose listeners and start function run in the request, with its g.

    The application has to have been given to Sock. Return it from the view, and
    what Flask adds to the answer, cookies for example, is in the 101, unless
    the view itself opened the connection by sending or receiving. Teardown
    functions run when the connection has ended.

    Args:
        environ: flask.request.
        *arguments: As for WebSocket.
        release: Called before each wait for the peer, within the request, so
            that what the view holds is given back meanwhile: db.session.remove.
        **options: As for WebSocket.

    Raises:
        ConfigurationError: The application was not given to Sock; or as for WebSocket.
        HijackError: As for WebSocket.
        TypeError: release cannot be called; or as for WebSocket.
    """

    def __init__(
        self,
        environ: Any,
        *arguments: Any,
        release: Release | None = None,
        **options: Any,
    ) -> None:
        self._request: FlaskRequest | None = None
        # What start() was told in the view, for when Flask has made its answer.
        # Flask has made its answer, and nothing has to wait for it.
        self._has_left = False
        self._plan: Callable[[], object] | None = None
        self._error: Exception | None = None
        super().__init__(environ, *arguments, release=release, **options)
        if not self._is_refused():
            self._request = self.environ.get(KEY)
            if self._request is None:
                self._reminder.detach()
                raise ConfigurationError(NOT_BY_SOCK)

    def start(self: W, function: Callable[[W], object] | None = None) -> W:
        """Begin when the view has returned this; otherwise like WebSocket.start().

        Args:
            function: As for WebSocket.start().

        Returns:
            The WebSocket, to be returned from the view.

        Raises:
            TypeError: As for WebSocket.start().
            RuntimeError: As for WebSocket.start().
        """
        if self._request is None or self._has_left or not (function is None or callable(function)):
            return super().start(function)
        if self._plan is not None:
            raise RuntimeError("this connection was started already, so start() comes too late")
        self._choose(Style.CALLBACK if function is None else Style.BLOCKING)
        talk = None if function is None else partial(self._talk_in_request, function)
        self._plan = partial(super().start, talk)
        return self

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer the WSGI call: Flask does so with what a view returns.

        Args:
            environ: The WSGI environ.
            start_response: As PEP 3333 has it.

        Returns:
            The body.

        Raises:
            RuntimeError: As WebSocket's own.
        """
        if self._request is None or self._is_refused():
            return super().__call__(environ, start_response)
        # Opened when Flask has made its answer, and left the request.
        self._reminder.detach()
        self._request.keep()
        self._request.answer = self
        start_response("101 Switching Protocols", [])
        return []

    # --- for whoever calls the application -----------------------------------------------------------

    def is_told(self, status: str, headers: HeaderPairs) -> bool:
        """Whether a head is that of this connection."""
        del headers
        return status.startswith("101")

    def answer(
        self, headers: HeaderPairs, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Open the connection with the headers of Flask's answer, and begin what was planned.

        Args:
            headers: Of the answer, all of them.
            environ: The WSGI environ.
            start_response: The server's.

        Returns:
            The body.
        """
        self._has_left = True
        try:
            self._open_with(for_101(headers))
            if self._plan is not None:
                self._plan()
            return super().__call__(environ, start_response)
        finally:
            if not self._is_started:
                self._end_request()

    def _open_with(self, headers: HeaderPairs) -> None:
        if self._link is None:
            self.accept(headers)
        elif any(name.lower() == "set-cookie" for name, _ in headers):
            logger.warning(
                "WebSocket %s on %s: the view opened the connection before it returned it, so the "
                "101 lacks the cookies of Flask's answer",
                self.id,
                self.environ.get("PATH_INFO", ""),
            )

    # --- beneath --------------------------------------------------------------------------------------

    def _talk_in_request(self: W, function: Callable[[W], object], ws: W) -> None:
        request = self._request
        if request is None:
            return
        try:
            request.run(function, ws)
        except ConnectionClosed:
            raise
        except Exception as error:
            self._error = error
            request.failed(error)
            raise
        finally:
            request.run(self._let_go)

    def _dispatch(self, event: Event) -> bool:
        if self._request is None:
            return super()._dispatch(event)
        return self._request.run_beside(self._dispatch_in_request, event)

    def _dispatch_in_request(self, event: Event) -> bool:
        try:
            return super()._dispatch(event)
        finally:
            if self._style is Style.CALLBACK:
                self._let_go()

    def _listener_failed(self, event: Event, error: Exception) -> None:
        if self._request is not None:
            self._request.failed(error)
        super()._listener_failed(event, error)

    def _finish(self) -> None:
        if self._is_started:
            self._end_request()
        super()._finish()

    def _end_request(self) -> None:
        if self._request is None:
            return
        try:
            self._request.end(self._error)
        except Exception as error:
            self._report("a teardown function of Flask raised", error)
