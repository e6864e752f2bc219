"""How one event stream leaves its WSGI call: the body that the server pulls, and what comes of it.

Where the client's socket can be had it is taken over as the body is pulled for
the first time, and the server is left to write its head to nobody. Elsewhere
the server pulls to the end."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

from faye_sync.concurrency import THREADS, main_thread_check
from faye_sync.errors import HijackError
from faye_sync.events import ReadyState
from faye_sync.feed import Feed
from faye_sync.outflow import SocketOutflow
from faye_sync.pulling import PulledOutflow
from faye_sync.pumping import Pump
from faye_sync.shutdown import hold
from faye_sync.sse import PING
from faye_sync.transport.hijack import find, take
from faye_sync.transport.no_socket import collecting_server
from faye_sync.transport.servers import Found

logger = logging.getLogger("faye_sync")


class Streaming:
    """One stream's way out of its call.

    Attributes:
        pump: Fills the stream, where an iterable does.
    """

    def __init__(
        self,
        name: str,
        found: Found | None,
        feed: Feed,
        ping: float | None,
        send_timeout: float | None,
        *,
        stays: bool,
        is_head: bool,
    ) -> None:
        self._name = name
        self._found = found
        self._feed = feed
        self._ping = ping
        self._send_timeout = send_timeout
        self._stays = stays
        self._is_head = is_head
        self._has_begun = False
        self.pump: Pump | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield what the server is to write; PEP 3333's body."""
        if self._is_head or self._feed.state is ReadyState.CLOSED:
            self.close()
            # Hypercorn sends no head before it has a part of the body.
            yield b""
        elif self._found is None:
            yield from self._pull()
        else:
            yield from self._leave(self._found)

    def close(self) -> None:
        """The server is done with the body, at its end or before."""
        outflow = self._feed.outflow
        if isinstance(outflow, PulledOutflow):
            outflow.shut()
        elif outflow is None:
            self._feed.ended("local")
        if self.pump is not None and (self._stays or not self._has_begun):
            # No other thread is in it.
            self.pump.stop()

    def _pull(self) -> Iterator[bytes]:
        advance = None if self.pump is None or not self._stays else self.pump.advance
        outflow = PulledOutflow(
            self._feed.world, self._feed.outbox, self._feed, self._ping, advance
        )
        self._begin(outflow)
        yield from outflow.pull()

    def _leave(self, found: Found) -> Iterator[bytes]:
        """Take the socket, and have the server write its head."""
        try:
            taken = take(found, ends_call=False)
        except OSError as error:
            logger.info("EventSource %s: the client left before it began: %r", self._name, error)
            self.close()
            return
        feed = self._feed
        self._begin(SocketOutflow(taken, feed.outbox, feed, self._ping, self._send_timeout))
        yield PING
        if not self._stays:
            return
        is_main = feed.world is THREADS and main_thread_check()()
        with feed.letting_signals_in() if is_main else nullcontext():
            if self.pump is not None:
                self.pump.run()
            feed.wait_ended()

    def _begin(self, outflow: SocketOutflow | PulledOutflow) -> None:
        self._feed.begin(outflow)
        hold(outflow)
        self._has_begun = True
        if self.pump is None or self._stays:
            return
        try:
            self._feed.world.spawn(f"faye-sync-{self._name}-stream", self.pump.run)
        except RuntimeError:
            # No thread could be started, so nothing will ever be sent.
            self._feed.cut("local")
            self.pump.stop()
            raise


def find_way(environ: Mapping[str, Any], *, must_detach: bool) -> Found | None:
    """Find the client's socket.

    Args:
        environ: Of the WSGI call.
        must_detach: Whether the stream cannot do without.

    Returns:
        The socket, or None where the server has to pull.

    Raises:
        HijackError: The server sends no body before it is whole; or it does not
            show the socket, and must_detach.
    """
    collecting = collecting_server(environ)
    if collecting is not None:
        raise collecting
    try:
        return find(environ)
    except HijackError:
        if must_detach:
            raise
        return None
