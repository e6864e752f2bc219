"""Pyramid: the connection as the WSGI application it is, and what is said to who returns it."""

from __future__ import annotations

import pytest

from tests.support.peer import Peer, Refused

ONLY = ("pyramid",)


def test_get_response_of_the_request_serves_and_its_refusal_is_whole(site):
    with Peer(site.address, "/whole/echo") as peer:
        peer.say("hello")
        assert peer.read() == "hello"
        assert peer.close() == (1000, "")
    answer = site.get("/whole/echo")
    assert answer.status_code == 426
    assert answer.headers["Sec-WebSocket-Version"] == "13"
    assert "open it with a WebSocket client" in answer.text


def test_a_view_that_returns_the_connection_itself_gets_pyramids_error(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/mistakes/returned")
    assert refused.value.status == 500
    site.wait_for_traceback("ValueError: Could not convert return value of the view")
