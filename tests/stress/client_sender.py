"""The sending threads of the client's stress, and what they know of each message."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from faye_sync import ConnectionClosed, HandshakeError, ReadyState
from tests.stress.messages import make
from tests.stress.sender import original, pause

if TYPE_CHECKING:
    from tests.stress.client_session import ClientSession

HELLO = 90  # the sender that is the open listener
ANSWERER = 91  # the sender that is whoever receives

# What a send may end with, when the connection has: without a Reconnect a failure to open it too.
ENDS = (ConnectionClosed, HandshakeError)


def pause_natively(seconds: float) -> None:
    """Wait on a thread that is none of gevent's."""
    original("select", "select")([], [], [], seconds)


class ClientSender:
    """One sender. A number is never used again, whatever became of its message.

    Attributes:
        count: Numbers that were used.
        sure: Numbers of messages that the kernel has, with the attempt whose connection took each;
            None where another came meanwhile.
        failed: Numbers of messages that were not sent, so that none of them may arrive.
        late: Sends that came to their deadline.
        broken: Calls of send_many() whose connection broke.
    """

    def __init__(self, session: ClientSession, index: int, *, native: bool = False) -> None:
        self._session = session
        self._ws = session.ws
        self.index = index
        self._random: Random = session.plan.random(f"sender {index}")
        self._pause = pause if not native else pause_natively
        self.count = 0
        self.sure: dict[int, int | None] = {}
        self.failed: set[int] = set()
        self.late = 0
        self.broken = 0
        self.pings = 0
        self.pongs = 0
        self.is_done = False

    def run(self) -> None:
        try:
            while not self._session.is_stopping and self._step():
                if self._random.random() < 0.5:
                    self._pause(self._random.uniform(0, 0.02))
        except ENDS as error:
            self._session.note_end_of(f"sender {self.index}", error)
        except OSError as error:
            self._session.note_failure(f"sender {self.index}", error)
        except Exception as error:
            self._session.fault(f"sender {self.index}: {error!r}")
        finally:
            self.is_done = True

    def say(self) -> bool:
        """Send one message from a listener, or from whoever receives; False if it was not taken."""
        try:
            return self._send()
        except ENDS:
            return False

    def _step(self) -> bool:
        chance = self._random.random()
        if chance < 0.65:
            return self._send() or self._session.may_refuse(f"sender {self.index}")
        if chance < 0.75:
            self._send_many()
        if chance < 0.9:
            self._send_nowait()
        else:
            self._ping()
        return self._ws.ready_state is not ReadyState.CLOSED

    def _send(self) -> bool:
        number = self._next()
        timeout = self._random.choice((None, None, None, 0.0, 0.01, 0.3))
        before = self._session.attempt_open()
        sent = False
        try:
            sent = self._ws.send(make(self.index, number, self._random), timeout=timeout)
        except TimeoutError:
            # Nothing of it has left, or the connection is failed and the message torn.
            self.late += 1
            self.failed.add(number)
            return True
        finally:
            if not sent:
                self.failed.add(number)
        if sent:
            self.sure[number] = before if self._session.attempt_open() == before else None
        return sent

    def _send_many(self) -> None:
        """Send several, of which none is sent again where their connection breaks."""
        numbers = [self._next() for _ in range(self._random.randint(0, 4))]
        before = self._session.attempt_open()
        try:
            sent = self._ws.send_many([make(self.index, n, self._random) for n in numbers])
        except TimeoutError:
            self.late += 1
        except ConnectionClosed:
            self.broken += 1
        else:
            attempt = before if self._session.attempt_open() == before else None
            self.sure.update(dict.fromkeys(numbers, attempt) if sent else {})

    def _send_nowait(self) -> None:
        number = self._next()
        if not self._ws.send_nowait(make(self.index, number, self._random)):
            # Full, closing, or between connections.
            self.failed.add(number)
            self._pause(0.005)

    def _ping(self) -> None:
        try:
            self.pings += self._ws.ping(f"{self.index} {self.pings}", self._count_pong)
        except TimeoutError:
            # There was no connection for send_timeout.
            self.late += 1

    def _count_pong(self) -> None:
        self.pongs += 1

    def _next(self) -> int:
        self.count += 1
        return self.count - 1
