"""The client against the servers of other projects, and against this library's own.

Each is a real process: websockets on threads and on a loop, npm's ws, gunicorn with threads and
with gevent; plain and with TLS."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from faye_sync import Client, ConnectionClosed
from tests.interop.messages import assert_same, every_message
from tests.support.daemons import spawn_until
from tests.support.kinds import _GUNICORNS_OWN
from tests.support.reference_server import (
    APP,
    BIG,
    FOREIGN,
    REFERENCES,
    Reference,
    serve_reference,
)

PATIENCE = 20.0  # seconds to wait for what should come at once
PLAIN = tuple(name for name in REFERENCES if not name.endswith("tls"))

notes = (f"note-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Give a reference by its name, started once."""
    references: dict[str, Reference] = {}
    with ExitStack() as stack:

        def start(name: str) -> Reference:
            if name not in references:
                folder = tmp_path_factory.mktemp(name)
                references[name] = stack.enter_context(serve_reference(name, folder))
            return references[name]

        yield start
        for reference in references.values():
            # A worker of gunicorn on gevent looks but once a second whether it is to end.
            reference.server.stop(signal.SIGKILL)


@pytest.fixture(params=REFERENCES)
def reference(request, running) -> Reference:
    return running(request.param)


@pytest.fixture(params=FOREIGN)
def foreign(request, running) -> Reference:
    return running(request.param)


@pytest.fixture
def note() -> str:
    """A name that no other connection has."""
    return next(notes)


def client_of(reference: Reference, what: str, *arguments, note: str = "", **options) -> Client:
    url = reference.url(what, note=note) if note else reference.url(what)
    return Client(url, *arguments, **reference.options, **options)


# --- messages -------------------------------------------------------------------------------------------


@every_message
def test_a_message_comes_back_as_it_was_sent(reference, message):
    with client_of(reference, "echo") as ws:
        ws.send(message)
        assert_same(ws.receive(PATIENCE), message)


def test_a_message_comes_back_to_a_listener(reference):
    came = []
    ws = client_of(reference, "echo")

    @ws.on("message")
    def take(event):
        came.append(event.data)
        ws.close() if len(came) == 2 else ws.send(b"\x00\xff")

    ws.on("open", lambda event: ws.send("Grüße"))
    ws.start()
    assert ws.join(PATIENCE)
    assert came == ["Grüße", b"\x00\xff"]
    assert (ws.close_code, ws.closed) == (1000, True)


def test_eight_megabytes_go_both_ways_at_once(reference):
    message = bytes(range(256)) * (BIG // 256)
    with client_of(reference, "both") as ws:
        ws.send(message)
        assert_same(ws.receive(PATIENCE), bytes(BIG))
        assert ws.receive(PATIENCE) == sha256(message).hexdigest()


def test_eight_megabytes_go_out_on_one_thread_while_another_receives(reference):
    message = bytes(BIG)
    with client_of(reference, "echo") as ws:
        sender = threading.Thread(target=lambda: [ws.send(message) for _ in range(2)])
        sender.start()
        for _ in range(2):
            assert_same(ws.receive(PATIENCE), message)
        sender.join(PATIENCE)
        assert not sender.is_alive()


def test_fragments_come_as_one_message(foreign):
    with client_of(foreign, "fragments") as ws:
        assert ws.receive(PATIENCE) == "one two three"
        assert_same(ws.receive(PATIENCE), b"\x00" + b"\xff" * 70000)


def test_a_ping_of_the_server_is_answered_with_its_own_payload(reference):
    pings = []
    ws = client_of(reference, "ping")
    ws.on("ping", lambda event: pings.append(event.data))
    with ws:
        assert ws.receive(PATIENCE) == "answered"
    assert pings == [b"\x00\xff" * 62]


def test_a_ping_of_the_client_is_answered(reference):
    answered = []
    with client_of(reference, "echo") as ws:
        assert ws.ping("are you there?", lambda: answered.append(True))
        # What comes back later was sent later, so the pong is there.
        ws.send("after it")
        assert ws.receive(PATIENCE) == "after it"
        assert answered == [True]
        assert ws.latency > 0


# --- closes ---------------------------------------------------------------------------------------------


def test_a_close_of_the_client_is_learned_by_both(reference, note):
    ws = client_of(reference, "echo", note=note).connect()
    ws.close(4001, "bis später")
    assert ws.wait_closed(PATIENCE)
    assert (ws.close_code, ws.close_reason) == (4001, "bis später")
    assert reference.closed(note) == [4001, "bis später"]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4003])
def test_a_close_of_the_server_is_learned_by_both(reference, note, code):
    with client_of(reference, "part", note=note) as ws:
        ws.send(f"{code} bis später")
        with pytest.raises(ConnectionClosed) as caught:
            ws.receive(PATIENCE)
    closed = caught.value
    assert (closed.code, closed.reason) == (code, "bis später")
    assert (closed.was_clean, closed.cause) == (True, "peer")
    assert reference.closed(note) == [code, "bis später"]


def test_the_end_of_a_with_closes_with_1000(reference, note):
    with client_of(reference, "echo", note=note):
        pass
    assert reference.closed(note) == [1000, ""]


