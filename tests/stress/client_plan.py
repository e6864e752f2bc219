"""What one client of the stress does, and what each of its connections meets, drawn from its key.

A key is "seed-epoch-place". The client and both servers draw the same from it, on every machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from random import Random

from tests.stress.plan import epoch_length

STYLES = ("receive", "iterate", "function", "function", "callbacks", "callbacks", "run")

# How the client ends: close() from another thread, or from a listener; by leaving its with; or
# because the server answers 403 from then on.
ENDINGS = ("close", "close", "listener", "leave", "forbidden")

# Where an attempt goes: to the server that misbehaves, to one of this library, to nobody.
PLACES = ("raw", "raw", "raw", "raw", "library", "library", "refused")

ANSWERS = (*("accept",) * 9, "refuse", "cut", "reset", "garbage", "half", "hold")

# How the server ends a connection. At once: all it says is in the segment of the 101. None: it
# does not.
VISIT_ENDINGS = (
    *("close",) * 4,
    *("fin",) * 2,
    *("reset",) * 2,
    *("torn",) * 2,
    "error",
    "stall",
    "at-once",
    "at-once",
    "none",
)

# For finding causes: every client has this style, every connection ends so.
STYLE = os.environ.get("STRESS_STYLE")
VISIT_ENDING = os.environ.get("STRESS_VISIT_ENDING")


@dataclass(frozen=True)
class ClientPlan:
    """One client.

    Attributes:
        style: How it receives.
        redials: It has a Reconnect.
        ending: One of ENDINGS.
        duration: Seconds until the end begins.
        senders: How many threads send.
        native: One more is a native thread where the others are greenlets.
        eager: They begin before anybody reads, so that one of them opens the connection.
        keepalive: The library's option named ping; a quarter of it is pong_timeout.
        idle: That of Reconnect.
        send_timeout: The library's option.
        max_queue: The library's option.
        pauses: Listeners are paused now and then.
        drops: reconnect() is called now and then.
        absences: Whoever receives is busy elsewhere now and then.
        waits: Whoever receives calls wait_closed() now and then, in a listener too.
        exits: The listener that is to close raises SystemExit instead.
    """

    key: str
    style: str
    redials: bool
    ending: str
    duration: float
    senders: int
    native: bool
    eager: bool
    keepalive: float | None
    idle: float | None
    send_timeout: float
    max_queue: int
    pauses: bool
    drops: bool
    absences: bool
    waits: bool
    exits: bool

    @property
    def has_listeners(self) -> bool:
        """Messages come to a listener."""
        return self.style in ("callbacks", "run")

    def random(self, part: str) -> Random:
        """Make the generator of one thread of this client."""
        return Random(f"{self.key} {part}")


@dataclass(frozen=True)
class VisitPlan:
    """One connection, on the server.

    Attributes:
        answer: To the request.
        ending: One of VISIT_ENDINGS.
        duration: Seconds until the end begins.
        glued: Messages in the segment of the 101.
        gap: Seconds between messages, at most.
        is_fussy: Octets leave in pieces.
        code: Of the close frame, such as no client sends.
    """

    answer: str
    ending: str
    duration: float
    glued: int
    gap: float
    is_fussy: bool
    code: int


def client_plan_of(key: str) -> ClientPlan:
    random = Random(key)
    style = random.choice(STYLES) if STYLE is None else STYLE
    redials = random.random() < 0.7
    endings = ENDINGS if style in ("receive", "iterate") else [e for e in ENDINGS if e != "leave"]
    return ClientPlan(
        key=key,
        style=style,
        redials=redials,
        ending=random.choice(endings) if redials else "close",
        duration=random.uniform(0.3, 1.0) * epoch_length(key.rpartition("-")[0]),
        senders=random.randint(1, 3),
        native=random.random() < 0.4,
        eager=random.random() < 0.4,
        keepalive=random.choice((None, 0.2, 20.0)),
        idle=random.choice((None, None, 0.3)),
        send_timeout=random.choice((0.3, 5.0, 30.0)),
        max_queue=random.choice((2**12, 2**16, 2**24)),
        pauses=random.random() < 0.4,
        drops=random.random() < 0.5,
        absences=random.random() < 0.5,
        waits=random.random() < 0.5,
        exits=random.random() < 0.5,
    )


def place_of(key: str, attempt: int) -> str:
    return Random(f"{key} place {attempt}").choice(PLACES)


def visit_plan_of(key: str, attempt: int) -> VisitPlan:
    random = Random(f"{key} visit {attempt}")
    return VisitPlan(
        answer=random.choice(ANSWERS),
        ending=random.choice(VISIT_ENDINGS) if VISIT_ENDING is None else VISIT_ENDING,
        duration=random.choice((0.0, 0.05, 0.3, 1.0)) * random.random(),
        glued=random.choice((0, 0, 1, 5)),
        gap=random.choice((0.0, 0.01, 0.05)),
        is_fussy=random.random() < 0.3,
        code=random.randint(4000, 4900),
    )
