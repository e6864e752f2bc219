"""What server and client share: sending, pinging, closing, and what can be asked."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TypeVar

from faye_sync.backlog import Command, Turn
from faye_sync.concurrency import THREADS, call_home
from faye_sync.delivery import exit_code
from faye_sync.driver.frames import check_close
from faye_sync.events import OPEN
from faye_sync.link import Link
from faye_sync.messages import Data, check_message, command_for, offer, ping_payload
from faye_sync.parts import send_parts
from faye_sync.piping import Pipe
from faye_sync.status import Status
from faye_sync.taking import Style
from faye_sync.terms import Terms

C = TypeVar("C", bound="Connection")
P = TypeVar("P")

# Seconds for the closing handshake of a program that is being interrupted.
HASTE = 0.2
# Seconds between a deadline and the end that housekeeping makes of it.
MARGIN = 0.5


class Connection(Status):
    """A WebSocket connection, from either end. Every method is safe from any thread
    unless it says otherwise."""

    __slots__ = ("id",)

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.id = secrets.token_hex(4)

    # --- sending ----------------------------------------------------------------------------------

    def send(
        self,
        data: Data,
        *,
        compress: bool | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Send one message, waiting while the peer takes nothing.

        Where this opens a client's connection, open_timeout bounds that.
        Not for signal handlers, which would wait for the sender they stopped:
        close() and send_nowait() are.

        Args:
            data: str is sent as text; bytes, bytearray, memoryview as binary.
            compress: Where compression was agreed on: True compresses a message
                under its threshold too, False compresses none.
            timeout: Seconds for all of it; None for the connection's send_timeout.

        Returns:
            True once the kernel has it. False when closing or refused, in
            callback style.

        Raises:
            TimeoutError: The deadline passed; if part of a frame had left, the
                connection is failed with 1006.
            ConnectionClosed: Closing already, in blocking style.
            TypeError: data is of another type, or binary where the version
                carries text only.
            ValueError: data is text with a lone surrogate.
            ProtocolError: An extension failed, and the connection with it.
        """
        link = self._link or self._open(timeout)
        if link is None:
            check_message(data)
            return self._not_sent(link)
        if compress is None and self._send_at_once(link, data, timeout):
            return True
        return self._send(link, [command_for(link, data, compress)], timeout)

    def send_many(self, messages: Iterable[Data], *, timeout: float | None = None) -> bool:
        """Send several messages in one write; otherwise like send().

        Args:
            messages: Each as for send(); other senders' messages do not come between.
            timeout: Seconds for all of them; None for the connection's send_timeout.

        Returns:
            True once the kernel has all. False when closing, in callback style.

        Raises:
            TimeoutError: As for send().
            ConnectionClosed: As for send().
            TypeError: A message is of another type, or there is only one in
                place of several; none was sent.
            ValueError: A text has a lone surrogate.
        """
        if isinstance(messages, str | bytes | bytearray | memoryview):
            raise TypeError(
                f"send_many() takes several messages, got one {type(messages).__name__}"
            )
        link = self._link or self._open(timeout)
        if link is None:
            return self._not_sent(link)
        return self._send(link, [command_for(link, data) for data in messages], timeout)

    def send_stream(
        self,
        parts: Iterable[Data],
        *,
        compress: bool | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Send one message part by part, each as soon as there is one.

        Other senders wait until it is over; pings, pongs and a close pass. An
        exception in parts leaves a message that can never be whole, so it
        closes the connection with 1011.

        Args:
            parts: All str, for a text message, or all octets; a file or a generator.
            compress: As for send(); no part is too small.
            timeout: Seconds that each part may wait; None for the connection's
                send_timeout.

        Returns:
            True once the kernel has all of it. False when closing or refused,
            in callback style.

        Raises:
            TimeoutError: A part came to its deadline; unless it was the first,
                the connection is failed with 1006.
            ConnectionClosed: As for send().
            TypeError: A part is of another type than the first.
            ValueError: There is no part at all, or one has a lone surrogate.
            ProtocolError: As for send().
        """
        if isinstance(parts, str | bytes | bytearray | memoryview):
            raise TypeError(
                f"send_stream() takes the parts of a message, got one {type(parts).__name__}; "
                "send() sends it"
            )
        link = self._link or self._open(timeout)
        if link is None:
            return self._not_sent(link)
        if timeout is None:
            timeout = self._terms.send_timeout

        def transmit(command: Command, turn: Turn) -> bool:
            return self._transmit(link, [command], timeout, turn)

        return send_parts(link, parts, transmit, compress) or self._not_sent(link)

    def send_nowait(self, data: Data) -> bool:
        """Send one message without waiting: what the kernel does not take is queued.

        Args:
            data: As for send().

        Returns:
            False when more than max_queue octets would be queued (one larger
            message passes alone), or when closing or refused.

        Raises:
            TypeError: data is of another type.
            ValueError: data is text with a lone surrogate.
        """
        check_message(data)
        link = self._link_now()
        if link is None:
            return False
        return offer(link, data, link.driver.sending.frame(data))

    def write(self, data: Data) -> bool:
        """Send one message; send() under the name that streams have.

        Args:
            data: As for send().

        Returns:
            As send().

        Raises:
            TimeoutError: As for send().
            ConnectionClosed: As for send().
            TypeError: As for send().
        """
        return self.send(data)

    def end(self, data: Data | None = None) -> None:
        """Send a last message, if any, then close with 1000.

        Args:
            data: As for send().

        Raises:
            TimeoutError: As for send().
            ConnectionClosed: As for send().
            TypeError: As for send().
        """
        if data is not None:
            self.send(data)
        self.close()

    def pipe(self, other: P, end: bool = True) -> P:
        """Hand every message to another connection, or to anything with send() or write().

        For callback style: start(), run() or the call of the object reads. The
        target's send waits, so a slow target stops the reading. A target that
        is closed gets no more, and the source goes on.

        Args:
            other: Where to; its send(), if it has one, else its write().
            end: Close it when this connection closes: a connection with the
                same code (1011 for one that may not be sent), others by end()
                or close().

        Returns:
            other.

        Raises:
            TypeError: other has neither send() nor write().
            RuntimeError: Messages of this connection are handed out by receive().
        """
        pipe = Pipe(self, other, ends=end)
        self._fix(Style.CALLBACK)
        pipe.begin()
        return other

    def ping(self, data: Data = "", callback: Callable[[], object] | None = None) -> bool:
        """Send a ping; waits for nothing, but for the opening of a client's connection.

        Args:
            data: At most 125 octets, text in UTF-8.
            callback: Called without arguments, on the reading thread, when the
                pong of this ping comes. One of the same data replaces it.

        Returns:
            False when closing or refused, or where the version has no ping.

        Raises:
            TypeError: data is of another type, or the callback cannot be called.
            ValueError: data is longer, or text with a lone surrogate.
        """
        payload = ping_payload(data)
        if callback is not None and not callable(callback):
            raise TypeError(f"a callback must be callable, got {type(callback).__name__}")
        link = self._link or self._open()
        if link is None or not (link.is_open() and link.driver.sending.has_ping):
            return False
        link.liveness.ping(payload, callback)
        return True

    # --- closing ----------------------------------------------------------------------------------

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close; returns at once, and does nothing the second time.

        What send_nowait() took leaves first. Messages that arrive from now on
        are dropped. The peer has close_timeout seconds to answer.

        Args:
            code: 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999.
            reason: At most 123 octets of UTF-8.

        Raises:
            ValueError: code or reason is not allowed on the wire.
        """
        check_close(code, reason)
        link = self._link or self._open()
        if link is None:
            self._close_when_open(code, reason)
        else:
            link.close(code, reason)

    def __enter__(self: C) -> C:
        """Open the connection.

        Returns:
            The connection.
        """
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close with 1000 (1011 when an exception leaves) and wait for the handshake."""
        self.close(1000 if kind is None else exit_code(kind))
        if self._link is not None:
            self.wait_closed(self._patience(kind))

    # --- beneath ----------------------------------------------------------------------------------

    def _link_now(self) -> Link | None:
        """Return the link if it takes no waiting for the network."""
        return self._link or self._open()

    def _patience(self, kind: type[BaseException] | None) -> float | None:
        """Seconds that the end of a with waits for the closing handshake."""
        timeout = self._terms.close_timeout
        if kind is None or exit_code(kind) != 1001:
            # So much more that housekeeping can tell of an end by that very deadline.
            return None if timeout is None else timeout + MARGIN
        # Whoever interrupts the program does not want to wait.
        return HASTE if timeout is None else min(timeout, HASTE)

    def _close_when_open(self, code: int, reason: str) -> None:
        """Note a close of one that is being opened, beneath in the same thread; there may be none."""

    def _send(self, link: Link, commands: list[Command], timeout: float | None) -> bool:
        if timeout is None:
            timeout = self._terms.send_timeout
        return self._transmit(link, commands, timeout) or self._not_sent(link)

    def _send_at_once(self, link: Link, data: Data, timeout: float | None) -> bool | None:
        """Send where nothing is in the way; all but True has to be tried again, or told of."""
        if link.state is not OPEN or not (link.world is THREADS or link.world.is_home()):
            return None
        if timeout is None:
            timeout = self._terms.send_timeout
        try:
            return link.outgoing.send_whole(data, timeout)
        except (KeyboardInterrupt, SystemExit) as error:
            self._unless_closed = exit_code(type(error))
            raise

    def _transmit(
        self,
        link: Link,
        commands: list[Command],
        timeout: float | None,
        turn: Turn | None = None,
    ) -> bool:
        """Send over one link; False when that takes no more."""
        try:
            if link.world.is_home():
                return link.send(commands, timeout, turn)
            link.outgoing.check_turn(turn)
            return call_home(link.world, lambda: link.send(commands, timeout, turn))
        except (KeyboardInterrupt, SystemExit) as error:
            self._unless_closed = exit_code(type(error))
            raise

    def _not_sent(self, link: Link | None) -> bool:
        if self._style is not Style.BLOCKING:
            return False
        raise self._refusal_error() if link is None else link.closing_error()

    def _linked(self, link: Link) -> None:
        link.on_end = self._ended
        self._link = self._source = link
