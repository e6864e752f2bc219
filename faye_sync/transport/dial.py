"""A TCP connection to the first address of a host that answers (RFC 8305).

Sockets are plain and never block; whatever waits, waits by the attempt. On
every way out all sockets but the one that is returned are closed."""

from __future__ import annotations

import errno
import os
import socket
from _socket import socket as PlainSocket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from faye_sync.errors import ConfigurationError
from faye_sync.readiness import WRITE
from faye_sync.transport.addresses import Address, look_up
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.stream import remote_address, set_no_delay

# Seconds that an address has before the next is tried beside it (RFC 8305 section 5).
STAGGER = 0.25

_FAMILIES = (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6)
_UNDER_WAY = (0, errno.EINPROGRESS)

# By family: where to connect from.
_Sources = dict[int, Any]


@dataclass(frozen=True, slots=True)
class Net:
    """The option net, checked.

    Attributes:
        source_address: Host and port to connect from; "" and 0 leave them to the kernel.
        socket_options: Arguments of setsockopt, set before connecting.
        family: AF_INET or AF_INET6 for that alone; AF_UNSPEC for both.
        unix_path: A Unix socket to connect to, whatever host and port say.
    """

    source_address: tuple[str, int] | None = None
    socket_options: tuple[tuple[Any, ...], ...] = ()
    family: int = socket.AF_UNSPEC
    unix_path: str | bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoNet(Net):
    """In place of a network; no option of users.

    Attributes:
        opener: What gives sockets that are connected.
    """

    opener: Callable[[], PlainSocket]


def net_of(option: Mapping[str, Any] | None) -> Net:
    """Check the option net.

    Args:
        option: As the user gave it; what is None in it counts as not given.

    Returns:
        How sockets are to be opened.

    Raises:
        ConfigurationError: There is no such key, or its value cannot work.
    """
    if option is None:
        return Net()
    if not isinstance(option, Mapping):
        raise ConfigurationError(f"net must be a mapping, got {option!r}")
    if unknown := option.keys() - _CHECKS.keys():
        known = ", ".join(_CHECKS)
        raise ConfigurationError(f"net has {sorted(map(str, unknown))}, allowed are {known}")
    given = {name: value for name, value in option.items() if value is not None}
    if "unix_path" in given and given.keys() & {"source_address", "family"}:
        raise ConfigurationError("net: with unix_path there is no source_address and no family")
    return Net(**{name: _CHECKS[name](value) for name, value in given.items()})


def connect(host: str, port: int, net: Net, attempt: Attempt) -> PlainSocket:
    """Connect to a host, or to the Unix socket that net names in its place.

    Args:
        host: A name, or an address without brackets; IPv6 zones too.
        port: Of the server or the proxy.
        net: How sockets are opened.
        attempt: Its deadline, and who may call it off.

    Returns:
        A connected socket that does not block, without Nagle's delay; the caller's to close.

    Raises:
        OSError: Of look-up or connecting; of several addresses the first error,
            with the others in its text.
        TimeoutError: The deadline passed.
        CalledOff: So it was.
    """
    if isinstance(net, NoNet):
        return net.opener()
    if net.unix_path is not None:
        attempt.phase = f"connecting to {os.fsdecode(net.unix_path)}"
        return Race([Address(socket.AF_UNIX, net.unix_path)], {}, net, attempt).run()
    addresses = look_up(host, port, net.family, attempt)
    if net.source_address is not None:
        sources = _sources(*net.source_address, net.family, attempt)
        addresses = _reachable(addresses, sources, net.source_address[0])
    else:
        sources = {}
    attempt.phase = f"connecting to {host} port {port}"
    return Race(addresses, sources, net, attempt).run()


class Race:
    """Addresses tried one after the other, and beside each other where they are slow."""

    def __init__(
        self, addresses: list[Address], sources: _Sources, net: Net, attempt: Attempt
    ) -> None:
        self._waiting = deque(addresses)
        self._sources = sources
        self._net = net
        self._attempt = attempt
        self._under_way: dict[int, tuple[PlainSocket, Address]] = {}
        self._errors: list[OSError] = []

    def run(self) -> PlainSocket:
        try:
            while self._waiting or self._under_way:
                self._start_next()
                winner = self._first_to_answer()
                if winner is not None:
                    return winner
        finally:
            for sock, _ in self._under_way.values():
                sock.close()
        raise _all_of(self._errors)

    def _start_next(self) -> None:
        while self._waiting:
            address = self._waiting.popleft()
            try:
                sock = self._open(address)
            except OSError as error:
                self._errors.append(error)
            else:
                self._under_way[sock.fileno()] = sock, address
                return

    def _first_to_answer(self) -> PlainSocket | None:
        """Wait until one connects, or one fails, or it is time for the next; which connected."""
        if not self._under_way:
            return None
        limit = STAGGER if self._waiting else None
        for fd, _ in self._attempt.wait([(fd, WRITE) for fd in self._under_way], limit):
            sock, address = self._under_way.pop(fd)
            code = _outcome(sock)
            if code == 0:
                return sock
            sock.close()
            self._errors.append(_error(code, address))
        return None

    def _open(self, address: Address) -> PlainSocket:
        sock = PlainSocket(address.family, socket.SOCK_STREAM)
        try:
            self._begin(sock, address)
        except BaseException:
            sock.close()
            raise
        return sock

    def _begin(self, sock: PlainSocket, address: Address) -> None:
        sock.setblocking(False)
        set_no_delay(sock)
        for option in self._net.socket_options:
            _set(sock, option)
        self._bind(sock)
        code = sock.connect_ex(address.sockaddr)
        if code not in _UNDER_WAY:
            raise _error(code, address)

    def _bind(self, sock: PlainSocket) -> None:
        source = self._sources.get(sock.family)
        if source is None:
            return
        if source[1] != 0:
            # Two addresses that are tried beside each other share the port, and so does the
            # connection before this one for a while (TIME_WAIT).
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(source)
        except OSError as error:
            raise _error(error.errno or 0, f"from {source[0]} port {source[1]}") from error


