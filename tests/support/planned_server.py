"""A server within the test's process that treats each connection as its plan says.

    with PlannedServer(refuse(503), cut, accept) as server:
        ...
        visit = server.visit()

The first connection gets the first step, and so on; all after the last step get that one again. The
protocol is that of the package websockets, so the library's own reading of it is put to the test."""

from __future__ import annotations

import errno
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

PATIENCE = 20.0  # seconds to wait for what should come at once

Step = Callable[["Visit"], object]
"""What becomes of a connection once its request is there; it runs on the server's thread."""


class Visit:
    """One connection that came, from the request on.

    Attributes:
        request: Of the opening handshake, with its path and headers.
        certificate: Of the client, as getpeercert() gives it.
        echoes: Whether messages are sent back, and kept from read().
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._protocol = ServerProtocol(max_size=None)
        # Of the two threads that use the protocol: the server's for this visit, and the test's.
        self._lock = threading.RLock()
        self._pieces: list[bytes] = []
        self._messages: queue.Queue[str | bytes] = queue.Queue()
        self._pongs: queue.Queue[bytes] = queue.Queue()
        self._is_over = threading.Event()
        self._is_text = True
        self._is_reset = False
        self.echoes = False
        self.request: Request | None = None
        self.certificate: Any = None

    # --- what steps and tests do --------------------------------------------------------------------

    def answer(self, status: int, headers: Iterable[tuple[str, str]], body: str) -> None:
        """Refuse the request."""
        with self._lock:
            response = self._protocol.reject(status, body)
            for name, value in headers:
                response.headers[name] = value
            self._protocol.send_response(response)
            self._flush()

    def accept(self, *messages: bytes, is_end: bool = False) -> None:
        """Answer with a 101, and messages in the same segment, and the end of TCP maybe."""
        with self._lock:
            self._protocol.send_response(self._protocol.accept(self.request))
            for message in messages:
                self._protocol.send_binary(message)
            octets = b"".join(self._protocol.data_to_send())
            self._sock.sendall(octets)
        if is_end:
            self.cut()

    def say(self, message: str | bytes) -> None:
        with self._lock:
            if isinstance(message, str):
                self._protocol.send_text(message.encode())
            else:
                self._protocol.send_binary(message)
            self._flush()

    def ping(self, data: bytes) -> bytes:
        """Send a ping; returns what its pong carries."""
        with self._lock:
            self._protocol.send_ping(data)
            self._flush()
        return self._pongs.get(timeout=PATIENCE)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame."""
        with self._lock:
            self._protocol.send_close(code, reason)
            self._flush()

    def cut(self) -> None:
        """End TCP without a word."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The client was faster.
            return

    def reset(self) -> None:
        """End TCP with a reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._is_reset = True
        # Says nothing to the client, and wakes the server's thread, whose close() does.
        self._sock.shutdown(socket.SHUT_RD)

    @contextmanager
    def deafened(self) -> Iterator[Visit]:
        """Act on nothing that the client sends while the block runs."""
        with self._lock:
            yield self

    def read(self, timeout: float = PATIENCE) -> str | bytes:
        """Take the next message of the client."""
        return self._messages.get(timeout=timeout)

    def unread(self) -> list[str | bytes]:
        """Take the messages that came and were not read."""
        return [self._messages.get_nowait() for _ in range(self._messages.qsize())]

    def parting(self, timeout: float = PATIENCE) -> tuple[int, str] | None:
        """Wait for the end of TCP: the client's close frame, None if there was none."""
        assert self._is_over.wait(timeout), "the client keeps the connection"
        received = self._protocol.close_rcvd
        return received and (received.code, received.reason)

    # --- run by the server's thread -----------------------------------------------------------------

    def run(self, step: Step, told: Callable[[Visit], object]) -> None:
        """Take all that the client sends; told is called when the step was done."""
        try:
            while self.request is None and self._take():
                continue
            if self.request is not None:
                step(self)
                told(self)
            while self._take():
                continue
        except OSError:
            # Reset, or cut while there was something to say.
            self.cut()
        finally:
            if self._is_reset:
                self._sock.close()
            self._is_over.set()

    def _take(self) -> bool:
        """Wait for octets and sort what they amount to; False at the end."""
        octets = self._sock.recv(65536)
        with self._lock:
            if octets:
                self._protocol.receive_data(octets)
            else:
                self._protocol.receive_eof()
            for event in self._protocol.events_received():
                self._sort(event)
            self._flush()
        return bool(octets)

    def _sort(self, event: Request | Frame) -> None:
        if isinstance(event, Request):
            self.request = event
        elif event.opcode == Opcode.PONG:
            self._pongs.put(bytes(event.data))
        elif event.opcode <= Opcode.BINARY:
            self._pieces.append(bytes(event.data))
            self._is_text = event.opcode == Opcode.TEXT if event.opcode else self._is_text
            if event.fin:
                whole, self._pieces = b"".join(self._pieces), []
                self._take_message(whole)
        else:
            assert event.opcode >= Opcode.CLOSE, f"no frame of a client: {event}"

    def _take_message(self, data: bytes) -> None:
        if not self.echoes:
            self._messages.put(data.decode() if self._is_text else data)
        elif self._protocol.state is State.OPEN:
            # Else the client's close came together with this message.
            send = self._protocol.send_text if self._is_text else self._protocol.send_binary
            send(data)

    def _flush(self) -> None:
        for octets in self._protocol.data_to_send():
            if octets:
                self._sock.sendall(octets)
            else:
                self._sock.shutdown(socket.SHUT_WR)

    def let_go(self) -> None:
        """Close the socket, after run()."""
        self._sock.close()


