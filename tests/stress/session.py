"""One connection of the stress on the server: its senders, its reader, its end, and its report."""

from __future__ import annotations

import _socket
import socket
import sys
import threading
import time
from collections.abc import Callable
from os import dup

from faye_sync import CloseEvent, ConnectionClosed, WebSocket
from tests.stress.messages import Tally
from tests.stress.plan import Plan
from tests.stress.sender import Sender, original, pause

PATIENCE = 25.0  # seconds until something that should have ended counts as stuck
LAST = 98  # the sender that is the closing thread
ANSWERER = 99  # the sender that is the receiving thread


class Session:
    """The server's side of one plan."""

    def __init__(self, plan: Plan, ws: WebSocket) -> None:
        self.plan = plan
        self.ws = ws
        self.is_stopping = False
        self._quiet_at = time.monotonic() + plan.sending(is_peer=False)
        self.is_finished = False
        self.faults: list[str] = []
        self._tally = Tally()
        self._random = plan.random("reader")
        self._is_leaving = False
        self._closes: list[CloseEvent] = []
        self._answerer = Sender(self, ANSWERER)
        self._senders = [Sender(self, index) for index in range(plan.senders)]

    def run(self) -> None:
        """Do what the view of this connection does."""
        self.ws.accept()
        self._shrink()
        self.ws.on("close", self._closes.append)
        if self.plan.style == "callbacks":
            self.ws.on("message", lambda event: self._take(event.data))
            self._spawn("pauser", self._pause_now_and_then)
        for sender in self._senders:
            self._spawn("sender", sender.run)
        if self.plan.native and not sys.modules.keys().isdisjoint(("gevent", "eventlet")):
            self._senders.append(native := Sender(self, self.plan.senders, native=True))
            original("_thread", "start_new_thread")(native.run, ())
        self._spawn("conductor", self._conduct)
        self._read()

    def has_to_stop(self) -> bool:
        """Tell the senders to stop."""
        return self.is_stopping or time.monotonic() > self._quiet_at

    def report(self) -> dict:
        senders = [*self._senders, self._answerer]
        return {
            "key": self.plan.key,
            "accepted": {sender._index: sender.accepted for sender in senders},
            "sure": {sender._index: sender.sure for sender in senders},
            "doubtful": {sender._index: sender.doubtful for sender in senders},
            "late": sum(sender.late for sender in senders),
            "received": self._tally.counts,
            "octets": self._tally.octets,
            "pongs": sum(len(sender.pongs) for sender in senders),
            "closes": [(event.code, event.was_clean, event.cause) for event in self._closes],
            "faults": self.faults + self._tally.faults + self._ping_faults(),
        }

    def state(self) -> str:
        """Say where it hangs, for a report of what is stuck."""
        ws = self.ws
        done = [sender.is_done for sender in self._senders]
        return (
            f"{self.plan}\n  {ws.ready_state!r}, unsent {ws.buffered_amount}, senders done {done}, "
            f"stopping {self.is_stopping}, leaving {self._is_leaving}, {self._tally.counts}, "
            f"{self._closes}, {getattr(ws, '_link', None) and vars(ws._link.incoming)}"
        )

    def fault(self, text: str) -> None:
        self.faults.append(text)

    # --- receiving --------------------------------------------------------------------------------

    def _read(self) -> None:
        readers = {
            "iterate": self._iterate,
            "absent": self._receive_with_absences,
            "send-only": self._only_wait,
        }
        reader = readers.get(self.plan.style)
        if reader is None:
            return
        if self.plan.stays:
            reader()
        else:
            self.ws.start(lambda _: reader())

    def _iterate(self) -> None:
        for message in self.ws:
            self._take(message)
            if self._is_leaving:
                return

    def _receive_with_absences(self) -> None:
        timeouts = (0, 0.01, 0.2) + (() if self.plan.ending == "server-return" else (None,))
        while not self._is_leaving:
            try:
                message = self.ws.receive(self._random.choice(timeouts))
            except TimeoutError:
                pause(0.001)
            except ConnectionClosed:
                return
            else:
                self._take(message)
                self._be_absent(0.003, 1.2)

    def _only_wait(self) -> None:
        if self.plan.discards:
            self.ws.discard()
        if self.plan.stays:
            self._look()
        while not self._is_leaving and not self.ws.wait_closed(0.1):
            continue

    def _look(self) -> None:
        try:
            self._take(self.ws.receive(0))
        except (TimeoutError, ConnectionClosed):
            # Nothing comes, but from now on this is the thread that receives.
            return

    def _take(self, message: str | bytes) -> None:
        self._tally.take(message)
        if self._random.random() < 0.05:
            self._answerer.answer()
        if self.plan.style == "callbacks":
            self._be_absent(0.001, 0.8)

    def _be_absent(self, probability: float, longest: float) -> None:
        if self._random.random() < probability:
            pause(self._random.uniform(0.1, longest))

    def _pause_now_and_then(self) -> None:
        random = self.plan.random("pauser")
        while not self.ws.wait_closed(random.uniform(0.1, 1.0)):
            self.ws.pause()
            pause(random.uniform(0, 0.4))
            self.ws.resume()

    # --- the end ------------------------------------------------------------------------------------

    def _conduct(self) -> None:
        try:
            self.ws.wait_closed(self.plan.duration)
            self._end()
            self._wait("its close", self.ws.wait_closed)
            self.is_stopping = True
            self._until("its senders", self._senders_are_done)
            self._wait("its reading thread", self.ws.join)
            self._until("its close event", lambda: len(self._closes) > 0)
        except Exception as error:
            self.fault(f"conductor: {error!r}")
        finally:
            self.is_finished = True

    def _end(self) -> None:
        ending = self.plan.ending
        if ending == "server-cut":
            # No public name does this; the network does.
            self.ws._link.stream.shut_down()
        if ending not in ("server-close", "server-return", "both-close"):
            return
        if self.plan.joins:
            self.is_stopping = True
            self._until("its senders before the close", self._senders_are_done)
            self._senders.append(last := Sender(self, LAST))
            last.part()
        if ending == "server-return" and self.plan.style in ("absent", "send-only"):
            self._is_leaving = True
        else:
            self.ws.close(self.plan.code, "enough")

    def _senders_are_done(self) -> bool:
        return all(sender.is_done for sender in self._senders)

    def _wait(self, what: str, wait: Callable[[float], bool]) -> None:
        if not wait(PATIENCE):
            self.fault(f"stuck: waited {PATIENCE} s for {what}; {self.state()}")

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                self.fault(f"stuck: waited {PATIENCE} s for {what}; {self.state()}")
                return
            pause(0.002)

    # --- beneath ------------------------------------------------------------------------------------

    def _shrink(self) -> None:
        """Give the kernel a small send buffer, so that sends wait."""
        if self.plan.send_buffer is not None:
            copy = _socket.socket(fileno=dup(self.ws._link.stream.fileno()))
            copy.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.plan.send_buffer)
            copy.close()

    def _spawn(self, what: str, function: Callable[[], None]) -> None:
        name = f"stress-{what}-{self.plan.key}"
        threading.Thread(target=function, name=name, daemon=True).start()

    def _ping_faults(self) -> list[str]:
        """Callbacks run once each, in order and without a gap, up to the end."""
        return [
            f"sender {sender._index}: callbacks of pings {sender.pongs[-5:]} are no row"
            for sender in self._senders
            if sender.pongs != list(range(len(sender.pongs)))
        ]
