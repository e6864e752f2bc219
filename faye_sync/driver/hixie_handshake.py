"""The handshakes of hixie-75 and hixie-76, the drafts before RFC 6455.

Pure functions over the environ of a WSGI request, safe from any thread. A 76
client proves itself by two keys in its head and eight octets behind it, which
may come late: what answers them is the MD5 of all three
(draft-hixie-thewebsocketprotocol-76, 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import md5
from typing import Any

from werkzeug.urls import iri_to_uri

from faye_sync.driver.handshake import SHARED_CHECKS, Refusal, is_field_value, refusal, shown

# Octets that follow the head of a 76 client.
BODY_SIZE = 8

_MOST = 2**32 - 1
_NOT_DIGIT = re.compile(r"[^0-9]")
_KEYS = ("Sec-WebSocket-Key1", "Sec-WebSocket-Key2")


def refusal_75(environ: Mapping[str, Any]) -> Refusal | None:
    """Judge a request by its head alone, as hixie-75.

    Returns:
        None when a WebSocket may be opened, else what is wrong first.
    """
    return refusal(environ, SHARED_CHECKS)


def refusal_76(environ: Mapping[str, Any]) -> Refusal | None:
    """Judge a request by its head alone, as hixie-76.

    Returns:
        None when a WebSocket may be opened, else what is wrong first.
    """
    return refusal(environ, (*SHARED_CHECKS, _check_keys))


def _check_keys(environ: Mapping[str, Any]) -> Refusal | None:
    for name in _KEYS:
        key = _key(environ, name)
        if key is None:
            return Refusal(400, f"{name} is missing: hixie-76 has two keys.")
        fault = _fault_of(key)
        if fault is not None:
            return Refusal(400, f"{name} {fault}: it is {shown(key)}.")
    return None


def _key(environ: Mapping[str, Any], name: str) -> str | None:
    return environ.get(f"HTTP_{name.upper().replace('-', '_')}")


def _fault_of(key: str) -> str | None:
    digits, spaces = _NOT_DIGIT.sub("", key), key.count(" ")
    if not spaces:
        return "has no space"
    if not digits:
        return "has no digit"
    # Far more digits than any good key has would take long to read.
    number = int(digits[:100])
    if len(digits) > 100 or number // spaces > _MOST:
        return "is too large a number"
    if number == 0:
        return "is the number 0"
    return None if number % spaces == 0 else f"is a number that its {spaces} spaces do not divide"


def challenge_of(environ: Mapping[str, Any]) -> bytes:
    """Return what the keys of a request that refusal_76() lets pass stand for: 8 octets."""
    return b"".join(_number(_key(environ, name) or "") for name in _KEYS)


def _number(key: str) -> bytes:
    return (int(_NOT_DIGIT.sub("", key)) // key.count(" ")).to_bytes(4, "big")


def proof_of(challenge: bytes, body: bytes) -> bytes:
    """Return the 16 octets that prove that challenge and body were read."""
    return md5(challenge + body, usedforsecurity=False).digest()


def head_75(environ: Mapping[str, Any], url: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Write the 101 of hixie-75.

    Args:
        environ: The request.
        url: What the client asked for, with ws or wss.
        headers: The user's, which stand last; check_headers() has seen them.

    Returns:
        The whole head, the empty line included.
    """
    return _head("Web Socket Protocol Handshake", "WebSocket-", environ, url, headers)


def head_76(environ: Mapping[str, Any], url: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Write the 101 of hixie-76, without the proof that follows it; otherwise as head_75()."""
    return _head("WebSocket Protocol Handshake", "Sec-WebSocket-", environ, url, headers)


def _head(
    reason: str,
    prefix: str,
    environ: Mapping[str, Any],
    url: str,
    headers: Iterable[tuple[str, str]],
) -> bytes:
    told = (("Origin", environ.get("HTTP_ORIGIN")), ("Location", _uri_of(url)))
    fields = [("Upgrade", "WebSocket"), ("Connection", "Upgrade")]
    for name, value in told:
        # A request without either is answered without it, and so is one that made no sense.
        if value is not None and is_field_value(value):
            fields.append((prefix + name, value))
    lines = [f"{name}: {value}\r\n" for name, value in (*fields, *headers)]
    return f"HTTP/1.1 101 {reason}\r\n{''.join(lines)}\r\n".encode("latin-1")


def _uri_of(url: str) -> str | None:
    """Write a URL in ASCII; None where its host is no name or address."""
    try:
        return iri_to_uri(url)
    except ValueError:
        return None
