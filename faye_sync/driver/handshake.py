"""The server's side of the opening handshake: judge a request, write the answer.

Pure functions over the environ of a WSGI request (PEP 3333), safe from any
thread. A refusal tells its reader the cure, and never bears Upgrade or
Connection, which WSGI servers do not let through. RFC 6455 4.2."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha1
from operator import itemgetter
from typing import Any

from faye_sync.errors import ConfigurationError

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION = "13"

# RFC 9110 5.6.2 and 5.5; a key is 16 octets in base64, so its last two signs are padding.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
_NOT_IN_FIELD = re.compile(r"[^\t -~\x80-\xff]")
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")

_OWNED = frozenset(("upgrade", "connection", "content-length", "transfer-encoding"))
_OWNED_PREFIX = "sec-websocket-"

_NGINX = (
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    'proxy_set_header Connection "upgrade";'
)
_ADVICE = (("Sec-WebSocket-Version", VERSION),)


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request opens no WebSocket, and how to say so in HTTP.

    Attributes:
        status: Of the answer: 400, 403 or 426.
        text: One sentence or two of plain ASCII, with the cure.
        headers: What the answer must have beside its content's own headers.
    """

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()


Check = Callable[[Mapping[str, Any]], "Refusal | None"]


def is_websocket(environ: Mapping[str, Any]) -> bool:
    """Tell whether a request asks for a WebSocket at all; it may still be refused.

    Returns:
        True for a GET whose Connection lists upgrade and whose Upgrade is
        websocket, in any case (RFC 6455 4.2.1).
    """
    return (
        environ.get("REQUEST_METHOD") == "GET"
        and "upgrade" in _listed(environ, "HTTP_CONNECTION")
        and str(environ.get("HTTP_UPGRADE", "")).lower() == "websocket"
    )


def refusal(environ: Mapping[str, Any], checks: Collection[Check] | None = None) -> Refusal | None:
    """Judge a request, by its head alone (RFC 6455 4.2.1 and 4.4).

    Origin, subprotocol and extensions are not judged here.

    Args:
        environ: The request.
        checks: In what; None for all that RFC 6455 asks for.

    Returns:
        None when a WebSocket may be opened, else what is wrong first.
    """
    for check in _CHECKS if checks is None else checks:
        found = check(environ)
        if found is not None:
            return found
    return None


def _check_method(environ: Mapping[str, Any]) -> Refusal | None:
    method = environ.get("REQUEST_METHOD")
    if method == "GET":
        return None
    return Refusal(400, f"A WebSocket is opened with GET, not with {shown(method)}.")


def _check_upgrade(environ: Mapping[str, Any]) -> Refusal | None:
    upgrade = environ.get("HTTP_UPGRADE")
    if upgrade:
        if upgrade.lower() == "websocket":
            return None
        text = f"This URL speaks WebSocket; the request's Upgrade header is {shown(upgrade)}."
    elif "HTTP_SEC_WEBSOCKET_KEY" in environ and _is_shared(environ):
        protocol = shown(environ["SERVER_PROTOCOL"])
        text = f"A WebSocket needs HTTP/1.1 here, and this request came with {protocol}."
    elif "HTTP_SEC_WEBSOCKET_KEY" in environ:
        text = f"A proxy removed the Upgrade header of this request. For nginx, set: {_NGINX}"
    else:
        text = "This URL speaks WebSocket: open it with a WebSocket client, not as a page."
    return Refusal(426, f"{text}{_flask_hint(environ)}", _ADVICE)


def _is_shared(environ: Mapping[str, Any]) -> bool:
    """Whether other requests share the connection; Upgrade does not exist there."""
    return str(environ.get("SERVER_PROTOCOL")).startswith(("HTTP/2", "HTTP/3"))


def _flask_hint(environ: Mapping[str, Any]) -> str:
    """Tell of a Flask route that no WebSocket request will ever reach.

    Flask answers 400 to those before the view, so a page request is the only
    one whose answer can say so. A route that has a second rule for WebSocket
    requests, beside the one for pages, is as it should be.
    """
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    routes = getattr(rule, "map", None)
    if rule is None or routes is None or getattr(rule, "websocket", None) is not False:
        return ""
    if any(other.websocket and _is_twin(rule, other) for other in routes.iter_rules()):
        return ""
    return (
        " This Flask route lacks websocket=True, so Flask itself answers 400 to a WebSocket "
        f"client: write @app.route({shown(rule.rule)}, websocket=True)."
    )


