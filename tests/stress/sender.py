"""The sending threads of the stress' server side: every way to send, in random order."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from faye_sync import ConnectionClosed
from tests.stress.messages import make

if TYPE_CHECKING:
    from tests.stress.session import Session


def original(module: str, name: str) -> Callable:
    """Fetch what gevent or eventlet patched as it was, for native threads."""
    if patcher := sys.modules.get("eventlet.patcher"):
        return getattr(patcher.original(module), name)
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original(module, name) if monkey else getattr(sys.modules[module], name)


def pause(seconds: float) -> None:
    """Wait, as a random absence; lets other greenlets run."""
    select.select([], [], [], seconds)


class Sender:
    """One sender, whose messages are numbered from 0.

    Attributes:
        accepted: Messages that a method took; no later one may arrive.
        sure: Messages that the kernel has, so that they arrive unless the connection is cut.
        late: Sends that did not end within the little time they had.
        doubtful: Messages beyond the accepted that a cut connection may have carried, because
            they stood in a send_many() that did not succeed.
    """

    def __init__(self, session: Session, index: int, *, native: bool = False) -> None:
        self._session = session
        self._ws = session.ws
        self._index = index
        self._random: Random = session.plan.random(f"sender {index}")
        self._pause = pause if not native else self._pause_natively
        self.accepted = 0
        self.sure = 0
        self.doubtful = 0
        self.late = 0
        self.pings = 0
        self.pongs: list[int] = []
        self.is_done = False

    def run(self) -> None:
        try:
            while not self._session.has_to_stop() and self._step():
                if self._random.random() < 0.2:
                    self._pause(self._random.uniform(0, 0.02))
        except ConnectionClosed:
            # What ends the loop in blocking style; False does in callback style.
            return
        except Exception as error:
            self._session.fault(f"sender {self._index}: {error!r}")
        finally:
            self.is_done = True

    def part(self) -> None:
        """Queue some last messages, right before a close that has to let them go first."""
        for _ in range(20):
            self.accepted += self._ws.send_nowait(self._message())
        self.is_done = True

    def answer(self) -> None:
        """Send one message from the thread that receives."""
        try:
            self._send()
        except ConnectionClosed:
            return

    def _step(self) -> bool:
        chance = self._random.random()
        if chance < 0.6:
            return self._send()
        if chance < 0.75:
            return self._send_many()
        if chance < 0.9:
            return self._send_nowait()
        return self._ping()

    def _send(self) -> bool:
        timeout = None
        if self._session.plan.hasty and self._random.random() < 0.05:
            timeout = self._random.choice((0.0, 0.002, 0.02))
        try:
            sent = self._ws.send(self._message(), timeout=timeout)
        except TimeoutError:
            if timeout is None:
                raise
            # Either nothing of it has left, so the number is free, or the connection is failed.
            self.late += 1
            return True
        return self._took(1, sent=sent)

    def _send_many(self) -> bool:
        count = self._random.randint(0, 5)
        messages = [self._message(further) for further in range(count)]
        self.doubtful = max(0, count - 1)
        sent = self._took(count, sent=self._ws.send_many(messages))
        if sent:
            self.doubtful = 0
        return sent

    def _send_nowait(self) -> bool:
        if self._ws.send_nowait(self._message()):
            self.accepted += 1
            return True
        # Full, or closing.
        self._pause(0.005)
        return not self._ws.closed

    def _ping(self) -> bool:
        number = self.pings
        # Callbacks wait for the thread that receives; where there is none they would fill the queue.
        callback = (lambda: self.pongs.append(number)) if self._session.plan.takes else None
        if not self._ws.ping(f"{self._index} {number}", callback):
            return False
        self.pings += 1
        return True

    def _message(self, further: int = 0) -> str | bytes:
        return make(self._index, self.accepted + further, self._random)

    def _took(self, count: int, *, sent: bool) -> bool:
        if sent:
            self.accepted += count
            self.sure = self.accepted
        return sent

    @staticmethod
    def _pause_natively(seconds: float) -> None:
        original("select", "select")([], [], [], seconds)
