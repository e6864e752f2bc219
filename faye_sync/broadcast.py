"""One message for many connections, framed once, and no slow one holds up the rest."""

from __future__ import annotations

from collections.abc import Iterable

from faye_sync.concurrency import THREADS
from faye_sync.connection import Connection
from faye_sync.events import OPEN
from faye_sync.messages import Data, check_message, offer


def broadcast(connections: Iterable[Connection], data: Data) -> int:
    """Send one message to every open connection, without waiting for any.

    One whose queue is full is closed with 1013; those not open are passed
    over, and so are those whose version carries text only, where data is binary.
    Safe from any thread, also while others add to connections.

    Args:
        connections: Any collection, which is copied first; a dict's keys.
        data: str is sent as text; bytes, bytearray, memoryview as binary.

    Returns:
        How many connections took the message.

    Raises:
        TypeError: data is of another type, and a connection is open.
        ValueError: data is text with a lone surrogate, likewise.
    """
    frames: dict[str | None, bytes | None] = {}
    count = 0
    for connection in tuple(connections):
        link = connection._link
        if link is None or link.state is not OPEN:
            continue
        kind = link.driver.sending.frame_kind
        if kind not in frames:
            check_message(data)
            if not (link.driver.sending.has_binary or isinstance(data, str)):
                continue
            frames[kind] = link.driver.sending.frame(data)
        if offer(link, data, frames[kind]):
            count += 1
        elif link.is_open():
            link.outgoing.drop_backlog()
            link.close(1013, "the connection is too slow", "queue full")
        if link.world is not THREADS and link.world.is_home():
            # Under gevent a large room would else hold up everybody.
            link.world.breathe()
    return count
