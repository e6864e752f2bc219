"""What a server is left with: one end of a dead pair, in place of the client's connection.

Nothing that the server writes can reach the client, what it reads is the end,
and once it drops its end the pair's far end reads as ended: the call is over.
A forked child gives up its copies, or the parent would wait for it to end too."""

from __future__ import annotations

import os
import socket
from _socket import socket as PlainSocket, socketpair
from functools import cache
from typing import Any, NoReturn


class FarEnd(PlainSocket):
    """The library's end of a dead pair."""

    __slots__ = ("_near", "drained")

    def __init__(self, fd: int) -> None:
        super().__init__(fileno=fd)
        self._near: tuple[int, int] | None = None
        # Octets that the server wrote to nobody.
        self.drained = 0
        _far_ends.add(self)

    def faces(self, fd: int) -> None:
        """Say where the near end has come to lie: the descriptor that the server has."""
        self._near = fd, os.fstat(fd).st_ino

    def close(self) -> None:
        _far_ends.discard(self)
        super().close()

    def abandon(self) -> None:
        """Give up, in a forked child, the copies of both ends, the server's number staying taken."""
        if self._near is not None and _lies_at(*self._near):
            dead, other = socketpair()
            other.close()
            os.dup2(dead.fileno(), self._near[0], inheritable=False)
            dead.close()
        self.close()


# Those that are not closed yet.
_far_ends: set[FarEnd] = set()


def dead_pair() -> tuple[PlainSocket, FarEnd]:
    """Make two ends of which the first reads as ended, and the second as soon as that is closed."""
    near, far = socketpair()
    far_end = FarEnd(far.detach())
    far_end.shutdown(socket.SHUT_WR)
    far_end.setblocking(False)
    return near, far_end


def replace(fd: int, near: PlainSocket, far_end: FarEnd) -> None:
    """Put near in the place of the server's descriptor, which the server goes on using."""
    # The server's object goes on believing in the mode it set.
    os.set_blocking(near.fileno(), os.get_blocking(fd))
    os.dup2(near.fileno(), fd, inheritable=False)
    near.close()
    far_end.faces(fd)


def bury(sock: Any, near: PlainSocket, far_end: FarEnd) -> None:
    """Have a TLS socket's methods lead to near, for whoever goes on using the object.

    OpenSSL keeps the number of the descriptor, so that cannot be replaced. What
    the object stands for is still there for who took _sslobj and the descriptor."""
    sock._dead_end = near
    sock.__class__ = _buried(type(sock))  # type: ignore[arg-type]  # every class can be hashed
    far_end.faces(near.fileno())


def _lies_at(fd: int, inode: int) -> bool:
    """Whether a descriptor is still what it was, and not closed or another by now."""
    try:
        return os.fstat(fd).st_ino == inode
    except OSError:
        return False


@cache
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

    @property
    def _sslobj(self) -> None:
        # Whoever takes the connection a second time gets the dead end.
        return None

    def fileno(self) -> int:
        return self._dead_end.fileno()

    def recv(self, *_: Any) -> bytes:
        return b""

    def recv_into(self, *_: Any) -> int:
        return 0

    def read(self, _: int = 0, buffer: Any = None) -> bytes | int:
        return b"" if buffer is None else 0

    def send(self, data: Any, *_: Any) -> int:
        try:
            # What the far end cannot hold is lost: whoever wrote it must not wait.
            self._dead_end.send(data, socket.MSG_DONTWAIT)
        except OSError:
            # Nobody listens there, or not fast enough, as on a line that is dead.
            return memoryview(data).nbytes
        return memoryview(data).nbytes

    write = send

    def sendall(self, data: Any, *_: Any) -> None:
        self.send(data)

    def sendmsg(self, buffers: Any, *_: Any) -> int:
        return sum(map(self.send, buffers))

    def sendfile(self, *_: Any) -> NoReturn:
        raise BrokenPipeError("the connection was taken over by faye_sync")

    unwrap = sendto = recvfrom = recvfrom_into = recvmsg = recvmsg_into = sendfile

    def pending(self) -> int:
        return 0

    def shutdown(self, how: int) -> None:
        self._dead_end.shutdown(how)

    def settimeout(self, _: float | None) -> None:
        """Nothing to do: no call of this object waits."""

    setblocking = settimeout

    def do_handshake(self, *_: Any) -> None:
        """Nothing to do: it was done long ago."""

    def setsockopt(self, *_: Any) -> None:
        """Nothing to do: the connection is not the server's any more."""

    def close(self) -> None:
        self._dead_end.close()

    def detach(self) -> int:
        return self._dead_end.detach()

    def _decref_socketios(self) -> None:
        """Nothing to do: files made of this socket hold nothing open."""


def _abandon() -> None:
    for far_end in list(_far_ends):
        far_end.abandon()


os.register_at_fork(after_in_child=_abandon)
