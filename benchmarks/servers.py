"""The servers that suite.py compares, each run in a process of its own.

    python benchmarks/servers.py NAME [CERTIFICATE]

Prints its port, and serves until it is ended: at /echo each message goes back,
at /broadcast to all who are connected there, at /sink it is dropped, and a text
is answered. With a file of a certificate and its key, under TLS. "raw" and "raw
whole" are the limit: loops over the bare socket that send back what came, frames
and all; "raw each" sends a frame for each that came."""

# ruff: noqa: D103, INP001, PLC0415, T201

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MOST = 2**26  # octets of a message
Environ = dict[str, Any]


listeners: set[Any] = set()


def listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    return listener


def context() -> ssl.SSLContext | None:
    """What TLS needs; None where the server is to speak without."""
    if len(sys.argv) < 3:  # the program, the name, the certificate
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(sys.argv[2])
    return made


# --- the limit ----------------------------------------------------------------------------------------


def shake_hands(sock: socket.socket) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    key = fields[b"Sec-WebSocket-Key"]
    token = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
    )


def echo_what_comes(sock: socket.socket) -> None:
    while octets := sock.recv(65536):
        sock.sendall(octets)


def echo_whole_messages(sock: socket.socket) -> None:
    """Like the other, but for a message of megabytes that is received in its place."""
    header = sock.recv(14, socket.MSG_PEEK | socket.MSG_WAITALL)
    size = int.from_bytes(header[2:10], "big") if header[1] & 127 == 127 else 65536
    buffer = bytearray(size + 14)
    view = memoryview(buffer)
    while True:
        received = 0
        while received < len(buffer):
            count = sock.recv_into(view[received:])
            if not count:
                return
            received += count
        sock.sendall(buffer)


def send_each(sock: socket.socket) -> None:
    """Send as often as a server that answers message by message; for frames of 32 octets alone."""
    frame = b"\x82 " + bytes(ord("a") + i % 23 for i in range(32))
    while octets := sock.recv(65536):
        for _ in range(octets.count(octets[:6])):
            sock.sendall(frame)


def raw(loop: Callable[[socket.socket], None]) -> None:
    def talk(sock: socket.socket) -> None:
        with sock:
            shake_hands(sock)
            loop(sock)

    listener, tls = listen(), context()
    while True:
        sock, _ = listener.accept()
        if tls is not None:
            sock = tls.wrap_socket(sock, server_side=True)
        threading.Thread(target=talk, args=(sock,), daemon=True).start()


# --- this library ---------------------------------------------------------------------------------------


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    from faye_sync import WebSocket, broadcast

    def echo(ws: WebSocket) -> None:
        for message in ws:
            ws.send(message)

    def spread(ws: WebSocket) -> None:
        listeners.add(ws)
        for message in ws:
            broadcast(listeners, message)

    def sink(ws: WebSocket) -> None:
        for message in ws:
            if isinstance(message, str):
                ws.send(message)

    ws = WebSocket(environ, max_length=MOST)
    talk = {"/broadcast": spread, "/sink": sink}.get(environ["PATH_INFO"], echo)
    return ws.start(talk)(environ, start_response)


def on_werkzeug(app: Callable[..., Any]) -> None:
    from werkzeug.serving import make_server

    fd = listen().detach()
    make_server("127.0.0.1", 0, app, True, fd=fd, ssl_context=context()).serve_forever()


def on_gunicorn(app: Callable[..., Any]) -> None:
    """Serve with one worker of threads, one for each connection that the workloads have."""
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        def load_config(self) -> None:
            settings = {"worker_class": "gthread", "threads": 2100, "worker_connections": 4000}
            for name, value in {
                **settings,
                "bind": f"fd://{fd}",
                "loglevel": "error",
                "graceful_timeout": 1,
            }.items():
                self.cfg.set(name, value)

        def load(self) -> Callable[..., Any]:
            return app

    fd = listen().detach()
    Application().run()


