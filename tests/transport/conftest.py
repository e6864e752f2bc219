"""A TLS connection for the tests of its stream."""

from __future__ import annotations

import ssl

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.transport.tls import TlsStream
from tests.support.tls_peer import connected

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def tls_pair(request: pytest.FixtureRequest):
    """A stream over TLS of either version, and its peer."""
    with connected(request.param) as (sock, peer):
        stream = TlsStream(sock, sock._sslobj, THREADS)
        yield stream, peer
        stream.close()
