"""The client with compression against the servers of websockets, npm's ws and faye-websocket."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from faye_sync import Client, PerMessageDeflate
from tests.interop.deflating import (
    FOREIGN,
    assert_within,
    in_parts,
    of_every_size,
    parameters,
    random_octets,
    records,
    serve_foreign,
)
from tests.interop.messages import assert_same, octets_of, text_of
from tests.interop.served import PATIENCE
from tests.support.servers import Server
from tests.support.wiretap import Wiretap

NAME = ("permessage-deflate",)
BOTH_FORGET = {"server_no_context_takeover", "client_no_context_takeover"}


@dataclass(frozen=True)
class Terms:
    """What both sides are told to want, and what they agree on.

    Attributes:
        ours: Options of PerMessageDeflate.
        theirs: The path that has the server want something.
        named: Parameters that the server's answer has to name, at least.
        bits: Of the window in each direction.
        keeps: Whether the windows outlive a message.
    """

    ours: dict[str, Any] = field(default_factory=dict)
    theirs: str = "default"
    named: frozenset[str] = frozenset()
    bits: int = 15
    keeps: bool = True


TERMS = {
    "default": Terms(),
    "we-forget": Terms(
        {"no_context_takeover": True, "request_no_context_takeover": True},
        named=frozenset({"server_no_context_takeover"}),
        keeps=False,
    ),
    "they-forget": Terms(theirs="forgetting", named=frozenset(BOTH_FORGET), keeps=False),
    "our-bits-9": Terms(
        {"max_window_bits": 9, "request_max_window_bits": 9},
        named=frozenset({"server_max_window_bits=9"}),
        bits=9,
    ),
    # npm's permessage-deflate speaks of its own window only where it is asked to.
    "their-bits-9": Terms(theirs="bits-9", named=frozenset({"client_max_window_bits=9"}), bits=9),
    "threshold-0": Terms({"threshold": 0}),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Give a server by its name, started once."""
    servers: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(name: str) -> Server:
            if name not in servers:
                folder = tmp_path_factory.mktemp(name)
                servers[name] = stack.enter_context(serve_foreign(name, folder))
            return servers[name]

        yield start


@pytest.fixture(params=FOREIGN)
def server(request, running) -> Server:
    return running(request.param)


@pytest.fixture(params=TERMS)
def terms(request) -> Terms:
    return TERMS[request.param]


def client_of(port: int, terms: Terms, how: str = "echo") -> Client:
    url = f"ws://127.0.0.1:{port}/{terms.theirs}/{how}"
    return Client(url, extensions=[PerMessageDeflate(**terms.ours)])


def test_messages_of_every_size_come_back_as_they_were_sent(server, terms):
    # Of 1 MiB on the first terms only: most of the time is the servers' own.
    largest = 1 << 20 if terms is TERMS["default"] else 65536
    with client_of(server.port, terms) as ws:
        assert ws.extensions == NAME
        assert terms.named <= parameters(ws.headers["Sec-WebSocket-Extensions"])
        for message in of_every_size(largest):
            ws.send(message)
            assert_same(ws.receive(PATIENCE), message)


def test_messages_in_a_row_come_back_within_the_window_that_was_agreed_on(server, terms):
    sent = records()
    with Wiretap(server.port) as tap:
        with client_of(tap.port, terms) as ws:
            for message in sent:
                ws.send(message, compress=True)
            assert [ws.receive(PATIENCE) for _ in sent] == sent
        assert_within(tap.client, sent, terms.bits, keeps=terms.keeps)
        # Without takeover a message shorter than the window cannot tell.
        assert_within(tap.server, sent, terms.bits, keeps=terms.keeps)


def test_a_window_that_is_too_large_would_be_seen(running):
    sent = records()
    with Wiretap(running("websockets-sync").port) as tap:
        with client_of(tap.port, TERMS["default"]) as ws:
            for message in sent:
                ws.send(message)
                assert ws.receive(PATIENCE) == message
        for way in (tap.client, tap.server):
            with pytest.raises(zlib.error, match="too far back"):
                assert_within(way, sent, 9, keeps=True)


def test_what_is_sent_in_parts_comes_back(server, terms):
    messages = [text_of(70_000), octets_of(70_001), random_octets(3000), "", "short"]
    numbers, pongs = itertools.count(), []

    def parts(message):
        for part in in_parts(message):
            ws.ping(str(next(numbers)), lambda: pongs.append(True))
            yield part

    with Wiretap(server.port) as tap:
        with client_of(tap.port, terms, "fragments") as ws:
            for message in messages:
                ws.send_stream(parts(message))
                assert_same(ws.receive(PATIENCE), message)
        assert len(pongs) == next(numbers) > 100
        sent = tap.client.messages()
        assert [message.is_compressed for message in sent] == [True] * len(messages)
        assert [message.frames > 20 for message in sent[:2]] == [True, True]


def test_what_comes_in_fragments_can_be_received_in_parts(server, terms):
    message = text_of(150_000)
    with client_of(server.port, terms, "fragments") as ws:
        ws.send(message)
        assert_same("".join(ws.receive_stream(PATIENCE)), message)
        ws.send("the next")
        assert ws.receive(PATIENCE) == "the next"


def test_plain_messages_go_between_compressed_ones(server, terms):
    sent = records(40)
    with Wiretap(server.port) as tap:
        with client_of(tap.port, terms) as ws:
            for number, message in enumerate(sent):
                ws.ping(f"before {number}")
                ws.send(message, compress=number % 3 != 0)
                assert ws.receive(PATIENCE) == message
        compressed = [message.is_compressed for message in tap.client.messages()]
        assert compressed == [number % 3 != 0 for number in range(len(sent))]


@pytest.mark.parametrize("threshold", [0, 100])
def test_what_is_below_the_threshold_stays_plain(server, threshold):
    sizes = (1, 99, 100, 101)
    with Wiretap(server.port) as tap:
        with client_of(tap.port, Terms({"threshold": threshold})) as ws:
            for size in sizes:
                ws.send("z" * size)
                assert ws.receive(PATIENCE) == "z" * size
        compressed = [message.is_compressed for message in tap.client.messages()]
        assert compressed == [size >= threshold for size in sizes]
