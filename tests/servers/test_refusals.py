"""Requests that open nothing: the answer says the cure, on every server."""

from __future__ import annotations

import pytest

from tests.support.peer import Peer, Refused

BAD = [
    pytest.param({}, "Upgrade", 426, b"open it with a WebSocket client", id="no-upgrade"),
    pytest.param({}, "Connection", 400, b"must list Upgrade", id="no-connection"),
    pytest.param({}, "Sec-WebSocket-Key", 400, b"must be 16 octets in base64", id="no-key"),
    pytest.param({"Sec-WebSocket-Version": "8"}, "", 426, b"must be 13", id="old-version"),
    pytest.param({"Origin": "http://evil.example"}, "", 403, b"http://evil.example", id="origin"),
]


@pytest.mark.parametrize("headers, without, status, text", BAD)
def test_a_bad_request_is_answered_with_the_cure(any_server, headers, without, status, text):
    without_key = {"without": without} if without else {}
    with pytest.raises(Refused) as refused:
        Peer(any_server.address, "/callbacks/echo", headers=headers.items(), **without_key)
    assert refused.value.status == status
    if without != "Upgrade":
        assert text in refused.value.body
    else:
        assert b"A proxy removed the Upgrade header" in refused.value.body
    head = refused.value.head.lower()
    assert "content-type: text/plain" in head
    assert "\r\nupgrade:" not in head
    assert ("sec-websocket-version: 13" in head) == (status == 426)


@pytest.mark.parametrize("style", ["callbacks", "start", "attached"])
def test_a_page_request_is_told_to_upgrade_in_every_style(main_server, style):
    answer = main_server.get(f"/{style}/echo")
    assert answer.status_code == 426
    assert answer.headers["Sec-WebSocket-Version"] == "13"
    assert "open it with a WebSocket client" in answer.text


def test_reject_answers_with_the_status_headers_and_text_of_the_view(any_server):
    with pytest.raises(Refused) as refused:
        Peer(any_server.address, "/rejected/echo")
    assert refused.value.status == 401
    assert refused.value.body == b"who are you?"
    assert "www-authenticate: basic" in refused.value.head.lower()


def test_the_connection_can_be_used_again_after_a_refusal(any_server):
    assert any_server.get("/callbacks/echo").status_code == 426
    with Peer(any_server.address, "/callbacks/echo") as peer:
        peer.say("now properly")
        assert peer.read() == "now properly"


def test_the_same_origin_is_let_in(any_server):
    origin = ("Origin", f"https://127.0.0.1:{any_server.port}")
    with Peer(any_server.address, "/callbacks/echo", headers=[origin]) as peer:
        peer.say("hello")
        assert peer.read() == "hello"
