"""Messages that every client sends, and how those that come back are compared."""

from __future__ import annotations

import pytest

# The lengths of a frame change their form at 126 and 65536 octets (RFC 6455 5.2); 1 MiB does not
# fit the buffers between two processes.
SIZES = (0, 1, 125, 126, 65535, 65536, 1 << 20)


def text_of(size: int) -> str:
    """Text of so many octets of UTF-8, its characters of one to four octets each."""
    whole, rest = divmod(size, 10)
    return "aé€😀" * whole + "z" * rest


def octets_of(size: int) -> bytes:
    """Octets of every value, in a run that no power of two divides."""
    run = bytes(range(251))
    return (run * (size // len(run) + 1))[:size]


every_message = pytest.mark.parametrize(
    "message",
    [pytest.param(text_of(size), id=f"text-{size}") for size in SIZES]
    + [pytest.param(octets_of(size), id=f"octets-{size}") for size in SIZES],
)


def assert_same(received: object, sent: str | bytes) -> None:
    """Compare without pytest's own explanation, which takes minutes for a mebibyte."""
    if type(received) is not type(sent):
        pytest.fail(f"sent was {type(sent).__name__}, and came back as {received!r:.80}")
    if received != sent:
        pytest.fail(f"of {len(sent)} came back {len(received)}, not the same")
