"""The package websockets as a server that compresses, on an inherited listening socket.

    python tests/support/deflate_server.py sync 3
    python tests/support/deflate_server.py asyncio 3

The path says on which terms, and how messages are sent back: /forgetting/echo, /bits-9/fragments."""

import asyncio
import signal
import socket
import sys
from contextlib import suppress

from websockets.asyncio.server import serve as serve_on_a_loop
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.sync.server import serve as serve_on_threads

FACTORIES = {
    "default": ServerPerMessageDeflateFactory(),
    "forgetting": ServerPerMessageDeflateFactory(
        server_no_context_takeover=True, client_no_context_takeover=True
    ),
    "bits-9": ServerPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=9),
}


def agree(ws, request):
    """Offer what the path names; called before the extensions are agreed on."""
    _, terms, _ = request.path.split("/")
    ws.protocol.available_extensions = [FACTORIES[terms]]


def parts_of(ws, message):
    if ws.request.path.endswith("/echo"):
        return message
    return [message[at : at + 1000] for at in range(0, len(message), 1000)] or [message]


def talk(ws):
    with suppress(ConnectionClosed):
        for message in ws:
            ws.send(parts_of(ws, message))


async def async_talk(ws):
    with suppress(ConnectionClosed):
        async for message in ws:
            await ws.send(parts_of(ws, message))


def on_threads(sock, **options):
    serve_on_threads(talk, sock=sock, **options).serve_forever()


def on_a_loop(sock, **options):
    async def run():
        async with serve_on_a_loop(async_talk, sock=sock, **options) as server:
            await server.serve_forever()

    asyncio.run(run())


STYLES = {"sync": on_threads, "asyncio": on_a_loop}

if __name__ == "__main__":
    _, style, descriptor = sys.argv
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sock = socket.socket(fileno=int(descriptor))
    STYLES[style](sock, process_request=agree, max_size=None)
