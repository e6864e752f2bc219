"""The misbehaving server of the client's stress: a process of its own, on plain threads.

    python -m tests.stress.client_raw

Prints its port, and ends with its standard input. Reads the protocol by the package websockets."""

from __future__ import annotations

import select
import socket
import struct
import sys
import threading
import time
import traceback

from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from tests.stress.client_visit import VisitRecord, Visits
from tests.support.peer import BINARY, frame

GLANCE = 0.01  # seconds after which a connection looks whether something is due
HELD = 3.0  # seconds that a request is left without an answer
LONGEST = 40.0  # seconds that a connection may last
ROOM = 65536  # octets that may wait for the client

REFUSAL = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 4\r\n\r\nbusy"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"

visits = Visits()


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=accept_all, args=(listener,), daemon=True).start()
    sys.stdin.read()


def accept_all(listener: socket.socket) -> None:
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


def serve(sock: socket.socket) -> None:
    with sock:
        sock.settimeout(HELD)
        try:
            head = read_head(sock)
            path = head.split(b" ", 2)[1].decode() if head else ""
            if path.startswith("/report/"):
                answer(sock, visits.report(path.rpartition("/")[2]))
            elif path.endswith("/forbidden"):
                sock.sendall(FORBIDDEN)
            elif path:
                serve_client(sock, head, *path.split("/")[1:])
        except (ConnectionError, TimeoutError):
            # The client has left, or does not leave, which its own side judges.
            return


def read_head(sock: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        data = sock.recv(65536)
        if not data:
            return b""
        head += data
    return head


def answer(sock: socket.socket, body: str) -> None:
    octets = body.encode()
    sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(octets) + octets)


def serve_client(sock: socket.socket, head: bytes, key: str, attempt: str) -> None:
    record = visits.begin(key, int(attempt))
    try:
        WAYS[record.plan.answer](sock, head, record)
    except OSError:
        # The client has left.
        return
    except Exception:
        record.faults.append(f"the server failed: {traceback.format_exc()}")
    finally:
        visits.end(record)


# --- answers ------------------------------------------------------------------------------------------


def accept(sock: socket.socket, head: bytes, record: VisitRecord) -> None:
    Talk(sock, head, record).run()


def refuse(sock: socket.socket, _: bytes, __: VisitRecord) -> None:
    sock.sendall(REFUSAL)


def cut(sock: socket.socket, _: bytes, __: VisitRecord) -> None:
    sock.shutdown(socket.SHUT_RDWR)


def reset(sock: socket.socket, _: bytes = b"", __: VisitRecord | None = None) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def garbage(sock: socket.socket, _: bytes, __: VisitRecord) -> None:
    sock.sendall(b"\x15\x03\x01\x00\x02\x02\x28" * 5)


def half(sock: socket.socket, _: bytes, __: VisitRecord) -> None:
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso")


def hold(sock: socket.socket, _: bytes, __: VisitRecord) -> None:
    sock.recv(1)


WAYS = {
    "accept": accept,
    "refuse": refuse,
    "cut": cut,
    "reset": reset,
    "garbage": garbage,
    "half": half,
    "hold": hold,
}


# --- open connections ---------------------------------------------------------------------------------


class Talk:
    """One open connection: whoever waits, waits for both directions."""

    def __init__(self, sock: socket.socket, head: bytes, record: VisitRecord) -> None:
        self._sock = sock
        self._record = record
        self._plan = record.plan
        self._protocol = ServerProtocol(max_size=None)
        self._protocol.receive_data(head)
        (request,) = self._protocol.events_received()
        self._protocol.send_response(self._protocol.accept(request))
        self._out = bytearray()
        self._fetch()
        self._end_at = time.monotonic() + self._plan.duration
        self._next_at = 0.0
        self._over_at = time.monotonic() + LONGEST
        self._has_ended = False
        # What comes when all is with the kernel.
        self._last = ""
        self._is_deaf = False

    def run(self) -> None:
        self._sock.setblocking(False)
        for _ in range(self._plan.glued):
            self._queue_message()
        if self._plan.ending == "at-once":
            self._begin_end()
        while self._turn():
            continue
        if self._protocol.close_rcvd is not None:
            self._record.client_code = self._protocol.close_rcvd.code

    def _turn(self) -> bool:
        """Do what is due; False at the end."""
        now = time.monotonic()
        if now > self._over_at:
            self._record.faults.append(f"stuck: after {LONGEST} s the client is still there")
            return False
        if self._is_deaf and now > self._end_at:
            reset(self._sock)
            return False
        if not self._is_deaf:
            self._say_what_is_due(now)
        return self._exchange()

    def _say_what_is_due(self, now: float) -> None:
        if self._has_ended or self._protocol.state is not State.OPEN:
            return
        if now >= self._end_at and self._plan.ending != "none":
            self._begin_end()
        elif now >= self._next_at and len(self._out) < ROOM:
            self._next_at = now + self._record.random.uniform(0, self._plan.gap)
            self._queue_message()

    def _exchange(self) -> bool:
        poll = select.poll()
        wanted = 0 if self._is_deaf else select.POLLIN | select.POLLOUT * bool(self._out)
        poll.register(self._sock, wanted)
        for _, events in poll.poll(GLANCE * 1000):
            if self._is_deaf:
                return False
            if events & select.POLLOUT:
                self._write()
            if events & ~select.POLLOUT and not self._read():
                return False
        return self._out or not self._last or self._do_last()

    def _write(self) -> None:
        size = len(self._out)
        if self._plan.is_fussy and size > 1:
            size = self._record.random.randrange(1, size)
        del self._out[: self._sock.send(self._out[:size])]

    def _read(self) -> bool:
        data = self._sock.recv(65536)
        if not data:
            self._protocol.receive_eof()
            return False
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if event.opcode in (Opcode.TEXT, Opcode.BINARY):
                is_text = event.opcode is Opcode.TEXT
                self._record.take(event.data.decode() if is_text else bytes(event.data))
        error = self._protocol.parser_exc
        if error is not None and not isinstance(error, EOFError):
            self._record.faults.append(f"the client broke the protocol: {error!r}")
            return False
        self._fetch()
        return True

    def _do_last(self) -> bool:
        last, self._last = self._last, ""
        if last == "fin":
            self._sock.shutdown(socket.SHUT_WR)
        else:
            reset(self._sock)
        return last == "fin"

    def _queue_message(self) -> None:
        message = self._record.next_message()
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        if self._record.random.random() < 0.1:
            self._protocol.send_ping(b"%d" % self._record.sent)
        self._fetch()

    def _begin_end(self) -> None:
        self._has_ended = True
        ending = self._plan.ending
        if ending == "at-once":
            ending = self._record.random.choice(("close", "fin", "reset", "torn"))
        if ending == "close":
            self._record.code = self._plan.code
            self._protocol.send_close(self._plan.code, "enough")
            self._fetch()
        elif ending == "torn":
            whole = frame(BINARY, bytes(self._record.random.randrange(2, 9000)), mask=False)
            self._out += whole[: self._record.random.randrange(1, len(whole))]
            self._last = self._record.random.choice(("fin", "reset"))
        elif ending == "error":
            self._out += frame(BINARY, b"masked, as no server's is")
        elif ending == "stall":
            self._is_deaf = True
            self._end_at += self._record.random.uniform(0.2, 1.5)
        else:
            self._last = ending

    def _fetch(self) -> None:
        for octets in self._protocol.data_to_send():
            if octets:
                self._out += octets
            else:
                self._last = "fin"


if __name__ == "__main__":
    main()
