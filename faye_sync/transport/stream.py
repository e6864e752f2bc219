"""A connected TCP or Unix socket that the library owns.

Reads wait, writes never do: whoever may wait for room does so by
wait_writable(). Python's time-out is never set on the socket, because its
threads would share it; the kernel's ends receipts only. OSErrors of a live
connection end here: a reset reads as the end, with the error kept."""

from __future__ import annotations

import os
import socket
import struct
from _socket import socket as PlainSocket
from collections.abc import Callable
from typing import Any, Protocol

from faye_sync.concurrency import (
    LATEST,
    THREADS,
    Concurrency,
    Lookout,
    main_thread_check,
    reentrant_lock,
)

# A message of 64 KiB with its header. A much larger buffer costs ten times as much: malloc maps
# fresh pages for it.
CHUNK = 65536 + 64

_NO_WAIT = (socket.MSG_DONTWAIT,)
_NOTHING = ((),)


class Stream(Protocol):
    """What a connection reads from and writes to."""

    error: OSError | None
    # Octets that send_now() refused and must be given first when it is called again.
    committed: int

    def fileno(self) -> int:
        """The descriptor, or -1 once closed."""

    def limit_silence(self, seconds: float) -> None:
        """Have recv() wait no longer than that."""

    def recv(self) -> bytes | None:
        """Wait for octets; empty at the end, None after too long a silence. One thread at a time."""

    @property
    def recv_into(self) -> Callable[[memoryview], int | None] | None:
        """What waits like recv(), and returns how many octets came; None where there is none."""

    def recv_now(self) -> bytes | None:
        """Take the octets that are there: None if there are none, empty at the end."""

    def send_now(self, data: bytes | memoryview, counts: list[int] | None = None) -> int:
        """Give the kernel what it takes at once; returns how many octets that was.

        Where signal handlers run, and so may raise in here, counts adds up to
        as many, whatever is raised.

        Raises:
            OSError: The connection is gone.
        """

    def send_both_now(self, head: bytes, data: bytes, counts: list[int]) -> int:
        """Do what send_now() does with two pieces, without joining them where that can be."""

    def wait_readable(self, timeout: float | None) -> bool:
        """Wait for octets or the end; False when timeout seconds passed first."""

    def wait_any(self, other: int, timeout: float | None) -> bool:
        """Wait like wait_readable, or until the descriptor other is readable."""

    def wait_writable(self, timeout: float | None) -> bool:
        """Wait for room; False when timeout seconds passed first."""

    def end_writing(self) -> bool:
        """Tell the peer that nothing more comes; False where that needs room first."""

    def shut_down(self) -> None:
        """End both directions; wakes every thread that waits. Safe from any thread."""

    def close(self) -> None:
        """Give up the descriptor; never while another thread may be in it."""


