"""Under TLS: one thread of each connection sends as fast as it can while another receives."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterable

from faye_sync import WebSocket
from tests.support.app import QUESTIONS
from tests.support.parallel import in_parallel

SIZES = (0, 1, 125, 4_000, 16_384, 70_000)  # octets, each side of TLS's records


def duplex(ws: WebSocket) -> None:
    """Until the peer says stop: send messages, and digest those that come; then tell the digests."""
    sent, received = hashlib.sha256(), hashlib.sha256()
    is_over = False

    def send() -> None:
        while not is_over:
            message = os.urandom(random.choice(SIZES))
            sent.update(message)
            ws.send(message)

    sender = in_parallel(send)
    for message in ws:
        if isinstance(message, str):
            break
        received.update(message)
    is_over = True
    sender.join()
    ws.send(json.dumps({"sent": sent.hexdigest(), "received": received.hexdigest()}))


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path in QUESTIONS:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(QUESTIONS[path]()).encode()]
    return WebSocket(environ, ping=0.05).start(duplex)(environ, start_response)
