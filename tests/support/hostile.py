"""A server that does what a test says, step after step, right or wrong, and keeps what it is sent.

Real sockets on loopback. Each connection is a Visit, on a thread of its own, that plays a script:
a sequence of steps, each a function of the visit. After its last step a visit reads on until the
client leaves, so that a client that keeps its descriptor is found out. Every wait has a deadline
and ends when the server is closed. HTTP and frames are read here from RFC 9112 and RFC 6455 alone."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from tests.support.certificates import certificate
from tests.support.heads import ACCEPT, Request, accept_of, parse_head, switching
from tests.support.peer import masked
from tests.support.wire import CLOSE, frame

PATIENCE = 20.0  # seconds to wait for what should come at once
FLOOD = 2**28  # octets after which a flood was taken for good
PIECE = 2**16

Step = Callable[["Visit"], object]
Script = Sequence[Step]


class Gone(Exception):
    """The client left, or the server is closed: the script is over."""


class Visit:
    """One connection of a client."""

    def __init__(
        self, sock: socket.socket, port: int, script: Script, server: HostileServer
    ) -> None:
        self.sock = sock
        self.port = port  # the client's
        self.received = bytearray()
        self.requests: list[Request] = []
        self.frames: list[tuple[int, bytes]] = []
        self.sent = 0
        self.error: BaseException | None = None
        self.left = threading.Event()
        self.end = ""  # eof, reset or alert are the client's; ours are server and closed
        self._read = 0
        self._script = script
        self._server = server
        name = f"hostile visit {port}"
        self.thread = threading.Thread(target=self._play, name=name, daemon=True)

    def _play(self) -> None:
        try:
            for step in self._script:
                step(self)
            self.wait_for_eof()
        except Gone as gone:
            self.end = "closed" if self._server.closed.is_set() else str(gone)
        except BaseException as error:
            self.error = error
        finally:
            self.sock.close()
            self.left.set()

    # --- reading: each of these is a step, too

    def read_more(self, patience: float = PATIENCE) -> bytes:
        """Wait for octets; raises Gone at the end of the client."""
        with self.translated():
            self.sock.settimeout(patience)
            piece = self.sock.recv(PIECE)
        if not piece:
            raise Gone("eof")
        self.received += piece
        return piece

    def read(self, size: int) -> bytes:
        while len(self.received) < self._read + size:
            self.read_more()
        self._read += size
        return bytes(self.received[self._read - size : self._read])

    def read_until(self, mark: bytes) -> bytes:
        while (found := self.received.find(mark, self._read)) < 0:
            self.read_more()
        return self.read(found + len(mark) - self._read)

    def read_head(self) -> Request:
        head = self.read_until(b"\r\n\r\n")
        self.requests.append(parse_head(head[:-4]))
        return self.requests[-1]

    def read_frame(self) -> tuple[int, bytes]:
        """Read one frame, which has to be whole and masked; its opcode and payload."""
        first, second = self.read(2)
        assert first & 0xF0 == 0x80, f"FIN alone may be set, got 0x{first:02x}"
        assert second & 0x80, "a client has to mask"
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(self.read(2 if size == 126 else 8), "big")
        mask = self.read(4)
        self.frames.append((first & 0x0F, masked(self.read(size), mask)))
        return self.frames[-1]

    def read_close(self) -> tuple[int, str]:
        """Read up to the close frame: its code and reason."""
        opcode, payload = self.read_frame()
        while opcode != CLOSE:
            opcode, payload = self.read_frame()
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    def answer_close(self) -> None:
        """Answer the close frame that comes next with its own code, and end TCP."""
        code, _ = self.read_close()
        self.send(closing(code))
        self.end_writing()

    def unread(self) -> bytes:
        """What came and no step has read."""
        return bytes(self.received[self._read :])

    def wait_for_eof(self) -> None:
        """Read to the end; raises Gone, always."""
        while True:
            self.read_more()

    # --- writing

    def send(self, octets: bytes, patience: float = PATIENCE) -> None:
        """Send and read nothing meanwhile."""
        if ACCEPT in octets:
            octets = octets.replace(ACCEPT, accept_of(self.requests[-1]["Sec-WebSocket-Key"]))
        with self.translated():
            self.sock.settimeout(patience)
            self.sock.sendall(octets)
        self.sent += len(octets)

    def send_reading(self, octets: bytes) -> None:
        """Send and read meanwhile, but keep nothing; not over TLS."""
        rest = memoryview(octets)
        while rest:
            readable, writable, _ = select.select([self.sock], [self.sock], [], PATIENCE)
            assert readable or writable, "the client neither takes octets nor sends any"
            if readable:
                # A client that left may keep its window closed, and this is where it shows.
                self.read_more()
                del self.received[self._read :]
            if writable:
                self.sock.setblocking(False)
                with self.translated():
                    rest = rest[self.sock.send(rest) :]
        self.sent += len(octets)

    def pause(self, seconds: float) -> None:
        """Let time pass, unless the client leaves meanwhile."""
        deadline = time.monotonic() + seconds
        while (rest := deadline - time.monotonic()) > 0:
            try:
                self.read_more(rest)
            except TimeoutError:
                return

    # --- the ends

    def shake_hands(self, context: ssl.SSLContext | None = None) -> None:
        """Speak TLS from here on."""
        with self.translated():
            self.sock.settimeout(PATIENCE)
            self.sock = (context or server_context()).wrap_socket(self.sock, server_side=True)

    def end_writing(self) -> None:
        """Send EOF and read on; in TLS without a word."""
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            # The client had heard enough, and left what it did not read.
            raise Gone("reset") from error

    def reset(self) -> None:
        """End TCP as a crash does."""
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()
        raise Gone("server")

    def stall(self) -> None:
        """Read nothing until the server is told to go on."""
        assert self._server.released.wait(PATIENCE), "nobody called release()"

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise Gone for all that the leaving of a client may come as."""
        try:
            yield
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise Gone("eof" if isinstance(error, ssl.SSLEOFError) else "reset") from error
        except ssl.SSLError as error:
            raise Gone("alert") from error