class SocketStream:
    """What every Stream on a socket has: the waiting, and the ends.

    Calls PlainSocket's methods by name, because a server's object may have been
    made to lead elsewhere."""

    committed = 0

    def __init__(self, sock: PlainSocket, world: Concurrency) -> None:
        self._sock = sock
        self._fd = PlainSocket.fileno(sock)
        self._world = world
        # Any thread may shut down, and must not do so to another connection of the same number.
        self._descriptor_lock = reentrant_lock()
        self._process = os.getpid()
        self.error: OSError | None = None
        # Made when somebody waits for octets.
        self._lookout: Lookout | None = None
        # Seconds that recv() waits; None for ever.
        self._silence: float | None = None

    def fileno(self) -> int:
        return PlainSocket.fileno(self._sock)

    def limit_silence(self, seconds: float) -> None:
        self._silence = seconds

    def wait_readable(self, timeout: float | None) -> bool:
        if self._lookout is None:
            self._lookout = self._world.lookout(self._fd)
        return self._lookout.wait(timeout)

    def wait_any(self, other: int, timeout: float | None) -> bool:
        return self._world.wait_any((self._fd, other), timeout)

    def wait_writable(self, timeout: float | None) -> bool:
        return self._world.wait_writable(self._fd, timeout)

    def end_writing(self) -> bool:
        self._shut_down(socket.SHUT_WR)
        return True

    def shut_down(self) -> None:
        self._shut_down(socket.SHUT_RDWR)

    def close(self) -> None:
        if os.getpid() != self._process:
            # A forked child: a thread that held the lock is the parent's, and never lets go here.
            self._descriptor_lock = reentrant_lock()
        with self._descriptor_lock:
            if self._lookout is not None:
                self._lookout.close()
                self._lookout = None
            PlainSocket.close(self._sock)

    def _recv_raw(self) -> bytes | None:
        try:
            return PlainSocket.recv(self._sock, CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            return self._ended(error)

    def _ended(self, error: OSError) -> bytes:
        self.error = error
        return b""

    def _shut_down(self, how: int) -> None:
        try:
            with self._descriptor_lock:
                PlainSocket.shutdown(self._sock, how)
        except OSError as error:
            # ENOTCONN or EBADF: the peer, or close(), was first; the end is reached all the same.
            self.error = self.error or error


class BlockingStream(SocketStream):
    """A Stream for threads: recv waits in the kernel."""

    def __init__(self, sock: PlainSocket, world: Concurrency = THREADS) -> None:
        super().__init__(sock, world)
        sock.setblocking(True)

    def limit_silence(self, seconds: float) -> None:
        super().limit_silence(seconds)
        self._count_silence(seconds)

    def recv(self) -> bytes | None:
        while True:
            try:
                return self._sock.recv(CHUNK)
            except BlockingIOError:
                if self._silence is not None:
                    return None
                self._looked_up()
            except OSError as error:
                return self._ended(error)

    def recv_into(self, room: memoryview) -> int | None:
        while True:
            try:
                return self._sock.recv_into(room)
            except BlockingIOError:
                if self._silence is not None:
                    return None
                self._looked_up()
            except OSError as error:
                return len(self._ended(error))

    def recv_now(self) -> bytes | None:
        return self._recv_raw()

    def send_now(self, data: bytes | memoryview, counts: list[int] | None = None) -> int:  # noqa: ARG002  # no signal handler runs here
        try:
            return self._sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def send_both_now(self, head: bytes, data: bytes, counts: list[int]) -> int:
        """Count like a CountingStream: beside so many octets that costs nothing."""
        try:
            # One call in C, so that a handler runs before the sending or after the counting.
            counts.extend(map(self._sock.sendmsg, ((head, data),), _NOTHING, _NO_WAIT))
        except BlockingIOError:
            return 0
        return counts[0]

    def _looked_up(self) -> None:
        """Nothing came for as long as the kernel counts, and the wait goes on."""

    def _count_silence(self, seconds: float) -> None:
        """Have the kernel count, which costs a recv() nothing. Calls that do not wait ignore it.

        It counts no more when told 0 seconds."""
        whole, part = divmod(seconds, 1)
        timeval = struct.pack("ll", int(whole), int(part * 1e6))
        try:
            with self._descriptor_lock:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        except OSError as error:
            # Closed already: the end will be read without a wait.
            self.error = self.error or error


class CountingStream(BlockingStream):
    """A BlockingStream for where signal handlers run, and so may raise anywhere."""

    def send_now(self, data: bytes | memoryview, counts: list[int] | None = None) -> int:
        counts = [] if counts is None else counts
        try:
            # One call in C, so that a handler runs before the sending or after the counting.
            counts.extend(map(self._sock.send, (data,), _NO_WAIT))
        except BlockingIOError:
            return 0
        return counts[0]


class InterruptibleStream(CountingStream):
    """A stream that lets signal handlers run while the main thread waits.

    Python looks for a signal, then waits: one that comes in between would lie
    until the next octets do. And gunicorn asks for SIGTERM to restart system
    calls, which the kernel does not do to a recv whose seconds it counts
    (signal(7)). A thread that reads later looks up once."""

    def __init__(self, sock: PlainSocket, is_main_thread: Callable[[], bool]) -> None:
        super().__init__(sock)
        self._is_main_thread = is_main_thread
        self._count_silence(LATEST)

    def _looked_up(self) -> None:
        if not self._is_main_thread():
            self._count_silence(0)


class CooperativeStream(CountingStream):
    """A Stream for greenlets: the socket never blocks, the hub waits.

    A plain socket, not gevent's: gevent's send waits whatever its flags say."""

    def __init__(self, sock: PlainSocket, world: Concurrency) -> None:
        super().__init__(sock, world)
        sock.setblocking(False)

    def recv(self) -> bytes:
        self._world.breathe()
        while (data := self.recv_now()) is None:
            self.wait_readable(None)
        return data

    def recv_into(self, room: memoryview) -> int | None:
        self._world.breathe()
        while (count := super().recv_into(room)) is None:
            self.wait_readable(None)
        return count


def open_stream(sock: PlainSocket, world: Concurrency) -> Stream:
    """Make the Stream that fits the world the connection lives in."""
    if world is not THREADS:
        return CooperativeStream(sock, world)
    is_main_thread = main_thread_check()
    return InterruptibleStream(sock, is_main_thread) if is_main_thread() else BlockingStream(sock)


def set_no_delay(sock: PlainSocket) -> None:
    """Send small frames at once; Unix sockets do so by themselves."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        # By name: a TLS object that was taken from its server has methods that lead nowhere.
        PlainSocket.setsockopt(sock, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def remote_address(sock: PlainSocket) -> Any:
    """Return the peer's address as getpeername gives it, or None when it has left already."""
    try:
        return sock.getpeername()
    except OSError:
        return None
