"""Clients of hixie-75 and hixie-76 against the library's servers, and beside websocket-driver 0.7."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.daemons import spawn
from tests.support.hixie_peer import (
    BODY,
    CLOSE,
    PROOF,
    HixiePeer,
    request_75,
    request_76,
    skipped,
    text,
)
from tests.support.kinds import ROOT, Kind
from tests.support.nginx import missing_nginx, serve_nginx
from tests.support.parts import require
from tests.support.peer import PING, Peer, Refused
from tests.support.servers import Server, serve
from tests.support.wire import one_by_one

APP = "tests.support.hixie_app:application"
STYLES = ("callbacks", "start", "attached")
UPSTREAM = "gunicorn-gthread"  # behind nginx


@pytest.fixture(scope="module")
def serving(tmp_path_factory) -> Iterator[Callable[[str], Server]]:
    """Give a server by name, started once."""
    running = {}
    with ExitStack() as stack:

        def start(name: str) -> Server:
            if name not in running:
                folder = tmp_path_factory.mktemp(name)
                if name == "nginx":
                    require("nginx", missing_nginx())
                    server = serve_nginx(start(UPSTREAM), folder).plain
                else:
                    server = serve(name, APP, folder)
                running[name] = stack.enter_context(server)
            return running[name]

        yield start


@pytest.fixture(params=["werkzeug", "gunicorn-gthread", "gevent", "nginx"])
def server(request, serving) -> Server:
    return serving(request.param)


every_style = pytest.mark.parametrize("style", STYLES)


def open_75(server: Server, path: str) -> HixiePeer:
    return HixiePeer(server.address, [request_75(path)])


def open_76(server: Server, path: str) -> HixiePeer:
    """Open one whose body comes once the head of the answer is there."""
    peer = HixiePeer(server.address, [request_76(path)])
    peer.send(BODY)
    assert peer.take(16) == PROOF
    return peer


BOTH = pytest.mark.parametrize(
    "opened, version", [pytest.param(open_75, "75", id="75"), pytest.param(open_76, "76", id="76")]
)


# --- handshakes ---------------------------------------------------------------------------------------


def assert_echoes(peer: HixiePeer) -> None:
    """Have messages come back that go one way and the other, and are larger than any buffer."""
    for message in ("text", "", "é€😀", "x" * 1_000_000):
        peer.say(message)
        assert peer.read_text(len(message.encode())) == message


ARRIVALS = [
    pytest.param(lambda head: [head + BODY], [], id="with the head"),
    pytest.param(lambda head: [head], [BODY], id="after the answer's head"),
    pytest.param(lambda head: [head], [*one_by_one(BODY)], id="octet by octet after it"),
    pytest.param(lambda head: [*one_by_one(head + BODY)], [], id="octet by octet with the head"),
]


@every_style
@pytest.mark.parametrize("before, behind", ARRIVALS)
def test_the_body_of_hixie_76_is_proved_however_it_comes(server, style, before, behind):
    with HixiePeer(server.address, before(request_76(f"/{style}/echo"))) as peer:
        assert peer.head.startswith("HTTP/1.1 101 WebSocket Protocol Handshake\r\n")
        assert "\r\nSec-WebSocket-Origin: http://example.com\r\n" in peer.head
        assert peer.head.endswith(f"\r\nSec-WebSocket-Location: ws://example.com/{style}/echo")
        for piece in behind:
            peer.send(piece)
        assert peer.take(16) == PROOF
        assert_echoes(peer)


@every_style
def test_frames_of_hixie_76_may_be_in_the_segment_of_the_request(server, style):
    octets = request_76(f"/{style}/echo") + BODY + text("a") + skipped(b"\xff") + text("b") + CLOSE
    with HixiePeer(server.address, [octets]) as peer:
        assert peer.rest() == PROOF + text("a") + text("b") + CLOSE


@every_style
def test_hixie_75_is_open_with_the_head(server, style):
    octets = request_75(f"/{style}/echo") + text("early")
    with HixiePeer(server.address, [octets]) as peer:
        assert peer.head.startswith("HTTP/1.1 101 Web Socket Protocol Handshake\r\n")
        assert "\r\nWebSocket-Origin: http://example.com\r\n" in peer.head
        assert peer.head.endswith(f"\r\nWebSocket-Location: ws://example.com/{style}/echo")
        assert peer.read_text(5) == "early"
        assert_echoes(peer)


# Each style, and each server; more would take long, because nobody reads who waits for the body.
@pytest.mark.parametrize(
    "name, style",
    [("werkzeug", "callbacks"), ("gunicorn-gthread", "start"), ("gevent", "attached")],
)
def test_what_is_sent_before_the_body_came_arrives_behind_the_proof(serving, name, style):
    with HixiePeer(serving(name).address, [request_76(f"/{style}/greet")]) as peer:
        peer.send(BODY)
        assert peer.take(16) == PROOF
        wanted = text("one") + text("two") + text("three")
        assert peer.take(len(wanted)) == wanted
        assert_echoes(peer)


def test_a_key_that_stands_for_nothing_is_refused_by_name(server):
    octets = request_76("/callbacks/echo").replace(b"18x 6]8vM;54", b"19x 6]8vM;54")
    with pytest.raises(Refused) as refused:
        HixiePeer(server.address, [octets])
    assert refused.value.status == 400
    assert refused.value.body.startswith(b"Sec-WebSocket-Key1 is a number that its 12 spaces do")


def test_a_draft_from_another_origin_is_refused(server):
    with pytest.raises(Refused) as refused:
        HixiePeer(server.address, [request_75("/callbacks/echo", Origin="http://elsewhere")])
    assert refused.value.status == 403


def test_clients_of_today_are_served_beside_the_drafts(server):
    with Peer(server.address, "/callbacks/echo") as peer:
        peer.say(b"binary")
        assert peer.read() == b"binary"
        assert peer.close() == (1000, "")


# --- what the drafts do not have ----------------------------------------------------------------------


@every_style
@BOTH
def test_a_handler_sees_the_version_and_what_it_does_not_have(server, style, opened, version):
    no_binary = (
        f"hixie-{version} carries text only, got bytes: send str, such as base64, to a client of "
        "this version"
    )
    with opened(server, f"/{style}/facts") as peer:
        peer.say("who are you?")
        assert json.loads(peer.read()) == {
            "version": f"hixie-{version}",
            "url": f"ws://example.com/{style}/facts",
            "protocol": "",
            "extensions": [],
            "state": "OPEN",
            "ping": False,
            "binary": no_binary,
            "parts": no_binary,
        }


@BOTH
def test_no_pings_are_sent_to_one_who_does_not_know_them(serving, opened, version):
    path = "/start/echo?ping=0.2"
    with (
        opened(serving("werkzeug"), path) as peer,
        Peer(serving("werkzeug").address, path) as other,
    ):
        # Opened later, pinged twice.
        assert [other.read_frame()[0] for _ in range(2)] == [PING, PING]
        peer.say("still there")
        assert peer.read() == "still there"


# --- the end ------------------------------------------------------------------------------------------


@pytest.fixture
def noted(server, note, serving) -> Callable[[], list]:
    """How the connection with this note ended: code, reason, was_clean, cause."""
    return lambda: server.ask(f"/closed?note={note}")


@every_style
def test_a_close_of_a_client_of_hixie_76_is_answered(server, style, note, noted):
    with open_76(server, f"/{style}/echo?note={note}") as peer:
        peer.send(CLOSE)
        assert peer.rest() == CLOSE
    assert noted() == [1000, "", True, "peer"]


@every_style
def test_a_close_of_the_server_is_answered_by_a_client_of_hixie_76(server, style, note, noted):
    with open_76(server, f"/{style}/part?note={note}") as peer:
        peer.say("4001 enough")
        assert peer.take(2) == CLOSE
        peer.send(CLOSE)
        assert peer.rest() == b""
    assert noted() == [4001, "enough", True, "local"]


@every_style
def test_a_close_of_the_server_only_ends_the_connection_in_hixie_75(server, style, note, noted):
    with open_75(server, f"/{style}/part?note={note}") as peer:
        peer.say("4001 enough")
        assert peer.rest() == b""
    assert noted() == [4001, "enough", False, "local"]


@every_style
@BOTH
def test_a_client_that_only_leaves_is_gone_with_1006(server, style, opened, version, note, noted):
    with opened(server, f"/{style}/echo?note={note}") as peer:
        peer.half_close()
        assert peer.rest() == b""
    assert noted() == [1006, "", False, "eof"]


@every_style
@pytest.mark.parametrize("size", [0, 7])
def test_a_client_that_leaves_before_its_body_is_there_is_gone_too(
    server, style, size, note, noted
):
    with HixiePeer(server.address, [request_76(f"/{style}/echo?note={note}")]) as peer:
        peer.send(BODY[:size])
        peer.half_close()
        assert peer.rest() == b""
    assert noted() == [1006, "", False, "eof"]


@every_style
def test_a_close_before_the_body_came_ends_the_connection_without_a_frame(
    server, style, note, noted
):
    with HixiePeer(server.address, [request_76(f"/{style}/leave?note={note}")]) as peer:
        assert peer.rest() == b""
    assert noted() == [4001, "not today", False, "local"]


@BOTH
@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"\x00" + b"x" * 101, id="a text"),
        pytest.param(b"\x80\x65", id="the length of a skipped frame"),
        pytest.param(b"\x80" + b"\xff" * 1000, id="a length without end"),
    ],
)
def test_what_is_over_the_limit_ends_with_1009(server, opened, version, octets, note, noted):
    with opened(server, f"/callbacks/echo?max_length=100&note={note}") as peer:
        peer.send(octets)
        assert peer.rest() == (CLOSE if opened is open_76 else b"")
    code, reason, was_clean, cause = noted()
    assert (code, was_clean, cause) == (1009, False, "protocol")
    assert reason.endswith("exceeds max_length 100")


# --- beside websocket-driver --------------------------------------------------------------------------

PACKAGE = ROOT / "node_modules" / "websocket-driver-0.7"
SCRIPT = ROOT / "tests" / "support" / "hixie_server.js"


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Iterator[Server]:
    """websocket-driver 0.7 for Node, which echoes."""
    require("node", None if shutil.which("node") else "not on the path")
    require("websocket-driver", None if PACKAGE.exists() else "not installed, see `make setup`")
    with serve_node(tmp_path_factory.mktemp("node")) as server:
        yield server


def serve_node(folder: Path) -> Server:
    kind = Kind(lambda app, fd: ["node", str(SCRIPT), str(fd), str(LIMIT)])
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port, log_path = listener.getsockname()[1], folder / "node.log"
        with log_path.open("wb") as log:
            process = spawn(kind.command("", listener.fileno()), log, listener.fileno())
    return Server("websocket-driver", port, process, log_path, kind)


LIMIT = 1000  # octets of the largest message
PATH = f"/callbacks/echo?max_length={LIMIT}"
OPENING_75, OPENING_76 = request_75(PATH), request_76(PATH) + BODY

CONVERSATIONS = [
    pytest.param(b"", id="nothing"),
    pytest.param(text("Hello"), id="text"),
    pytest.param(text(""), id="empty text"),
    pytest.param(text("é€😀") + text("x" * LIMIT), id="two texts"),
    pytest.param(b"\x41" + b"of another type\xff", id="another type"),
    pytest.param(b"\x00\x80\x00\x01\xff", id="types within a text"),
    pytest.param(b"\x00caf\xe9 \xc3(\xff", id="no UTF-8"),
    pytest.param(skipped(b"") + text("a"), id="empty skipped frame"),
    pytest.param(skipped(b"skip") + text("a"), id="skipped frame"),
    pytest.param(b"\x80\x80\x80\x01s" + text("a"), id="zeros before a length"),
    pytest.param(text("a") + CLOSE + text("b"), id="close"),
    pytest.param(text("a") + b"\x80\xff\x7f" + text("b"), id="length over the limit"),
    pytest.param(text("a") + b"\x00unfinished", id="unfinished text"),
]


def answer_of(server: Server, pieces: list[bytes]) -> bytes:
    """Send pieces, end this direction, and read all that comes."""
    with HixiePeer(server.address, pieces) as peer:
        peer.half_close()
        return peer.head.encode() + b"\r\n\r\n" + peer.rest()


@pytest.mark.node
@pytest.mark.parametrize("octets", CONVERSATIONS)
@pytest.mark.parametrize("opening", [OPENING_75, OPENING_76], ids=["75", "76"])
def test_every_octet_is_as_websocket_driver_writes_it(reference, serving, opening, octets):
    wanted = answer_of(reference, [opening + octets])
    assert answer_of(serving("werkzeug"), [opening + octets]) == wanted
    assert answer_of(serving("werkzeug"), [*one_by_one(opening + octets)]) == wanted


def test_nothing_was_logged(server):
    assert "Traceback" not in server.log()
