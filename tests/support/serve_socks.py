"""tiny-proxy as a SOCKS server: `serve_socks.py PORT socks4`, or `PORT socks5 [USER PASSWORD]`."""

from __future__ import annotations

import sys

import anyio
from tiny_proxy import Socks4ProxyHandler, Socks5ProxyHandler

HANDLERS = {"socks4": Socks4ProxyHandler, "socks5": Socks5ProxyHandler}


async def main(port: str, protocol: str, *login: str) -> None:
    handler = HANDLERS[protocol](*login)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=int(port))
    print("serving", flush=True)
    await listener.serve(handler.handle)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
