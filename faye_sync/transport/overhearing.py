"""The answer that a server writes to the dead end it was left with, for the client to get after all.

So the head is the server's own, with all that middlewares added to it, and an
answer that took the place of an event stream's, an error page maybe, is not
lost. Only how the body is framed is left out: the library frames it anew."""

from __future__ import annotations

from typing import Any

from werkzeug.datastructures import Headers

from faye_sync.transport.hijack import DRAIN_LIMIT
from faye_sync.transport.swap import FarEnd

# What tells of the body that the server meant to send, by the way it would have framed it; the
# coding too, because what would have encoded it is not on the way any more.
_FRAMING = frozenset(
    (
        "connection",
        "content-encoding",
        "content-length",
        "keep-alive",
        "trailer",
        "transfer-encoding",
    )
)


class Overheard:
    """One server's answer to one call, as it comes to the far end. Used by housekeeping alone.

    Attributes:
        status: Of the answer; None before its head is whole.
        headers: Of the answer.
        is_over: Whether nothing more will come.
    """

    def __init__(self, far_end: FarEnd) -> None:
        self._far_end = far_end
        self._conn = _after_a_request()
        self._octets = bytearray()
        self._reason = b""
        self.status: int | None = None
        self.headers = Headers()
        self.is_over = False

    def listen(self) -> None:
        """Take what has come, without waiting."""
        try:
            while not self.is_over:
                octets = self._far_end.recv(65536)
                self._octets += octets
                # A body without end goes on until its writing fails.
                self.is_over = not octets or len(self._octets) > DRAIN_LIMIT
                self._parse(octets)
        except BlockingIOError:
            return
        except OSError:
            # Reset: the server dropped its end with octets unread, which is dropped all the same.
            self.is_over = True

    def head(self) -> bytes:
        """Make the head for the client: the server's, for a body that ends with the connection."""
        lines = [b"HTTP/1.1 %d %s" % (self.status or 0, self._reason)]
        lines += [f"{name}: {value}".encode("latin-1") for name, value in self.headers]
        return b"\r\n".join((*lines, b"Connection: close", b"", b""))

    def whole(self) -> bytes:
        """Return all that has come since the last time, as it was."""
        octets, self._octets = bytes(self._octets), bytearray()
        return octets

    def _parse(self, octets: bytes) -> None:
        if self.status is not None:
            return
        h11 = _h11()
        try:
            if octets:
                self._conn.receive_data(octets)
            event = self._conn.next_event()
        except h11.RemoteProtocolError:
            # No HTTP that could be framed anew; it goes to the client as it is.
            self.status = 0
            return
        if isinstance(event, h11.Response):
            self.status, self._reason = event.status_code, bytes(event.reason)
            self.headers = Headers(
                [
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in event.headers.raw_items()
                    if name.lower().decode("latin-1") not in _FRAMING
                ]
            )


def _h11() -> Any:
    """Import h11 with the first stream: a server without any is spared it."""
    import h11  # noqa: PLC0415

    return h11


def _after_a_request() -> Any:
    h11 = _h11()
    conn = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=DRAIN_LIMIT)
    conn.send(h11.Request(method="GET", target="/", headers=[("Host", "here")]))
    conn.send(h11.EndOfMessage())
    return conn
