"""A tunnel through a SOCKS proxy: 4, 4a and 5 (RFC 1928, RFC 1929).

PySocks knows the protocols; here it reads and writes a pipe, so that each wait
is bounded by the attempt. It is imported only where it is in use."""

from __future__ import annotations

import socket
from contextlib import closing
from importlib import import_module
from typing import Any, NamedTuple

from faye_sync.errors import ConfigurationError, ProxyError
from faye_sync.transport.addresses import look_up
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.pipe import Pipe

# Octets of what PySocks puts behind one octet of length: above, it writes two, of UTF-8.
_LONGEST = 127


class Scheme(NamedTuple):
    """What a scheme stands for: the protocol's version, and what the proxy is told.

    Attributes:
        version: 4 or 5.
        takes_names: Whether the proxy looks hosts up, not this machine.
        family: Of the addresses that it takes.
    """

    version: int
    takes_names: bool
    family: int


SCHEMES = {
    "socks4": Scheme(4, takes_names=False, family=socket.AF_INET),
    "socks4a": Scheme(4, takes_names=True, family=socket.AF_INET),
    "socks5": Scheme(5, takes_names=False, family=socket.AF_UNSPEC),
    "socks5h": Scheme(5, takes_names=True, family=socket.AF_UNSPEC),
}


class Login(NamedTuple):
    """Who asks; SOCKS4 has no passwords."""

    username: str | None = None
    password: str | None = None


def check_socks(scheme: str, login: Login) -> None:
    """Refuse what PySocks would not send as it is.

    Args:
        scheme: One of SCHEMES.
        login: From the proxy's URL.

    Raises:
        ConfigurationError: It would not, or is not installed.
    """
    _pysocks()
    if SCHEMES[scheme].version == 4:
        if "\0" in (login.username or ""):
            raise ConfigurationError(f"{scheme}: a user name has no NUL")
        return
    if bool(login.username) is not bool(login.password):
        raise ConfigurationError(f"{scheme}: user name and password go together")
    if any(len((part or "").encode()) > _LONGEST for part in login):
        raise ConfigurationError(
            f"{scheme}: user name and password may have {_LONGEST} octets each"
        )


def connect_by_socks(
    pipe: Pipe, who: str, scheme: str, login: Login, host: str, port: int, attempt: Attempt
) -> None:
    """Have a SOCKS proxy connect to a server.

    Args:
        pipe: To the proxy; leads to the server afterwards.
        who: The proxy, for the texts of errors.
        scheme: One of SCHEMES.
        login: check_socks() let it through.
        host: Of the server, without brackets.
        port: Of the server.
        attempt: Its deadline, and who may call it off.

    Raises:
        ProxyError: It did not.
        ConfigurationError: The proxy cannot be told that host.
        OSError: Of a look-up, or as the pipe raises it, TimeoutError too.
        CalledOff: So it was.
    """
    known = SCHEMES[scheme]
    if not known.takes_names:
        phase = attempt.phase
        host = look_up(host, port, known.family, attempt)[0].sockaddr[0]
        attempt.phase = phase
    else:
        _check_name(scheme, host)
    wire = _Wire(pipe)
    pysocks = _pysocks()
    try:
        _negotiate(pysocks, wire, known.version, login, host, port)
    except pysocks.ProxyError as error:
        raise ProxyError(f"{who} did not connect to {host} port {port}: {error}") from error
    if wire.rest:
        raise ProxyError(f"{who} sent octets behind its answer")


class _Wire:
    """Both files that PySocks wants of a socket, on a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._unsent = b""
        self.rest = b""

    def write(self, data: bytes) -> None:
        self._unsent += data

    def flush(self) -> None:
        unsent, self._unsent = self._unsent, b""
        self._pipe.send_all(unsent)

    def read(self, count: int) -> bytes:
        if not self.rest:
            self.rest = self._pipe.recv()
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def close(self) -> None:
        """Nothing to do: the pipe goes on."""


def _negotiate(pysocks: Any, wire: _Wire, version: int, login: Login, host: str, port: int) -> None:
    # A socket that is never connected: PySocks' methods want one to be theirs.
    with closing(pysocks.socksocket()) as negotiator:
        negotiator.makefile = lambda *_: wire
        # Of eventlet's sockets this and settimeout(), as PySocks has it, call each other for ever.
        negotiator.setblocking = lambda _: None
        kind = pysocks.SOCKS4 if version == 4 else pysocks.SOCKS5
        negotiator.set_proxy(kind, username=login.username, password=login.password)
        # connect() would open a connection of its own, one address after the other.
        if version == 4:
            negotiator._negotiate_SOCKS4(host, port)
        else:
            negotiator._negotiate_SOCKS5(host, port)


def _check_name(scheme: str, host: str) -> None:
    try:
        octets = host.encode("idna")
    except UnicodeError as error:
        raise ConfigurationError(f"{scheme}: {host!r} is no host name: {error}") from error
    if len(octets) > _LONGEST or b"\0" in octets:
        raise ConfigurationError(
            f"{scheme}: a host name may have {_LONGEST} octets and no NUL, got {host!r}"
        )


def _pysocks() -> Any:
    try:
        return import_module("socks")
    except ImportError as error:
        raise ConfigurationError(
            "a SOCKS proxy needs PySocks: pip install faye_sync[socks]"
        ) from error