def _is_twin(rule: Any, other: Any) -> bool:
    """Tell whether two rules lead to the same view, or from the same address."""
    return bool(other.endpoint == rule.endpoint or other.rule == rule.rule)


def _check_connection(environ: Mapping[str, Any]) -> Refusal | None:
    if "upgrade" in _listed(environ, "HTTP_CONNECTION"):
        return None
    found = shown(environ.get("HTTP_CONNECTION"))
    text = f"The request's Connection header must list Upgrade, but is {found}. Where a proxy"
    return Refusal(400, f"{text} stands between, for nginx set: {_NGINX}")


def _check_http_version(environ: Mapping[str, Any]) -> Refusal | None:
    found = environ.get("SERVER_PROTOCOL")
    # eventlet says HTTP/1.0 of every request, whatever the client said.
    if found != "HTTP/1.0" or "eventlet.input" in environ:
        return None
    text = f"A WebSocket needs HTTP/1.1, and this request came with {shown(found)}."
    return Refusal(400, f"{text} Behind nginx, set: proxy_http_version 1.1;")


def _check_version(environ: Mapping[str, Any]) -> Refusal | None:
    found = environ.get("HTTP_SEC_WEBSOCKET_VERSION")
    if found == VERSION:
        return None
    text = f"Sec-WebSocket-Version must be {VERSION}, but is {shown(found)}."
    return Refusal(426, text, _ADVICE)


def _check_key(environ: Mapping[str, Any]) -> Refusal | None:
    found = environ.get("HTTP_SEC_WEBSOCKET_KEY")
    if found is not None and _KEY.fullmatch(found):
        return None
    text = f"Sec-WebSocket-Key must be 16 octets in base64, but is {shown(found)}."
    return Refusal(400, text)


def _check_body(environ: Mapping[str, Any]) -> Refusal | None:
    length = environ.get("CONTENT_LENGTH") or "0"
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    if length == "0" and not coding:
        return None
    what = f"Transfer-Encoding {shown(coding)}" if coding else f"Content-Length {shown(length)}"
    return Refusal(400, f"A request for a WebSocket has no body, but this one has {what}.")


# What every version asks for.
SHARED_CHECKS: tuple[Check, ...] = (
    _check_method,
    _check_upgrade,
    _check_connection,
    _check_http_version,
    _check_body,
)
_CHECKS = (*SHARED_CHECKS[:-1], _check_version, _check_key, _check_body)


def choose_subprotocol(environ: Mapping[str, Any], supported: Collection[str]) -> str:
    """Agree on a subprotocol (RFC 6455 4.2.2).

    Args:
        environ: The request.
        supported: What the server knows; case counts, order does not.

    Returns:
        The first of the client's list that the server knows, or an empty string.
    """
    offered = str(environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "")).split(",")
    return next((name for item in offered if (name := item.strip()) in supported), "")


def accept_token(key: str) -> str:
    """Make the proof that a server read the client's key (RFC 6455 4.2.2).

    Args:
        key: The value of Sec-WebSocket-Key, in latin-1 as WSGI has it.

    Returns:
        The value of Sec-WebSocket-Accept.
    """
    digest = sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    return b64encode(digest).decode()


def response_head(
    environ: Mapping[str, Any],
    protocol: str,
    extensions: str,
    headers: Iterable[tuple[str, str]],
) -> bytes:
    """Write the 101 that opens the connection (RFC 6455 4.2.2).

    Args:
        environ: A request that refusal() has nothing against.
        protocol: The subprotocol agreed on, or an empty string.
        extensions: The extensions agreed on, with their parameters, or an empty string.
        headers: The user's, which stand last; check_headers() has seen them.

    Returns:
        The whole head, the empty line included.
    """
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_token(environ["HTTP_SEC_WEBSOCKET_KEY"])),
    ]
    if protocol:
        fields.append(("Sec-WebSocket-Protocol", protocol))
    if extensions:
        fields.append(("Sec-WebSocket-Extensions", extensions))
    return f"HTTP/1.1 101 Switching Protocols\r\n{_lines((*fields, *headers))}\r\n".encode(
        "latin-1"
    )


