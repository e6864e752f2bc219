"""What a server is left with: one end of a dead pair, in place of the client's connection.

Nothing that the server writes can reach the client, what it reads is the end,
and once it drops its end the pair's far end reads as ended: the call is over."""

from __future__ import annotations

import os
import socket
from _socket import socket as PlainSocket, socketpair
from typing import Any, NoReturn


def dead_pair() -> tuple[PlainSocket, PlainSocket]:
    """Make two ends of which the first reads as ended, and the second as soon as that is closed."""
    near, far = socketpair()
    far.shutdown(socket.SHUT_WR)
    far.setblocking(False)
    return near, far


def replace(fd: int, near: PlainSocket) -> None:
    """Put near in the place of the server's descriptor, which the server goes on using."""
    # The server's object goes on believing in the mode it set.
    os.set_blocking(near.fileno(), os.get_blocking(fd))
    os.dup2(near.fileno(), fd, inheritable=False)
    near.close()


def bury(sock: Any, near: PlainSocket) -> None:
    """Have a TLS socket's methods lead to near, for whoever goes on using the object.

    OpenSSL keeps the number of the descriptor, so that cannot be replaced. What
    the object stands for is still there for who took _sslobj and the descriptor."""
    sock._dead_end = near
    sock.__class__ = _buried(type(sock))


def _buried(kind: type) -> type:
    # As large as its parent, or __class__ could not be set to it.
    body = {"__slots__": (), "__module__": __name__}
    return type(f"Buried{kind.__name__}", (_Buried, kind), body)


class _Buried:
    """The methods of a TLS socket whose connection was taken: all it can do is end."""

    __slots__ = ()
    _dead_end: PlainSocket

    @property
    def _sock(self) -> Any:
        # gevent's pywsgi reaches for the socket beneath.
        return self

    def fileno(self) -> int:
        return self._dead_end.fileno()

    def recv(self, *_: Any) -> bytes:
        return b""

    def recv_into(self, *_: Any) -> int:
        return 0

    def read(self, _: int = 0, buffer: Any = None) -> bytes | int:
        return b"" if buffer is None else 0

    def send(self, data: Any, *_: Any) -> int:
        return memoryview(data).nbytes

    write = send

    def sendall(self, *_: Any) -> None:
        """Nothing to do: nobody would read it."""

    def sendmsg(self, buffers: Any, *_: Any) -> int:
        return sum(memoryview(each).nbytes for each in buffers)

    def sendfile(self, *_: Any) -> NoReturn:
        raise BrokenPipeError("the connection was taken over by faye_sync")

    unwrap = sendfile

    def pending(self) -> int:
        return 0

    def shutdown(self, how: int) -> None:
        self._dead_end.shutdown(how)

    def settimeout(self, _: float | None) -> None:
        """Nothing to do: no call of this object waits."""

    setblocking = settimeout

    def close(self) -> None:
        self._dead_end.close()

    def detach(self) -> int:
        return self._dead_end.detach()

    def _decref_socketios(self) -> None:
        """Nothing to do: files made of this socket hold nothing open."""
