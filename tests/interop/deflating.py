"""Servers of other projects that compress, the terms that are tried, and messages."""

from __future__ import annotations

import json
import random
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.interop.messages import SIZES, octets_of, text_of
from tests.support.daemons import spawn
from tests.support.kinds import ROOT
from tests.support.parts import require
from tests.support.servers import Server
from tests.support.wiretap import Way, inflated

SUPPORT = ROOT / "tests" / "support"
PYTHON, NODE = (sys.executable, "deflate_server.py"), ("node", "deflate_server.js")

FOREIGN = {
    "websockets-sync": (*PYTHON, "sync"),
    "websockets-asyncio": (*PYTHON, "asyncio"),
    "node-ws": (*NODE, "ws"),
    "node-faye": (*NODE, "faye"),
}
PACKAGES = {"ws": ("ws",), "faye": ("faye-websocket", "permessage-deflate")}


def require_node(*packages: str) -> None:
    """Skip without Node.js or one of the packages."""
    require("node", None if shutil.which("node") else "not on the path")
    for package in packages:
        there = (ROOT / "node_modules" / package).exists()
        require(package, None if there else "not installed, see `make setup`")


@contextmanager
def serve_foreign(name: str, folder: Path) -> Iterator[Server]:
    """Start one of FOREIGN."""
    program, script, what = FOREIGN[name]
    if program == "node":
        require_node(*(package for packages in PACKAGES.values() for package in packages))
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()
        log_path = folder / f"{name}.log"
        with log_path.open("wb") as log:
            process = spawn([program, str(SUPPORT / script), what, str(fd)], log, fd)
    with Server(name, port, process, log_path) as server:
        yield server


# --- messages -------------------------------------------------------------------------------------------


def random_octets(size: int) -> bytes:
    """Octets that nothing compresses."""
    return random.Random(size).randbytes(size)


def of_every_size(largest: int = 1 << 20) -> list[str | bytes]:
    sizes = [size for size in SIZES if size <= largest]
    kinds = (text_of, octets_of, random_octets)
    return [make(size) for size in sizes for make in kinds]


def records(count: int = 200) -> list[str]:
    """Different messages that are alike, as applications send them; about 300 octets each."""
    source = random.Random(count)
    names = ("Ada", "Grüße", "東京", "price", "volume", "closed")
    return [
        json.dumps(
            {
                "id": number,
                "values": [source.randrange(10**6) for _ in range(20)],
                "names": source.choices(names, k=12),
            },
            ensure_ascii=False,
        )
        for number in range(count)
    ]


def in_parts(message: str | bytes, size: int = 1000) -> list[str | bytes]:
    return [message[at : at + size] for at in range(0, len(message), size)] or [message]


def octets(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message


def parameters(answer: str | None) -> set[str]:
    """The parameters of permessage-deflate that a server's answer names."""
    name, *given = (answer or "").replace(" ", "").split(";")
    assert name == "permessage-deflate", f"no compression was agreed on: {answer!r}"
    return set(given)


def assert_within(way: Way, sent: Sequence[str | bytes], bits: int, *, keeps: bool) -> None:
    """See that all was compressed, and that a window of so many bits is enough to read it."""
    messages = way.messages()
    assert [message.is_compressed for message in messages] == [True] * len(sent)
    assert inflated(messages, bits, keeps=keeps) == [octets(message) for message in sent]
