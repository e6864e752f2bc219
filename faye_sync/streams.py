"""One message that is taken while it comes."""

from __future__ import annotations

from typing import Protocol, TypeVar

from faye_sync.handout import Chunks
from faye_sync.link import Link

S = TypeVar("S", bound="MessageStream")


class Source(Protocol):
    """The connection that the message comes over."""

    def _next_chunk(
        self, link: Link, chunks: Chunks, timeout: float | None
    ) -> str | bytes | None: ...


class MessageStream:
    """An iterator over the chunks of one message, as they come. One thread at a time.

    Made by receive_stream(), which says what it raises."""

    def __init__(self, source: Source, link: Link, chunks: Chunks, timeout: float | None) -> None:
        self._source = source
        self._link = link
        self._chunks = chunks
        self._timeout = timeout

    def __iter__(self: S) -> S:
        return self

    def __next__(self) -> str | bytes:
        """Wait for the next chunk.

        Returns:
            str of a text message, without half characters; bytes of a binary one.
        """
        chunk = self._source._next_chunk(self._link, self._chunks, self._timeout)
        if chunk is None:
            raise StopIteration
        return chunk
