"""Servers that keep the client's socket: WebSocket says so and what to run instead.

What is wrong with a request is said on these servers as on any other."""

from __future__ import annotations

import re
from contextlib import ExitStack
from http.client import HTTPResponse
from importlib.util import find_spec

import pytest

from tests.support.apache import serve_proxy
from tests.support.no_socket import REFUSERS, refusing
from tests.support.parts import require
from tests.support.peer import Peer, Refused, connect, request

SHOWN = ("bjoern", "granian", "mod_wsgi", "tornado", "twisted")
HTTP2 = ("gunicorn-gthread-http2", "gunicorn-gevent-http2")


@pytest.fixture(scope="module")
def refuser(tmp_path_factory):
    """Give a server by name, started once for all tests of this file."""
    running = {}
    with ExitStack() as stack:

        def start(name):
            require(name, REFUSERS[name].missing())
            if name not in running:
                server = refusing(name, tmp_path_factory.mktemp(name))
                running[name] = stack.enter_context(server)
            return running[name]

        yield start


def refused(server, path="/echo", **options) -> Refused:
    with pytest.raises(Refused) as found:
        Peer(server.address, path, **options)
    return found.value


# --- servers that call the application ----------------------------------------------------------------


@pytest.mark.parametrize("name", SHOWN)
def test_a_valid_request_raises_an_error_that_names_server_and_cure(refuser, name):
    server = refuser(name)
    before = server.log()
    answer = refused(server)
    assert answer.status == 501
    assert REFUSERS[name].named in answer.body.decode()
    assert b"gunicorn" in answer.body
    assert b"middleware" not in answer.body
    assert "Traceback" not in server.log()[len(before) :]


@pytest.mark.parametrize("name", [name for name in SHOWN if name != "tornado"])
def test_an_error_that_nobody_catches_is_a_500_with_its_text_once_in_the_log(refuser, name):
    server = refuser(name)
    text = refused(server).body.decode()
    before = server.log()
    with connect(server.address) as sock:
        sock.sendall(request("/uncaught"))
        with HTTPResponse(sock) as answer:
            answer.begin()
            assert answer.status == 500
    log = server.log()[len(before) :]
    assert log.count("Traceback") == 1
    assert log.count(f"HijackError: {text}") == 1


def test_tornado_answers_nothing_to_an_error_that_nobody_catches_but_logs_it(refuser):
    server = refuser("tornado")
    text = refused(server).body.decode()
    before = server.log()
    with connect(server.address) as sock:
        sock.sendall(request("/uncaught"))
        # It serves one request after the other, so the first is over when the second is answered.
        assert server.get("/hello").text == "hello"
        assert f"HijackError: {text}" in server.log()[len(before) :]
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)


def test_what_the_error_tells_of_mod_wsgi_works(refuser, deeds, tmp_path):
    text = refused(refuser("mod_wsgi")).body.decode()
    directive = re.search("ProxyPass .*", text)[0]
    upstream = deeds("gunicorn-gthread")
    directive = directive.replace("/path", "/").replace("8000", str(upstream.port))
    with serve_proxy(directive, tmp_path) as apache, Peer(apache.address, "/start/echo") as peer:
        peer.say("through Apache")
        assert peer.read() == "through Apache"
        assert peer.close() == (1000, "")


BAD = [
    pytest.param([], "Upgrade", 426, b"removed the Upgrade header", id="no-upgrade"),
    pytest.param([], "Connection", 400, b"must list Upgrade", id="no-connection"),
    pytest.param([], "Sec-WebSocket-Key", 400, b"must be 16 octets in base64", id="no-key"),
    pytest.param([("Sec-WebSocket-Version", "8")], "", 426, b"must be 13", id="old-version"),
    pytest.param([("Origin", "http://evil.example")], "", 403, b"http://evil.example", id="origin"),
]


