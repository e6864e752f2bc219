"""Blocking style: whoever takes the messages, one by one or bit by bit.

What else comes is delivered on the way, on the thread that takes. Messages are
for one thread at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from enum import Enum
from typing import TypeVar, cast

from faye_sync.concurrency import THREADS, attempts, call_home, leaf_lock
from faye_sync.deadlines import deadline_after, seconds_left
from faye_sync.delivery import Delivery, exit_code
from faye_sync.driver.base import MESSAGES, Piece
from faye_sync.driver.extension import Message
from faye_sync.errors import ConnectionClosed, ProtocolError
from faye_sync.events import DrainEvent, MessageEvent
from faye_sync.handout import Chunks
from faye_sync.link import Link
from faye_sync.streams import MessageStream

T = TypeVar("T")


class Style(Enum):
    """How messages are handed out."""

    OPEN = "not chosen yet"
    BLOCKING = "receive(), iteration or start(function)"
    CALLBACK = "message listeners"


# See OPEN in events.py.
_BLOCKING = Style.BLOCKING


class Taking(Delivery):
    """Receiving, for server and client alike."""

    __slots__ = ("_attempts_to_receive", "_receiving_lock", "_starter", "_style", "_unless_closed")

    def __init__(self) -> None:
        super().__init__()
        self._style = Style.OPEN
        # What the peer gets from a call that ends without a close.
        self._unless_closed = 1011
        # Who called start(function), and so leaves the reading to another.
        self._starter: object = None
        # Held by whoever receives; only ever tried, so a real lock serves greenlets too.
        self._receiving_lock = leaf_lock()
        self._attempts_to_receive = attempts(self._receiving_lock)

    # --- what the subclass adds -------------------------------------------------------------------

    def _refusal_error(self) -> ConnectionClosed:
        """Make the error for using a connection that never opened."""
        raise NotImplementedError

    def _source_when_open(self, timeout: float | None) -> Link | None:  # noqa: ARG002  # for clients
        return self._open()

    # --- for users --------------------------------------------------------------------------------

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Wait for the next message.

        Messages received before a close are handed out first. One thread may
        wait at a time, any may send meanwhile. Listeners of other events run
        in here. Where this opens a client's connection, open_timeout bounds
        that, unless it has a Reconnect.

        Args:
            timeout: Seconds to wait; None waits for ever, 0 only looks.

        Returns:
            str for a text message, bytes for a binary one; at most max_length
            octets on the wire.

        Raises:
            TimeoutError: Nothing came in time; the connection stays open.
            ConnectionClosed: Closed, and all messages are handed out; its code
                and reason say why, a ProtocolError behind it is its cause.
            RuntimeError: Called in callback style, in a listener, or while
                another thread receives.
        """
        link = self._source
        if link is None or self._style is not _BLOCKING:
            link = self._link_to_receive_from(timeout)
        if not (link.world is THREADS or link.world.is_home()):
            return call_home(link.world, lambda: self.receive(timeout))
        return self._as_receiver(link, self._receive, link, timeout)

    def receive_stream(self, timeout: float | None = None) -> MessageStream:
        """Wait for the beginning of the next message, and take it bit by bit as it comes.

        For messages of any size: max_length does not bound them. What is not
        taken of one is dropped as soon as the next is asked for. Otherwise
        like receive().

        Args:
            timeout: Seconds to wait, for the beginning and again for each
                chunk; None waits for ever.

        Returns:
            An iterator over chunks, str of a text message, bytes of a binary
            one; none is empty but the only one of an empty message.

        Raises:
            TimeoutError: As for receive(), by the iterator too, which may go on.
            ConnectionClosed: As for receive(), by the iterator too.
            RuntimeError: As for receive(), by the iterator too.
        """
        link = self._link_to_receive_from(timeout)
        if link.world.is_home():
            return self._as_receiver(link, self._begin_stream, link, timeout)
        return call_home(link.world, lambda: self.receive_stream(timeout))

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield messages until the connection closes, however it closes.

        Raises:
            RuntimeError: As for receive(), and on the thread that called
                start(function), which reads already.
        """
        self._refuse_second_reader()
        while True:
            try:
                message = self.receive()
            except ConnectionClosed:
                return
            yield message

    # --- the style --------------------------------------------------------------------------------

    def _choose(self, style: Style) -> None:
        self._refuse_in_listener("receive()" if style is Style.BLOCKING else "start()")
        self._fix(style)

    def _fix(self, style: Style) -> None:
        if self._style not in (Style.OPEN, style):
            raise RuntimeError(
                f"messages of this connection are handed out by {self._style.value}; "
                f"they cannot also be by {style.value}: use one of the two"
            )
        if style is Style.BLOCKING and self._listens(MessageEvent.type):
            raise RuntimeError(
                "a message listener was added, so receive() would take its messages away; "
                "use either on('message', ...) or receive(), iteration and start(function)"
            )
        self._style = style

    def _check(self, name: str, listener: object) -> None:
        super()._check(name, listener)
        if name == MessageEvent.type and self._style is Style.BLOCKING:
            raise RuntimeError(
                "messages of this connection are handed out by receive(), so a message listener "
                "would never run; use one of the two"
            )

    def _refuse_second_reader(self) -> None:
        current = self._world().current()
        if self._starter is not None and self._starter == current != self._receiver:
            raise RuntimeError(
                "the function of start() reads this connection, so it cannot be iterated here "
                "(Bottle iterates what a view returns: return an empty answer with ws.status_code)"
            )

    @staticmethod
    def _second_receiver_error(link: Link) -> Exception:
        if link.is_abandoned:
            return link.closing_error()
        return RuntimeError(
            "another thread (or a listener's own caller) is receiving; "
            "messages are for one thread at a time"
        )

    # --- beneath ----------------------------------------------------------------------------------

    def _link_to_receive_from(self, timeout: float | None) -> Link:
        is_first = self._style is not Style.BLOCKING
        if is_first:
            self._choose(Style.BLOCKING)
        link = self._source or self._source_when_open(timeout)
        if link is None:
            self._replay()
            raise self._refusal_error()
        if is_first and link.world.is_home():
            self._receiver = link.world.current()
        return link

    def _as_receiver(self, link: Link, take: Callable[..., T], *arguments: object) -> T:
        """Take messages, unless another thread does."""
        held = False
        try:
            for held in self._attempts_to_receive:
                break
            if held:
                return take(*arguments)
            raise self._second_receiver_error(link)
        except (KeyboardInterrupt, SystemExit) as error:
            self._unless_closed = exit_code(type(error))
            raise
        finally:
            if held:
                self._receiving_lock.release()

    def _receive(self, link: Link, timeout: float | None) -> str | bytes:
        if timeout is None and DrainEvent.type not in self._listeners:
            # The way of nearly all.
            message = link.handout.next_plain()
            if message is not None:
                return message
        # Whole, because no stream was asked for.
        return cast("str | bytes", self._next_message(link, timeout)[1])

    def _begin_stream(self, link: Link, timeout: float | None) -> MessageStream:
        link, begun = self._next_message(link, timeout, streams=True)
        return MessageStream(self, link, link.handout.begin(begun), timeout)

    def _next_chunk(self, link: Link, chunks: Chunks, timeout: float | None) -> str | bytes | None:
        """Return what comes next of a message, None at its end; for its stream."""
        if link.world.is_home():
            return self._as_receiver(link, self._take_chunk, link, chunks, timeout)
        return call_home(link.world, lambda: self._next_chunk(link, chunks, timeout))

    def _take_chunk(self, link: Link, chunks: Chunks, timeout: float | None) -> str | bytes | None:
        while True:
            if chunks.is_left:
                raise RuntimeError("this message was left for a later one; its rest is dropped")
            try:
                chunk = chunks.next()
                if chunk is not None or chunks.is_over:
                    # A small piece may unpack to thousands of chunks, and none of them waits.
                    link.world.breathe()
                    return chunk
            except ProtocolError as error:
                link.handout.fail(error)
            self._next_message(link, timeout, chunks=chunks)

    def _next_message(
        self,
        link: Link,
        timeout: float | None,
        *,
        chunks: Chunks | None = None,
        streams: bool = False,
    ) -> tuple[Link, str | bytes | Message | Piece]:
        """Wait for a message, or for what comes next of one, and deliver all else on the way.

        Args:
            link: Where from.
            timeout: Seconds to wait; None waits for ever.
            chunks: The message of which more is wanted; of this link alone.
            streams: Take the beginning of a message.

        Returns:
            What came, and the link that it came from.
        """
        if timeout is not None and math.isnan(timeout):
            raise ValueError("timeout must be seconds, or None for ever, got nan")
        deadline = deadline_after(timeout)
        while True:
            if streams:
                link.incoming.begin_stream()
            event = link.handout.next(
                deadline, wakeable=self._listens(DrainEvent.type), chunks=chunks, streams=streams
            )
            if link.incoming.is_woken:
                self._replay_anew(link)
            if isinstance(event, MESSAGES):
                return link, event
            if event is None:
                if seconds_left(deadline) == 0:
                    raise TimeoutError(no_message_within(timeout))
                continue
            following = None
            if event is link.final and chunks is None:
                following = self._following(link, deadline, timeout)
            if following is not None:
                link = following
                continue
            if chunks is None or event is not link.final or not self._is_followed(link):
                self._deliver_in_place(link, event)
            if event is link.final:
                raise link.closing_error()


def no_message_within(timeout: float | None) -> str:
    """Say that a receive() came to its deadline."""
    return f"no message came within the timeout of {timeout} s"
