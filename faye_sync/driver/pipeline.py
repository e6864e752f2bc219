"""The extensions that a connection agreed on, and how messages pass through them.

On the way out in the order of the answer, on the way in reverse. The two ways
share nothing that changes, so each may have a thread of its own. What a session
raises or returns is an extension's, and so may be wrong. RFC 6455 9."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from faye_sync.driver.extension import Decoder, Encoder, Message
from faye_sync.driver.frames import BINARY, RECEIVABLE_CODES, TEXT
from faye_sync.errors import MessageTooBig, ProtocolError

T = TypeVar("T")
Agreed = tuple[Any, Any]
"""An extension and its session."""

_OPCODES = frozenset((TEXT, BINARY))


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
    """The sessions of one connection. One thread at a time for each of the two ways.

    Attributes:
        names: Of the extensions, in the order of the answer.
        rsv: The reserved bits that they own, RSV1 being 4.
        shows_all: True when a session wants incoming messages without such a bit too.
    """

    def __init__(self, agreed: Sequence[Agreed], max_length: int) -> None:
        """Join what was agreed on.

        Args:
            agreed: Extensions and their sessions, in the order of the answer;
                no two of them own one reserved bit.
            max_length: Octets that an incoming message may have.
        """
        self._agreed = tuple(agreed)
        self._max_length = max_length
        # In the order of the way in, each with the reserved bits of which a message needs one to
        # concern it.
        self._wanting = [(*one, _wanted_bits(*one)) for one in reversed(agreed)]
        self._way_in = _Way(is_mended=False)
        self._way_out = _Way(is_mended=True)
        self._is_closed = False
        self.names = tuple(extension.name for extension, _ in agreed)
        self.rsv = sum(_bits_of(extension) for extension, _ in agreed)
        self.shows_all = any(wanted is None for *_, wanted in self._wanting)

    def incoming(self, message: Message) -> Message:
        """Undo what the peer's extensions did to a message.

        Args:
            message: As it came.

        Returns:
            What the sessions made of it, the last one of the answer first.

        Raises:
            ProtocolError: One of them failed: with the code that it gave, else
                1010. From then on every incoming message fails.
        """
        way = self._way_in
        way.check()
        for extension, session, wanted in self._wanting:
            if wanted is None or wanted & _bits_of(message):
                message = way.process(extension, session.process_incoming_message, message)
        return message

    def outgoing(self, message: Message) -> Message:
        """Do to a message what the peer's extensions are to undo.

        Args:
            message: What the user sends.

        Returns:
            What the sessions made of it, the first one of the answer first.

        Raises:
            ProtocolError: As for incoming(), of outgoing messages.
        """
        way, rsv = self._way_out, self.rsv
        way.check()
        for extension, session in self._agreed:
            message = way.process(extension, session.process_outgoing_message, message, rsv)
        return message

    def incoming_stream(self, head: Message) -> Decoder:
        """Begin to undo a message that comes in pieces.

        Args:
            head: Opcode and reserved bits of the message.

        Returns:
            What takes the pieces. Where a session wants whole messages, or
            several are concerned, it holds them until the last one came, at
            most max_length octets.

        Raises:
            ProtocolError: As for incoming(); by the decoder too.
        """
        self._way_in.check()
        bits = _bits_of(head)
        concerned = [one for one in self._wanting if one[-1] is None or one[-1] & bits]
        if not concerned:
            return _Passing()
        if len(concerned) == 1:
            extension, session, _ = concerned[0]
            decoder = self._way_in.call(extension, _ability, session, "incoming_stream", head)
            if decoder is not None:
                return _Unpacking(self._way_in, extension, decoder)
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

        Raises:
            ProtocolError: As for outgoing(); by the encoder too.
        """
        self._way_out.check()
        if len(self._agreed) == 1:
            extension, session = self._agreed[0]
            encoder = self._way_out.call(extension, _ability, session, "outgoing_stream", head)
            if encoder is not None:
                self._way_out.call(extension, _check_head, head, self.rsv)
                return _Packing(self._way_out, extension, encoder)
        return _Collecting(self, head)

    def outgoing_lost(self) -> bool:
        """Note that messages were processed that never left.

        Returns:
            False when a session cannot go on after that, or does not say.
        """
        try:
            # Each of them is to know, whatever the others say.
            answers = [
                self._way_out.call(extension, _ability, session, "outgoing_lost")
                for extension, session in self._agreed
            ]
        except ProtocolError:
            # Now or before: either way no later message leaves.
            return True
        return all(answers)

    def close(self) -> list[Exception]:
        """Close every session, once; returns what they raised.

        No incoming message may follow; what is sent nevertheless goes nowhere.
        """
        if self._is_closed:
            return []
        self._is_closed = True
        self._way_in.shut("a message came after its extensions had ended")
        return close_all(self._agreed)


