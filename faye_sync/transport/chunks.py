"""The octets of a source, each without delay.

How to read so that an octet comes as soon as it can depends on the source, and
on how its body is framed. requests and urllib3 are known by what they have,
not imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

# Octets read at once, at most.
CHUNK = 65536

_OCTETS = (bytes, bytearray, memoryview)


def chunks_of(source: Any) -> Iterable[bytes]:
    """Read a source without delay.

    Args:
        source: As for parse_events().

    Returns:
        Its octets, in pieces that are never empty.

    Raises:
        TypeError: It is none.
    """
    if isinstance(source, _OCTETS):
        return (bytes(source),)
    # A response of requests has that of urllib3 beneath.
    raw = getattr(source, "raw", source)
    if hasattr(raw, "stream") and hasattr(raw, "headers"):
        return _of_response(raw)
    read = getattr(raw, "read1", None) or getattr(raw, "read", None)
    if callable(read):
        return _of_file(read)
    if isinstance(source, str) or not hasattr(source, "__iter__"):
        raise TypeError(
            "events are parsed from a response, a binary file or an iterable of bytes, got "
            f"{type(source).__name__}"
        )
    return map(_checked, source)


def _of_response(raw: Any) -> Iterable[bytes]:
    """Read a response of urllib3, whose read() would wait for all that it was asked for."""
    beneath = getattr(raw, "_fp", None)
    if beneath is not None and hasattr(beneath, "read1") and _is_plain(raw):
        # Half the work of urllib3's own, and a chunk's part comes before its end.
        return iter(partial(beneath.read1, CHUNK), b"")
    if getattr(raw, "chunked", False):
        return raw.stream(CHUNK, decode_content=True)  # type: ignore[no-any-return]  # of bytes
    if hasattr(raw, "read1"):
        return iter(partial(raw.read1, CHUNK, decode_content=True), b"")
    # Before urllib3 2.1: a call for each octet, but none too late.
    return raw.stream(1, decode_content=True)  # type: ignore[no-any-return]  # of bytes


def _is_plain(raw: Any) -> bool:
    """Whether nothing is to be decoded, nor counted, and urllib3 holds nothing that was read already."""
    coding = raw.headers.get("content-encoding", "").strip().lower()
    # http.client says nothing of a body that is shorter than its Content-Length.
    is_counted = getattr(raw._fp, "length", None) is not None
    return coding in ("", "identity") and not is_counted and raw.tell() == 0


def _of_file(read: Callable[[int], Any]) -> Iterator[bytes]:
    while octets := read(CHUNK):
        yield _checked(octets)


def _checked(octets: Any) -> bytes:
    if type(octets) is bytes:
        return octets
    if isinstance(octets, _OCTETS):
        return bytes(octets)
    raise TypeError(
        f"an event stream is octets, got {type(octets).__name__}; pass response.raw, a file opened "
        "with 'rb', or text.encode()"
    )