@pytest.mark.parametrize("headers, without, status, text", BAD)
@pytest.mark.parametrize("name", SHOWN)
def test_a_bad_request_is_answered_with_the_cure(refuser, name, headers, without, status, text):
    server = refuser(name)
    before = server.log()
    answer = refused(server, headers=headers, without=without)
    assert answer.status == status
    assert text in answer.body
    assert ("sec-websocket-version: 13" in answer.head.lower()) == (status == 426)
    assert "Traceback" not in server.log()[len(before) :]


@pytest.mark.parametrize("name", [*SHOWN, "hypercorn"])
def test_a_page_request_is_told_to_upgrade_and_other_pages_are_served(refuser, name):
    server = refuser(name)
    answer = server.get("/echo")
    assert answer.status_code == 426
    assert answer.headers["Sec-WebSocket-Version"] == "13"
    assert "open it with a WebSocket client" in answer.text
    assert server.get("/hello").text == "hello"


# --- Hypercorn, which answers before the application --------------------------------------------------


@pytest.mark.parametrize(
    "headers, without, status",
    [
        pytest.param([], "", 403, id="valid"),
        pytest.param([("Origin", "http://evil.example")], "", 403, id="origin"),
        pytest.param([("Sec-WebSocket-Version", "8")], "", 400, id="old-version"),
        pytest.param([], "Sec-WebSocket-Key", 400, id="no-key"),
    ],
)
def test_hypercorn_refuses_an_upgrade_itself(refuser, headers, without, status):
    answer = refused(refuser("hypercorn"), headers=headers, without=without)
    assert (answer.status, answer.body) == (status, b"")


@pytest.mark.parametrize("headers, without, status, text", BAD[:2])
def test_hypercorn_passes_on_what_is_no_upgrade(refuser, headers, without, status, text):
    answer = refused(refuser("hypercorn"), headers=headers, without=without)
    assert answer.status == status
    assert text in answer.body


# --- HTTP/2 -------------------------------------------------------------------------------------------

HANDSHAKE = (("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-version", "13"))
UPGRADE = (("upgrade", "websocket"), ("connection", "Upgrade"))
PROTOCOL_ERROR = 1


@pytest.fixture
def ask():
    require("h2", None if find_spec("h2") else "not installed")
    from tests.support.http2 import ask

    return ask


@pytest.mark.parametrize("name", [*HTTP2, "hypercorn-http2"])
def test_a_handshake_over_http2_is_told_to_use_http1(refuser, ask, name):
    answer = ask(refuser(name).port, "/echo", HANDSHAKE)
    assert answer.status == 426
    assert "HTTP/1.1" in answer.text
    assert "HTTP/2" in answer.text
    assert "nginx" not in answer.text


@pytest.mark.parametrize("name", HTTP2)
def test_a_page_request_over_http2_is_told_so_too(refuser, ask, name):
    server = refuser(name)
    assert ask(server.port, "/echo").status == 426
    assert ask(server.port, "/hello").text == "hello"


@pytest.mark.parametrize("name", HTTP2)
def test_http2_itself_forbids_an_upgrade(refuser, ask, name):
    assert ask(refuser(name).port, "/echo", [*HANDSHAKE, *UPGRADE]).error == PROTOCOL_ERROR


@pytest.mark.parametrize("name", [*HTTP2, "hypercorn-http2"])
def test_an_extended_connect_over_http2_is_refused(refuser, ask, name):
    from tests.support.http2 import CONNECT

    answer = ask(refuser(name).port, "/echo", HANDSHAKE[1:], method=CONNECT)
    assert answer.status == (403 if name == "hypercorn-http2" else 400)


@pytest.mark.parametrize("name", HTTP2)
def test_a_websocket_opens_over_http1_where_http2_is_served_too(refuser, ask, name):
    server = refuser(name)
    assert ask(server.port, "/hello").text == "hello"
    with Peer(server.address, "/echo") as peer:
        peer.say("over HTTP/1.1")
        assert peer.read() == "over HTTP/1.1"
        assert peer.close() == (1000, "")
