"""nginx in front: what the documentation says to set works, and without it the client is told what to set."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from tests.support.nginx import DOCUMENTED, missing_nginx, serve_nginx
from tests.support.parts import require
from tests.support.peer import PING, PONG, TEXT, Peer, Refused, closing, frame

require("nginx", missing_nginx())

UPSTREAMS = ("gunicorn-gthread", "gevent")
STYLES = ("callbacks", "start", "attached")


@pytest.fixture(scope="module")
def nginx(deeds, tmp_path_factory):
    """Give nginx in front of a server by name, with some directives, once for all tests."""
    running = {}
    with ExitStack() as stack:

        def start(upstream, directives=DOCUMENTED):
            key = (upstream, directives)
            if key not in running:
                proxy = serve_nginx(deeds(upstream), tmp_path_factory.mktemp("nginx"), directives)
                stack.enter_context(proxy.plain)
                running[key] = proxy
            return running[key]

        yield start


@pytest.fixture(params=UPSTREAMS)
def proxy(request, nginx):
    """nginx as documented, in front of each server."""
    return nginx(request.param)


# --- as documented ------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_a_message_comes_back_in_every_style(proxy, style):
    with Peer(proxy.plain.address, f"/{style}/echo") as peer:
        for message in ("text", b"octets", "", bytes(1_000_000)):
            peer.say(message)
            assert peer.read() == message
        assert peer.close() == (1000, "")


@pytest.mark.parametrize("style", STYLES)
def test_messages_in_the_segment_of_the_request_come_back(proxy, style):
    early = b"".join(frame(TEXT, str(number).encode()) for number in range(100))
    with Peer(proxy.plain.address, f"/{style}/echo", early=early) as peer:
        assert [peer.read() for _ in range(100)] == [str(number) for number in range(100)]


@pytest.mark.parametrize("style", STYLES)
def test_the_servers_close_code_reaches_the_client(proxy, style):
    with Peer(proxy.plain.address, f"/{style}/part") as peer:
        peer.say("4001 the reason")
        assert peer.answer_close() == (4001, "the reason")


def test_the_clients_close_code_reaches_the_server(proxy, name):
    with Peer(proxy.plain.address, f"/listen/{name}") as peer:
        peer.send(closing(4002, "my reason"))
        assert peer.read_close() == (4002, "my reason")
        assert peer.rest() == b""
    result = proxy.upstream.ask(f"/result/{name}")
    assert (result["code"], result["reason"], result["clean"]) == (4002, "my reason", True)


def test_a_client_that_vanishes_is_noticed(proxy, name):
    with Peer(proxy.plain.address, f"/listen/{name}") as peer:
        peer.say("hello")
        peer.drop()
    result = proxy.upstream.ask(f"/result/{name}")
    assert (result["code"], result["clean"], result["messages"]) == (1006, False, 1)
    assert result["cause"] in ("eof", "reset")


@pytest.mark.parametrize("style", STYLES)
def test_wss_ends_at_nginx_and_pages_of_its_origin_may_connect(proxy, style):
    address = proxy.tls.address
    origin = ("Origin", f"https://127.0.0.1:{address.port}")
    with Peer(address, f"/{style}/echo", headers=[origin]) as peer:
        peer.say("over TLS")
        assert peer.read() == "over TLS"
        assert peer.close() == (1000, "")


def test_pages_are_served_beside_it(proxy):
    assert proxy.plain.ask("/hello") == "hello"
    assert proxy.tls.ask("/hello") == "hello"


# --- idle ---------------------------------------------------------------------------------------------

IMPATIENT = DOCUMENTED.replace("proxy_read_timeout 3600s", "proxy_read_timeout 2s")


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_pings_keep_an_idle_connection_beyond_the_read_timeout(nginx, upstream):
    with Peer(nginx(upstream, IMPATIENT).plain.address, "/callbacks/echo?ping=0.5") as peer:
        started = time.monotonic()
        while time.monotonic() - started < 3:
            opcode, payload = peer.read_frame()
            assert opcode == PING
            peer.send(frame(PONG, payload))
        peer.say("still there")
        assert peer.read() == "still there"


def test_without_pings_nginx_ends_an_idle_connection_and_the_server_learns_of_it(nginx, name):
    proxy = nginx("gunicorn-gthread", IMPATIENT)
    with Peer(proxy.plain.address, f"/listen/{name}?ping=none") as peer:
        assert peer.rest() == b""
    result = proxy.upstream.ask(f"/result/{name}")
    assert (result["code"], result["cause"]) == (1006, "eof")


# --- not as documented --------------------------------------------------------------------------------


def refusal_of(proxy, **options) -> Refused:
    with pytest.raises(Refused) as refused:
        Peer(proxy.plain.address, "/callbacks/echo", **options)
    return refused.value


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_the_426_behind_a_bare_proxy_pass_says_what_to_set_and_that_works(nginx, upstream):
    refused = refusal_of(nginx(upstream, ""))
    assert refused.status == 426
    assert "sec-websocket-version: 13" in refused.head.lower()
    text, _, directives = refused.body.decode().partition("For nginx, set: ")
    assert text == "A proxy removed the Upgrade header of this request. "
    with Peer(nginx(upstream, directives).plain.address, "/callbacks/echo") as peer:
        peer.say("as told")
        assert peer.read() == "as told"


@pytest.mark.parametrize(
    "directives, status, missing",
    [
        pytest.param(
            "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;",
            400,
            'proxy_set_header Connection "upgrade";',
            id="no-connection",
        ),
        pytest.param(
            'proxy_http_version 1.1; proxy_set_header Connection "upgrade";',
            426,
            "proxy_set_header Upgrade $http_upgrade;",
            id="no-upgrade",
        ),
        pytest.param(
            "proxy_http_version 1.0; proxy_set_header Upgrade $http_upgrade; "
            'proxy_set_header Connection "upgrade";',
            400,
            "proxy_http_version 1.1;",
            id="http-1.0",
        ),
    ],
)
def test_a_directive_that_is_missing_is_named_and_mends_it(nginx, directives, status, missing):
    refused = refusal_of(nginx("gunicorn-gthread", directives))
    assert refused.status == status
    assert missing in refused.body.decode()
    mended = directives.replace("proxy_http_version 1.0;", "") + missing
    with Peer(nginx("gunicorn-gthread", mended).plain.address, "/callbacks/echo") as peer:
        peer.say("mended")
        assert peer.read() == "mended"


def test_the_403_behind_an_nginx_that_keeps_the_host_says_what_to_set(nginx):
    proxy = nginx("gunicorn-gthread", DOCUMENTED.replace("proxy_set_header Host $http_host;", ""))
    origin = ("Origin", f"http://127.0.0.1:{proxy.plain.port}")
    refused = refusal_of(proxy, headers=[origin])
    assert refused.status == 403
    assert "proxy_set_header Host $http_host" in refused.body.decode()


def test_nothing_went_wrong_in_nginx(proxy):
    assert "[error]" not in proxy.plain.log()
    assert "[emerg]" not in proxy.plain.log()
