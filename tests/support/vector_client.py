"""Plays the cases of a client: its handshake as it is in the library, but for the socket."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from types import SimpleNamespace
from unittest.mock import patch
from urllib.parse import urlsplit

import requests

from faye_sync.concurrency import THREADS
from faye_sync.driver import client_handshake
from faye_sync.driver.hybi import HybiClient
from faye_sync.errors import HandshakeError, ProxyError
from faye_sync.outage import final_event
from faye_sync.transport import hops
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.proxies import proxy_of, tunnel
from faye_sync.transport.request import check_request_headers, check_url
from faye_sync.transport.upgrade import Opened, upgrade
from faye_sync.transport.wayfinder import Wayfinder
from tests.support.vector_player import MAX_LENGTH, Case, Player, Step


class Unanswered(TimeoutError):
    """The request is on its way, and no octet of an answer has come."""


class Octets:
    """A pipe that holds what is sent, and hands out pieces of what was received."""

    def __init__(self, pieces: Iterable[bytes] = ()) -> None:
        self.sent = b""
        self.pieces = list(pieces)

    def recv(self) -> bytes:
        if not self.pieces:
            raise Unanswered
        return self.pieces.pop(0)

    def send_all(self, data: bytes) -> None:
        self.sent += data


def bare() -> requests.Session:
    """A session that adds nothing of its own."""
    session = requests.Session()
    session.headers.clear()
    session.trust_env = False
    return session


class ClientPlayer(Player):
    """A client's connection. The handshake is done at once when its answer is there."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        options = case["options"]
        self.state = None
        self.url = check_url(case["url"])
        self.driver = HybiClient(protocols=options.get("protocols", ()), max_length=MAX_LENGTH)
        self._key = base64.b64decode(case["client_key"])
        self._headers: list[tuple[str, str]] = []
        self._opened_by: Opened | None = None

    def final(self) -> dict[str, object]:
        found = {"state": self.state, "version": self.driver.version, "url": self.url}
        if self._opened_by is not None:
            head = self._opened_by.head
            fields = {name.lower(): value for name, value in head.fields}
            found |= {"status": head.status, "response_headers": fields}
        return found | {"protocol": self.driver.protocol}

    def begin(self) -> bool:
        return self.state is not None

    def set_header(self, step: Step, _: object) -> bool:
        self._headers.append((step["name"], step["value"]))
        return True

    def start(self, _: Step, __: object) -> bool:
        self.state = "connecting"
        pipe = Octets()
        try:
            self._shake_hands(pipe)
        except Unanswered:
            self.outcome.out = pipe.sent
        return True

    def close(self, step: Step, pieces: Iterable[bytes]) -> bool:
        if self.state is not None:
            return super().close(step, pieces)
        # Client.close() before it has dialed: there is nobody to tell.
        self._end(step.get("code", 1000), step.get("reason", ""))
        return True

    def parse(self, step: Step, pieces: Iterable[bytes]) -> None:
        if self.state != "connecting":
            super().parse(step, pieces)
            return
        pipe = Octets(pieces)
        try:
            self._opened_by = self._shake_hands(pipe)
        except HandshakeError as error:
            self.tell("error", str(error))
            final = final_event(error)
            self._end(final.code, final.reason)
            return
        self.driver.start()
        self.take_events()
        for piece in (self._opened_by.early, *pipe.pieces):
            self.feed(piece)

    def _shake_hands(self, pipe: Octets) -> Opened:
        """Ask, and read the answer; the same request each time, because of the key."""
        route = SimpleNamespace(pipe=pipe, close=lambda: None)
        ways = Wayfinder(session=bare(), auth=None, proxy=False, tls=None, ca=None, net=None)
        with (
            patch.object(hops, "open_route", lambda *_, **__: route),
            patch.object(client_handshake.os, "urandom", lambda size: self._key[:size]),
            Attempt(THREADS, None) as one,
        ):
            return upgrade(
                ways, self.url, check_request_headers(tuple(self._headers)), self.driver, one
            )


class ProxyPlayer(Player):
    """A client's tunnel through a proxy."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self._case = case
        self._headers: list[tuple[str, str]] = []
        self._status: int | None = None

    def final(self) -> dict[str, object]:
        return {"proxy_status": self._status}

    def proxy_set_header(self, step: Step, _: object) -> bool:
        self._headers.append((step["name"], step["value"]))
        return True

    def proxy_start(self, _: Step, __: object) -> bool:
        pipe = Octets()
        try:
            self._tunnel(pipe)
        except Unanswered:
            self.outcome.out = pipe.sent
        return True

    def proxy_write(self, _: Step, pieces: Iterable[bytes]) -> bool:
        try:
            self._tunnel(Octets(pieces))
        except ProxyError as error:
            self._status = error.status_code
            self.tell("proxy_error", str(error))
        else:
            self.tell("proxy_connect")
        return True

    def _tunnel(self, pipe: Octets) -> None:
        host = urlsplit(self._case["url"]).hostname
        proxy = proxy_of(self._case["proxy_origin"], tuple(self._headers))
        with Attempt(THREADS, None) as one:
            tunnel(pipe, proxy, host, 80, one)
