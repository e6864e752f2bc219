"""What the first octet of a frame says, and whether it may stand there (RFC 6455 5.2, 5.4)."""

from __future__ import annotations

from functools import cache

from faye_sync.driver.extension import Message
from faye_sync.driver.frames import (
    BINARY,
    CONTINUATION,
    CONTROL_BIT,
    OPCODE_NAMES,
    RESERVED_BITS,
    TEXT,
)
from faye_sync.errors import ProtocolError

_CONTROLS = frozenset((0x88, 0x89, 0x8A))
_BEGINNINGS = frozenset((0x01, 0x02, 0x81, 0x82))

# Which first octets are legal within a fragmented message (section 5.4).
CONTINUED = _CONTROLS | {0x00, 0x80}


@cache
def beginnings(allowed_rsv: int) -> frozenset[int]:
    """Tell which first octets are legal between messages, where these bits may be set."""
    return _CONTROLS | {
        first | bits << 4 for first in _BEGINNINGS for bits in range(8) if not bits & ~allowed_rsv
    }


def head_of(first: int, data: bytes = b"") -> Message:
    """Note what a message's first octet says."""
    return Message(
        first & 0x0F,
        data,
        rsv1=bool(first & 0x40),
        rsv2=bool(first & 0x20),
        rsv3=bool(first & 0x10),
    )


def illegal(first: int, *, is_continued: bool, allowed_rsv: int) -> ProtocolError:
    """Find out why a frame may not begin with this octet.

    Args:
        first: The octet.
        is_continued: A message has begun and is not over.
        allowed_rsv: The reserved bits that extensions own, RSV1 being 4.

    Returns:
        The error that says so.
    """
    opcode = first & 0x0F
    is_beginning = opcode in (TEXT, BINARY) and not is_continued
    reserved = first & RESERVED_BITS & ~(allowed_rsv << 4 if is_beginning else 0)
    name = OPCODE_NAMES.get(opcode)
    if reserved:
        return ProtocolError(f"reserved bits 0x{reserved:02x} may not be set on this frame")
    if name is None:
        return ProtocolError(f"opcode {opcode} is unknown; 0, 1, 2, 8, 9 and 10 are allowed")
    if opcode & CONTROL_BIT:
        return ProtocolError(f"{name} frame is not final; control frames must be")
    if opcode == CONTINUATION:
        return ProtocolError("continuation frame has no message to continue")
    return ProtocolError(f"{name} frame came where a continuation was due")