def _outcome(sock: PlainSocket) -> int:
    """The errno of a connect that ended, 0 if it connected."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    # TCP connects to itself where nobody listens, if the kernel chooses the very port that is
    # dialed (RFC 9293 3.5, simultaneous open): a client that redials a local server meets that.
    if code == 0 and sock.getsockname() == remote_address(sock):
        return errno.ECONNREFUSED
    return code


def _set(sock: PlainSocket, option: tuple[Any, ...]) -> None:
    try:
        sock.setsockopt(*option)
    except OSError as error:
        # No other attempt would go better.
        text = f"net: the kernel refuses {option!r} of socket_options: {error.strerror}"
        raise ConfigurationError(text) from error


def _error(code: int, address: object) -> OSError:
    return OSError(code, f"{os.strerror(code)}: {address}")


def _all_of(errors: list[OSError]) -> OSError:
    """The first error as it is if it is the only one, else with the text of all."""
    first, *others = errors
    if not others:
        return first
    return OSError(first.errno, "; ".join(str(error.strerror) for error in errors))


def _sources(host: str, port: int, family: int, attempt: Attempt) -> _Sources:
    """Where to connect from, by family."""
    if not host:
        return {socket.AF_INET: ("0.0.0.0", port), socket.AF_INET6: ("::", port)}  # noqa: S104  # to connect from, not to listen at
    found = look_up(host, port, family, attempt)
    return {address.family: address.sockaddr for address in reversed(found)}


def _reachable(addresses: list[Address], sources: _Sources, host: str) -> list[Address]:
    reachable = [address for address in addresses if address.family in sources]
    if not reachable:
        tried = ", ".join(map(str, addresses))
        text = f"{os.strerror(errno.EADDRNOTAVAIL)}: from source_address {host!r} to {tried}"
        raise OSError(errno.EADDRNOTAVAIL, text)
    return reachable


def _check_source(value: Any) -> tuple[str, int]:
    host, port = (value, 0) if isinstance(value, str) else _pair(value)
    if isinstance(host, str) and isinstance(port, int) and 0 <= port <= 65535:
        return host, port
    raise ConfigurationError(
        f"net: source_address must be a host or (host, port from 0 to 65535), got {value!r}"
    )


def _pair(value: Any) -> tuple[Any, Any]:
    return tuple(value) if isinstance(value, tuple | list) and len(value) == 2 else (None, None)


def _check_options(value: Any) -> tuple[tuple[Any, ...], ...]:
    options = tuple(map(_check_option, value)) if isinstance(value, tuple | list) else (None,)
    if None in options:
        raise ConfigurationError(
            "net: socket_options must be a list of (level, name, int or bytes), "
            f"as setsockopt takes them, got {value!r}"
        )
    return tuple(option for option in options if option is not None)


def _check_option(value: Any) -> tuple[Any, ...] | None:
    kinds = (int, int, int | bytes | bytearray)
    is_good = isinstance(value, tuple | list) and len(value) == len(kinds)
    return tuple(value) if is_good and all(map(isinstance, value, kinds)) else None


def _check_family(value: Any) -> int:
    if value not in _FAMILIES:
        raise ConfigurationError(
            f"net: family must be socket.AF_INET, AF_INET6 or AF_UNSPEC, got {value!r}"
        )
    return int(value)


def _check_path(value: Any) -> str | bytes:
    path: str | bytes = os.fspath(value) if isinstance(value, str | bytes | os.PathLike) else b""
    octets = os.fsencode(path)
    # A NUL in front makes a name of Linux's own kind (unix(7)); 108 octets fit with the last NUL.
    if not 0 < len(octets) < 108 or b"\0" in octets[1:]:
        raise ConfigurationError(
            f"net: unix_path must be a path of 1 to 107 octets without NUL, got {value!r}"
        )
    return path


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "source_address": _check_source,
    "socket_options": _check_options,
    "family": _check_family,
    "unix_path": _check_path,
}
