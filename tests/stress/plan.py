"""What one connection of the stress does, drawn from its key, so that both sides know it.

A key is "seed-epoch-place"; the same key draws the same plan on every machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from random import Random

STYLES = ("callbacks", "callbacks", "iterate", "absent", "absent", "send-only")

# Who ends the connection, and how. Torn ones end within a frame; error is a frame that no client
# may send; reset is RST; cut is what a network does to the server's side: both directions are shut
# down under its threads.
ENDINGS = (
    "server-close",
    "server-close",
    "server-return",
    "server-cut",
    "peer-close",
    "peer-close",
    "peer-close",
    "both-close",
    "peer-reset",
    "peer-fin",
    "peer-torn",
    "peer-error",
)

# For finding causes: every connection ends in this way, has a send buffer of so many octets.
ENDING = os.environ.get("STRESS_ENDING")
SEND_BUFFER = os.environ.get("STRESS_SEND_BUFFER")
SEND_BUFFERS = (None, None, 4608, 16384, 65536) if SEND_BUFFER is None else (int(SEND_BUFFER),) * 5


@dataclass(frozen=True)
class Plan:
    """One connection.

    Attributes:
        style: How the server's side receives.
        attached: The server's side stays in the WSGI call, for callbacks by detach=False.
        ending: One of ENDINGS.
        duration: Seconds until the end begins.
        senders: How many threads send, on the server.
        writers: How many threads send, on the peer.
        native: One of the senders is a native thread where the others are greenlets.
        send_buffer: SO_SNDBUF of the server's side; None leaves it alone. The peer's receive
            buffer is never touched: a small one makes TCP itself trickle.
        max_queue: The library's option.
        keepalive: The library's option named ping.
        hasty: Some sends have next to no time, so that one may tear a frame and fail all.
        pauses: The peer does not read now and then.
        joins: A closing server waits for its senders first, so all that they sent has to arrive.
        discards: A server that only sends says so.
        quiet: Who stops sending at half of the duration ("", "both", "peer"), so that what waits in
            a queue then has to leave by itself.
        holds: The peer does not read while the end begins, so that senders are waiting then.
        asks: The peer waits for the last pong before it closes; else the ping and the close frame
            come together.
        early: Messages that leave together with the request.
        code: Of the close frame.
    """

    key: str
    style: str
    attached: bool
    ending: str
    duration: float
    senders: int
    writers: int
    native: bool
    send_buffer: int | None
    max_queue: int
    keepalive: float | None
    hasty: bool
    pauses: bool
    joins: bool
    discards: bool
    quiet: str
    holds: bool
    asks: bool
    early: int
    code: int

    @property
    def reads_all(self) -> bool:
        """The server's side receives until the end."""
        return self.style != "send-only"

    @property
    def stays(self) -> bool:
        """The server's side reads in the WSGI call.

        Not if it only sends until the peer errs: a failure waits for whoever received before, for
        close_timeout seconds."""
        return self.attached and not (self.style == "send-only" and self.ending == "peer-error")

    @property
    def takes(self) -> bool:
        """The server's side takes messages, be it to drop them."""
        return self.reads_all or self.discards

    def sending(self, is_peer: bool) -> float:
        """Seconds for which that side sends."""
        is_quiet = self.quiet == "both" or (is_peer and self.quiet == "peer")
        return self.duration / 2 if is_quiet else self.duration + 60

    def random(self, part: str) -> Random:
        """Make the generator of one thread of this connection."""
        return Random(f"{self.key} {part}")


def plan_of(key: str) -> Plan:
    random = Random(key)
    return Plan(
        key=key,
        style=random.choice(STYLES),
        attached=random.random() < 0.4,
        ending=random.choice(ENDINGS) if ENDING is None else ENDING,
        duration=random.uniform(0.3, 1.0) * epoch_length(key.rpartition("-")[0]),
        senders=random.randint(1, 4),
        writers=random.randint(1, 3),
        native=random.random() < 0.3,
        send_buffer=random.choice(SEND_BUFFERS),
        max_queue=random.choice((2**16, 2**20, 2**24)),
        keepalive=random.choice((None, 0.1, 20.0)),
        hasty=random.random() < 0.15,
        pauses=random.random() < 0.4,
        joins=random.random() < 0.5,
        discards=random.random() < 0.5,
        quiet=random.choice(("", "", "both", "peer")),
        holds=random.random() < 0.4,
        asks=random.random() < 0.5,
        early=random.choice((0, 0, 1, 3)),
        code=random.choice((1000, 1001, 1011, 3000, 4999)),
    )


def epoch_length(key: str) -> float:
    """Seconds after which every connection of an epoch has begun to end."""
    return Random(key).uniform(0.5, 3.0)
