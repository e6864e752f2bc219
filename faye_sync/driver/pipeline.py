"""The extensions that a connection agreed on, and how messages pass through them.

On the way out in the order of the answer, on the way in reverse. The two ways
share nothing that changes, so each may have a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from faye_sync.driver.extension import Decoder, Encoder, Message
from faye_sync.errors import MessageTooBig, ProtocolError

Agreed = tuple[Any, Any]


def close_all(agreed: Iterable[Agreed]) -> list[Exception]:
    """Close every session, even when one raises; returns what they raised."""
    errors = []
    for _, session in agreed:
        try:
            session.close()
        except Exception as error:
            errors.append(error)
    return errors


class Pipeline:
    """The sessions of one connection. One thread at a time for each of the two ways."""

    def __init__(self, agreed: Sequence[Agreed], max_length: int) -> None:
        """Join what was agreed on.

        Args:
            agreed: Extensions and their sessions, in the order of the answer.
            max_length: Octets that an incoming message may have.
        """
        self._agreed = tuple(agreed)
        self._max_length = max_length
        self._bits = {extension.name: bits_of(extension) for extension, _ in agreed}
        self._broken_incoming: ProtocolError | None = None
        self._broken_outgoing: ProtocolError | None = None
        self.names = tuple(extension.name for extension, _ in agreed)
        self.rsv = sum(self._bits.values())
        self.shows_all = not all(getattr(session, "only_marked", False) for _, session in agreed)

    def incoming(self, message: Message) -> Message:
        """Undo what the peer's extensions did to a message.

        Args:
            message: As it came.

        Returns:
            What the sessions made of it, the last one of the answer first.

        Raises:
            ProtocolError: One of them failed: with the code that it gave, else
                1010. From then on every message fails.
        """
        if self._broken_incoming is not None:
            raise self._broken_incoming
        for extension, session in reversed(self._agreed):
            if not self._concerns(extension, session, message):
                continue
            try:
                message = session.process_incoming_message(message)
            except Exception as error:
                raise self.fail_incoming(extension, error) from _cause(error)
        return message

    def outgoing(self, message: Message) -> Message:
        """Do to a message what the peer's extensions are to undo.

        Args:
            message: What the user sends.

        Returns:
            What the sessions made of it, the first one of the answer first.

        Raises:
            ProtocolError: As for incoming().
        """
        if self._broken_outgoing is not None:
            raise self._broken_outgoing
        for extension, session in self._agreed:
            try:
                message = session.process_outgoing_message(message)
            except Exception as error:
                raise self.fail_outgoing(extension, error) from _cause(error)
        return message

    def incoming_stream(self, head: Message) -> Decoder:
        """Begin to undo a message that comes in pieces.

        Args:
            head: Opcode and reserved bits of the message.

        Returns:
            What takes the pieces. Where a session wants whole messages, or
            several are concerned, it holds them until the last one came, at
            most max_length octets.
        """
        concerned = [one for one in self._agreed if self._concerns(*one, head)]
        if not concerned:
            return _Passing()
        if len(concerned) == 1:
            extension, session = concerned[0]
            decoder = _ability(session, "incoming_stream", head)
            if decoder is not None:
                return _Guarded(self, extension, decoder)
        return _Gathering(self, head, self._max_length)

    def outgoing_stream(self, head: Message) -> Encoder:
        """Begin to pack a message that leaves in parts.

        Args:
            head: Its opcode, and what the user said of compressing; the
                reserved bits of its first frame are set in it, at the latest
                when there is something for that frame.

        Returns:
            What takes the parts. Where the session wants whole messages, or
            there are several, it holds them until the last one came.
        """
        if len(self._agreed) == 1 and self._broken_outgoing is None:
            extension, session = self._agreed[0]
            encoder = _ability(session, "outgoing_stream", head)
            if encoder is not None:
                return _Packing(self, extension, encoder)
        return _Collecting(self, head)

    def outgoing_lost(self) -> bool:
        """Note that messages were processed that never left.

        Returns:
            False when a session cannot go on after that, or does not say.
        """
        answers = [_ability(session, "outgoing_lost") for _, session in self._agreed]
        return all(answers)

    def close(self) -> list[Exception]:
        """Close every session, once; returns what they raised."""
        agreed, self._agreed = self._agreed, ()
        return close_all(agreed)

    def fail_incoming(self, extension: Any, error: Exception) -> ProtocolError:
        """Note that a session failed on the way in; returns what is to be raised."""
        self._broken_incoming = _failure(extension, error)
        return self._broken_incoming

    def fail_outgoing(self, extension: Any, error: Exception) -> ProtocolError:
        """Note that a session failed on the way out; returns what is to be raised."""
        self._broken_outgoing = _failure(extension, error)
        return self._broken_outgoing

    def _concerns(self, extension: Any, session: Any, message: Message) -> bool:
        """Whether an incoming message is to pass through a session."""
        if not getattr(session, "only_marked", False):
            return True
        marks = message.rsv1 << 2 | message.rsv2 << 1 | message.rsv3
        return bool(marks & self._bits[extension.name])


def bits_of(extension: Any) -> int:
    """Return the reserved bits that an extension owns, RSV1 being 4."""
    return int(extension.rsv1 << 2 | extension.rsv2 << 1 | extension.rsv3)


def _ability(session: Any, method: str, *arguments: Any) -> Any:
    """Call what a session may have or not; None when it has not."""
    found = getattr(session, method, None)
    return None if found is None else found(*arguments)


def _failure(extension: Any, error: Exception) -> ProtocolError:
    if isinstance(error, ProtocolError):
        return error
    return ProtocolError(f"{extension.name}: {error}", 1010)


def _cause(error: Exception) -> Exception | None:
    """Return what a failure is to name as its cause: an extension's own needs none."""
    return None if isinstance(error, ProtocolError) else error