def test_a_server_that_is_killed_leaves_1006(tmp_path):
    name = "websockets-sync"
    with serve_reference(name, tmp_path) as reference, client_of(reference, "echo") as ws:
        ws.send("there")
        assert ws.receive(PATIENCE) == "there"
        reference.server.process.kill()
        with pytest.raises(ConnectionClosed) as caught:
            ws.receive(PATIENCE)
    assert (caught.value.code, caught.value.was_clean) == (1006, False)


# --- the handshake --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offered, agreed",
    [(["soap", "mqtt", "chat"], "mqtt"), (["chat"], "chat"), ("chat", "chat"), ([], "")],
    ids=["the-first-in-common", "the-only-one", "a-string", "none-offered"],
)
def test_a_subprotocol_is_agreed_on(reference, offered, agreed):
    with client_of(reference, "head", offered) as ws:
        assert ws.protocol == agreed
        assert json.loads(ws.receive(PATIENCE))["protocol"] == (agreed or None)


def head_seen(ws: Client) -> dict:
    """What the server saw of the request; headers as a dict of lists."""
    seen = json.loads(ws.receive(PATIENCE))
    headers: dict[str, list[str]] = {}
    for name, value in seen["headers"]:
        headers.setdefault(name, []).append(value)
    return {**seen, "headers": headers}


def test_the_server_sees_the_headers_and_the_path(reference):
    headers = {"X-Api-Key": "a key", "Origin": f"http://127.0.0.1:{reference.server.port}"}
    url = reference.url("head", q="ä b")
    with Client(url, headers=headers, **reference.options) as ws:
        seen = head_seen(ws)
    assert seen["path"] == "/head?q=%C3%A4+b"
    expected = {
        "host": f"127.0.0.1:{reference.server.port}",
        "x-api-key": "a key",
        "origin": headers["Origin"],
        "sec-websocket-version": "13",
    }
    assert {name: seen["headers"][name] for name in expected} == {
        name: [value] for name, value in expected.items()
    }
    assert seen["headers"]["upgrade"][0].lower() == "websocket"
    assert seen["headers"]["connection"][0].lower() == "upgrade"


def test_no_extension_is_offered_or_agreed_on(reference):
    with client_of(reference, "head") as ws:
        assert "sec-websocket-extensions" not in head_seen(ws)["headers"]
        assert ws.extensions == ()


def test_what_can_be_asked_of_a_client_that_is_open(reference):
    with client_of(reference, "echo", ["chat"]) as ws:
        assert ws.url == reference.url("echo")
        assert ws.version == "hybi-13"
        assert ws.status_code == 101
        assert ws.headers["Sec-WebSocket-Protocol"] == "chat"
        assert ws.remote_address == ("127.0.0.1", reference.server.port)
        assert ws.opened_at is not None
        assert ws.close_code is None


# --- sockets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["127.0.0.2", ("127.0.0.3", 0)], ids=["host", "host-and-port"])
def test_a_source_address_is_what_the_server_sees(running, source):
    ws = client_of(running("websockets-sync"), "head", net={"source_address": source})
    with ws:
        host = source if isinstance(source, str) else source[0]
        assert head_seen(ws)["peer"][0] == host


def test_socket_options_are_set(running):
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    ws = client_of(running("websockets-sync"), "echo", net={"socket_options": options})
    with ws, socket.socket(fileno=os.dup(ws._link.fileno())) as held:
        assert held.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@pytest.mark.parametrize("name", PLAIN)
def test_a_name_leads_to_the_server_too(running, name):
    reference = running(name)
    url = f"ws://localhost:{reference.server.port}/echo"
    with Client(url) as ws:
        ws.send("by name")
        assert ws.receive(PATIENCE) == "by name"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
@pytest.mark.parametrize("name", [name for name in FOREIGN if not name.endswith("tls")])
def test_a_server_on_ipv6_is_reached(tmp_path, name):
    with serve_reference(name, tmp_path, "::1") as reference:
        port = reference.server.port
        with Client(f"ws://[::1]:{port}/head") as ws:
            seen = head_seen(ws)
    assert seen["peer"][0] == "::1"
    assert seen["headers"]["host"] == [f"[::1]:{port}"]


@pytest.mark.parametrize("worker", [["gthread", "--threads", "2"], ["gevent"]], ids=lambda w: w[0])
def test_gunicorn_on_a_unix_socket_is_reached(tmp_path: Path, worker):
    path = tmp_path / "gunicorn.sock"
    bound = ("--bind", f"unix:{path}", *_GUNICORNS_OWN)
    command = ("-m", "gunicorn", *bound, "--worker-class", *worker, APP)
    log_path = tmp_path / "gunicorn.log"
    with spawn_until("Listening at", [sys.executable, *command], log_path) as server:
        ws = Client("ws://localhost/echo", net={"unix_path": str(path)})
        with ws:
            for message in ("by path", b"\x00" * 70000):
                ws.send(message)
                assert_same(ws.receive(PATIENCE), message)
        assert ws.close_code == 1000
        server.stop(signal.SIGKILL)