def on_gevent(app: Callable[..., Any], **options: Any) -> None:
    from gevent import pywsgi, socket as gevent_socket

    sock = gevent_socket.socket(fileno=listen().detach())
    if (tls := context()) is not None:
        options["ssl_context"] = tls
    pywsgi.WSGIServer(sock, app, log=None, **options).serve_forever()


# --- peers ------------------------------------------------------------------------------------------------


def flask_sock() -> Callable[..., Any]:
    from flask import Flask
    from flask_sock import Sock

    app = Flask(__name__)
    app.config["SOCK_SERVER_OPTIONS"] = {"max_message_size": MOST}
    sock = Sock(app)

    @sock.route("/echo")
    def echo(ws: Any) -> None:
        while True:
            ws.send(ws.receive())

    @sock.route("/broadcast")
    def spread(ws: Any) -> None:
        listeners.add(ws)
        while True:
            message = ws.receive()
            for each in tuple(listeners):
                each.send(message)

    return app


def websockets_sync() -> None:
    from websockets.sync.server import ServerConnection, serve

    def talk(ws: ServerConnection) -> None:
        if ws.request is not None and ws.request.path == "/broadcast":
            listeners.add(ws)
        for message in ws:
            for each in tuple(listeners) or (ws,):
                each.send(message)

    with serve(talk, sock=listen(), ssl=context(), max_size=MOST) as server:
        server.serve_forever()


def gevent_websocket() -> None:
    from geventwebsocket.handler import WebSocketHandler

    def app(environ: Environ, _: Callable[..., Any]) -> Iterable[bytes]:
        ws = environ["wsgi.websocket"]
        if environ["PATH_INFO"] == "/broadcast":
            listeners.add(ws)
        while (message := ws.receive()) is not None:
            for each in tuple(listeners) or (ws,):
                each.send(message)
        return ()

    on_gevent(app, handler_class=WebSocketHandler)


def aiohttp() -> None:
    from aiohttp import WSMsgType, web

    async def talk(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=MOST)
        await ws.prepare(request)
        if request.path == "/broadcast":
            listeners.add(ws)
        async for message in ws:
            for each in tuple(listeners) or (ws,):
                if message.type is WSMsgType.TEXT:
                    await each.send_str(message.data)
                else:
                    await each.send_bytes(message.data)
        return ws

    app = web.Application()
    app.add_routes([web.get("/echo", talk), web.get("/broadcast", talk)])
    web.run_app(app, sock=listen(), ssl_context=context(), print=None)


def picows() -> None:
    import asyncio

    from picows import (
        WSFrame,
        WSListener,
        WSMsgType,
        WSTransport,
        WSUpgradeRequest,
        ws_create_server,
    )

    class Echo(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
                return
            for each in tuple(listeners) or (transport,):
                each.send(frame.msg_type, frame.get_payload_as_memoryview())

        def on_ws_disconnected(self, transport: WSTransport) -> None:
            listeners.discard(transport)

    class Spread(Echo):
        def on_ws_connected(self, transport: WSTransport) -> None:
            listeners.add(transport)

    def listener_of(request: WSUpgradeRequest) -> WSListener:
        return Spread() if request.path == b"/broadcast" else Echo()

    async def run() -> None:
        server = await ws_create_server(
            listener_of, sock=listen(), ssl=context(), max_frame_size=MOST
        )
        await server.serve_forever()

    asyncio.run(run())


SERVERS: dict[str, Callable[[], None]] = {
    "raw": lambda: raw(echo_what_comes),
    "raw whole": lambda: raw(echo_whole_messages),
    "raw each": lambda: raw(send_each),
    "faye_sync": lambda: on_werkzeug(application),
    "faye_sync pure": lambda: on_werkzeug(application),
    "faye_sync gthread": lambda: on_gunicorn(application),
    "faye_sync gevent": lambda: on_gevent(application),
    "flask-sock": lambda: on_werkzeug(flask_sock()),
    "flask-sock gthread": lambda: on_gunicorn(flask_sock()),
    "websockets": websockets_sync,
    "gevent-websocket": gevent_websocket,
    "aiohttp": aiohttp,
    "picows": picows,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]]()