# --- steps --------------------------------------------------------------------------------------------


def accept(visit: Visit) -> None:
    """Answer with a 101, and leave the rest to the test."""
    visit.accept()


def echo(visit: Visit) -> None:
    """Send back whatever comes."""
    visit.echoes = True
    visit.accept()


def cut(visit: Visit) -> None:
    """End TCP before an answer."""
    visit.cut()


def hold(visit: Visit) -> None:
    """Never answer."""


def refuse(status: int, *headers: tuple[str, str], body: str = "") -> Step:
    return lambda visit: visit.answer(status, headers, body)


def greet(*messages: str | bytes) -> Step:
    """Say something as soon as it is open, and leave the rest to the test."""

    def step(visit: Visit) -> None:
        visit.accept()
        for message in messages:
            visit.say(message)

    return step


def part(code: int, reason: str = "", *messages: str | bytes) -> Step:
    """Say something, then close."""

    def step(visit: Visit) -> None:
        greet(*messages)(visit)
        visit.close(code, reason)

    return step


def drop(*messages: str | bytes) -> Step:
    """Say something, then end TCP without a close frame."""

    def step(visit: Visit) -> None:
        greet(*messages)(visit)
        visit.cut()

    return step


# --- the server ---------------------------------------------------------------------------------------


class PlannedServer:
    """Listens on loopback, on a port of its own. Use it in a with statement."""

    def __init__(
        self, *plan: Step, tls: ssl.SSLContext | None = None, is_listening: bool = True
    ) -> None:
        self._steps = chain(plan[:-1], repeat(plan[-1]))
        self._tls = tls
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._arrived: queue.Queue[Visit] = queue.Queue()
        self._visits: list[Visit] = []
        self._threads: list[threading.Thread] = []
        # Until then whoever comes is refused by the kernel.
        self._is_listening = threading.Event()
        if is_listening:
            self.listen()

    @property
    def url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self.port}/"

    @property
    def count(self) -> int:
        """How many connections came so far."""
        return len(self._visits)

    def listen(self) -> None:
        """Begin to take connections, where the constructor was told to wait."""
        self._listener.listen(128)
        self._is_listening.set()
        self._spawn(self._accept_all)

    def visit(self, timeout: float = PATIENCE) -> Visit:
        """Take the next connection that sent its request, once its step was done."""
        return self._arrived.get(timeout=timeout)

    def _spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=function, args=arguments, name=f"planned {self.port}")
        thread.daemon = True
        self._threads.append(thread)
        thread.start()

    def _accept_all(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                if error.errno == errno.EMFILE:
                    # A test leaves this process without descriptors, for a moment.
                    continue
                # __exit__ ended the listening.
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._spawn(self._serve, sock, next(self._steps))

    def _serve(self, sock: socket.socket, step: Step) -> None:
        certificate = None
        if self._tls:
            try:
                sock = self._tls.wrap_socket(sock, server_side=True)
            except OSError:
                # The client did not trust us, or left.
                sock.close()
                return
            certificate = sock.getpeercert()
        visit = Visit(sock)
        visit.certificate = certificate
        self._visits.append(visit)
        visit.run(step, self._arrived.put)

    def __enter__(self) -> PlannedServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_listening.is_set():
            self._listener.shutdown(socket.SHUT_RDWR)
            self._threads[0].join(PATIENCE)
        self._listener.close()
        for visit in self._visits:
            visit.cut()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"{thread.name} does not end"
        for visit in self._visits:
            visit.let_go()
