"""Mask payloads, and draw the keys to mask them with (RFC 6455 5.3).

In C where the accelerator is there. Else in the two ways that measured fastest:
one xor of two long integers for short data, four strided slices through
bytes.translate for long data."""

from __future__ import annotations

import os

from faye_sync.driver.accelerator import speedups

KEY_SIZE = 4

# Where the strided way overtakes the xor: 600 to 800 octets, CPython 3.11 to 3.13.
_LONG = 700
# 4 KiB at a time costs 0.05 us a key; os.urandom(4) for each 0.3 us.
_POOL = 4096


def _xor(data: bytes | bytearray, key: bytes) -> bytes:
    size = len(data)
    keys = (key * (size + 3 >> 2))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(keys, "little")).to_bytes(
        size, "little"
    )


# For each octet of a key, what every octet of data becomes: 64 KiB, made in 0.2 ms.
_TABLES = tuple(_xor(bytes(range(256)), bytes((octet,)) * KEY_SIZE) for octet in range(256))


def _translate(data: bytes | bytearray, key: bytes) -> bytes:
    masked = bytearray(len(data))
    for start, octet in enumerate(key):
        masked[start::KEY_SIZE] = data[start::KEY_SIZE].translate(_TABLES[octet])
    return bytes(masked)


def apply_mask_in_python(data: bytes | bytearray, key: bytes, offset: int = 0) -> bytes:
    """Mask data, or unmask what is masked: the two are one operation.

    The data is never changed in place. Safe from any thread. RFC 6455 5.3.

    Args:
        data: Octets of one frame's payload, none at all included.
        key: The 4 octets that the frame names.
        offset: How many octets of that payload came before these.

    Returns:
        As many octets as data has.
    """
    if offset & 3:
        key = key[offset & 3 :] + key[: offset & 3]
    if len(data) < _LONG:
        return _xor(data, key)
    return _translate(data, key)


def mask_from_in_python(array: bytearray, start: int, key: bytes, offset: int) -> None:
    """Mask, or unmask, an array in its place from one octet on. RFC 6455 5.3.

    Args:
        array: Nobody else may use it meanwhile.
        start: Where to begin.
        key: The 4 octets that the frame names.
        offset: How many octets of that frame's payload came before these.

    Raises:
        ValueError: start is beyond the end.
    """
    if not 0 <= start <= len(array):
        raise ValueError(f"start is 0 to {len(array)}, got {start}")
    array[start:] = apply_mask_in_python(array[start:], key, offset)


def extend_in_python(array: bytearray, count: int) -> None:
    """Make an array longer by octets of any value, which are about to be received.

    Args:
        array: Nobody else may use it meanwhile.
        count: How many octets longer.
    """
    array.extend(bytes(count))


apply_mask = apply_mask_in_python if speedups is None else speedups.apply_mask
mask_from = mask_from_in_python if speedups is None else speedups.mask_from
extend = extend_in_python if speedups is None else speedups.extend


class MaskPool:
    """Masking keys from the system's random source. One thread at a time.

    Keys must be unpredictable (RFC 6455 10.3), so no pool outlives its
    connection, and no octet of it is handed out twice."""

    __slots__ = ("_octets", "_position")

    def __init__(self) -> None:
        self._octets = b""
        self._position = 0

    def take(self) -> bytes:
        """Draw the 4 octets that mask one frame."""
        start = self._position
        if start == len(self._octets):
            self._octets = os.urandom(_POOL)
            start = 0
        self._position = start + KEY_SIZE
        return self._octets[start : self._position]
