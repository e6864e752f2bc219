"""What the connections of a server's process hold, and whether they gave it back."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from tests.support.servers import Server

PATIENCE = 10.0  # seconds until all is given back


@dataclass(frozen=True)
class Held:
    """Names of the library's threads, and how many descriptors the process has."""

    threads: list[str]
    descriptors: int


def held_by(server: Server) -> Held:
    threads = [name for name in server.ask("/threads") if name.startswith("faye-sync")]
    return Held(threads, server.ask("/descriptors"))


def settled(server: Server, before: Held) -> bool:
    """Whether threads of connections and descriptors are what they were, now or in a moment.

    The peer sees the end of TCP a moment before the descriptor is given up."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        now = held_by(server)
        excess = now.descriptors - before.descriptors
        if len(now.threads) <= max(1, len(before.threads)) and excess <= 3:
            return True
    pytest.fail(f"{now.threads} and {excess} descriptors more than before are left")