def extended_head(head: bytes, headers: Iterable[tuple[str, str]]) -> bytes:
    """Add headers to the head of an answer, as its last.

    Raises:
        ConfigurationError: As check_headers() raises it.
    """
    return head.removesuffix(b"\r\n") + f"{_lines(check_headers(headers))}\r\n".encode("latin-1")


def check_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Refuse headers that cannot stand in the answer (RFC 9110 5.1 and 5.5).

    Args:
        headers: Pairs of name and value; a name may come more than once.

    Returns:
        The same pairs.

    Raises:
        ConfigurationError: A name is no token or one that the handshake sets
            itself; a value has CR, LF, NUL, another control character, space
            at an end, or what latin-1 does not have.
    """
    pairs = tuple(headers)
    for name, value in pairs:
        _check_header(name, value)
    return pairs


def pairs_of(headers: Any) -> Pairs:
    """Read headers given as a mapping or as pairs.

    Args:
        headers: Either, or None.

    Returns:
        The pairs.

    Raises:
        ConfigurationError: They are neither.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    try:
        return tuple((name, value) for name, value in map(_pair, pairs))
    except (TypeError, ValueError):
        # Its values may be secrets.
        raise ConfigurationError(
            f"headers must be a mapping or pairs, got {type(headers).__name__}"
        ) from None


def _lines(fields: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in fields)


def _check_header(name: object, value: object) -> None:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ConfigurationError(f"header name {shown(name)} is no token (RFC 9110 5.6.2)")
    if is_owned(name):
        raise ConfigurationError(f"header {name} is the handshake's own; leave it out")
    if not isinstance(value, str) or not is_field_value(value):
        allowed = "latin-1 without control characters or space at an end"
        raise ConfigurationError(f"header {name} must be {allowed}, got {_wrong_in(value)}")


def _pair(pair: Any) -> Any:
    # A str of two signs would unpack too.
    if isinstance(pair, str | bytes):
        raise TypeError
    return pair


def is_owned(name: str) -> bool:
    """Tell whether a header is the handshake's own, in any case. Safe from any thread."""
    return name.lower() in _OWNED or name.lower().startswith(_OWNED_PREFIX)


def is_token(name: str) -> bool:
    """Tell whether text is a token (RFC 9110 5.6.2). Safe from any thread."""
    return _TOKEN.fullmatch(name) is not None


def is_field_value(value: str) -> bool:
    """Tell whether text can stand in a header (RFC 9110 5.5). Safe from any thread."""
    return _FIELD_VALUE.fullmatch(value) is not None


def _wrong_in(value: object) -> str:
    """Show what is wrong with a header's value, and no more: it may be a secret."""
    if not isinstance(value, str):
        return type(value).__name__
    found = _NOT_IN_FIELD.search(value)
    return f"{found[0]!a} at index {found.start()}" if found else "a blank at an end"


def check_subprotocols(protocols: Iterable[str]) -> tuple[str, ...]:
    """Refuse subprotocols that cannot stand in a handshake (RFC 6455 4.1).

    Args:
        protocols: The names; or one str with commas between them, which may
            be empty.

    Returns:
        The names, in order.

    Raises:
        ConfigurationError: A name is no token, or comes twice.
    """
    if isinstance(protocols, str):
        protocols = [name.strip() for name in protocols.split(",")] if protocols.strip() else ()
    if not isinstance(protocols, Iterable):
        raise ConfigurationError(f"protocols must be names, got {shown(protocols)}")
    names = tuple(protocols)
    for name in names:
        _check_subprotocol(name)
    name, count = max(Counter(names).items(), key=itemgetter(1), default=("", 0))
    if count > 1:
        raise ConfigurationError(f"subprotocol {name} comes {count} times")
    return names


def _check_subprotocol(name: object) -> None:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ConfigurationError(f"subprotocol {shown(name)} is no token (RFC 9110 5.6.2)")


def _listed(environ: Mapping[str, Any], key: str) -> list[str]:
    return [item.strip() for item in str(environ.get(key, "")).lower().split(",")]


def shown(value: object) -> str:
    """Quote a value of the peer's, in ASCII and short."""
    if value is None:
        return "missing"
    text = ascii(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