class _Passing:
    """Takes a message that concerns no extension."""

    def feed(self, piece: bytes, *, is_final: bool) -> Iterator[bytes]:
        del is_final
        yield piece


class _Guarded:
    """A session's own decoder, whose failure is the extension's."""

    def __init__(self, pipeline: Pipeline, extension: Any, decoder: Decoder) -> None:
        self._pipeline = pipeline
        self._extension = extension
        self._decoder = decoder

    def feed(self, piece: bytes, *, is_final: bool) -> Iterator[bytes]:
        try:
            yield from self._decoder.feed(piece, is_final=is_final)
        except Exception as error:
            raise self._pipeline.fail_incoming(self._extension, error) from _cause(error)


class _Gathering:
    """Holds a message until it is whole."""

    def __init__(self, pipeline: Pipeline, head: Message, max_length: int) -> None:
        self._pipeline = pipeline
        self._head = head
        self._max_length = max_length
        self._data = bytearray()

    def feed(self, piece: bytes, *, is_final: bool) -> Iterator[bytes]:
        self._data += piece
        if len(self._data) > self._max_length:
            raise MessageTooBig(len(self._data), self._max_length)
        if is_final:
            self._head.data = bytes(self._data)
            yield self._pipeline.incoming(self._head).data


class _Packing:
    """A session's own encoder, whose failure is the extension's."""

    def __init__(self, pipeline: Pipeline, extension: Any, encoder: Encoder) -> None:
        self._pipeline = pipeline
        self._extension = extension
        self._encoder = encoder

    def feed(self, piece: bytes) -> bytes:
        try:
            return self._encoder.feed(piece)
        except Exception as error:
            raise self._pipeline.fail_outgoing(self._extension, error) from _cause(error)

    def finish(self) -> bytes:
        try:
            return self._encoder.finish()
        except Exception as error:
            raise self._pipeline.fail_outgoing(self._extension, error) from _cause(error)


class _Collecting:
    """Holds a message until it is whole, and packs it then."""

    def __init__(self, pipeline: Pipeline, head: Message) -> None:
        self._pipeline = pipeline
        self._head = head
        self._parts: list[bytes] = []

    def feed(self, piece: bytes) -> bytes:
        self._parts.append(piece)
        return b""

    def finish(self) -> bytes:
        head = self._head
        packed = self._pipeline.outgoing(
            Message(head.opcode, b"".join(self._parts), compress=head.compress)
        )
        head.rsv1, head.rsv2, head.rsv3 = packed.rsv1, packed.rsv2, packed.rsv3
        return packed.data