class HostileServer:
    """Listens on loopback and plays scripts. Use it in a with statement, which asserts its ends.

    The first connection plays the first script, and so on; the last script is for all others."""

    def __init__(self, *scripts: Script, tls: bool = False, receive_buffer: int = 0) -> None:
        shake = (Visit.shake_hands,) if tls else ()
        self._scripts = [(*shake, *script) for script in scripts]
        self._scheme = "wss" if tls else "ws"
        self.visits: list[Visit] = []
        self.closed = threading.Event()
        self.released = threading.Event()
        self._came = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        if receive_buffer:
            # What is accepted has it from the start, so that the window is small at once.
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.port = self._listener.getsockname()[1]
        name = f"hostile server {self.port}"
        self._thread = threading.Thread(target=self._accept, name=name, daemon=True)
        self._thread.start()

    def url(self, path: str = "/", scheme: str = "", host: str = "127.0.0.1") -> str:
        return f"{scheme or self._scheme}://{host}:{self.port}{path}"

    def _accept(self) -> None:
        for number in count():
            sock, address = self._listener.accept()
            if self.closed.is_set():
                sock.close()
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            script = self._scripts[min(number, len(self._scripts) - 1)]
            visit = Visit(sock, address[1], script, self)
            with self._came:
                self.visits.append(visit)
                visit.thread.start()
                self._came.notify_all()

    def visit(self, number: int = 0) -> Visit:
        """Wait for a connection, counted from 0."""
        with self._came:
            came = self._came.wait_for(lambda: len(self.visits) > number, PATIENCE)
        assert came, f"{len(self.visits)} connections came"
        return self.visits[number]

    def request(self, number: int = 0) -> Request:
        """Give the first head that came on a connection."""
        return self.visit(number).requests[0]

    def count(self) -> int:
        """Count the connections until now, by another that comes behind them."""
        with socket.create_connection(self._listener.getsockname(), PATIENCE) as last:
            port = last.getsockname()[1]
            with self._came:
                came = self._came.wait_for(lambda: self._number_of(port) >= 0, PATIENCE)
        assert came, "the listener is not being served"
        return self._number_of(port)

    def _number_of(self, port: int) -> int:
        # The last one, where the kernel gave a port a second time.
        numbers = [number for number, visit in enumerate(self.visits) if visit.port == port]
        return max(numbers, default=-1)

    def release(self) -> None:
        """Let those that stall go on."""
        self.released.set()

    def wait_left(self) -> None:
        """Wait until every client that is known gave up its descriptor."""
        self.release()
        for visit in self.visits:
            assert visit.left.wait(PATIENCE), f"still connected after {bytes(visit.received)!r}"
            if visit.error is not None:
                raise visit.error

    def close(self) -> None:
        self.closed.set()
        self.release()
        # The accepting thread takes this one for the last.
        socket.create_connection(self._listener.getsockname(), PATIENCE).close()
        self._thread.join(PATIENCE)
        self._listener.close()
        for visit in self.visits:
            if not visit.left.is_set():
                wake(visit.sock)
            visit.thread.join(PATIENCE)
        threads = [self._thread, *(visit.thread for visit in self.visits)]
        assert not [thread.name for thread in threads if thread.is_alive()]

    def __enter__(self) -> HostileServer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.wait_left()
        finally:
            self.close()


def wake(sock: socket.socket) -> None:
    """End what waits for a socket on another thread, which may just have closed it."""
    try:
        # The method of an SSLSocket would take TLS away from under that thread.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate().chain, certificate().key)
    return context


# --- steps with arguments -------------------------------------------------------------------------


def send(octets: bytes) -> Step:
    return lambda visit: visit.send(octets)


def read(size: int) -> Step:
    return lambda visit: visit.read(size)


def pause(seconds: float) -> Step:
    return lambda visit: visit.pause(seconds)


def drip(octets: bytes, every: float = 0.1) -> Step:
    """Send octet by octet, then from the start again, until the client leaves."""

    def dripping(visit: Visit) -> None:
        while True:
            for octet in octets:
                visit.send(bytes((octet,)))
                visit.pause(every)

    return dripping


def flood(piece: bytes, most: float = FLOOD) -> Step:
    """Send the same until the client leaves, and fail if it takes more than most octets.

    What the client sends meanwhile is not kept."""

    def flooding(visit: Visit) -> None:
        several = piece * max(1, PIECE // len(piece))
        while visit.sent < most:
            visit.send_reading(several)
        raise AssertionError(f"the client took {visit.sent} octets")

    return flooding


# --- what to say ----------------------------------------------------------------------------------


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def opened(*steps: Step, glued: bytes = b"") -> Script:
    """Open the WebSocket, octets in the same segment, then go on with steps."""
    return (Visit.read_head, send(switching() + glued), *steps)


def answered(*pieces: bytes) -> Script:
    """Answer the handshake with octets, and say no more."""
    return (Visit.read_head, send(b"".join(pieces)))


@contextmanager
def unreachable() -> Iterator[int]:
    """A port of loopback on which no connection is ever made, for its backlog is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting: list[socket.socket] = []
        try:
            while not waiting or select.select([], waiting[-1:], [], 0.2)[1]:
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(listener.getsockname())
            yield listener.getsockname()[1]
        finally:
            for sock in waiting:
                sock.close()
