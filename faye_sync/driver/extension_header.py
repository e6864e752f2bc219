"""The grammar of Sec-WebSocket-Extensions (RFC 6455 9.1), read in linear time.

One position goes through the text, and no expression repeats what may itself
repeat, so that no header makes reading it slow."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal

from faye_sync.driver.extension import Params, Value
from faye_sync.driver.handshake import shown

Found = dict[str, "Value | list[Value]"]

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105  # a token of HTTP
_NAME = re.compile(_TOKEN)
_PARAM = re.compile(
    rf'[ \t]*;[ \t]*({_TOKEN})(?:[ \t]*=[ \t]*(?:({_TOKEN})|"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|'
    r'\\[\t -\x7e\x80-\xff])*)"))?'
)
_COMMA = re.compile(r"[ \t]*,[ \t]*")
_ESCAPE = re.compile(r"\\(.)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
# Signs of a number. A float of as many still differs from its neighbours by the last of them; what
# is longer stays text, so that no number takes long.
_LONGEST_NUMBER = 17
_TEXT = re.compile(r"[\t -\x7e\x80-\xff]*")


def parse_extensions(value: str | None) -> list[tuple[str, Found]]:
    """Read a header. Safe from any thread.

    Args:
        value: In latin-1; several headers joined by commas; None where there is none.

    Returns:
        Names and parameters, in order. A parameter without a value is True, a
        number of at most 17 signs an int or a float, quoted or not, and one that
        comes more than once a list.

    Raises:
        ValueError: It does not follow the grammar.
    """
    if not value:
        return []
    return list(_extensions(value))


def _extensions(text: str) -> Iterator[tuple[str, Found]]:
    position = 0
    while True:
        name = _NAME.match(text, position)
        if name is None:
            raise _invalid(text)
        params, position = _params(text, name.end())
        yield name[0], params
        if position == len(text):
            return
        comma = _COMMA.match(text, position)
        if comma is None:
            raise _invalid(text)
        position = comma.end()


def _params(text: str, position: int) -> tuple[Found, int]:
    params: Found = {}
    while (found := _PARAM.match(text, position)) is not None:
        name, token, quoted = found.groups()
        value = _value(token if quoted is None else _ESCAPE.sub(r"\1", quoted))
        if name not in params:
            params[name] = value
        elif isinstance(known := params[name], list):
            known.append(value)
        else:
            params[name] = [known, value]
        position = found.end()
    return params, position


def _value(text: str | None) -> Value:
    if text is None:
        return True
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _invalid(text: str) -> ValueError:
    return ValueError(f"Invalid Sec-WebSocket-Extensions header: {shown(text)}")


def serialize_params(name: str, params: Params) -> str:
    """Write one offer or answer. Safe from any thread.

    Args:
        name: Of the extension.
        params: Its parameters: True for one without a value, a list for one
            that comes more than once.

    Returns:
        What parse_extensions() reads: the same, but for text that looks like a
        number.

    Raises:
        ValueError: A name is no token, or a value cannot stand in a header.
    """
    parts = [_checked_name(name)]
    for key, value in params.items():
        values = value if isinstance(value, list) else [value]
        parts.extend(_param(_checked_name(key), one) for one in values)
    return "; ".join(parts)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"extension or parameter name {shown(name)} is no token (RFC 9110 5.6.2)")
    return name


def _param(name: str, value: object) -> str:
    if value is True:
        return name
    text = _text_of(name, value)
    if _NAME.fullmatch(text):
        return f"{name}={text}"
    if not _TEXT.fullmatch(text):
        raise ValueError(
            f"extension parameter {name} must be latin-1 without control characters, got "
            f"{shown(text)}"
        )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


def _text_of(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return format(value, "d")
    if isinstance(value, float) and math.isfinite(value):
        # Without an exponent, which the grammar does not know.
        return format(Decimal(float.__repr__(value)), "f")
    allowed = "True, a finite number or a str"
    raise ValueError(f"extension parameter {name} must be {allowed}, got {value!r}")
