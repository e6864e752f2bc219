"""The layout of RFC 6455 frames, and of the payload of a close frame.

Pure: knows nothing of messages or connections; hybi_receiving.py joins
fragments. Sections 5.2 (layout), 5.5 (control frames), 7.4 (close codes)."""

from __future__ import annotations

from struct import Struct

from faye_sync.driver.accelerator import speedups
from faye_sync.driver.masking import apply_mask
from faye_sync.errors import ProtocolError

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

OPCODE_NAMES = {
    CONTINUATION: "continuation",
    TEXT: "text",
    BINARY: "binary",
    CLOSE: "close",
    PING: "ping",
    PONG: "pong",
}

FINAL_BIT = 0x80
MASK_BIT = 0x80
RESERVED_BITS = 0x70
CONTROL_BIT = 0x08
MAX_CONTROL = 125
MAX_REASON = MAX_CONTROL - 2

_ALLOWED_CODES = "1000-1003, 1007-1014 and 3000-4999"
RECEIVABLE_CODES = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))
# 1002 says that the peer broke the protocol; the library finds that out, not its user.
SENDABLE_CODES = RECEIVABLE_CODES - {1002}

# By the first octet, then by the second. Only whole messages and control frames: fragments are
# rare, and all 256 would take 3 MB.
_SHORT_HEADERS = {
    FINAL_BIT | opcode: tuple(bytes((FINAL_BIT | opcode, second)) for second in range(256))
    for opcode in OPCODE_NAMES
}
_pack_short = Struct("!BB").pack
_pack_16 = Struct("!BBH").pack
_pack_64 = Struct("!BBQ").pack


def encode_header(first: int, length: int, mask_bit: int) -> bytes:
    """Encode what stands before masking key and payload. Safe from any thread.

    Args:
        first: The first octet: FIN, reserved bits and opcode.
        length: Octets of payload, below 2**63; written in as few octets as can be.
        mask_bit: MASK_BIT when a key follows, else 0.

    Returns:
        2, 4 or 10 octets, as RFC 6455 5.2 lays them out.
    """
    if length < 126:
        headers = _SHORT_HEADERS.get(first)
        return headers[mask_bit | length] if headers else _pack_short(first, mask_bit | length)
    if length < 0x10000:
        return _pack_16(first, mask_bit | 126, length)
    return _pack_64(first, mask_bit | 127, length)


def encode_frame(
    opcode: int, payload: bytes, *, final: bool = True, rsv: int = 0, mask_key: bytes | None = None
) -> bytes:
    """Encode one frame. Safe from any thread. RFC 6455 5.2.

    Does not judge: a control frame over 125 octets is the caller's to refuse.

    Args:
        opcode: One of the constants of this module.
        payload: The octets; they are copied, never changed.
        final: True for a message's last frame.
        rsv: The three reserved bits, RSV1 being 4.
        mask_key: 4 octets that mask the payload; None leaves it plain.

    Returns:
        The octets for the wire.
    """
    return join_frame((FINAL_BIT if final else 0) | rsv << 4 | opcode, payload, mask_key)


def join_frame_in_python(first: int, payload: bytes, mask_key: bytes | None) -> bytes:
    """Join the parts of a frame. Safe from any thread. RFC 6455 5.2.

    Args:
        first: The first octet: FIN, reserved bits and opcode.
        payload: The octets; they are copied, never changed.
        mask_key: 4 octets that mask the payload; None leaves it plain.

    Returns:
        The octets for the wire.
    """
    if mask_key is None:
        return encode_header(first, len(payload), 0) + payload
    header = encode_header(first, len(payload), MASK_BIT)
    return b"".join((header, mask_key, apply_mask(payload, mask_key)))


join_frame = join_frame_in_python if speedups is None else speedups.join_frame


