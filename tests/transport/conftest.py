"""A TLS connection for the tests of its stream."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.transport.stream import Stream
from faye_sync.transport.tls import TlsStream
from tests.support.tls_layers import layered
from tests.support.tls_peer import TlsPeer, connected

VERSIONS = {"TLSv1_2": ssl.TLSVersion.TLSv1_2, "TLSv1_3": ssl.TLSVersion.TLSv1_3}


@contextmanager
def of_a_server(version: ssl.TLSVersion) -> Iterator[tuple[Stream, TlsPeer]]:
    with connected(version) as (sock, peer):
        stream = TlsStream(sock, sock._sslobj, THREADS)
        yield stream, peer
        stream.close()


KINDS = {
    "server": of_a_server,
    "client": lambda version: layered(1, version),
    "client-in-proxy": lambda version: layered(2, version),
}


@pytest.fixture(params=[f"{kind}-{version}" for kind in KINDS for version in VERSIONS])
def tls_pair(request: pytest.FixtureRequest):
    """A stream over TLS of either version, and its peer."""
    kind, _, version = request.param.rpartition("-")
    with KINDS[kind](VERSIONS[version]) as pair:
        yield pair
