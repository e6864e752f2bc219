"""How much memory compression takes per connection: the table of docs/extensions.rst.

    python benchmarks/deflate_memory.py

For each engine that is installed, size of messages, settings and takeover, a
process of its own makes 200 server's sessions, has 128 KiB pass through each of
them in both directions, and compares its resident memory before and after. Linux
only."""

# ruff: noqa: INP001, S101, S603, T201

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import random
import subprocess
import sys
from collections.abc import Sequence

from faye_sync import PerMessageDeflate
from faye_sync.driver.deflate import ServerSession
from faye_sync.driver.engines import Engine, available
from faye_sync.driver.extension import Message

CONNECTIONS = 200
LIMITS = {"max_length": 2**20}
SETTINGS = {"15, 8": (15, 8), "12, 5": (12, 5), "9, 1": (9, 1)}
TAKEOVER = {"kept": False, "forgotten": True}


def records(size: int) -> bytes:
    """Octets as applications send them, which fill a window."""
    source = random.Random(size)  # noqa: S311  # the same each time
    words = ("price", "volume", "name", "user", "open", "closed")
    lines = (f'"{source.choice(words)}": {source.randrange(10**9)}' for _ in range(size // 15))
    return ", ".join(lines).encode()[:size]


TOTAL = 2**17
SIZES = {"4 KiB": 2**12, "64 KiB": 2**16}


class OnOneEngine(PerMessageDeflate):
    """The extension on an engine that the command line names."""

    chosen = ""

    @classmethod
    def _engines(cls) -> Sequence[Engine]:
        return [engine for engine in available() if engine.name == cls.chosen]


def session(size: int, bits: int, mem_level: int, *, forgets: bool) -> ServerSession:
    """A server's session that messages have passed through, both ways."""
    extension = OnOneEngine(
        mem_level=mem_level,
        no_context_takeover=forgets,
        max_window_bits=bits,
        request_no_context_takeover=forgets,
        request_max_window_bits=bits,
    )
    client = extension.create_client_session(LIMITS)
    server = extension.create_server_session([client.generate_offer()], LIMITS)
    assert server is not None
    assert client.activate(server.generate_response())
    octets = records(TOTAL)
    for start in range(0, TOTAL, size):
        data = octets[start : start + size]
        packed = client.process_outgoing_message(Message(1, data))
        assert server.process_incoming_message(packed).data == data
        server.process_outgoing_message(Message(1, data))
    client.close()
    return server


def resident() -> int:
    """The octets of this process that are in memory."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123  # a file of the kernel
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def measure(size: int, bits: int, mem_level: int, *, forgets: bool) -> float:
    """KiB per connection."""
    # What is made once only is made before.
    session(size, bits, mem_level, forgets=forgets).close()
    before = resident()
    sessions = [session(size, bits, mem_level, forgets=forgets) for _ in range(CONNECTIONS)]
    return (resident() - before) / len(sessions) / 1024


def cell(*words: str) -> str:
    """One figure, from a process of its own."""
    command = [sys.executable, __file__, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main(arguments: list[str]) -> None:
    """Print one figure, or the table."""
    if arguments:
        OnOneEngine.chosen, size, settings, takeover = arguments
        print(f"{measure(SIZES[size], *SETTINGS[settings], forgets=TAKEOVER[takeover]):.1f}")
        return
    engines = [engine.name for engine in available()]
    print(f"{'messages':10}{'bits, level':14}{'window':12}{''.join(f'{e:>10}' for e in engines)}")
    for words in itertools.product(SIZES, SETTINGS, TAKEOVER):
        figures = "".join(f"{cell(engine, *words):>10}" for engine in engines)
        print(f"{words[0]:10}{words[1]:14}{words[2]:12}{figures}", flush=True)
    print(f"KiB of resident memory per connection, {CONNECTIONS} of them")


if __name__ == "__main__":
    main(sys.argv[1:])
