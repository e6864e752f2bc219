"""Bottle: a mounted WSGI application, whose refusals are whole."""

from __future__ import annotations

from tests.support.peer import Peer

ONLY = ("bottle",)


def test_a_mounted_application_serves_and_its_refusal_is_whole(site):
    with Peer(site.address, "/mounted/echo") as peer:
        peer.say("hello")
        assert peer.read() == "hello"
        assert peer.close() == (1000, "")
    answer = site.get("/mounted/echo")
    assert answer.status_code == 426
    assert answer.headers["Sec-WebSocket-Version"] == "13"
    assert "open it with a WebSocket client" in answer.text
