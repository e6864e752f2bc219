"""TLS of a client: OpenSSL works in memory, and octets go to the wire and come from it beside it.

So TLS in TLS is the same layer twice, and whatever waits or shuts down does so
on the raw socket. A signal handler may raise, or send, between any two calls:
what is on its way out changes place by single steps in C, and is at any time
in one place, a BIO, the octets for the wire, or the counts."""

from __future__ import annotations

import errno
import os
from _socket import socket as PlainSocket
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from socket import SHUT_RD
from ssl import (
    SSL_ERROR_INVALID_ERROR_CODE,
    MemoryBIO,
    SSLEOFError,
    SSLError,
    SSLObject,
    SSLWantReadError,
    SSLZeroReturnError,
)

from faye_sync.concurrency import Concurrency
from faye_sync.errors import ConfigurationError
from faye_sync.transport.pipe import Pipe
from faye_sync.transport.stream import CHUNK
from faye_sync.transport.tls import RECORD, RecordStream
from faye_sync.transport.tls_client import TlsSettings

# Arguments for map(bio.read, ...): all there is, and no more than a record holds.
_ALL = (-1,)
_RECORD = (RECORD,)


class TlsLayer:
    """One layer of TLS: plain octets on the one side, those for what is beneath on the other."""

    def __init__(self, settings: TlsSettings) -> None:
        self._in, self._out = MemoryBIO(), MemoryBIO()
        self._name = settings.server_hostname
        self.tls: SSLObject = settings.context.wrap_bio(
            self._in, self._out, server_hostname=self._name
        )
        # Of C, unlike that of an SSLObject: no signal handler runs before it has the octets.
        self.write = self.tls._sslobj.write  # type: ignore[attr-defined]
        self.take = self._out.read
        self._failure: SSLError | None = None
        # False while open() may give something without being fed.
        self.is_dry = False

    @property
    def pending(self) -> int:
        """How many octets OpenSSL wants sent."""
        return self._out.pending

    def feed(self, octets: bytes) -> None:
        """Take octets that came from beneath; empty at their end."""
        self.is_dry = False
        if octets:
            self._in.write(octets)
        else:
            self._in.write_eof()

    def shake_hands(self) -> bool:
        """Go on with the handshake; False when it wants to be fed.

        Raises:
            SSLError: It failed.
        """
        try:
            self.tls.do_handshake()
        except SSLWantReadError:
            return False
        except SSLEOFError as error:
            text = f"the peer ended the connection in the TLS handshake with {self._name}"
            raise SSLEOFError(error.errno, text) from error
        return True

    def open(self) -> bytes | None:
        """Decipher all that is whole: None if nothing is, empty at the end.

        Raises:
            SSLError: The peer's records are wrong, or it says that ours are.
        """
        if self._failure is not None:
            raise self._failure
        pieces = []
        while True:
            try:
                while piece := self.tls.read(RECORD):
                    pieces.append(piece)
            except SSLWantReadError:
                self.is_dry = True
                return b"".join(pieces) or None
            except (SSLEOFError, SSLZeroReturnError):
                # Without a close_notify too: RFC 6455 has an end of its own.
                return b"".join(pieces)
            except SSLError as error:
                if error.errno == SSL_ERROR_INVALID_ERROR_CODE:
                    # ssl runs signal handlers between OpenSSL's reading and its own return, and one
                    # that sends overwrites why nothing was read. That can be asked again.
                    continue
                self._failure = error
                if not pieces:
                    raise
            return b"".join(pieces)

    def say_goodbye(self) -> None:
        """Make a close_notify."""
        # The peer's own is not waited for, and a layer that has failed sends none.
        with suppress(SSLError):
            self.tls.unwrap()


