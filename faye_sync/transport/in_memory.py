"""Two ends of a connection that no network has, for an application and its client in one process."""

from __future__ import annotations

import socket
from _socket import socket as PlainSocket, socketpair


def in_memory_pair() -> tuple[socket.socket, PlainSocket]:
    """Make a server's end, as the servers of the standard library know it, and a client's.

    Returns:
        Two sockets, each the caller's to close; the client's does not block.
    """
    server, client = socketpair()
    client.setblocking(False)
    return socket.socket(fileno=server.detach()), client
