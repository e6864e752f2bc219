"""One client of the stress: its senders, whoever receives, its end, and what it saw."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from faye_sync import Client, CloseEvent, HandshakeError, ReadyState, Reconnect
from tests.stress.client_plan import ClientPlan, place_of
from tests.stress.client_sender import ANSWERER, ENDS, HELLO, ClientSender, pause_natively
from tests.stress.messages import Tally
from tests.stress.sender import original, pause

PATIENCE = 20.0  # seconds until something that should have ended counts as stuck
SPARE = 3.0  # seconds after which a listener that was to close did not come
REFUSALS = 5  # attempts to open a connection without a Reconnect
MARGIN = 0.7  # of its timeout that a wait lasts at least


def is_on_hub() -> bool:
    return "gevent.monkey" in sys.modules


class ClientSession:
    """One client. run() plays the plan on the calling thread; what it saw is in its attributes.

    Attributes:
        opens: The attempt of each connection, as its open listener ran.
        arrived: The attempt of each message, as they came.
        events: Kinds of open and close events, as they came.
        closes: The close events.
        ends: What senders and receivers ended with.
    """

    def __init__(self, plan: ClientPlan, ports: dict[str, int]) -> None:
        self.plan = plan
        self._ports = ports
        self._attempts = 0
        self.is_stopping = False
        self._is_ending = False
        self._is_forbidden = False
        self.is_finished = False
        self.faults: list[str] = []
        self.opens: list[int] = []
        self.arrived: list[int] = []
        self.tally = Tally()
        self.events: list[str] = []
        self.closes: list[CloseEvent] = []
        self.ends: Counter[str] = Counter()
        self._random = plan.random("reader")
        self._over = threading.Event()
        self.ws = self._make()
        self._hello = ClientSender(self, HELLO)
        self._answerer = ClientSender(self, ANSWERER)
        self.senders = [ClientSender(self, index) for index in range(plan.senders)]
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        plan = self.plan
        for name in ("open", "close"):
            self.ws.on(name, lambda event: self.events.append(event.type))
        self.ws.on("open", self._opened)
        self.ws.on("close", self.closes.append)
        if plan.has_listeners:
            self.ws.on("message", lambda event: self._take(event.data))
        if plan.eager:
            self._start_senders()
        self._spawn("reader", self._read)
        if not plan.eager:
            self._start_senders()
        self._spawn("bystander", self._look_on)
        if plan.pauses and plan.has_listeners:
            self._spawn("pauser", self._pause_now_and_then)
        if plan.drops and plan.native:
            original("_thread", "start_new_thread")(self._drop_now_and_then, ())
        elif plan.drops:
            self._spawn("dropper", self._drop_now_and_then)
        self._conduct()

    @property
    def all_senders(self) -> list[ClientSender]:
        return [*self.senders, self._hello, self._answerer]

    def attempt_open(self) -> int:
        """The attempt whose connection is the last that opened; -1 before."""
        return self.opens[-1] if self.opens else -1

    def fault(self, text: str) -> None:
        self.faults.append(text)

    def note_end_of(self, who: str, error: Exception) -> None:
        """Judge what a call raised, which is to say that there is no connection any more."""
        self.ends[f"{type(error).__name__}"] += 1
        if isinstance(error, HandshakeError) and self.plan.redials and not self._is_forbidden:
            self.fault(f"{who} was told of a refusal that is worth another attempt: {error!r}")
        self._may_be_over(who, repr(error))

    def note_failure(self, who: str, error: OSError) -> None:
        """Judge what the network did to a call."""
        self.ends[f"{type(error).__name__}"] += 1
        if self.plan.redials:
            self.fault(f"{who}: {error!r}")

    def may_refuse(self, who: str) -> bool:
        """A method that sends has returned False: the client has to be closing, or closed."""
        self._may_be_over(who, "False")
        return False

    def _may_be_over(self, who: str, what: str) -> None:
        is_over = self._is_ending or self.ws.ready_state >= ReadyState.CLOSING
        if self.plan.redials and not is_over:
            self.fault(f"{who} ended with {what}, but the client has not; {self.state()}")

    def state(self) -> str:
        """Say where it hangs, for a report of what is stuck."""
        ws = self.ws
        return (
            f"{self.plan}\n  {ws.ready_state!r}, opens {self.opens}, attempts {self._attempts}, "
            f"senders done {[sender.is_done for sender in self.senders]}, ending {self._is_ending}, "
            f"{self.events[-5:]}, {self.closes}, outage {vars(ws._outage) if ws._outage else None}, "
            f"alive {[thread.name for thread in self._threads if thread.is_alive()]}"
        )

    # --- opening --------------------------------------------------------------------------------------

    def _make(self) -> Client:
        plan = self.plan
        keepalive = plan.keepalive
        policy = Reconnect(initial=0.002, maximum=0.05, idle=plan.idle) if plan.redials else None
        return Client(
            self._url,
            proxy=False,
            ping=keepalive,
            pong_timeout=None if keepalive is None else keepalive / 4,
            open_timeout=0.5,
            send_timeout=plan.send_timeout,
            close_timeout=1.0,
            max_queue=plan.max_queue,
            reconnect=policy,
        )

    def _url(self) -> str:
        self._attempts += 1
        place = place_of(self.plan.key, self._attempts)
        end = f"/{self.plan.key}/{self._attempts}"
        if self._is_forbidden:
            place, end = "raw", f"{end}/forbidden"
        return f"ws://127.0.0.1:{self._ports[place]}{end}"

    def _opened(self, _) -> None:
        self.opens.append(self._attempts)
        if self.ws.ready_state is ReadyState.CONNECTING:
            self.fault("connecting in an open listener")
        if len(self.opens) == 1 and self.plan.native and is_on_hub():
            native = ClientSender(self, len(self.senders), native=True)
            self.senders.append(native)
            original("_thread", "start_new_thread")(native.run, ())
        self._hello.say()
        self._close_in_listener()

    # --- receiving ------------------------------------------------------------------------------------

    def _read(self) -> None:
        style = self.plan.style
        try:
            if style == "run":
                self.ws.run()
            elif style == "callbacks":
                self.ws.start()
            elif style == "function":
                self.ws.start(self._talk)
            elif self.plan.ending == "leave":
                with self.ws:
                    self._talk()
            else:
                self._talk()
        except ENDS as error:
            # The with, which opens it.
            self.note_end_of("the reader", error)
        except Exception as error:
            self.fault(f"the reader: {error!r}")

    def _talk(self, _=None) -> None:
        talk = self._iterate if self._random.random() < 0.5 else self._receive
        for _ in range(REFUSALS):
            try:
                talk()
            except ENDS as error:
                self.note_end_of("the receiver", error)
                if self.plan.redials or self.opens:
                    return
            except OSError as error:
                self.note_failure("the receiver", error)
            else:
                return

    def _iterate(self) -> None:
        for message in self.ws:
            self._take(message)
            if self._is_ending and self.plan.ending == "leave":
                return

    def _receive(self) -> None:
        timeouts = (0, 0.01, 0.2) + (() if self.plan.ending == "leave" else (None,))
        while not (self._is_ending and self.plan.ending == "leave"):
            timeout = self._random.choice(timeouts)
            began = time.monotonic()
            try:
                message = self.ws.receive(timeout)
            except TimeoutError:
                if timeout is None:
                    # That of open_timeout.
                    raise
                self._judge_wait("receive", timeout, began)
                pause(0.001)
            else:
                self._take(message)

    def _take(self, message: str | bytes) -> None:
        self.tally.take(message)
        octets = message.encode() if isinstance(message, str) else message
        self.arrived.append(int(octets.split(b" ", 2)[1]))
        chance = self._random.random()
        if chance < 0.05:
            self._answerer.say()
        elif chance < 0.06 and self.plan.absences and not self._is_ending:
            pause(self._random.uniform(0.05, 0.8))
        elif chance < 0.08 and self.plan.waits:
            self._wait_a_moment(self._random)
        self._close_in_listener()

    def _close_in_listener(self) -> None:
        if not (self._is_ending and self.plan.ending == "listener"):
            return
        if self.plan.exits and self.plan.has_listeners and not is_on_hub():
            # Of a greenlet this would be the end of the process.
            raise SystemExit
        self.ws.close(3001, "by a listener")

    # --- others -----------------------------------------------------------------------------------------

    def _look_on(self) -> None:
        """Wait for the end in small pieces, and ask what can be asked."""
        random = self.plan.random("bystander")
        while not self._over.is_set() and not self._wait_a_moment(random):
            asked = (self.ws.close_code, self.ws.headers, self.ws.latency, self.ws.buffered_amount)
            if self.ws.closed and asked[0] is None and self.ws.close_code is None:
                self.fault("closed without a code")
            pause(random.uniform(0, 0.05))

    def _wait_a_moment(self, random: Random) -> bool:
        """Wait for the end; tells whether it has come."""
        timeout, was_opened = random.choice((0, 0.01, 0.3)), bool(self.opens)
        began = time.monotonic()
        if self.ws.wait_closed(timeout):
            self._may_be_over("wait_closed()", "True")
            return True
        if was_opened:
            self._judge_wait("wait_closed", timeout, began)
        return False

    def _judge_wait(self, call: str, timeout: float, began: float) -> None:
        took = time.monotonic() - began
        if took < MARGIN * timeout:
            self.fault(f"{call}({timeout}) gave up after {took:.3f} s")
        if took > timeout + PATIENCE / 2:
            self.fault(f"{call}({timeout}) took {took:.1f} s")

    def _pause_now_and_then(self) -> None:
        """Pause; a close() that comes meanwhile has to do without a resume."""
        random = self.plan.random("pauser")
        while not self._over.wait(random.uniform(0.05, 0.4)) and not self._is_ending:
            self.ws.pause()
            self._over.wait(random.choice((0.01, 0.2, 1.0)))
            # A client that is paused looks for no other connection, and so for no refusal.
            if not self._is_ending or self.plan.ending == "forbidden":
                self.ws.resume()

    def _drop_now_and_then(self) -> None:
        random = self.plan.random("dropper")
        while not self.is_stopping:
            (pause_natively if self.plan.native else pause)(random.uniform(0.0, 0.5))
            self.ws.reconnect()

    # --- the end ----------------------------------------------------------------------------------------

    def _conduct(self) -> None:
        try:
            self._over.wait(self.plan.duration)
            self._end()
            self._wait("its close", self.ws.wait_closed)
            self.is_stopping = True
            self._over.set()
            self._wait("its reading thread", self.ws.join)
            self._until("its senders", lambda: all(sender.is_done for sender in self.senders))
            for thread in self._threads:
                thread.join(PATIENCE)
                if thread.is_alive():
                    self.fault(f"stuck: {thread.name}; {self.state()}")
            self._until("its close event", lambda: len(self.closes) > 0)
            self._look_back()
        except Exception as error:
            self.fault(f"conductor: {error!r}")
        finally:
            self.is_finished = True

    def _end(self) -> None:
        if self.ws.closed:
            self._look_back()
        self._is_ending = True
        ending = self.plan.ending
        if ending == "forbidden":
            self._is_forbidden = True
            self.ws.reconnect()
            self._wait("the end by a refusal", self.ws.wait_closed)
        elif ending == "listener":
            self.ws.reconnect()
            self.ws.wait_closed(SPARE)
        elif ending == "leave":
            self.ws.wait_closed(SPARE)
        self.ws.close(3000, "enough")

    def _look_back(self) -> None:
        """Ask a closed client for more."""
        self.ws.reconnect()
        if not self.ws.wait_closed(0) or not self.ws.closed:
            self.fault(f"it has come back; {self.state()}")
        try:
            if self.ws.send("more", timeout=1.0) or not self.plan.has_listeners:
                self.fault("it sends, though it is closed")
        except ENDS:
            # As it has to be.
            return

    def _wait(self, what: str, wait: Callable[[float], bool]) -> None:
        if not wait(PATIENCE):
            self.fault(f"stuck: waited {PATIENCE} s for {what}; {self.state()}")

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                self.fault(f"stuck: waited {PATIENCE} s for {what}; {self.state()}")
                return
            pause(0.005)

    # --- beneath ----------------------------------------------------------------------------------------

    def _start_senders(self) -> None:
        for sender in list(self.senders):
            self._spawn("sender", sender.run)

    def _spawn(self, what: str, function: Callable[[], None]) -> None:
        name = f"stress-{what}-{self.plan.key}"
        thread = threading.Thread(target=function, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
