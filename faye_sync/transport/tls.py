"""A TLS connection that a server opened and the library owns, and what it shares with a client's.

Two threads that are in OpenSSL with one object corrupt it, so every call on it
is under one lock and never waits; what waits, waits for the descriptor. A
record that the kernel did not take is committed: OpenSSL wants those very
octets again before any other."""

from __future__ import annotations

import errno
import os
from _socket import socket as PlainSocket
from ssl import (
    SSL_ERROR_INVALID_ERROR_CODE,
    SSLEOFError,
    SSLWantReadError,
    SSLWantWriteError,
    SSLZeroReturnError,
)
from typing import Any

from faye_sync import clock
from faye_sync.concurrency import Concurrency, reentrant_lock
from faye_sync.transport.stream import CHUNK, SocketStream, remote_address

# Octets of the largest record (RFC 8446 5.1): a read gives no more, and leaves nothing pending.
RECORD = 16384


class RecordStream(SocketStream):
    """What streams over TLS have in common, for threads and greenlets alike.

    A record is read as a whole, so whoever waits for one deciphers while it waits."""

    recv_into = None

    def __init__(self, sock: PlainSocket, world: Concurrency) -> None:
        super().__init__(sock, world)
        PlainSocket.setblocking(sock, False)
        # Guards the TLS object with what its last call left behind; never held over a wait.
        # Reentrant, because a signal handler may close what its thread is in.
        self._tls_lock = reentrant_lock()
        # Decrypted by a wait, for the recv that follows; the reader's alone.
        self._held: bytes | None = None
        self._is_ending = False
        self.committed = 0

    def recv(self) -> bytes | None:
        self._world.breathe()
        while (data := self.recv_now()) is None:
            if not self._wait_for_record(self._silence):
                return None
        return data

    def recv_now(self) -> bytes | None:
        held, self._held = self._held, None
        if held is not None:
            return held
        return self._recv_raw() if self._is_ending else self._read()

    def wait_readable(self, timeout: float | None) -> bool:
        deadline = None if timeout is None else clock.monotonic() + timeout
        while self._held is None:
            self._held = self._read()
            left = None if deadline is None else max(0.0, deadline - clock.monotonic())
            if self._held is None and not self._wait_for_record(left):
                return False
        return True

    def wait_any(self, other: int, timeout: float | None) -> bool:
        if self._held is None:
            self._held = self._read()
        return self._held is not None or super().wait_any(other, timeout)

    def send_now(self, data: bytes | memoryview, counts: list[int] | None = None) -> int:
        """Give the kernel what it takes, record by record; returns how many octets that was."""
        raise NotImplementedError

    def send_both_now(self, head: bytes, data: bytes, counts: list[int]) -> int:
        return self.send_now(head + data, counts)

    def _read(self) -> bytes | None:
        """Take what is there, about a chunk: None if nothing, empty at the end."""
        raise NotImplementedError

    def _wait_for_record(self, timeout: float | None) -> bool:
        return super().wait_readable(timeout)

    def _end(self) -> bool:
        """End TCP's direction behind a close_notify; what the peer still sends is drained."""
        self._is_ending = True
        return super().end_writing()


class TlsStream(RecordStream):
    """A Stream over the TLS object of a server."""

    def __init__(self, sock: PlainSocket, tls: Any, world: Concurrency) -> None:
        super().__init__(sock, world)
        self._tls = tls
        # OpenSSL answers some records itself (RFC 8446 4.6.3), and may lack the room for that.
        self._reading_wants_room = False

    def take_pending(self) -> bytes:
        """Take what OpenSSL has decrypted and the server has not read."""
        pieces = []
        with self._tls_lock:
            while count := self._tls.pending():
                pieces.append(self._tls.read(count))
        return b"".join(pieces)

    def send_now(self, data: bytes | memoryview, counts: list[int] | None = None) -> int:
        octets = memoryview(data)
        counts = [] if counts is None else counts
        with self._tls_lock:
            if self._is_closed():
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            while (sent := sum(counts)) < len(octets):
                # What was refused, and not an octet more: that would be committed with it.
                record = octets[sent : sent + (self.committed or RECORD)]
                try:
                    counts.extend(map(self._tls.write, (record,)))
                except (SSLWantWriteError, SSLWantReadError):
                    self.committed = len(record)
                    return sent
                except OSError:
                    raise
                except BaseException:
                    # ssl runs signal handlers between OpenSSL's writing and its own return: one that
                    # raises leaves open whether the record went. Better no more than one twice.
                    self.shut_down()
                    raise
                self.committed = 0
        return sent

    def end_writing(self) -> bool:
        try:
            with self._tls_lock:
                if not self._is_closed():
                    self._tls.shutdown()
        except SSLWantWriteError:
            # The kernel took the last octets of ours, and has no room for a close_notify.
            return False
        except SSLWantReadError:
            # Our close_notify is on its way, and nobody waits for the peer's.
            self._held = None
        except OSError as error:
            self.error = self.error or error
        return self._end()

    def _read(self) -> bytes | None:
        """Take what is there, up to a chunk: None if nothing, empty at the end."""
        pieces: list[bytes] = []
        with self._tls_lock:
            if self._is_closed():
                return b""
            self._reading_wants_room = False
            try:
                while sum(map(len, pieces)) < CHUNK:
                    pieces.append(self._tls.read(RECORD))
                    if len(pieces[-1]) < RECORD:
                        break
            except SSLWantReadError:
                return b"".join(pieces) or None
            except SSLWantWriteError:
                self._reading_wants_room = True
                return b"".join(pieces) or None
            except (SSLEOFError, SSLZeroReturnError):
                # Without a close_notify too: RFC 6455 has an end of its own.
                self._tell_from_reset()
            except OSError as error:
                if error.errno == SSL_ERROR_INVALID_ERROR_CODE:
                    # A signal handler that sent, run by ssl between OpenSSL's reading and its own
                    # return, has overwritten why nothing was read. The next read says it again.
                    return b"".join(pieces) or None
                # The next read meets the end.
                self.error = error
        return b"".join(pieces)

    def _tell_from_reset(self) -> None:
        """Keep the error of an end that was none: OpenSSL tells no difference, the kernel does."""
        if remote_address(self._sock) is None:
            self.error = self.error or ConnectionResetError(
                errno.ECONNRESET, os.strerror(errno.ECONNRESET)
            )

    def _is_closed(self) -> bool:
        """Whether the number that OpenSSL knows may be another connection's by now."""
        return self.fileno() < 0

    def _wait_for_record(self, timeout: float | None) -> bool:
        if self._reading_wants_room:
            return self.wait_writable(timeout)
        return super()._wait_for_record(timeout)
