"""Take messages that came whole, which is how nearly all of them come (RFC 6455 5.2).

Everything else, be it a fragment, a control frame, a bit that only an extension
knows, or what is wrong, is left where it stands for hybi_receiving.py."""

from __future__ import annotations

from typing import Any

from faye_sync.driver.accelerator import speedups
from faye_sync.driver.frames import BINARY, FINAL_BIT, TEXT
from faye_sync.driver.masking import KEY_SIZE, apply_mask

_TEXT = FINAL_BIT | TEXT
_BINARY = FINAL_BIT | BINARY

# By the length in the second octet: in how many octets the true one stands, and its least value.
_LONGER = {126: (2, 126), 127: (8, 0x10000)}


def take_messages_in_python(
    data: bytes, position: int, mask_bit: int, limit: int, messages: list[Any]
) -> int:
    """Take the messages that stand in data, each in a frame of its own. Safe from any thread.

    Args:
        data: Octets of the peer.
        position: Where its next frame begins in them.
        mask_bit: MASK_BIT where frames have to be masked, else 0.
        limit: Octets that a message may have.
        messages: Where they are appended, str of text and bytes of binary ones.

    Returns:
        Where something else begins, or the end of data.
    """
    end = len(data)
    header = 2 + KEY_SIZE if mask_bit else 2
    while end - position >= header and data[position] in (_TEXT, _BINARY):
        # Above 127 where the mask bit is not as it has to be.
        length = data[position + 1] ^ mask_bit
        start = position + header
        if length > 125:
            size, least = _LONGER.get(length, (0, length + 1))
            length = int.from_bytes(data[position + 2 : position + 2 + size], "big")
            if length < least:
                break
            start += size
        stop = start + length
        if stop > end or length > limit:
            break
        payload = data[start:stop]
        if mask_bit:
            payload = apply_mask(payload, data[start - KEY_SIZE : start])
        try:
            messages.append(payload.decode() if data[position] == _TEXT else payload)
        except UnicodeDecodeError:
            # Found again, and told of, by the one who takes what is left.
            break
        position = stop
    return position


take_messages = take_messages_in_python if speedups is None else speedups.take_messages
