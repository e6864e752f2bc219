"""The way to a server: a TCP connection, a proxy's tunnel, TLS, in whichever order they come."""

from __future__ import annotations

from _socket import socket as PlainSocket
from dataclasses import dataclass

from faye_sync.concurrency import Concurrency
from faye_sync.errors import ConfigurationError
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.dial import Net, connect
from faye_sync.transport.pipe import Pipe, SocketPipe
from faye_sync.transport.proxies import Proxy, tunnel
from faye_sync.transport.stream import Stream, open_stream
from faye_sync.transport.tls_client import TlsSettings
from faye_sync.transport.tls_memory import MemoryTlsStream, TlsPipe


@dataclass(frozen=True, slots=True)
class Route:
    """An open way to a server, owned by whoever opened it.

    Attributes:
        sock: The connected socket at the bottom.
        pipe: What to talk through while dialing.
    """

    sock: PlainSocket
    pipe: Pipe

    def stream(self, world: Concurrency) -> Stream:
        """Turn it into what a connection reads from and writes to; the pipe is done with."""
        if isinstance(self.pipe, TlsPipe):
            return MemoryTlsStream(self.sock, self.pipe.codec, world)
        return open_stream(self.sock, world)

    def close(self) -> None:
        """Give up the descriptor."""
        self.sock.close()


def open_route(
    host: str,
    port: int,
    tls: TlsSettings | None,
    proxy: Proxy | None,
    net: Net,
    attempt: Attempt,
    *,
    tunnels: bool = True,
) -> Route:
    """Connect to a server, all within the attempt's deadline.

    Args:
        host: Of the server, without brackets.
        port: Of the server.
        tls: For wss.
        proxy: To go through, or None.
        net: How to open sockets.
        attempt: Its deadline, and who may call it off.
        tunnels: Whether the way leads through the proxy, or ends there.

    Returns:
        The open way; no descriptor is left where an error is raised.

    Raises:
        ProxyError: The proxy did not lead there.
        OSError: The network, or TLS, as it says.
        TimeoutError: The deadline passed.
    """
    sock = connect(host, port, net, attempt) if proxy is None else _connect_to(proxy, net, attempt)
    try:
        pipe: Pipe = SocketPipe(sock, attempt)
        if proxy is not None:
            pipe = _to_proxy(pipe, proxy, attempt)
            if tunnels:
                attempt.phase = f"waiting for the answer of the proxy {proxy.host}"
                tunnel(pipe, proxy, host, port, attempt)
        if tls is not None:
            attempt.phase = f"TLS handshake with {host}"
            pipe = TlsPipe(pipe, tls)
    except BaseException:
        sock.close()
        raise
    return Route(sock, pipe)


def _connect_to(proxy: Proxy, net: Net, attempt: Attempt) -> PlainSocket:
    return connect(proxy.host, proxy.port, net, attempt)


def _to_proxy(pipe: Pipe, proxy: Proxy, attempt: Attempt) -> Pipe:
    if proxy.scheme != "https":
        return pipe
    attempt.phase = f"TLS handshake with the proxy {proxy.host}"
    return TlsPipe(pipe, _required(proxy.tls))


def _required(tls: TlsSettings | None) -> TlsSettings:
    if tls is None:
        raise ConfigurationError("a proxy with https needs TLS settings")
    return tls
