"""The peer's side of one connection of the stress: plain threads and a raw socket, or TLS.

The reader never waits for the writers: it leaves pongs and the answer to a close to a thread of
their own, so that the peer cannot cause a deadlock of two sides that both write before they read."""

from __future__ import annotations

import queue
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from tests.stress.messages import NOISE, Tally, make
from tests.stress.plan import Plan
from tests.stress.tls_socket import TlsPeer, Truncated
from tests.support.peer import BINARY, CLOSE, PING, PONG, TEXT, Peer, TlsAddress, closing, frame

GLANCE = 50  # milliseconds after which a waiting thread looks whether it has to go
LATEST_PONG = 10.0  # seconds
HOLD = 0.4  # seconds
PATIENCE = 25.0  # seconds for what the server must do by itself


class Dropped(Exception):
    """The connection is being dropped: leave it as it is, within a frame or not."""


class Side:
    """One connection. run() plays the plan; report() tells what came of it."""

    def __init__(
        self, plan: Plan, address: tuple[str, int], contexts: Sequence[ssl.SSLContext] = ()
    ) -> None:
        """Connect; under TLS with one of contexts, where there are any."""
        self.plan = plan
        self._tally = Tally()
        self._random = plan.random("peer")
        self.faults: list[str] = []
        self._sent = dict.fromkeys(range(plan.writers), 0)
        # Writers that were stopped within a message, or within the ping behind it.
        self._unfinished: set[int] = set()
        self._pings = 0
        self._pongs = 0
        self._last_pong = -1
        self._server_pings = 0
        self._closes: list[int] = []
        self._end = ""
        self._ending = threading.Event()
        self._over = threading.Event()
        self._started_at = time.monotonic()
        self._lasted = 0.0
        self._deadline = time.monotonic() + plan.duration + PATIENCE
        self._quiet_at = time.monotonic() + plan.sending(is_peer=True)
        self._holds_from = time.monotonic() + plan.duration - HOLD / 2
        self._closed_at = 0.0
        self._lag = 0.0
        self._is_dropped = False
        self._is_closing = False
        self._writing = threading.Lock()
        self._urgent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        count = plan.early if plan.takes else 0
        early = [make(0, number, self._random) for number in range(count)]
        octets = b"".join(self._frames(message, self._random) for message in early)
        self._sent[0] = len(early)
        self.peer = self._connect(address, contexts, octets)
        self._sock = self.peer.sock
        self._sock.setblocking(False)

    def _connect(
        self, address: tuple[str, int], contexts: Sequence[ssl.SSLContext], early: bytes
    ) -> Peer:
        path = f"/run/{self.plan.key}"
        if not contexts:
            return Peer(address, path, early=early)
        random = self.plan.random("tls")
        return TlsPeer(TlsAddress(*address), path, early, random.choice(contexts), random)

    def run(self) -> None:
        try:
            self._play()
        except Exception as error:
            self.faults.append(f"peer: {error!r}")
        finally:
            self._over.set()
            self._is_dropped = True
            self._urgent.put(None)
            self._sock.close()

    def _play(self) -> None:
        reader = self._spawn(self._read)
        urgent = self._spawn(self._write_urgent)
        writers = [self._spawn(self._write_messages, index) for index in self._sent]
        self._over.wait(self.plan.duration)
        kind = self.plan.ending.partition("-")[2] if self.plan.ending[:4] != "serv" else ""
        if kind:
            self._end_by(getattr(self, f"_{kind}"), writers)
        reader.join(PATIENCE + self.plan.duration + 1)
        # TCP has ended on the server's side. A writer may wait for ever here: a kernel that closes
        # a socket with a full window need not tell, as nothing is left to read.
        self._is_dropped = True
        self._ending.set()
        self._urgent.put(None)
        for thread in (reader, urgent, *writers):
            thread.join(PATIENCE)
            if thread.is_alive():
                self.faults.append(f"stuck: {thread.name} of the peer; {self.state()}")

    def state(self) -> str:
        return f"{self.plan}: {vars(self)}"

    def report(self) -> dict:
        return {
            "sent": self._sent,
            "unfinished": self._unfinished,
            "arrived": self._tally.counts,
            "octets": self._tally.octets,
            "pings": self._pings,
            "pongs": self._pongs,
            "last_pong": self._last_pong,
            "server_pings": self._server_pings,
            "closes": self._closes,
            "end": self._end,
            "lag": self._lag,
            "tail": self._lasted - self.plan.duration,
            "faults": self.faults + self._tally.faults,
        }

    # --- the ends -----------------------------------------------------------------------------------

    def _end_by(self, way, writers: list[threading.Thread]) -> None:
        try:
            way(writers)
        except (Dropped, OSError):
            # The server was first; it is the reader that judges how.
            return

    def _close(self, writers: list[threading.Thread]) -> None:
        self._finish(writers)
        if self.plan.asks:
            self._put_ping()
            self._await_last_pong()
            self._put(closing(self.plan.code, "bye"), is_last=True)
        else:
            self._put(self._ping() + closing(self.plan.code, "bye"), is_last=True)

    def _await_last_pong(self) -> None:
        deadline = time.monotonic() + LATEST_PONG
        while self._last_pong < self._pings - 1 and not self._over.wait(0.01):
            if time.monotonic() > deadline:
                self.faults.append(f"stuck: no pong of the last ping within {LATEST_PONG} s")
                return

    def _error(self, writers: list[threading.Thread]) -> None:
        """Send an unmasked frame, and more behind it that the server has to read past."""
        self._finish(writers)
        self._put(frame(BINARY, b"bare", mask=False) + NOISE, is_last=True)

    def _fin(self, writers: list[threading.Thread]) -> None:
        self._finish(writers)
        with self._writing:
            self._is_closing = True
            self._sock.shutdown(socket.SHUT_WR)

    def _torn(self, writers: list[threading.Thread]) -> None:
        self._finish(writers)
        message = frame(BINARY, bytes(self._random.randrange(2, 70000)))
        self._put(message[: self._random.randrange(1, len(message))], is_last=True)
        if self._random.random() < 0.5:
            self._sock.shutdown(socket.SHUT_WR)
        else:
            self._is_dropped = True

    def _reset(self, writers: list[threading.Thread]) -> None:
        self._is_dropped = True
        self._ending.set()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _finish(self, writers: list[threading.Thread]) -> None:
        self._ending.set()
        for writer in writers:
            writer.join(PATIENCE)

    # --- writing ------------------------------------------------------------------------------------

    def _write_messages(self, index: int) -> None:
        random = self.plan.random(f"writer {index}")
        try:
            while not self._has_to_stop():
                if self.plan.takes:
                    self._write_message(index, random)
                else:
                    self._put_ping()
                if random.random() < 0.2 or not self.plan.takes:
                    self._ending.wait(random.uniform(0, 0.02))
        except (Dropped, OSError):
            # It is the reader that judges how the connection ended.
            return

    def _has_to_stop(self) -> bool:
        return self._ending.is_set() or self._is_closing or time.monotonic() > self._quiet_at

    def _write_message(self, index: int, random: Random) -> None:
        message = make(index, self._sent[index], random)
        with self._writing:
            if self._is_closing:
                return
            octets = self._frames(message, random, self._ping)
            self._unfinished.add(index)
            for piece in cut(octets, random):
                self._push(piece)
                if random.random() < 0.01:
                    self._ending.wait(random.uniform(0, 0.05))
            self._sent[index] += 1
            self._unfinished.remove(index)

    @staticmethod
    def _frames(message: str | bytes, random: Random, ping=lambda: b"") -> bytes:
        """Write a message in one to four frames, some with a ping between."""
        opcode = TEXT if isinstance(message, str) else BINARY
        payload = message.encode() if isinstance(message, str) else message
        if random.random() < 0.6:
            return frame(opcode, payload) + (ping() if random.random() < 0.1 else b"")
        count = random.randint(0, 3)
        edges = [0, *sorted(random.choices(range(len(payload) + 1), k=count)), len(payload)]
        frames = []
        for number, (start, stop) in enumerate(pairwise(edges)):
            final = number == count
            frames.append(frame(0 if number else opcode, payload[start:stop], final=final))
            if random.random() < 0.3:
                frames.append(ping())
        return b"".join(frames)

    def _ping(self) -> bytes:
        """Number a ping; the caller holds the lock and sends it, or is the only writer."""
        self._pings += 1
        return frame(PING, b"%d" % (self._pings - 1))

    def _put_ping(self) -> None:
        with self._writing:
            if not self._is_closing:
                self._push(self._ping())

    def _write_urgent(self) -> None:
        try:
            while (octets := self._urgent.get()) is not None:
                self._put(octets, is_last=octets[0] & 0x0F == CLOSE)
        except (Dropped, OSError):
            return

    def _put(self, octets: bytes, *, is_last: bool = False) -> None:
        with self._writing:
            if not self._is_closing:
                self._is_closing = is_last
                self._push(octets)

    def _push(self, octets: bytes) -> None:
        """Write all octets, and notice meanwhile that the connection is being dropped."""
        rest = memoryview(octets)
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        while rest:
            if self._is_dropped:
                raise Dropped
            if poll.poll(GLANCE):
                rest = rest[self._sock.send(rest) :]

    # --- reading ------------------------------------------------------------------------------------

    def _read(self) -> None:
        held = bytearray(self.peer._held)
        try:
            self._read_frames(held)
            while (data := self._receive()) != b"":
                held += data or b""
                self._read_frames(held)
            self._end = "eof in a frame" if held else "eof"
        except Dropped:
            self._end = "dropped"
        except Truncated:
            self._end = "eof without close_notify"
        except ConnectionError as error:
            self._end = f"reset: {error!r}"
        except Exception as error:
            self.faults.append(f"the peer's reader: {error!r}")
        finally:
            self._lasted = time.monotonic() - self._started_at
            self._lag = time.monotonic() - (self._closed_at or time.monotonic())
            self._over.set()

    def _receive(self) -> bytes | None:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        if self.plan.pauses and self._random.random() < 0.1:
            self._ending.wait(self._random.uniform(0, 0.3))
        if self.plan.holds and 0 < time.monotonic() - self._holds_from < HOLD:
            self._over.wait(HOLD)
        while not poll.poll(GLANCE):
            if self._is_dropped:
                raise Dropped
            if time.monotonic() > self._deadline:
                raise TimeoutError(f"stuck: the connection does not end; {self.state()}")
        if self._is_dropped:
            raise Dropped
        try:
            return self._sock.recv(65536)
        except BlockingIOError:
            # Under TLS, what came is less than a record.
            return None

    def _read_frames(self, held: bytearray) -> None:
        position = 0
        while (found := header(held, position)) is not None and found[2] <= len(held):
            opcode, start, stop = found
            self._take(opcode, bytes(held[start:stop]))
            position = stop
        del held[:position]

    def _take(self, opcode: int, payload: bytes) -> None:
        if self._closes:
            self.faults.append(f"after the close frame came opcode {opcode}: {payload[:60]!r}")
        elif opcode in (TEXT, BINARY):
            self._tally.take(payload.decode() if opcode == TEXT else payload)
        elif opcode == PING:
            self._server_pings += 1
            self._urgent.put(frame(PONG, payload))
        elif opcode == PONG:
            self._take_pong(int(payload))
        elif opcode == CLOSE:
            self._closed_at = time.monotonic()
            self._closes.append(struct.unpack("!H", payload[:2])[0])
            self._ending.set()
            self._urgent.put(frame(CLOSE, payload))
        else:
            raise AssertionError(f"opcode {opcode}")

    def _take_pong(self, number: int) -> None:
        if not self._last_pong < number < self._pings:
            self.faults.append(f"pong {number} came after {self._last_pong} of {self._pings}")
        self._last_pong = number
        self._pongs += 1

    def _spawn(self, function, *arguments) -> threading.Thread:
        name = f"{function.__name__} {self.plan.key}"
        thread = threading.Thread(target=function, args=arguments, name=name, daemon=True)
        thread.start()
        return thread


def header(held: bytearray, position: int) -> tuple[int, int, int] | None:
    """Opcode of the frame at position, where its payload begins and ends; None if cut off."""
    if len(held) - position < 2:
        return None
    first, second = held[position], held[position + 1]
    if first & 0xF0 != 0x80 or second & 0x80:
        raise AssertionError(f"no frame of a server: {bytes(held[position : position + 20])!r}")
    start = position + 2 + {126: 2, 127: 8}.get(second, 0)
    if len(held) < start:
        return None
    size = second if second < 126 else int.from_bytes(held[position + 2 : start], "big")
    return first & 0x0F, start, start + size


def cut(octets: bytes, random: Random) -> list[bytes]:
    """Cut octets anywhere: mostly not at all, sometimes into single octets."""
    chance = random.random()
    if chance < 0.8:
        return [octets]
    if chance < 0.82 and len(octets) < 300:
        return [octets[index : index + 1] for index in range(len(octets))]
    count = random.randint(1, 5)
    edges = [0, *sorted(random.choices(range(len(octets) + 1), k=count)), len(octets)]
    return [octets[a:b] for a, b in pairwise(edges)]
