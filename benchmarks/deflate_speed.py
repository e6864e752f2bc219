"""How fast each engine compresses, and to how much: the table of docs/extensions.rst.

    python benchmarks/deflate_speed.py

64 messages of 4 KiB of JSON, no two alike, go from one session to another. The
best of 30 rounds counts, on one thread, without sockets."""

# ruff: noqa: INP001, S101, T201

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence
from time import perf_counter

from faye_sync import PerMessageDeflate
from faye_sync.driver.engines import Engine, available
from faye_sync.driver.extension import Message

ROUNDS = 30
SIZE = 4096
LIMITS = {"max_length": SIZE}
WORDS = ("alpha", "beta", "gamma", "delta", "symbol", "user", "value", "time", "open", "closed")


def message(source: random.Random) -> bytes:
    """One message: records as an application sends them."""
    records = [
        {
            source.choice(WORDS): source.randrange(10**6),
            "name": f"{source.choice(WORDS)}{source.randrange(1000)}",
            "price": round(source.random() * 1000, 2),
            "ok": source.random() < 0.5,
        }
        for _ in range(80)
    ]
    return json.dumps(records).encode()[:SIZE]


MESSAGES = [message(random.Random(seed)) for seed in range(64)]  # noqa: S311  # the same each time


def microseconds(work: Callable[[], object]) -> float:
    """The time of the best round, for each message."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = perf_counter()
        work()
        best = min(best, perf_counter() - begun)
    return best / len(MESSAGES) * 1e6


def row(engine: Engine, level: int | None, *, forgets: bool) -> str:
    """One line of the table."""

    class OnOneEngine(PerMessageDeflate):
        @classmethod
        def _engines(cls) -> Sequence[Engine]:
            return (engine,)

    extension = OnOneEngine(level=level, no_context_takeover=forgets)
    client = extension.create_client_session(LIMITS)
    server = extension.create_server_session([client.generate_offer()], LIMITS)
    assert server is not None
    assert client.activate(server.generate_response())
    packed: list[Message] = []

    def pack() -> None:
        packed.clear()
        # One stream each round, so that each can be unpacked alone.
        client.outgoing_lost()
        packed.extend(client.process_outgoing_message(Message(1, data)) for data in MESSAGES)

    def unpack() -> None:
        for one in packed:
            found = server.process_incoming_message(Message(1, one.data, rsv1=one.rsv1))
            assert len(found.data) == SIZE

    out = microseconds(pack)
    size = sum(len(one.data) for one in packed) / len(MESSAGES) / SIZE
    return f"{out:>8.1f}{microseconds(unpack):>8.1f}{size:>8.1%}"


def main() -> None:
    """Print the table: microseconds out and in, and what is left of 100 octets."""
    print(f"{'engine':10}{'level':8}" + "     out      in    size" * 2)
    print(f"{'':18}{'window kept':>24}{'window forgotten':>24}")
    for engine in available():
        for level in (None, *engine.levels[:10:3]):
            figures = (row(engine, level, forgets=forgets) for forgets in (False, True))
            print(f"{engine.name:10}{level!s:8}{''.join(figures)}", flush=True)


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    main()