class TlsCodec:
    """Layers of TLS in each other, the one at the wire first. Pure: no socket, no lock."""

    def __init__(self, layers: tuple[TlsLayer, ...]) -> None:
        self.layers = layers
        self.write = layers[-1].write

    @property
    def is_dry(self) -> bool:
        """True when open() gives nothing before the next feed()."""
        return all(layer.is_dry for layer in self.layers)

    @property
    def pending(self) -> int:
        """How many octets wait for drain(), or more where a layer is to wrap them yet."""
        return sum(layer.pending for layer in self.layers)

    def feed(self, octets: bytes) -> None:
        """Take octets of the wire; empty at their end."""
        self.layers[0].feed(octets)

    def open(self) -> bytes | None:
        """Decipher all that is whole, as TlsLayer.open() does."""
        for lower, upper in pairwise(self.layers):
            octets = None if lower.is_dry else lower.open()
            if octets is not None:
                upper.feed(octets)
        return self.layers[-1].open()

    def drain(self, wire: bytearray) -> None:
        """Append to wire what is to be sent, in order."""
        for upper, lower in pairwise(reversed(self.layers)):
            while upper.pending:
                _run(map(lower.write, map(upper.take, _RECORD)))
        if self.layers[0].pending:
            _run(map(wire.extend, map(self.layers[0].take, _ALL)))

    def say_goodbye(self, wire: bytearray) -> None:
        """Append a close_notify of every layer, the innermost first."""
        for layer in reversed(self.layers):
            layer.say_goodbye()
            self.drain(wire)


class TlsPipe:
    """A Pipe through TLS over another one; recv() may give a record more than that does."""

    def __init__(self, outer: Pipe, settings: TlsSettings) -> None:
        """Do the handshake; every wait is the outer pipe's.

        Raises:
            SSLError: As OpenSSL says it, or settings.check.
            ConnectionError: The peer left in the handshake.
            ConfigurationError: The user's context offered HTTP/2, and the peer took it.
        """
        self._outer = outer
        self._layer = TlsLayer(settings)
        beneath: tuple[TlsLayer, ...] = outer.codec.layers if isinstance(outer, TlsPipe) else ()
        self.codec: TlsCodec = TlsCodec((*beneath, self._layer))
        try:
            self._shake_hands()
        except ConnectionError as error:
            text = f"{error.strerror} in the TLS handshake with {settings.server_hostname}"
            raise OSError(error.errno, text) from error
        if settings.check is not None:
            settings.check(self._layer.tls)
        if self._layer.tls.selected_alpn_protocol() == "h2":
            raise ConfigurationError(
                "the ssl.SSLContext offers h2, but a WebSocket begins with HTTP/1.1: "
                "context.set_alpn_protocols(['http/1.1'])"
            )

    def recv(self) -> bytes:
        while (data := self._open()) is None:
            self._layer.feed(self._outer.recv())
        return data

    def send_all(self, data: bytes) -> None:
        try:
            for start in range(0, len(data), RECORD):
                self._layer.write(data[start : start + RECORD])
                self._flush()
        except ConnectionError:
            self._hear_why()
            raise

    def _shake_hands(self) -> None:
        try:
            while not self._layer.shake_hands():
                self._flush()
                self._layer.feed(self._outer.recv())
        except SSLError:
            self._flush_alert()
            raise
        self._flush()

    def _open(self) -> bytes | None:
        try:
            data = self._layer.open()
        except SSLError:
            self._flush_alert()
            raise
        if data == b"":
            self._flush_alert()
        else:
            self._flush()
        return data

    def _hear_why(self) -> None:
        """Raise what the peer said before it left: after a TLS 1.3 handshake, that it refuses us."""
        with suppress(ConnectionError):
            while self.recv():
                continue

    def _flush(self) -> None:
        if self._layer.pending:
            self._outer.send_all(self._layer.take())

    def _flush_alert(self) -> None:
        # What is wrong (RFC 8446 6.2) is for the caller to know; the peer may listen no more.
        with suppress(OSError):
            self._flush()


