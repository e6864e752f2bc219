"""WebSocket: from the environ of a WSGI call to a connection, and back to the server.

The socket is swapped at accept() in every style, so however the call ends, no
octet of HTTP follows the 101; the far end of the swap tells when it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from werkzeug.datastructures import EnvironHeaders, Headers
from werkzeug.wrappers import Response

from faye_sync.call_end import watch_call
from faye_sync.concurrency import reentrant_lock
from faye_sync.connection import Connection
from faye_sync.driver.handshake import Refusal, check_headers, is_websocket, pairs_of
from faye_sync.driver.negotiation import check_extensions
from faye_sync.driver.versions import refusal_of, server_driver
from faye_sync.environ import environ_of, lasting, url_if_valid, url_of
from faye_sync.errors import ConfigurationError, ConnectionClosed
from faye_sync.events import CloseEvent, ErrorEvent
from faye_sync.link import Link
from faye_sync.made import note_failure, note_made
from faye_sync.origin import Origins, refuse_origin
from faye_sync.refusing import answer_of, for_django
from faye_sync.shutdown import hold
from faye_sync.taking import Style
from faye_sync.terms import Terms, check_flag, check_octets
from faye_sync.transport.hijack import find, take

W = TypeVar("W", bound="WebSocket")
HeaderPairs = Mapping[str, str] | Iterable[tuple[str, str]]

logger = logging.getLogger("faye_sync")

_FORGOTTEN = (
    "was neither opened nor answered; return it from the view (Flask: return ws; Django: return "
    "ws.django_response(); plain WSGI: return ws(environ, start_response); where only a status can "
    "be returned: ws.status_code)"
)
_EMPTY_TEXT = (("Content-Type", "text/plain"), ("Content-Length", "0"))


class WebSocket(Connection):
    """The server's end of a WebSocket connection, made in a WSGI call.

    Used by listeners and return, by start(function), or by receive() in the
    server's own thread. The constructor writes nothing: the first receive,
    send, ping, close, with, start or call of the object accepts.

    Args:
        environ: The WSGI environ, or a request object that has one.
        protocols: Subprotocols that the application speaks; the client's order decides.
        extensions: Those to agree on, the first that a client offers: PerMessageDeflate,
            or objects like an Extension.
        headers: More headers for the 101, a mapping or pairs.
        max_length: Octets of the largest message taken.
        origins: Which pages may connect: None for those of the same host and
            for requests without Origin, "*" for all, a list (None in it for no
            Origin), a compiled pattern, or a callable(origin, environ).
        allow_drafts: Whether to speak hixie-75 and hixie-76 with clients of before 2011.
        ping: Seconds between keepalive pings; None for none.
        pong_timeout: Seconds without an octet after a ping until the peer
            counts as dead; None for never.
        send_timeout: Seconds that a send may wait for the peer; None for ever.
        close_timeout: Seconds that a peer has to answer a close; None for ever.
        max_queue: Octets that may wait unsent, and again unread.
        detach: True insists on leaving the WSGI call at once, False stays in
            it; None leaves it where the server allows.
        linger: Seconds that gunicorn may have to wait for this connection before
            it replaces a worker that has served its max_requests; None for as
            long as it is open. The worker serves on meanwhile.
        park: Whether the thread that start() begins, for listeners, may serve
            other connections while nothing comes for a second; False has it stay.

    Raises:
        ConfigurationError: An option cannot work.
        HijackError: The server does not show the client's socket.
        TypeError: environ is neither a mapping nor has one.
    """

    def __init__(
        self,
        environ: Any,
        protocols: str | Iterable[str] | None = (),
        *,
        extensions: Iterable[Any] | None = (),
        headers: HeaderPairs | None = None,
        max_length: int = 2**26 - 1,
        origins: Origins = None,
        allow_drafts: bool = False,
        ping: float | None = 20.0,
        pong_timeout: float | None = 20.0,
        send_timeout: float | None = 30.0,
        close_timeout: float | None = 10.0,
        max_queue: int = 2**24,
        detach: bool | None = None,
        linger: float | None = 0.0,
        park: bool = True,
    ) -> None:
        super().__init__(
            Terms(ping, pong_timeout, send_timeout, close_timeout, max_queue, linger, park=park)
        )
        check_octets("max_length", max_length)
        self.environ = environ_of(environ)
        check_flag("detach", detach, may_be_none=True)
        self._detach = detach
        self._deferred: Callable[[], object] | None = None
        self._answer: Response | None = None
        self._refused: ConnectionClosed | None = None
        self._remote_address: Any = None
        # Reentrant, because a signal handler may close what its thread is opening.
        self._accept_lock = reentrant_lock()
        self._is_accepting = False
        self._close_after: tuple[int, str] | None = None
        known = check_extensions(extensions)
        refused = refusal_of(self.environ, allow_drafts=allow_drafts)
        refused = refused or refuse_origin(self.environ, origins)
        if refused is not None:
            self._refuse(refused)
            self._tell_of_refusal()
        else:
            self._driver = server_driver(
                self.environ,
                url=url_if_valid(self.environ) if allow_drafts else "",
                protocols=() if protocols is None else protocols,
                headers=pairs_of(headers),
                max_length=max_length,
                extensions=known,
                allow_drafts=allow_drafts,
            )
            self._found = find(self.environ)
        self._reminder = note_made(self, self._kind, _FORGOTTEN)

    @staticmethod
    def is_websocket(environ: Any) -> bool:
        """Tell whether a request asks for a WebSocket: GET, Connection and Upgrade say so.

        Key and version are the constructor's to check.

        Args:
            environ: The WSGI environ, or a request object that has one.

        Returns:
            True when it does.

        Raises:
            TypeError: environ is neither a mapping nor has one.
        """
        return is_websocket(environ_of(environ))

    def accept(self: W, headers: HeaderPairs | None = None) -> W:
        """Take the socket and write the 101; does nothing when that was done, or refused.

        Args:
            headers: More headers for the 101, behind the constructor's.

        Returns:
            The WebSocket.

        Raises:
            ConfigurationError: A header cannot stand in an answer.
            OSError: No descriptor is left, or the client has left already.
            RuntimeError: The housekeeping thread could not be started, or there
                are headers and the 101 was written already.
        """
        more = pairs_of(headers)
        with self._accept_lock:
            if more and self._link is not None:
                raise RuntimeError(
                    "the 101 was sent already; accept(headers) has to be what opens the connection"
                )
            if more and self._answer is None:
                self._driver.add_headers(more)
            self._accept_once()
        return self

    def reject(self, status: int = 403, body: str = "", headers: HeaderPairs | None = None) -> None:
        """Refuse the request; the answer goes out when the object is called.

        A request that was refused already keeps its answer. Safe from any thread.

        Args:
            status: Of the HTTP answer, 400 to 599.
            body: Of the HTTP answer, text.
            headers: Of the HTTP answer, plain text unless Content-Type is among them.

        Raises:
            RuntimeError: The 101 is written already.
            ConfigurationError: The status is no refusal, or a header cannot stand in an answer.
        """
        if not 400 <= status <= 599:
            raise ConfigurationError(f"a refusal has a status of 400 to 599, got {status}")
        refused = Refusal(status, body, check_headers(pairs_of(headers)))
        with self._accept_lock:
            if self._link is not None:
                raise RuntimeError("the 101 was sent already; close(code, reason) ends it now")
            is_first = self._answer is None
            if is_first:
                self._refuse(refused)
        if is_first:
            self._tell_of_refusal()

    def __call__(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer the WSGI call: the last thing a view does, by calling or returning the object.

        Starts the reading of callback style; closes a connection that was read
        in the call, with 1000, and waits for the closing handshake.

        Args:
            environ: The WSGI environ.
            start_response: As PEP 3333 has it.

        Returns:
            The body: of a refusal its text, else nothing, because the server's
            own socket leads nowhere any more.

        Raises:
            RuntimeError: As start() does.
        """
        answer = self._finish_call()
        if answer is not None:
            return answer(dict(environ), start_response)
        # It goes nowhere; the headers are for middlewares that check what they let through.
        start_response("101 Switching Protocols", [*_EMPTY_TEXT])
        return []

    def django_response(self) -> Any:
        """Answer the call of a Django view: return ws.django_response().

        Otherwise like calling the object.

        Returns:
            A django.http.HttpResponse.

        Raises:
            ImportError: Django is not installed.
            RuntimeError: As start() does.
        """
        answer = self._finish_call()
        return for_django(answer or Response(status=101))

    @cached_property
    def url(self) -> str:
        """The URL the client asked for, with ws or wss."""
        return url_of(self.environ)

    @cached_property
    def headers(self) -> Headers:
        """The headers of the request."""
        return Headers(EnvironHeaders(dict(self.environ)))

    @property
    def protocol(self) -> str:
        """The subprotocol agreed on, or an empty string."""
        return "" if self._refused is not None else self._driver.protocol

    @property
    def version(self) -> str:
        """The version of the protocol: hybi-13, or a draft's: hixie-76 or hixie-75."""
        return super().version if self._refused is not None else self._driver.version

    @property
    def extensions(self) -> tuple[str, ...]:
        """Names of the extensions agreed on, in order."""
        return () if self._refused is not None else self._driver.extensions

    @property
    def status_code(self) -> int:
        """Of the answer to the handshake: 101, or that of the refusal."""
        if self._answer is None:
            return 101
        # Where no more than a status can be returned, whoever asks for it answers with it.
        self._reminder.detach()
        return self._answer.status_code

    @property
    def remote_address(self) -> Any:
        """The peer's address as getpeername gives it; None before accept()."""
        return self._remote_address

    # --- beneath ----------------------------------------------------------------------------------

    def _finish_call(self) -> Response | None:
        """Do what the end of the WSGI call asks for; returns the refusal, if it is one."""
        self._reminder.detach()
        if self._answer is None and self._style is Style.OPEN:
            self.start()
        if self._answer is not None:
            self._replay()
        elif self._deferred is not None:
            self._deferred()
        elif not self._is_started:
            self.close()
            self.wait_closed()
        return self._answer

    def _open(self, timeout: float | None = None) -> Link | None:  # noqa: ARG002  # whoever opens is quick
        if self._link is None and self._answer is None:
            with self._accept_lock:
                self._accept_once()
        return self._link

    def _accept_once(self) -> None:
        if self._link is not None or self._answer is not None or self._is_accepting:
            return
        self._is_accepting = True
        try:
            self._accept()
        finally:
            self._is_accepting = False
        if self._link is not None and self._close_after is not None:
            self._link.close(*self._close_after)

    def _close_when_open(self, code: int, reason: str) -> None:
        if self._is_accepting:
            self._close_after = code, reason

    def _accept(self) -> None:
        taken, link = take(self._found), None
        try:
            watch_call(taken, self._call_is_over)
            self._reminder.detach()
            self._remote_address = taken.remote_address
            self._driver.start()
            link = Link(taken.stream, self._driver, taken.world, self._terms, self._listens)
            link.begin(taken.early)
            self._opened_at = time.time()
            # Whoever accepts is the one to read, until another thread begins to.
            self._receiver = link.world.current()
            self._linked(link)
            hold(link)
            self.environ = lasting(self.environ)
            del self._found
        except BaseException:
            # No descriptor or thread for housekeeping, or a signal handler: nobody would end it.
            if link is None:
                taken.stream.close()
            else:
                link.give_up()
            raise

    def _refuse(self, refused: Refusal) -> None:
        self._answer = answer_of(refused)
        self._refused = ConnectionClosed(1002, refused.text, False, "handshake")

    def _tell_of_refusal(self) -> None:
        """Tell the listeners; without a lock, because they may do what they like."""
        error = self._refusal_error()
        self._dispatch(ErrorEvent(error.reason, error))
        self._dispatch(CloseEvent(error.code, error.reason, False, error.cause))

    def _report(self, text: str, error: BaseException) -> None:
        super()._report(text, error)
        note_failure(self.environ, error)

    def _is_refused(self) -> bool:
        return self._refused is not None

    def _refusal_error(self) -> ConnectionClosed:
        return self._refused or ConnectionClosed()

    def _may_park(self) -> bool:
        return super()._may_park() and self._detach is not False

    def _run_reader(self, reader: Callable[[], object]) -> None:
        if self._detach is False:
            self._deferred = reader
        else:
            super()._run_reader(reader)

    def _call_is_over(self) -> None:
        link = self._link
        if link is None or (self._is_started and self._deferred is None):
            return
        if link.is_open():
            self._warn_of_end()
            link.close(self._unless_closed, "")
        link.disown()
        if self._is_told_closed:
            self._finish()
        else:
            link.world.spawn(f"faye-sync-{self.id}-end", self._tell_of_end)

    def _warn_of_end(self) -> None:
        if self._unless_closed == 1011:
            logger.warning(
                "WebSocket %s on %s: the call ended without closing it, so it was closed with "
                "1011: the handler raised, or forgot to return the WebSocket or to call close()",
                self.id,
                self.environ.get("PATH_INFO", ""),
            )
