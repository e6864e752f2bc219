"""Heads of HTTP/1.1, read and written without the library: RFC 9112 2 to 5, RFC 6455 4.2.2."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha1

# Stands in octets to send for the Sec-WebSocket-Accept that the last request asked for.
ACCEPT = b"<accept>"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

UPGRADE = b"Upgrade: websocket"
CONNECTION = b"Connection: Upgrade"
ACCEPTING = b"Sec-WebSocket-Accept: " + ACCEPT


@dataclass(frozen=True)
class Request:
    """One head that a client sent."""

    method: str
    target: str
    fields: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """The values of every field of a name, in any case."""
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def __getitem__(self, name: str) -> str | None:
        return (self.all(name) or [None])[0]


def parse_head(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    assert version == "HTTP/1.1", first
    return Request(method, target, [parse_field(line) for line in lines])


def parse_field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    assert colon, f"no field: {line!r}"
    assert re.fullmatch(r"[^\s:]+", name), f"no name: {line!r}"
    return name, value.strip(" \t")


def accept_of(key: str | None) -> bytes:
    """The Sec-WebSocket-Accept for a key: RFC 6455 4.2.2."""
    return b64encode(sha1((key or "").encode() + GUID).digest())


def head(*lines: bytes, status: bytes = b"HTTP/1.1 101 Switching Protocols") -> bytes:
    return b"\r\n".join((status, *lines, b"", b""))


def switching(*more: bytes) -> bytes:
    """The head of a 101 that is right, with more fields."""
    return head(UPGRADE, CONNECTION, ACCEPTING, *more)
