"""What server and client share: sending, pinging, closing, and what can be asked."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

from faye_sync.concurrency import call_home
from faye_sync.delivery import exit_code
from faye_sync.driver.frames import MAX_CONTROL, check_close, encode_text
from faye_sync.events import ReadyState
from faye_sync.link import Link
from faye_sync.reading import ReadingSide, Style
from faye_sync.sending import Command
from faye_sync.terms import Terms

C = TypeVar("C", bound="Connection")

# Seconds for the closing handshake of a program that is being interrupted.
HASTE = 0.2
# Seconds between a deadline and the end that housekeeping makes of it.
MARGIN = 0.5

Data = str | bytes | bytearray | memoryview


class Connection(ReadingSide):
    """A WebSocket connection, from either end. Every method is safe from any thread
    unless it says otherwise."""

    def __init__(self, terms: Terms) -> None:
        super().__init__()
        self.id = secrets.token_hex(4)
        self._terms = terms
        self._opened_at: float | None = None

    # --- sending ----------------------------------------------------------------------------------

    def send(
        self,
        data: Data,
        *,
        compress: bool | None = None,  # noqa: ARG002  # for connections that agreed on compression
        timeout: float | None = None,
    ) -> bool:
        """Send one message, waiting while the peer takes nothing.

        Where this opens a client's connection, open_timeout bounds that.
        Not for signal handlers, which would wait for the sender they stopped:
        close() and send_nowait() are.

        Args:
            data: str is sent as text; bytes, bytearray, memoryview as binary.
            compress: Has a meaning only where compression was agreed on.
            timeout: Seconds for all of it; None for the connection's send_timeout.

        Returns:
            True once the kernel has it. False when closing or refused, in
            callback style.

        Raises:
            TimeoutError: The deadline passed; if part of a frame had left, the
                connection is failed with 1006.
            ConnectionClosed: Closing already, in blocking style.
            TypeError: data is of another type.
            ValueError: data is text with a lone surrogate.
        """
        link = self._link or self._open(timeout)
        if link is None:
            check_message(data)
            return self._not_sent(link)
        command = (_method_for(link, data), (data,))
        return self._send(link, [command], timeout)

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
        return self._send(link, [(_method_for(link, data), (data,)) for data in messages], timeout)

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

    @property
    def buffered_amount(self) -> int:
        """Octets that were sent or queued and that the kernel has not accepted yet."""
        return 0 if self._link is None else self._link.outgoing.unsent

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
        payload = _ping_payload(data)
        if callback is not None and not callable(callback):
            raise TypeError(f"a callback must be callable, got {type(callback).__name__}")
        link = self._link or self._open()
        if link is None or not link.is_open():
            return False
        link.liveness.ping(payload, callback)
        return True

    @property
    def latency(self) -> float | None:
        """Seconds between the last ping that was answered and its pong; None before."""
        return None if self._link is None else self._link.liveness.latency

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

    # --- what can be asked ------------------------------------------------------------------------

    @property
    def ready_state(self) -> ReadyState:
        """CONNECTING, OPEN, CLOSING or CLOSED, equal to 0 to 3."""
        if self._link is not None:
            return self._link.state
        return ReadyState.CLOSED if self._is_refused() else ReadyState.CONNECTING

    @property
    def closed(self) -> bool:
        """True once the closing handshake is over, or there is none to come."""
        return self.ready_state is ReadyState.CLOSED

    @property
    def close_code(self) -> int | None:
        """The code of the close event; None before."""
        if self._link is not None:
            return None if self._link.final is None else self._link.final.code
        return self._refusal_error().code if self._is_refused() else None

    @property
    def close_reason(self) -> str | None:
        """The reason of the close event; None before."""
        if self._link is not None:
            return None if self._link.final is None else self._link.final.reason
        return self._refusal_error().reason if self._is_refused() else None

    @property
    def version(self) -> str:
        """hybi-13."""
        return "hybi-13"

    @property
    def extensions(self) -> tuple[str, ...]:
        """Names of the extensions agreed on."""
        return ()

    @property
    def opened_at(self) -> float | None:
        """The clock time, as of time.time(), at which the connection opened; None before."""
        return self._opened_at

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

    def _transmit(self, link: Link, commands: list[Command], timeout: float | None) -> bool:
        """Send over one link; False when that takes no more."""
        try:
            if link.world.is_home():
                return link.send(commands, timeout)
            return call_home(link.world, lambda: link.send(commands, timeout))
        except (KeyboardInterrupt, SystemExit) as error:
            self._unless_closed = exit_code(type(error))
            raise

    def _not_sent(self, link: Link | None) -> bool:
        if self._style is not Style.BLOCKING:
            return False
        raise self._refusal_error() if link is None else link.closing_error()

    def _linked(self, link: Link) -> None:
        link.on_end = lambda: self._ended(link)
        self._link = self._source = link


def _method_for(link: Link, data: object) -> Callable[[Any], None]:
    """Choose the sending half's command by the type of data."""
    check_message(data)
    sending = link.driver.sending
    return sending.text if isinstance(data, str) else sending.binary


def check_message(data: object) -> None:
    """Refuse what is no message.

    Args:
        data: What a user wants to send.

    Raises:
        TypeError: It is neither text nor octets; names the type, and a cure.
    """
    if isinstance(data, str | bytes | bytearray | memoryview):
        return
    hint = "; json.dumps() makes text of it" if isinstance(data, dict | list) else ""
    raise TypeError(
        f"a message is str, bytes, bytearray or memoryview, got {type(data).__name__}{hint}"
    )


def _ping_payload(data: object) -> bytes:
    if isinstance(data, str):
        payload = encode_text(data)
    elif isinstance(data, bytes | bytearray | memoryview):
        payload = bytes(data)
    else:
        raise TypeError(f"a ping carries str or octets, got {type(data).__name__}")
    if len(payload) > MAX_CONTROL:
        raise ValueError(f"a ping carries at most {MAX_CONTROL} octets, got {len(payload)}")
    return payload


def offer(link: Link, data: Data, frame: bytes | None) -> bool:
    """Send a message without waiting, from its frame where it may be shared.

    Args:
        link: The connection.
        data: The message.
        frame: What frame() of a half of the same kind made of it.

    Returns:
        False when full or closing.

    Raises:
        TypeError: data is no message.
        ValueError: data is text with a lone surrogate.
    """
    if frame is not None:
        return link.send_nowait((link.driver.sending.framed, (frame,)), len(frame))
    # Checked and copied now, because it is framed later and maybe by another thread.
    payload = data if isinstance(data, str) else bytes(data)
    size = len(encode_text(payload)) if isinstance(payload, str) else len(payload)
    return link.send_nowait((_method_for(link, data), (payload,)), size)
