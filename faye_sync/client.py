"""Client: a WebSocket from its other end, for programs without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

import requests
from werkzeug.datastructures import Headers

from faye_sync.concurrency import call_home
from faye_sync.deadlines import deadline_after, seconds_left
from faye_sync.delivery import exit_code
from faye_sync.driver.frames import check_close
from faye_sync.driver.handshake import Pairs, check_subprotocols, pairs_of
from faye_sync.driver.hybi import HybiClient
from faye_sync.driver.negotiation import check_extensions
from faye_sync.errors import ConnectionClosed
from faye_sync.event_target import NAMES, Attribute
from faye_sync.events import CloseEvent, ReconnectEvent
from faye_sync.handout import close_sessions
from faye_sync.link import Link
from faye_sync.outage import Outage
from faye_sync.reconnect import Reconnect, idle_of
from faye_sync.redialing import Redialing
from faye_sync.terms import Terms, check_octets, check_seconds
from faye_sync.transport.adapter import Opened
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.request import check_request_headers, check_url
from faye_sync.transport.stream import remote_address
from faye_sync.transport.upgrade import upgrade
from faye_sync.transport.wayfinder import Wayfinder

C = TypeVar("C", bound="Client")

HeaderPairs = Mapping[str, str] | Iterable[tuple[str, str]]

# What the peer, or we, close with when nothing is amiss.
NORMAL = frozenset((1000, 1001))


class Client(Redialing):
    """The client's end of a WebSocket connection.

    Dials when it is first used, not in its constructor. Used by receive() and
    iteration in the caller's thread, or by listeners with run(), or start()
    for a reading thread of the library's own.

    Args:
        url: With ws or wss; or a callable that returns one, asked before every attempt.
        protocols: Subprotocols to offer, the liked ones first.
        headers: More headers for the request, a mapping or pairs; or a callable, as for url.
        extensions: Those to offer, the liked ones first: PerMessageDeflate, or
            objects like an Extension.
        max_length: Octets of the largest message taken.
        session: Its cookies, auth, headers, proxies, verify and cert apply, and
            cookies of the answer go into it; None for the rules of requests.get().
        auth: As requests takes it; before that of the session and of the URL.
        proxy: An origin (http, https, socks4, socks4a, socks5, socks5h), or a
            mapping of origin, headers and tls; False for none, None for the
            session's and the environment's.
        tls: An ssl.SSLContext, or a mapping of ca, cert, key, password,
            server_hostname and verify; None for the session's rules.
        ca: Short for tls={"ca": ca}.
        net: A mapping of source_address, socket_options, family and unix_path.
        ping: Seconds between keepalive pings; None for none.
        pong_timeout: Seconds without an octet after a ping until the peer
            counts as dead; None for never.
        open_timeout: Seconds for look-up, TCP, proxy, TLS, redirects and
            handshake together; None for ever.
        send_timeout: Seconds that a send may wait for the peer; None for ever.
        close_timeout: Seconds that a peer has to answer a close; None for ever.
        max_queue: Octets that may wait unsent, and again unread.
        reconnect: When to dial again; None for never.
        park: Whether the thread that start() begins, for listeners, may serve
            other connections while nothing comes for a second; False has it stay.

    Raises:
        ConfigurationError: An option cannot work; nothing was sent.
    """

    _kind = "Client"
    onreconnect = Attribute(ReconnectEvent.type)
    _names = (*NAMES, ReconnectEvent.type)

    def __init__(
        self,
        url: str | Callable[[], str],
        protocols: str | Iterable[str] | None = (),
        *,
        headers: HeaderPairs | Callable[[], HeaderPairs] | None = None,
        extensions: Iterable[Any] | None = (),
        max_length: int = 2**26 - 1,
        session: requests.Session | None = None,
        auth: Any = None,
        proxy: Any = None,
        tls: Any = None,
        ca: Any = None,
        net: Mapping[str, Any] | None = None,
        ping: float | None = 20.0,
        pong_timeout: float | None = 20.0,
        open_timeout: float | None = 10.0,
        send_timeout: float | None = 30.0,
        close_timeout: float | None = 10.0,
        max_queue: int = 2**24,
        reconnect: Reconnect | None = None,
        park: bool = True,
    ) -> None:
        idle = idle_of(reconnect)
        terms = Terms(
            ping,
            pong_timeout,
            send_timeout,
            close_timeout,
            max_queue,
            idle=idle,
            park=park,
            goodbye="the client is going away",
        )
        super().__init__(terms, reconnect, open_timeout)
        check_octets("max_length", max_length)
        check_seconds("open_timeout", open_timeout, may_be_zero=False)
        self._max_length = max_length
        self._asked_url = url if callable(url) else check_url(url)
        self._asked_headers = headers if callable(headers) else _checked_headers(headers)
        self._extensions = check_extensions(extensions)
        self._protocols = check_subprotocols(() if protocols is None else protocols)
        self._ways = Wayfinder(session=session, auth=auth, proxy=proxy, tls=tls, ca=ca, net=net)
        self._url = "" if callable(url) else check_url(url)
        self._opened: Opened | None = None
        self._driver: HybiClient | None = None
        self._remote_address: Any = None

    # --- opening ------------------------------------------------------------------------------------

    def connect(self: C) -> C:
        """Perform the handshake; does nothing when open. Safe from any thread.

        With a Reconnect, waits through its attempts. One that failed may be
        repeated.

        Returns:
            The client.

        Raises:
            HandshakeError: The server did not open it; a ProxyError: the proxy.
            OSError: The network, or TLS, as it says.
            TimeoutError: open_timeout passed.
            ConnectionClosed: It is closed, or was while it dialed.
            ConfigurationError: What url, headers, session or auth gave cannot work.
        """
        outage = self._outage
        if outage is not None and outage.is_here() and outage.fresh is not None:
            return self
        link = self._open_within(None, "connect()", "")
        while link is not None and not link.is_open() and self._is_followed(link):
            link = self._open_within(None, "connect()", "")
        if link is None:
            raise self._refusal_error()
        if not link.is_open():
            raise link.closing_error()
        return self

    def reconnect(self) -> None:
        """Drop the connection and dial again; during an outage, dial now. Returns at once.

        Does nothing before the first attempt, nor once closed. Safe from any thread.
        """
        with self._dial_lock:
            link, outage = self._link_now(), self._outage
            if self._close_with is not None or (link is not None and self._last is link):
                return
            self._dropped = link
        if link is not None:
            link.close(1001, "")
            link.abort("local")
        elif outage is not None:
            outage.hurry()

    def __enter__(self: C) -> C:
        """Open the connection, as connect() does; an interrupt closes it.

        Returns:
            The client.
        """
        try:
            return self.connect()
        except (KeyboardInterrupt, SystemExit) as interrupt:
            # Nobody will come to __exit__, and a thread may be dialing.
            self.close(exit_code(type(interrupt)))
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close with 1000 (1011 when an exception leaves), and wait for the handshake.

        After start(), for the listeners of the end too."""
        super().__exit__(kind, error, traceback)
        if self._finished is not None and not self._is_dispatching_here():
            self.join(self._patience(kind))

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield messages until the connection closes with 1000 or 1001.

        Raises:
            ConnectionClosed: It closed with anything else.
            RuntimeError: As for receive(), and on the thread that called
                start(function), which reads already.
            OSError: As connect() raises it, where this dials.
        """
        self._refuse_second_reader()
        while True:
            try:
                message = self.receive()
            except ConnectionClosed as closed:
                if closed.code in NORMAL:
                    return
                raise
            yield message

    # --- closing ------------------------------------------------------------------------------------

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close; returns at once, and does nothing the second time.

        As for a server's connection; one that is being opened is called off,
        and none is opened from now on.

        Args:
            code: 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999.
            reason: At most 123 octets of UTF-8.

        Raises:
            ValueError: code or reason is not allowed on the wire.
        """
        check_close(code, reason)
        with self._dial_lock:
            if self._close_with is not None:
                return
            self._close_with = code, reason
            link, outage = self._link, self._outage
            if link is None and outage is None and self._final is None:
                self._final = CloseEvent(code, reason, False, "local")
        if link is not None:
            link.close(code, reason)
        elif outage is not None:
            if outage.fresh is not None:
                outage.fresh.close(code, reason)
            outage.call_off()
            # Whoever is to dial may be held up by a pause.
            self.resume()
        elif self._final is not None and not self._is_told_closed:
            self._is_told_closed = True
            self._dispatch(self._final)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the connection is closed and none follows; reading goes on meanwhile.

        Safe from any thread.

        Args:
            timeout: Seconds to wait; None waits for ever, 0 only looks.

        Returns:
            True once closed, False when the time is over or nothing was opened.
        """
        deadline = deadline_after(timeout)
        while True:
            left = seconds_left(deadline)
            with self._dial_lock:
                link, outage = self._link, self._outage
            if link is not None:
                if not self._wait_for_end(link, left):
                    return False
                if not self._is_followed(link):
                    return True
            elif outage is None or self._is_refused():
                self._replay()
                return self._is_refused()
            elif not self._wait_for_outcome(outage, left):
                return False

    # --- for all connections to come ------------------------------------------------------------------

    def pause(self) -> None:
        """Hand out no more messages to listeners until resume(), before the first one too.

        As for a server's connection; one that is lost meanwhile is opened again
        when it is resumed. Safe from any thread."""
        with self._pause_lock:
            if self._resumed is None:
                self._resumed = self._world().event()
            link = self._link_now()
            if link is not None:
                link.incoming.is_paused = True

    def resume(self) -> None:
        """Undo pause(); safe from any thread."""
        link = self._link_now()
        super().resume()
        if link is not None:
            link.incoming.is_paused = False

    def discard(self) -> None:
        """Read and drop messages from now on, for a connection that only sends.

        Safe from any thread."""
        self._is_discarding = True
        link = self._link_now()
        if link is not None:
            link.discard()

    # --- what can be asked ----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The URL that was last asked for, without a fragment; redirects do not change it."""
        return self._url

    @property
    def environ(self) -> None:
        """None: only a server's end has one."""

    @property
    def headers(self) -> Headers:
        """The headers of the 101; empty before."""
        return Headers() if self._opened is None else self._opened.head.headers()

    @property
    def status_code(self) -> int | None:
        """101 once the handshake is done; before, that of the refusal, or None."""
        if self._opened is not None:
            return self._opened.head.status
        return getattr(self._failure, "status_code", None)

    @property
    def protocol(self) -> str:
        """The subprotocol agreed on, or an empty string."""
        return "" if self._driver is None else self._driver.protocol

    @property
    def remote_address(self) -> Any:
        """The address of the server, or of the proxy, as getpeername gives it; None before."""
        return self._remote_address

    # --- beneath --------------------------------------------------------------------------------------

    def _dial(self, attempt: Attempt) -> Link:
        self._url = check_url(attempt.ask(self._asked_url, "url"))
        headers = self._asked_headers
        if callable(headers):
            headers = _checked_headers(attempt.ask(headers, "headers"))
        driver = HybiClient(
            protocols=self._protocols, max_length=self._max_length, extensions=self._extensions
        )
        opened = self._upgrade(headers, driver, attempt)
        try:
            stream = opened.route.stream(attempt.world)
            driver.start()
            link = Link(stream, driver, attempt.world, self._terms, self._listens)
        except BaseException:
            opened.route.close()
            close_sessions(driver)
            raise
        try:
            link.begin(opened.early)
        except BaseException:
            link.give_up()
            raise
        self._opened, self._driver = opened, driver
        self._remote_address = remote_address(opened.route.sock)
        return link

    def _upgrade(self, headers: Pairs, driver: HybiClient, attempt: Attempt) -> Opened:
        try:
            return upgrade(self._ways, self._url, headers, driver, attempt)
        except BaseException:
            close_sessions(driver)
            raise

    def _wait_for_outcome(self, outage: Outage, timeout: float | None) -> bool:
        if outage.is_here():
            raise RuntimeError("wait_closed() inside a listener would wait for itself")
        if self._is_for_reader() and self._is_dispatching_here():
            # The one who dials in callback style waits here, so another has to.
            self._spawn_dialer(outage)
        if outage.is_called_off:
            # Perhaps an interrupt left it to nobody.
            self._work_on(outage)
        return call_home(outage.world, lambda: outage.decided.wait(timeout))


def _checked_headers(headers: Any) -> Pairs:
    return check_request_headers(pairs_of(headers))
