"""The client's side of the opening handshake: what to ask for, and how to judge the answer.

Pure functions, safe from any thread. RFC 6455 4.1; a 101 has no content (RFC 9110
15.2.2), so one that announces some is no answer to trust."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from faye_sync.driver.handshake import VERSION, accept_token, shown

# Values of one header that an error shows.
_MOST_SHOWN = 3

_Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request asked for; no two requests have the same key.

    Attributes:
        key: The value of Sec-WebSocket-Key.
        protocols: The subprotocols offered, the liked ones first.
        extensions: The extensions offered, with their parameters, or an empty string.
    """

    key: str
    protocols: Collection[str]
    extensions: str = ""

    def fields(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that make a request one for a WebSocket."""
        offered = (
            ("Sec-WebSocket-Protocol", ", ".join(self.protocols)),
            ("Sec-WebSocket-Extensions", self.extensions),
        )
        return (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self.key),
            ("Sec-WebSocket-Version", VERSION),
            *((name, value) for name, value in offered if value),
        )


def ask(protocols: Collection[str], extensions: str = "") -> Asked:
    """Draw the key of a new request.

    Args:
        protocols: What check_subprotocols() let through.
        extensions: The offer of extensions, or an empty string.

    Returns:
        What is asked for.
    """
    return Asked(b64encode(os.urandom(16)).decode(), protocols, extensions)


def fault_of(asked: Asked, http_version: str, fields: Iterable[tuple[str, str]]) -> str | None:
    """Judge a 101, by its head alone.

    Args:
        asked: What it answers.
        http_version: Of its status line: 1.1 or another.
        fields: Its headers, names in any case; a name may come more than once.

    Returns:
        None when the connection is open, else what is wrong with it first.
    """
    if http_version != "1.1":
        return f"the 101 is HTTP/{http_version}, but Upgrade is a thing of HTTP/1.1"
    collected = _collect(fields)
    for check in _CHECKS:
        fault = check(asked, collected)
        if fault is not None:
            return fault
    return None


def protocol_of(fields: Iterable[tuple[str, str]]) -> str:
    """Return the subprotocol that a faultless 101 agrees on, or an empty string."""
    return "".join(_collect(fields).get("sec-websocket-protocol", ()))


def extensions_of(fields: Iterable[tuple[str, str]]) -> str:
    """Return what a 101 says of extensions, several headers joined, or an empty string."""
    return ", ".join(_collect(fields).get("sec-websocket-extensions", ()))


def _collect(fields: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    collected: dict[str, list[str]] = {}
    for name, value in fields:
        collected.setdefault(name.lower(), []).append(value.strip(" \t"))
    return collected


def _check_upgrade(_: Asked, fields: _Fields) -> str | None:
    found = fields.get("upgrade", ())
    if [value.lower() for value in found] == ["websocket"]:
        return None
    return f"Upgrade must be websocket, but is {_all(found)}"


def _check_connection(_: Asked, fields: _Fields) -> str | None:
    found = fields.get("connection", ())
    listed = [item.strip().lower() for value in found for item in value.split(",")]
    return None if "upgrade" in listed else f"Connection must list upgrade, but is {_all(found)}"


def _check_accept(asked: Asked, fields: _Fields) -> str | None:
    found = fields.get("sec-websocket-accept", ())
    wanted = accept_token(asked.key)
    if list(found) == [wanted]:
        return None
    return (
        f"Sec-WebSocket-Accept must be {wanted}, but is {_all(found)}: this is no WebSocket server"
    )


def _check_protocol(asked: Asked, fields: _Fields) -> str | None:
    found = fields.get("sec-websocket-protocol", ())
    if not found or (len(found) == 1 and found[0] in asked.protocols):
        return None
    offered = shown(", ".join(asked.protocols)) if asked.protocols else "none"
    return f"Sec-WebSocket-Protocol is {_all(found)}, but offered was {offered}"


def _check_extensions(asked: Asked, fields: _Fields) -> str | None:
    found = fields.get("sec-websocket-extensions", ())
    if asked.extensions or not found:
        # Each of those that were offered is to judge what it is told.
        return None
    return f"Sec-WebSocket-Extensions is {_all(found)}, but none was offered"


def _check_content(_: Asked, fields: _Fields) -> str | None:
    coding = fields.get("transfer-encoding", ())
    length = fields.get("content-length", ())
    if coding:
        return f"a 101 has no content, but this one has Transfer-Encoding {_all(coding)}"
    # Some servers write a 0, which cannot be misread.
    if set(length) - {"0"}:
        return f"a 101 has no content, but this one has Content-Length {_all(length)}"
    return None


_CHECKS: tuple[Callable[[Asked, _Fields], str | None], ...] = (
    _check_upgrade,
    _check_connection,
    _check_accept,
    _check_protocol,
    _check_extensions,
    _check_content,
)


def _all(values: Sequence[str]) -> str:
    if not values:
        return "missing"
    more = f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else ""
    return ", ".join(map(shown, values[:_MOST_SHOWN])) + more
