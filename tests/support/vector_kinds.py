"""Plays the cases of tests/driver/vectors that are pure functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faye_sync import EventSource, PerMessageDeflate
from faye_sync.driver.extension import Extension, Session
from faye_sync.driver.extension_header import parse_extensions, serialize_params
from faye_sync.driver.handshake import is_websocket
from faye_sync.driver.negotiation import Offered, check_extensions, respond
from tests.support.vector_player import Case, environ_of, url_of

OPTIONS = {"max_length": 2**26 - 1}


class FakeSession(Session):
    """Offers and answers what a case says."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said

    def generate_offer(self):
        return self._said["offer"]

    def activate(self, params):
        return self._said.get("activate", True)

    def generate_response(self):
        return self._said["response"]


class Fake(Extension):
    """An extension of a case."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said
        self.name = said["name"]
        self.rsv1, self.rsv2, self.rsv3 = (said.get(f"rsv{bit}", False) for bit in (1, 2, 3))

    def create_client_session(self, options):
        return None if self._said.get("no_session") else FakeSession(self._said)

    def create_server_session(self, offers, options):
        return None if self._said.get("no_session") else FakeSession(self._said)


def fakes(case: Case) -> list[Fake]:
    return [Fake(one["fake"]) for one in case["extensions"]]


# --- requests ---------------------------------------------------------------------------------------------


def is_secure(case: Case) -> bool:
    return url_of(environ_of(case["request"])).startswith("wss:")


# --- the framework ----------------------------------------------------------------------------------------


def offer(case: Case) -> str | None:
    return Offered(fakes(case), OPTIONS).value or None


def activate(case: Case) -> str:
    Offered(fakes(case), OPTIONS).activate(case["input"])
    return "ok"


def add(case: Case) -> str:
    extension = Fake({"name": "deflate", "rsv1": True})
    for name, value in case["override"].items():
        setattr(extension, name, value)
    check_extensions([extension])
    return "ok"


# --- permessage-deflate -------------------------------------------------------------------------------------


def deflate(case: Case) -> PerMessageDeflate:
    return PerMessageDeflate(**case["options"] or {})


def agreed(session: Any) -> dict[str, Any]:
    names = ("own_bits", "own_takeover", "peer_bits", "peer_takeover")
    return {name: getattr(session.terms, name) for name in names}


def pmd_server(case: Case) -> dict[str, Any] | None:
    session = deflate(case).create_server_session(case["offers"], OPTIONS)
    return session and {"response": dict(session.generate_response()), **agreed(session)}


def pmd_client(case: Case) -> dict[str, Any]:
    session = deflate(case).create_client_session(OPTIONS)
    found: dict[str, Any] = {"offer": dict(session.generate_offer())}
    if "response" not in case:
        return found
    found["accepted"] = session.activate(case["response"]) is True
    return found | (agreed(session) if found["accepted"] else {})


KINDS: dict[str, Callable[[Case], object]] = {
    "is_eventsource": lambda case: EventSource.is_eventsource(environ_of(case["request"])),
    "is_websocket": lambda case: is_websocket(environ_of(case["request"])),
    "is_secure": is_secure,
    "ext_parse": lambda case: [list(one) for one in parse_extensions(case["input"])],
    "ext_serialize": lambda case: serialize_params(case["name_in"], case["params"]),
    "ext_offer": offer,
    "ext_activate": activate,
    "ext_respond": lambda case: respond(fakes(case), case["input"], OPTIONS)[0],
    "ext_add": add,
    "pmd_server": pmd_server,
    "pmd_client": pmd_client,
}
