"""One message sent part by part: whose turn it is, and what becomes of half a message."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from faye_sync.backlog import Command, Turn
from faye_sync.errors import ProtocolError
from faye_sync.link import Link
from faye_sync.messages import Data, check_message

# Whoever ends the program did not fail.
_INTERRUPTS = (KeyboardInterrupt, SystemExit)

Transmit = Callable[[Command, Turn], bool]


def send_parts(
    link: Link, parts: Iterable[Data], transmit: Transmit, compress: bool | None
) -> bool:
    """Send one message over one link.

    Args:
        link: The connection.
        parts: As for Connection.send_stream().
        transmit: Writes the frame of a command within the turn, waiting for room.
        compress: As for Connection.send().

    Returns:
        False when the link takes no more.

    Raises:
        TypeError: A part is no message, or another kind than the first.
        ValueError: There is no part.
    """
    message = _Message(link, transmit, compress)
    try:
        for part in parts:
            if not message.send(part):
                return False
        return message.finish()
    except BaseException as error:
        message.fail(error)
        raise
    finally:
        message.end_turn()


class _Message:
    """The message on its way. One thread at a time."""

    def __init__(self, link: Link, transmit: Transmit, compress: bool | None) -> None:
        self._link = link
        self._transmit = transmit
        self._compress = compress
        self._turn = link.outgoing.new_turn()
        # An empty part of the first one's kind, to end with.
        self._nothing: str | bytes | None = None
        self._is_sending = False

    def send(self, part: Data) -> bool:
        self._is_sending = True
        check_message(part)
        nothing: str | bytes = "" if isinstance(part, str) else b""
        is_first = self._nothing is None
        if not is_first and type(nothing) is not type(self._nothing):
            raise TypeError(
                f"the parts of a message are all text or all octets, got {type(part).__name__} "
                f"after {type(self._nothing).__name__}"
            )
        is_sent = self._fragment(part, is_first=is_first, is_final=False)
        self._nothing = nothing
        self._is_sending = False
        return is_sent

    def finish(self) -> bool:
        self._is_sending = True
        if self._nothing is None:
            raise ValueError(
                "send_stream() got no part, so the message is neither text nor binary; "
                "an empty one has the part '' or b''"
            )
        return self._fragment(self._nothing, is_first=False, is_final=True)

    def fail(self, error: BaseException) -> None:
        """End the connection, unless nothing of the message has left and it was not at fault."""
        if self._is_sending and self._nothing is None and not self._turn.has_begun:
            return
        if self._is_sending and isinstance(error, ProtocolError):
            # An extension's; whoever framed the part has told the link, with the code that is due.
            return
        if self._is_sending and isinstance(error, TimeoutError):
            self._link.abort("send timeout")
        else:
            self._link.close(1001 if isinstance(error, _INTERRUPTS) else 1011, "")

    def end_turn(self) -> None:
        self._link.outgoing.end_turn(self._turn)

    def _fragment(self, part: Data, *, is_first: bool, is_final: bool) -> bool:
        fragment = partial(
            self._link.driver.sending.fragment,
            is_first=is_first,
            is_final=is_final,
            compress=self._compress,
        )
        return self._transmit((fragment, (part,)), self._turn)
