"""permessage-deflate on an engine of one's choice, and messages for it."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

import pytest

from faye_sync.driver.deflate import ClientSession, PerMessageDeflate, ServerSession
from faye_sync.driver.engines import Engine, available

ENGINES = {engine.name: engine for engine in available()}

# For parametrize: all three, and those that are not installed skip.
EACH_ENGINE = [
    pytest.param(
        name,
        id=name,
        marks=[] if name in ENGINES else [pytest.mark.skip(f"{name} is not installed")],
    )
    for name in ("isal", "zlib-ng", "zlib")
]

LIMIT = 2**26 - 1
MIB = 2**20


def deflate_on(name: str, **options: object) -> PerMessageDeflate:
    """The extension, as it is where only that engine and zlib can be imported."""
    return type("Deflate", (OnOneEngine,), {"engine_name": name})(**options)


class OnOneEngine(PerMessageDeflate):
    engine_name = "zlib"

    @classmethod
    def _engines(cls) -> Sequence[Engine]:
        return (ENGINES[cls.engine_name],)


def sessions(
    client: PerMessageDeflate, server: PerMessageDeflate | None = None, limit: int = LIMIT
) -> tuple[ClientSession, ServerSession]:
    """A client's and a server's session that have agreed."""
    options = {"max_length": limit}
    ours = client.create_client_session(options)
    theirs = (server or client).create_server_session([ours.generate_offer()], options)
    assert theirs is not None
    assert ours.activate(theirs.generate_response()) is True
    return ours, theirs


def bomb(mebibytes: int) -> bytes:
    """A compressed message of so many MiB of zeros: 1 KiB for each."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    first, other = (
        compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH) for _ in "ab"
    )
    return (first + other * (mebibytes - 1))[:-4]


def rows(size: int, seed: int = 0) -> bytes:
    """Octets as applications send them: records that are alike, none of them twice."""
    source = random.Random(seed)
    words = ("price", "volume", "name", "user", "open", "closed", "status")
    lines = []
    while len(lines) * 20 < size:
        lines.append(f'{{"{source.choice(words)}": {source.randrange(10**6)}, "id": {len(lines)}}}')
    return ",".join(lines).encode()[:size]
