"""The package websockets as a server on an inherited listening socket, for reference_server.py.

python tests/support/serve_reference.py sync 3
python tests/support/serve_reference.py asyncio 3 chain.pem key.pem
"""

import asyncio
import json
import signal
import socket
import ssl
import sys
from contextlib import suppress
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve as serve_on_a_loop
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve as serve_on_threads

BIG = 8 * 2**20
SPOKEN = ("chat", "mqtt")
CLOSES = {}


def select(ws, offered):
    return next((name for name in offered if name in SPOKEN), None)


def head_of(ws):
    headers = [[name.lower(), value] for name, value in ws.request.headers.raw_items()]
    seen = {"path": ws.request.path, "headers": headers, "protocol": ws.subprotocol}
    return json.dumps({**seen, "peer": list(ws.remote_address)})


def asked(message):
    code, _, reason = message.partition(" ")
    return int(code), reason


def note_of(ws):
    return parse_qs(urlsplit(ws.request.path).query).get("note", [None])[0]


def take_note(ws):
    if note := note_of(ws):
        CLOSES[note] = [ws.close_code, ws.close_reason]


# --- on threads ---------------------------------------------------------------------------------------


def echo(ws):
    for message in ws:
        ws.send(message)


def head(ws):
    ws.send(head_of(ws))
    echo(ws)


def fragments(ws):
    ws.send(["one ", "", "two ", "three"])
    ws.send([b"\x00", b"", b"\xff" * 70000])
    echo(ws)


def ping(ws):
    if ws.ping(b"\x00\xff" * 62).wait(20):
        ws.send("answered")
    echo(ws)


def both(ws):
    ws.send(bytes(BIG))
    ws.send(sha256(ws.recv()).hexdigest())
    echo(ws)


def part(ws):
    ws.close(*asked(ws.recv()))


def closes(ws):
    ws.send(json.dumps(CLOSES))


TALKS = {
    "/echo": echo,
    "/head": head,
    "/fragments": fragments,
    "/ping": ping,
    "/both": both,
    "/part": part,
    "/closes": closes,
}


def talk(ws):
    with suppress(ConnectionClosed):
        TALKS[urlsplit(ws.request.path).path](ws)
    ws.close()
    take_note(ws)


def on_threads(sock, **options):
    serve_on_threads(talk, sock=sock, **options).serve_forever()


# --- on a loop ----------------------------------------------------------------------------------------


async def async_echo(ws):
    async for message in ws:
        await ws.send(message)


async def async_head(ws):
    await ws.send(head_of(ws))
    await async_echo(ws)


async def async_fragments(ws):
    await ws.send(["one ", "", "two ", "three"])
    await ws.send([b"\x00", b"", b"\xff" * 70000])
    await async_echo(ws)


async def async_ping(ws):
    await (await ws.ping(b"\x00\xff" * 62))
    await ws.send("answered")
    await async_echo(ws)


async def async_both(ws):
    _, message = await asyncio.gather(ws.send(bytes(BIG)), ws.recv())
    await ws.send(sha256(message).hexdigest())
    await async_echo(ws)


async def async_part(ws):
    await ws.close(*asked(await ws.recv()))


async def async_closes(ws):
    await ws.send(json.dumps(CLOSES))


async def async_talk(ws):
    with suppress(ConnectionClosed):
        await globals()[f"async_{urlsplit(ws.request.path).path[1:]}"](ws)
    await ws.close()
    take_note(ws)


def on_a_loop(sock, **options):
    async def run():
        async with serve_on_a_loop(async_talk, sock=sock, **options) as server:
            await server.serve_forever()

    asyncio.run(run())


STYLES = {"sync": on_threads, "asyncio": on_a_loop}

if __name__ == "__main__":
    _, style, descriptor, *files = sys.argv
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    STYLES[style](
        socket.socket(fileno=int(descriptor)),
        ssl=context,
        select_subprotocol=select,
        max_size=None,
    )
