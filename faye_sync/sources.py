"""The links of one connection that have something to hand out, in the order they came."""

from __future__ import annotations

from collections import deque

from faye_sync.events import CloseEvent
from faye_sync.link import Link


class Sources:
    """A queue of links, the present one last; its owner's lock guards it."""

    def __init__(self) -> None:
        self._links: deque[Link] = deque()

    @property
    def first(self) -> Link | None:
        """The link to be read next."""
        return self._links[0] if self._links else None

    def add(self, link: Link) -> None:
        """Append the present link; those before it that nobody needs to read are forgotten.

        What is left of them counts as its own, so that all together stay within max_queue."""
        self._links = deque(old for old in self._links if _has_more(old))
        link.incoming.carried = sum(old.incoming.cost() for old in self._links)
        self._links.append(link)

    def drop(self, link: Link) -> None:
        """Forget a link that was read to its end."""
        if link in self._links:
            self._links.remove(link)
        if self.first is not None:
            # What it waited behind has been handed out.
            self.first.incoming.carried = 0


def _has_more(link: Link) -> bool:
    """Whether there is anything to hand out but the end, which is not that of the connection."""
    # Until its end was read, more may lie in the kernel.
    return link.final is None or any(
        not isinstance(event, CloseEvent) for event in tuple(link.incoming.inbox)
    )