class _Way:
    """Calls the sessions in one direction, until one of them fails."""

    __slots__ = ("_failure", "_is_mended")

    def __init__(self, *, is_mended: bool) -> None:
        """Begin.

        Args:
            is_mended: Whether somebody takes care of a message that an interrupt
                left half done: on the way out it is lost, and the sessions are
                told so.
        """
        self._is_mended = is_mended
        # Text and code, because an exception would keep the message alive.
        self._failure: tuple[str, int] | None = None

    def check(self) -> None:
        """Refuse every message after one that failed: its like depend on it."""
        if self._failure is not None:
            raise ProtocolError(*self._failure)

    def shut(self, text: str) -> None:
        """Refuse every message from now on."""
        self._failure = self._failure or (text, 1011)

    def process(
        self,
        extension: Any,
        process: Callable[[Message], Any],
        message: Message,
        rsv: int | None = None,
    ) -> Message:
        """Have a session process a message, which may then bear these reserved bits, if any."""
        try:
            made = process(message)
            if type(made) is not Message or type(made.data) is not bytes:
                made = _checked(made, process)
            if rsv is not None:
                _check_head(made, rsv)
            return made
        except BaseException as error:
            self._note(extension, error)
            raise

    def call(self, extension: Any, function: Callable[..., T], *arguments: Any) -> T:
        """Call what may fail, and is then the extension's fault."""
        if self._failure is not None:
            self.check()
        try:
            return function(*arguments)
        except BaseException as error:
            self._note(extension, error)
            raise

    def _note(self, extension: Any, error: BaseException) -> None:
        """Take note of what a session raised, and raise what is to be raised instead, if anything."""
        if not isinstance(error, Exception):
            if not self._is_mended:
                self.shut(f"{extension.name}: interrupted by {type(error).__name__}")
            return
        if isinstance(error, ProtocolError) and error.code in RECEIVABLE_CODES:
            self._failure = (str(error), error.code)
            return
        text = f"{extension.name}: {str(error) or type(error).__name__}"
        self._failure = (text, 1010)
        raise ProtocolError(*self._failure) from error


def _bits_of(owner: Any) -> int:
    """Return the reserved bits of an extension or a message, RSV1 being 4."""
    return owner.rsv1 << 2 | owner.rsv2 << 1 | owner.rsv3  # type: ignore[no-any-return]


def _wanted_bits(extension: Any, session: Any) -> int | None:
    """Return which reserved bits mark what a session wants to see; None when it wants all."""
    return _bits_of(extension) if getattr(session, "only_marked", False) else None


def _ability(session: Any, method: str, *arguments: Any) -> Any:
    """Call what a session may have or not; None when it has not."""
    found = getattr(session, method, None)
    return None if found is None else found(*arguments)


def _checked(made: Any, process: Callable[[Message], Any]) -> Message:
    """Refuse what is no message, or has no octets."""
    if not isinstance(made, Message):
        raise TypeError(f"{_name_of(process)}() must return a Message, got {made!r}")
    if type(made.data) is not bytes:
        made.data = _octets(made.data, _name_of(process))
    return made


def _check_head(head: Message, rsv: int) -> None:
    """Refuse what the peer would refuse, and could not say why."""
    if head.opcode not in _OPCODES:
        raise ValueError(f"opcode of a message must be 1 or 2, got {head.opcode!r}")
    if _bits_of(head) & ~rsv:
        raise ValueError("a reserved bit is set that no extension of this connection owns")


def _octets(data: Any, maker: str) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"{maker}() must make octets, got {type(data).__name__}")


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


class _Passing:
    """Takes a message that concerns no extension."""

    def feed(self, piece: bytes, *, is_final: bool) -> Iterator[bytes]:
        del is_final
        yield piece


class _Unpacking:
    """A session's own decoder."""

    def __init__(self, way: _Way, extension: Any, decoder: Decoder) -> None:
        self._way = way
        self._extension = extension
        self._decoder = decoder

    def feed(self, piece: bytes, *, is_final: bool) -> Iterator[bytes]:
        call, extension = self._way.call, self._extension
        pieces = call(extension, lambda: self._decoder.feed(piece, is_final=is_final))
        while (plain := call(extension, next, pieces, None)) is not None:
            yield call(extension, _octets, plain, "feed")


class _Gathering:
    """Holds a message until it is whole."""

    def __init__(self, pipeline: Pipeline, head: Message, max_length: int) -> None:
        self._pipeline = pipeline
        self._head = head
        self._max_length = max_length
        self._data = bytearray()

    def feed(self, piece: bytes, *, is_final: bool) -> Iterator[bytes]:
        size = len(self._data) + len(piece)
        if size > self._max_length:
            raise MessageTooBig(size, self._max_length)
        self._data += piece
        if is_final:
            self._head.data = bytes(self._data)
            yield self._pipeline.incoming(self._head).data


class _Packing:
    """A session's own encoder."""

    def __init__(self, way: _Way, extension: Any, encoder: Encoder) -> None:
        self._way = way
        self._extension = extension
        self._encoder = encoder

    def feed(self, piece: bytes) -> bytes:
        return self._way.call(self._extension, lambda: _octets(self._encoder.feed(piece), "feed"))

    def finish(self) -> bytes:
        return self._way.call(self._extension, lambda: _octets(self._encoder.finish(), "finish"))


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
        whole = Message(head.opcode, b"".join(self._parts), compress=head.compress)
        packed = self._pipeline.outgoing(whole)
        head.rsv1, head.rsv2, head.rsv3 = packed.rsv1, packed.rsv2, packed.rsv3
        return packed.data
