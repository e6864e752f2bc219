"""Read the answer to a request by h11, strict and bounded.

h11 bounds a head only while it is incomplete, and takes a bare LF for the end
of a line; both are seen to here. RFC 9112 2.2 and 5, RFC 9110 15.2."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import h11
from werkzeug.datastructures import Headers

from faye_sync.driver.handshake import shown
from faye_sync.errors import ConfigurationError, HandshakeError
from faye_sync.transport.pipe import Pipe

# Octets of all heads of one answer together, and how many of them h11 gets at once.
HEAD_LIMIT = 65536
_PIECE = 16384
_MOST_FIELDS = 256
# Answers before the answer: 100, 103 and their like.
_MOST_INFORMATIONAL = 8
# Octets of a refusal's body that are kept.
BODY_LIMIT = 65536

# Octets of an answer that is none, for its error.
_SHOWN = 40

_BARE_LF = re.compile(rb"(?<!\r)\n")

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Head:
    """The status line and the headers of an answer.

    Attributes:
        status: The status code.
        reason: The text beside it.
        http_version: 1.1 or another.
        fields: The headers in order, decoded as latin-1.
    """

    status: int
    reason: str
    http_version: str
    fields: Fields

    @property
    def said(self) -> str:
        """Status and reason, for errors, the start of it."""
        return f"{self.status} {self.reason[:_SHOWN]}".rstrip()

    def headers(self) -> Headers:
        """Return the headers as errors and connections carry them."""
        return Headers(list(self.fields))


def request_octets(conn: h11.Connection, method: str, target: str, fields: Fields) -> bytes:
    """Write a request without a body.

    Args:
        conn: A new connection of h11.
        method: GET or CONNECT.
        target: What stands behind it.
        fields: The headers, Host among them.

    Returns:
        The head.

    Raises:
        ConfigurationError: Something cannot stand in a request.
    """
    try:
        octets = conn.send(h11.Request(method=method, target=target, headers=_encoded(fields)))
        return (octets or b"") + (conn.send(h11.EndOfMessage()) or b"")
    except (h11.LocalProtocolError, UnicodeEncodeError) as error:
        raise ConfigurationError(f"this request cannot be sent: {error}") from error


class AnswerReader:
    """Reads one answer: head(), then body() or trailing."""

    def __init__(self, conn: h11.Connection, pipe: Pipe, who: str) -> None:
        self._conn = conn
        self._pipe = pipe
        self._who = who
        self._fed = bytearray()
        # What was received and not fed: h11 bounds only what it gets in pieces.
        self._unfed = memoryview(b"")

    @property
    def trailing(self) -> bytes:
        """The octets that came behind a head which ends HTTP."""
        return self._conn.trailing_data[0] + bytes(self._unfed)

    def head(self) -> Head:
        """Wait for the head that is the answer.

        Raises:
            HandshakeError: There is none, or it is malformed or too large.
            OSError: As the pipe raises it.
        """
        for _ in range(_MOST_INFORMATIONAL + 1):
            event = self._next_head()
            if isinstance(event, h11.Response) or event.status_code == 101:
                return _head(event)
        raise HandshakeError(f"{self._who} sent more than {_MOST_INFORMATIONAL} answers of 1xx")

    def body(self) -> bytes:
        """Read what there is of the body, up to BODY_LIMIT octets.

        What is wrong behind the head is no error: the head said all that matters."""
        body = bytearray()
        # Late, reset or cut short: what came is better than nothing.
        with suppress(OSError, h11.RemoteProtocolError):
            while len(body) < BODY_LIMIT:
                event = self._conn.next_event()
                if event is h11.NEED_DATA:
                    self._conn.receive_data(self._piece())
                elif isinstance(event, h11.Data):
                    body += event.data
                else:
                    break
        return bytes(body[:BODY_LIMIT])

    def _next_head(self) -> h11.Response | h11.InformationalResponse:
        while True:
            try:
                event = self._conn.next_event()
            except h11.RemoteProtocolError as error:
                raise self._unreadable(error) from error
            if isinstance(event, h11.Response | h11.InformationalResponse):
                self._check_lines(event)
                return event
            if event is not h11.NEED_DATA:
                raise HandshakeError(f"{self._who} closed the connection before an answer")
            self._feed(self._piece())

    def _piece(self) -> bytes:
        """Wait for octets, unless some are left; empty at the end."""
        if not self._unfed:
            self._unfed = memoryview(self._pipe.recv())
        piece, self._unfed = bytes(self._unfed[:_PIECE]), self._unfed[_PIECE:]
        return piece

    def _feed(self, piece: bytes) -> None:
        if not piece and not self.trailing:
            raise HandshakeError(f"{self._who} closed the connection before an answer")
        if not piece:
            raise self._malformed(f"it ended after {shown(self.trailing[:_SHOWN])}")
        self._fed += piece
        try:
            self._conn.receive_data(piece)
        except h11.RemoteProtocolError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: h11.RemoteProtocolError) -> HandshakeError:
        return self._too_large() if error.error_status_hint == 431 else self._malformed(error)

    def _too_large(self) -> HandshakeError:
        return HandshakeError(f"{self._who} sent a head of more than {HEAD_LIMIT} octets")

    def _malformed(self, why: object) -> HandshakeError:
        return HandshakeError(f"the answer of {self._who} is no HTTP/1.1: {why}")

    def _check_lines(self, event: h11.Response | h11.InformationalResponse) -> None:
        octets = len(self._fed) - len(self._conn.trailing_data[0])
        if octets > HEAD_LIMIT:
            raise self._too_large()
        if len(event.headers) > _MOST_FIELDS:
            raise HandshakeError(f"{self._who} sent more than {_MOST_FIELDS} headers")
        if _BARE_LF.search(self._fed, 0, octets):
            raise self._malformed("a line ends with LF alone")


def new_exchange() -> h11.Connection:
    """Make the h11 connection for one request and its answer."""
    return h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)


def _encoded(fields: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]


def _head(event: h11.Response | h11.InformationalResponse) -> Head:
    return Head(
        event.status_code,
        event.reason.decode("latin-1"),
        event.http_version.decode("ascii"),
        tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in event.headers.raw_items()
        ),
    )
