"""The servers with compression against the clients of websockets, npm's ws and faye-websocket."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import ClientConnection, connect

from tests.interop.deflating import (
    PACKAGES,
    assert_within,
    in_parts,
    of_every_size,
    parameters,
    random_octets,
    records,
    require_node,
)
from tests.interop.messages import assert_same, octets_of, text_of
from tests.interop.served import PATIENCE, Served
from tests.support.servers import serve
from tests.support.wiretap import Wiretap

APP = "tests.support.deflate_app:application"
SCRIPT = Path(__file__).with_name("deflate_client.js")

# Each style once, and threads and both ways of gevent.
PAIRS = [
    pytest.param(("gunicorn-gthread", "callbacks"), id="gunicorn-gthread-callbacks"),
    pytest.param(("werkzeug", "start"), id="werkzeug-start"),
    pytest.param(("gevent", "attached"), id="gevent-attached"),
]

BOTH_FORGET = {"server_no_context_takeover", "client_no_context_takeover"}
BOTH_9 = {"server_max_window_bits=9", "client_max_window_bits=9"}

# What the server is told to want, what the client wants, what the answer has to be.
TERMS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "default": ("default", {}, set()),
    "server-forgets": ("forgetting", {}, BOTH_FORGET),
    # The client does not speak of the server's window, so neither does the server.
    "server-bits-9": ("bits-9", {}, {"client_max_window_bits=9"}),
    "server-threshold-0": ("threshold-0", {}, set()),
    "client-forgets": (
        "default",
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
        BOTH_FORGET,
    ),
    "client-bits-9": (
        "default",
        {"server_max_window_bits": 9, "client_max_window_bits": 9},
        BOTH_9,
    ),
}


@pytest.fixture(scope="module", params=PAIRS)
def pair(request, tmp_path_factory) -> Iterator[Served]:
    name, style = request.param
    with serve(name, APP, tmp_path_factory.mktemp(name)) as server:
        yield Served(server, style)


# --- websockets -----------------------------------------------------------------------------------------


@pytest.fixture(params=TERMS)
def terms(request) -> str:
    return request.param


def connected(pair: Served, terms: str, what: str = "echo", port: int = 0) -> ClientConnection:
    server_terms, wanted, _ = TERMS[terms]
    return connect(
        f"ws://127.0.0.1:{port or pair.server.port}/{pair.style}/{server_terms}/{what}",
        extensions=[ClientPerMessageDeflateFactory(**wanted)],
        max_size=None,
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
    )


def test_what_is_agreed_on_is_what_both_want(pair, terms):
    with connected(pair, terms) as ws:
        answer = ws.response.headers["Sec-WebSocket-Extensions"]
        assert parameters(answer) == TERMS[terms][2]


def test_messages_of_every_size_come_back_as_they_were_sent(pair, terms):
    with connected(pair, terms) as ws:
        for message in of_every_size(1 << 20 if terms == "default" else 65536):
            ws.send(message)
            assert_same(ws.recv(PATIENCE), message)


def test_messages_in_a_row_come_back_within_the_window_that_was_agreed_on(pair, terms):
    sent = records()
    bits = 9 if terms.endswith("bits-9") else 15
    with Wiretap(pair.server.port) as tap:
        with connected(pair, terms, port=tap.port) as ws:
            for message in sent:
                ws.send(message)
            assert [ws.recv(PATIENCE) for _ in sent] == sent
        for way in (tap.client, tap.server):
            assert_within(way, sent, bits, keeps="forgets" not in terms)


def test_fragments_come_back_as_one_message(pair, terms):
    message = text_of(20_000)

    def parts():
        for part in in_parts(message):
            assert ws.ping().wait(PATIENCE)
            yield part

    with connected(pair, terms) as ws:
        ws.send(parts())
        assert_same(ws.recv(PATIENCE), message)


def test_what_comes_is_sent_on_in_parts(pair, terms):
    with connected(pair, terms, "parts") as ws:
        for message in (text_of(150_000), octets_of(70_001), random_octets(70_000), "", "short"):
            ws.send(message)
            assert_same(ws.recv(PATIENCE), message)


def test_a_server_that_compresses_nothing_is_understood(pair, terms):
    sent = records(20)
    with Wiretap(pair.server.port) as tap:
        with connected(pair, terms, "plain", tap.port) as ws:
            for message in sent:
                ws.send(message)
                assert ws.recv(PATIENCE) == message
        assert not any(message.is_compressed for message in tap.server.messages())
        assert all(message.is_compressed for message in tap.client.messages())


@pytest.mark.parametrize("terms, least", [("default", 256), ("server-threshold-0", 0)])
def test_what_is_below_the_threshold_stays_plain(pair, terms, least):
    sizes = (1, 255, 256, 257)
    with Wiretap(pair.server.port) as tap:
        with connected(pair, terms, port=tap.port) as ws:
            for size in sizes:
                ws.send("z" * size)
                assert ws.recv(PATIENCE) == "z" * size
        compressed = [message.is_compressed for message in tap.server.messages()]
        assert compressed == [size >= least for size in sizes]


# --- Node.js --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=PACKAGES)
def seen(request, pair) -> dict:
    """What the client saw, by terms and trial."""
    require_node("ws", "faye-websocket", "permessage-deflate")
    command = ["node", str(SCRIPT), request.param, pair.server.ws(f"/{pair.style}"), str(PATIENCE)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.node
def test_node_agrees_on_what_both_want(seen):
    for terms, (_, _, named) in TERMS.items():
        agreement = seen[terms]["agreement"]
        assert agreement["isCompressed"] is True, terms
        assert parameters(agreement["answer"]) == named, terms


@pytest.mark.node
@pytest.mark.parametrize(
    "trial", ["sizes", "inARow", "parts", "plain", "fragments", "compressedAndNot"]
)
def test_node_gets_back_what_it_sent(seen, trial):
    # faye-websocket sends no fragments, and compresses all.
    missing = {terms: trials[trial] for terms, trials in seen.items() if trial in trials}
    assert missing == dict.fromkeys(missing, 0)
