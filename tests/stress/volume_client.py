"""Send one message of so many MiB through one connection, and tell what that took.

Usage: python -m tests.stress.volume_client threads|gevent plain|deflate count|echo MIB URL"""

from __future__ import annotations

import sys

if sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()

import json
import os
import threading
from itertools import repeat

from faye_sync import Client, PerMessageDeflate
from tests.support.resident import resident_now, resident_peak

PATIENCE = 60.0  # seconds for each part
# A third of it is new to a window of 32 KiB, so that there is something to compress.
PART = (os.urandom(11_000) + bytes(22_000)) * 8


def main() -> None:
    _, _, packing, deed, size, url = sys.argv
    parts = int(size) * 2**20 // len(PART)
    extensions = [PerMessageDeflate] if packing == "deflate" else []
    with Client(f"{url}{deed}", extensions=extensions, send_timeout=PATIENCE) as ws:
        assert len(ws.extensions) == len(extensions)
        ws.send("begin")
        before = resident_now()
        come = pass_through(ws, deed, parts)
        peak = resident_peak()
        ws.send("end")
        server = int(ws.receive(PATIENCE))
    print(json.dumps({"lost": parts * len(PART) - come, "client": peak - before, "server": server}))


def pass_through(ws: Client, deed: str, parts: int) -> int:
    """Return how many octets came through."""
    if deed == "count":
        ws.send_stream(repeat(PART, parts))
        return int(ws.receive(PATIENCE))
    sender = threading.Thread(target=ws.send_stream, args=[repeat(PART, parts)])
    sender.start()
    size = sum(map(len, ws.receive_stream(PATIENCE)))
    sender.join(PATIENCE)
    return size


main()
