"""Answers of servers of event streams, as octets, for tests/support/hostile.py."""

from __future__ import annotations

from faye_sync import ServerSentEvent
from tests.support.hostile import HostileServer, Script, Step, Visit, send

SOON = {"retry": 0.01}
EVENT = b"data: one\n\n"
ONE = ServerSentEvent(data="one")

KIND = b"Content-Type: text/event-stream\r\n"


def head(*fields: bytes, status: bytes = b"200 OK", kind: bytes = KIND) -> bytes:
    """The head of an answer."""
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"HTTP/1.1 " + status + b"\r\n" + kind + lines + b"\r\n"


def chunk(octets: bytes) -> bytes:
    """One chunk of a body in chunks."""
    return b"%x\r\n%b\r\n" % (len(octets), octets)


CHUNKED = b"Transfer-Encoding: chunked"
CLOSE = b"Connection: close"
LAST = b"0\r\n\r\n"


def url(server: HostileServer, path: str = "/") -> str:
    """Of a page of the server's, for a client of event streams."""
    return server.url(path, "http")


def streamed(*steps: bytes | Step, fields: tuple[bytes, ...] = (CLOSE,)) -> Script:
    """Answer with a stream whose octets these are, or steps between them, and go on with it."""
    return (
        Visit.read_head,
        send(head(*fields)),
        *(send(step) if isinstance(step, bytes) else step for step in steps),
    )


def ended(*steps: bytes | Step, fields: tuple[bytes, ...] = (CLOSE,)) -> Script:
    """The same, and the end of TCP behind it."""
    return (*streamed(*steps, fields=fields), Visit.end_writing)


def refused(status: bytes, *fields: bytes, body: bytes = b"") -> Script:
    """Answer with something else."""
    length = b"Content-Length: %d" % len(body)
    return (Visit.read_head, send(head(*fields, length, status=status, kind=b"") + body))
