"""How a client's attempt ends: with which error, when, and with what left behind."""

from __future__ import annotations

import ctypes
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

OPEN_TIMEOUT = 0.2  # seconds, where it is to pass
LONGER = 0.4  # where something has to come before it passes
PATIENT = 10.0  # where it is not
SPARE = 5.0  # seconds more that a busy machine may take
EARLY = 0.05  # seconds that two clocks may differ
HOUSEKEEPING = "faye-sync-housekeeping"
PATIENCE = 10.0  # seconds until a thread that ends has ended

Error = TypeVar("Error", bound=BaseException)


@contextmanager
def in_time(seconds: float, *, not_before: float = 0.0) -> Iterator[None]:
    """Fail where the block ends long after so many seconds, or too early."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert not_before - EARLY <= took < seconds + SPARE


def failed_dial(url: str, *expected: type[Error], waits: bool = False, **options: Any) -> Error:
    """Dial, and give the error.

    Fails unless that error has just one of these types, and comes in time: where it waits, at the
    deadline, else before it."""
    from faye_sync import Client

    options = {"open_timeout": OPEN_TIMEOUT if waits else PATIENT, **options}
    seconds = options["open_timeout"]
    deadline = in_time(seconds, not_before=seconds) if waits else in_time(seconds - SPARE)
    with deadline, pytest.raises(expected) as caught:
        Client(url, **options).connect()
    assert type(caught.value) in expected, repr(caught.value)
    return caught.value


@contextmanager
def bounded_memory(octets: int) -> Iterator[None]:
    """Fail where this process holds more at any moment of the block than before it."""
    # What is free and kept for later would be taken from unseen.
    ctypes.CDLL(None).malloc_trim(0)
    # Sets the highest mark to what is held now: proc(5).
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = highest_mark()
    yield
    excess = highest_mark() - before
    assert excess < octets, f"{excess} octets more at the peak"


def highest_mark() -> int:
    """The most that this process held in memory, in octets."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024


def sockets() -> set[str]:
    """The sockets that this process holds, by their inodes."""
    held = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            held.add(str(path.readlink()))
        except FileNotFoundError:
            # The descriptor of this very listing.
            continue
    return {link for link in held if link.startswith("socket:")}


def connection_threads() -> list[threading.Thread]:
    """The library's threads that belong to connections."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("faye-sync") and thread.name != HOUSEKEEPING
    ]


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail where the block leaves a thread, or a socket that was not there before.

    The waker of the housekeeping thread, once made, stays: see that it is there."""
    before, earlier = sockets(), set(connection_threads())
    yield
    left = [thread for thread in connection_threads() if thread not in earlier]
    for thread in left:
        thread.join(PATIENCE)
    assert [thread.name for thread in left if thread.is_alive()] == []
    assert settled(before), f"left: {sockets() - before}"


def settled(before: set[str]) -> bool:
    """Whether no socket is left, now or in a moment: housekeeping may still see a peer off."""
    deadline = time.monotonic() + PATIENCE
    never = threading.Event()
    while not sockets() <= before:
        # On a hub, whoever is to close them runs only if others wait.
        if time.monotonic() > deadline or never.wait(0.01):
            return False
    return True