def decode_length(data: bytes, position: int) -> tuple[int, int] | None:
    """Read how long a payload is. Safe from any thread. RFC 6455 5.2.

    Args:
        data: Octets of the peer.
        position: Where the frame's second octet stands in them.

    Returns:
        The length, and where the octets behind it begin; None while octets of
        the length itself are missing.

    Raises:
        ProtocolError: The length has more octets than it needs, or its top
            bit is set; told at the octet that shows it.
    """
    code = data[position] & 0x7F
    start = position + 1
    if code < 126:
        return code, start
    size = 2 if code == 126 else 8
    octets = data[start : start + size]
    if size == 8:
        _check_long(octets)
    if len(octets) < size:
        return None
    length = int.from_bytes(octets, "big")
    if length < 126:
        raise ProtocolError(f"length {length} stands in 16 bits; 7 are enough")
    return length, start + size


def _check_long(octets: bytes) -> None:
    """Refuse a 64-bit length by as many of its octets as have come."""
    if octets[:1] >= b"\x80":
        raise ProtocolError("64-bit length has its top bit set; at most 2**63 - 1 is allowed")
    if octets[:6] == bytes(6):
        raise ProtocolError("length below 65536 stands in 64 bits; 16 are enough")


def encode_close(code: int | None, reason: str) -> bytes:
    """Encode the payload of a close frame. Safe from any thread. RFC 6455 5.5.1.

    Never fails, since it also tells of failures: a reason over 123 octets is cut
    between two characters, and a lone surrogate becomes a question mark. What
    users pass goes through check_close() before.

    Args:
        code: The close code; None for an empty payload, without the reason too.
        reason: The text beside the code.

    Returns:
        At most 125 octets.
    """
    if code is None:
        return b""
    return code.to_bytes(2, "big") + cut_reason(reason).encode()


def cut_reason(reason: str) -> str:
    """Make a reason fit a close frame. Safe from any thread. RFC 6455 5.5.1.

    Args:
        reason: Any text.

    Returns:
        What encode_close() writes of it.
    """
    octets = reason.encode("utf-8", "replace")
    return octets[:MAX_REASON].decode("utf-8", "ignore")


def decode_close(payload: bytes) -> tuple[int, str]:
    """Read the payload of a close frame. Safe from any thread. RFC 6455 5.5.1, 7.4.

    Args:
        payload: At most 125 octets, unmasked.

    Returns:
        Code and reason; 1000 and an empty reason for an empty payload.

    Raises:
        ProtocolError: With 1002 for one octet alone or a code that may not be
            on the wire; with 1007 for a reason that is no UTF-8.
    """
    if not payload:
        return 1000, ""
    if len(payload) == 1:
        raise ProtocolError("close frame has 1 octet; 0 or 2 to 125 are allowed")
    code = int.from_bytes(payload[:2], "big")
    if code not in RECEIVABLE_CODES:
        raise ProtocolError(f"close code {code} is not allowed; {_ALLOWED_CODES} are")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError as error:
        octet = payload[2 + error.start]
        text = f"close reason is not UTF-8 from octet {error.start} (0x{octet:02x}) on"
        raise ProtocolError(text, 1007) from None


def check_close(code: object, reason: object) -> None:
    """Refuse what a user may not close with. Safe from any thread. RFC 6455 7.4.

    Args:
        code: 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999; a bool is none.
        reason: At most 123 octets of UTF-8.

    Raises:
        ValueError: One of the two is not so; names it and what is allowed.
    """
    if not isinstance(code, int) or isinstance(code, bool) or code not in SENDABLE_CODES:
        allowed = "1000, 1001, 1003, 1007-1014 or 3000-4999"
        raise ValueError(f"close code must be {allowed}, got {code!r}")
    if not isinstance(reason, str):
        raise ValueError(f"close reason must be a str, got {reason!r}")  # noqa: TRY004  # as for the code
    size = len(encode_text(reason))
    if size > MAX_REASON:
        raise ValueError(f"close reason has {size} octets of UTF-8; {MAX_REASON} are allowed")


def encode_text(text: str) -> bytes:
    """Encode text for the wire. Safe from any thread. RFC 6455 5.6.

    Args:
        text: The text, empty or not.

    Returns:
        Its UTF-8.

    Raises:
        ValueError: It holds half of a surrogate pair, which no UTF-8 can carry.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        found = f"{text[error.start]!a} at index {error.start}"
        raise ValueError(f"text has a lone surrogate, {found}; UTF-8 cannot carry it") from None
