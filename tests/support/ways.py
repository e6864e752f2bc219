"""The ways of a client to its servers, with the defaults of its options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from faye_sync.concurrency import THREADS
from faye_sync.driver.hybi import HybiClient
from faye_sync.transport.adapter import Opened
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.request import check_request_headers, check_url
from faye_sync.transport.upgrade import upgrade as open_by
from faye_sync.transport.wayfinder import Wayfinder

PATIENCE = 20.0  # seconds to wait for what should come at once
OPTIONS = ("session", "auth", "proxy", "tls", "ca", "net")


def ways(kind: type[Wayfinder] = Wayfinder, **options: object) -> Wayfinder:
    return kind(**{**dict.fromkeys(OPTIONS), **options})


def asking() -> HybiClient:
    """The side of a driver that asks for a WebSocket."""
    return HybiClient(protocols=(), max_length=2**20)


@contextmanager
def upgraded(found: Wayfinder, url: str, headers: tuple = ()) -> Iterator[Opened]:
    """Open a WebSocket as a client does, and close its socket behind the block."""
    with Attempt(THREADS, PATIENCE) as attempt:
        asked = check_url(url), check_request_headers(headers)
        opened = open_by(found, *asked, asking(), attempt)
    try:
        yield opened
    finally:
        opened.route.close()


def upgrade(found: Wayfinder, url: str, headers: tuple = ()) -> None:
    """Open a WebSocket for a moment."""
    with upgraded(found, url, headers):
        return