class MemoryTlsStream(RecordStream):
    """A Stream over layers of TLS whose handshakes are done, for threads and greenlets alike."""

    def __init__(self, sock: PlainSocket, codec: TlsCodec, world: Concurrency) -> None:
        super().__init__(sock, world)
        # With what is beneath guarded by the TLS lock.
        self._codec = codec
        # Octets of records, in order, that the kernel did not take yet.
        self._wire = bytearray()
        # How many octets the record holds that is among those, or has gone uncounted.
        self._sealed: list[int] = []
        self._has_said_goodbye = False
        # No more is read: after the end, or where a handler raised and octets may be lost.
        self._is_deaf = False

    def send_now(self, data: bytes | memoryview, counts: list[int] | None = None) -> int:
        octets = memoryview(data)
        counts = [] if counts is None else counts
        with self._tls_lock:
            try:
                while self._flush():
                    counts.extend(map(self._sealed.pop, range(len(self._sealed))))
                    if (sent := sum(counts)) >= len(octets):
                        break
                    self._seal(octets[sent : sent + RECORD])
            finally:
                self.committed = sum(self._sealed)
        return sum(counts)

    def end_writing(self) -> bool:
        try:
            with self._tls_lock:
                if not self._has_said_goodbye:
                    self._codec.say_goodbye(self._wire)
                    self._has_said_goodbye = True
                if not self._flush():
                    return False
        except OSError as error:
            self.error = self.error or error
        return self._end()

    def _seal(self, record: memoryview) -> None:
        """Encrypt a record; nothing waits for the kernel."""
        try:
            self._sealed.extend(map(self._codec.write, (record,)))
        except SSLWantReadError as error:
            # Before TLS 1.3 only (RFC 5246 7.4.1.1), and after an upgrade there is no use for it.
            text = "the peer began another TLS handshake, and a WebSocket waits for none"
            raise OSError(errno.EPROTO, text) from error
        except OSError:
            raise
        except BaseException:
            # ssl runs signal handlers between OpenSSL's writing and its own return.
            if self._codec.pending and not self._sealed:
                self._sealed.append(len(record))
            raise

    def _flush(self) -> bool:
        """Give the kernel what it takes; True when nothing is left."""
        wire = self._wire
        self._codec.drain(wire)
        try:
            while wire:
                # Forgotten as they are taken, and in no copy that another could send again.
                _run(map(wire.__delitem__, map(slice, map(self._sock.send, (wire,)))))
        except BlockingIOError:
            return False
        return True

    def _read(self) -> bytes | None:
        with self._tls_lock:
            if self._is_deaf:
                return b""
            self._is_deaf = True
            data = self._open()
            self._is_deaf = data == b"" or self._owes_too_much()
            end_is_known = self._is_deaf or not self._codec.is_dry
        if end_is_known and data != b"":
            # Nothing more need come of the kernel, and whoever polls has to see the end.
            self._shut_down(SHUT_RD)
        return data

    def _open(self) -> bytes | None:
        codec = self._codec
        try:
            if codec.is_dry:
                octets = self._recv_raw()
                if octets is None:
                    return None
                codec.feed(octets)
            data = codec.open()
        except SSLError as error:
            self.error = self.error or error
            data = b""
        self._answer()
        return data

    def _answer(self) -> None:
        """Send what OpenSSL has answered itself (RFC 8446 4.6.3), or an alert."""
        if not self._codec.pending:
            return
        try:
            self._flush()
        except SSLError:
            # The layer beneath has ended, so there is nobody to answer.
            return
        except OSError as error:
            self.error = self.error or error

    def _owes_too_much(self) -> bool:
        """Whether a peer asks for answers of TLS and takes none."""
        if len(self._wire) <= CHUNK:
            return False
        text = f"{os.strerror(errno.ENOBUFS)}: the peer takes none of TLS's own answers"
        self.error = self.error or OSError(errno.ENOBUFS, text)
        return True


def _run(steps: Iterable[object]) -> None:
    """Take all steps of a chain of maps, without a signal handler in between."""
    deque(steps, maxlen=0)
