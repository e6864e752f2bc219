"""From a host to the addresses to try, in the order of RFC 8305 section 4.

The one resolver of the library: it has no deadline of its own, so a name is
looked up beside the caller."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any, NamedTuple

from faye_sync.concurrency import THREADS, blocking
from faye_sync.transport.attempt import Attempt


class Address(NamedTuple):
    """Where to connect to, as connect(2) takes it."""

    family: int
    sockaddr: Any

    def __str__(self) -> str:
        if self.family == socket.AF_UNIX:
            return os.fsdecode(self.sockaddr)
        return f"{self.sockaddr[0]} port {self.sockaddr[1]}"


def look_up(host: str, port: int, family: int, attempt: Attempt) -> list[Address]:
    """Find the addresses of a host.

    Args:
        host: A name, or an address without brackets; IPv6 zones too.
        port: Goes into each address.
        family: AF_INET or AF_INET6 for those alone; AF_UNSPEC for both.
        attempt: Its deadline, and who may call it off.

    Returns:
        At least one, the families by turns, in the order of the resolver otherwise.

    Raises:
        socket.gaierror: There is none.
        TimeoutError: The deadline passed.
        CalledOff: So it was.
    """
    try:
        _refuse_nul(host)
        found = _numeric(host, port, family) or _named(host, port, family, attempt)
    except ValueError as error:
        # Of the codec: a label above 63 octets, or an empty one.
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no host name: {error}") from error
    except socket.gaierror as error:
        raise socket.gaierror(error.errno, f"{error.strerror}: {host}") from error
    return interleave(dict.fromkeys(Address(kind, sockaddr) for kind, *_, sockaddr in found))


def _refuse_nul(host: str) -> None:
    # What C takes to be the end: "127.0.0.1\0.example.com" would lead to 127.0.0.1.
    if "\0" in host:
        raise ValueError("it holds a NUL")


def interleave(addresses: Iterable[Address]) -> list[Address]:
    """Take families by turns, so that one that leads nowhere costs one try."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    turns = zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]


def _numeric(host: str, port: int, family: int) -> list[Any]:
    """What needs nobody to be asked; nothing for a name."""
    _, getaddrinfo = blocking(THREADS, "socket", "getaddrinfo")
    try:
        return list(getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST))
    except socket.gaierror as error:
        if error.errno != socket.EAI_NONAME:
            raise
        return []


def _named(host: str, port: int, family: int, attempt: Attempt) -> list[Any]:
    attempt.phase = f"looking up {host}"
    place, getaddrinfo = blocking(attempt.world, "socket", "getaddrinfo")
    name = "faye-sync-look-up"
    return list(
        attempt.run(name, lambda: getaddrinfo(host, port, family, socket.SOCK_STREAM), place)
    )
