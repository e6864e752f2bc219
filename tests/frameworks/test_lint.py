"""Middlewares that wrap what a server put into the environ, or hold back what is answered.

The WebSocket is the same behind all of them, because the socket is found beneath the wrapping. The
two that check an application have nothing to say about the 101 that ends the call."""

from __future__ import annotations

import pytest

from tests.support.peer import TEXT, Peer, Refused, frame
from tests.support.stream_peer import StreamPeer

ONLY = ("lint",)
MIDDLEWARES = ["lint", "profiler", "proxy-fix", "validator"]
STYLES = ["callbacks", "start", "attached"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("middleware", MIDDLEWARES)
def test_messages_come_back_and_no_octet_of_http_comes_after_the_close(site, middleware, style):
    early = frame(TEXT, b"early")
    with Peer(site.address, f"/{middleware}/{style}/echo", early=early) as peer:
        assert peer.read() == "early"
        peer.say("hello")
        assert peer.read() == "hello"
        assert peer.close() == (1000, "")
    assert "Warning" not in site.log()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("middleware", MIDDLEWARES)
def test_a_refusal_reaches_the_client_and_nothing_is_wrong_with_it(site, middleware, style):
    with pytest.raises(Refused) as refused:
        Peer(site.address, f"/{middleware}/{style}/echo", headers=[("Origin", "http://evil")])
    assert refused.value.status == 403
    assert b"may not open a WebSocket" in refused.value.body
    assert site.get("/hello").text == "hello"
    assert "Warning" not in site.log()


@pytest.mark.parametrize("middleware", MIDDLEWARES)
def test_a_handler_that_raises_closes_with_1011_and_one_traceback(site, middleware):
    with Peer(site.address, f"/{middleware}/attached/raise") as peer:
        peer.say("go on")
        assert peer.read() == "go on"
        assert peer.answer_close() == (1011, "")
    site.wait_for_traceback("Deliberate: the handler failed on purpose")


STREAMED = [
    *(pytest.param(middleware, "", id=f"{middleware}-detached") for middleware in MIDDLEWARES),
    # The profiler collects the whole body first, which with detach=False never comes.
    *(
        pytest.param(middleware, "?detach=false", id=f"{middleware}-attached")
        for middleware in MIDDLEWARES
        if middleware != "profiler"
    ),
]


@pytest.mark.parametrize("middleware, form", STREAMED)
def test_an_event_stream_comes_whole_and_nothing_is_wrong_with_it(site, middleware, form):
    name = f"{middleware}{len(form)}"
    with StreamPeer(site.address, f"/{middleware}/streams/push/{name}{form}") as peer:
        assert peer.data() == "welcome"
        site.server.ask(f"/{middleware}/streams/send/{name}?data=more")
        assert peer.data() == "more"
        site.server.ask(f"/{middleware}/streams/close/{name}")
        assert peer.rest() == b""
    assert "Warning" not in site.log()
