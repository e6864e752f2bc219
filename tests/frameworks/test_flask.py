"""Flask: blueprints, cookies, contexts, errors, and what it says of a forgotten websocket=True."""

from __future__ import annotations

import pytest

from tests.support.peer import Peer, Refused
from tests.support.stream_peer import StreamPeer

ONLY = ("flask",)


def test_a_route_of_a_blueprint_is_served(site):
    with Peer(site.address, "/rooms/7") as peer:
        peer.say("hello")
        assert peer.read() == "7: hello"
        assert peer.close() == (1000, "")


def test_a_page_request_to_both_rules_gets_the_hint_and_blames_no_route(site):
    answer = site.get("/rooms/7")
    assert answer.status_code == 426
    assert answer.text.endswith("open it with a WebSocket client, not as a page.")


def test_a_page_request_to_one_rule_alone_is_answered_by_flask_with_400(site):
    answer = site.get("/aborted")
    assert answer.status_code == 400
    assert "WebSocket" not in answer.text


def test_a_route_without_websocket_never_sees_the_client_and_the_page_tells_the_cure(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/without-websocket")
    assert refused.value.status == 400
    answer = site.get("/without-websocket")
    assert answer.status_code == 426
    assert "write @app.route('/without-websocket', websocket=True)." in answer.text


def test_cookies_of_the_session_miss_the_101_and_those_of_the_option_do_not(site):
    with Peer(site.address, "/session") as peer:
        assert peer.read() == "seen"
        assert peer.answer_close() == (1000, "")
    assert "\r\nSet-Cookie: own=yes; Path=/" in peer.head
    assert "session=" not in peer.head


def test_cookies_of_the_session_are_in_a_refusal(site):
    answer = site.get("/session")
    assert answer.status_code == 426
    assert answer.headers["Set-Cookie"].startswith("session=")


def test_the_status_headers_and_text_of_reject_are_the_answer(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/rejected/echo")
    assert refused.value.status == 401
    assert refused.value.body == b"who are you?"
    assert "\r\nwww-authenticate: basic" in refused.value.head.lower()


def test_abort_in_a_view_is_an_ordinary_answer(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/aborted")
    assert refused.value.status == 418


def test_a_hijack_error_can_be_answered_by_an_error_handler(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/hidden/socket")
    assert refused.value.status == 501
    assert b"does not let an application take the client's socket" in refused.value.body


def test_the_function_of_start_has_no_request_context_of_its_own(site):
    with Peer(site.address, "/context/none") as peer:
        assert peer.answer_close() == (1011, "")
    site.wait_for_log("RuntimeError: Working outside of request context")
    site.expected += 1


def test_a_request_context_that_was_copied_lasts_as_long_as_the_function(site):
    with Peer(site.address, "/context/copied") as peer:
        for _ in range(2):
            peer.say("where?")
            assert peer.read() == "/context/copied, asked by nobody"
        assert peer.close() == (1000, "")


def test_a_view_of_a_class_and_a_coroutine_are_served(site):
    for path in ("/class", "/coroutine"):
        with Peer(site.address, path) as peer:
            peer.say("hello")
            assert peer.read() == "hello"
            assert peer.close() == (1000, "")


def test_a_rule_that_ends_in_a_slash_redirects_a_client_that_leaves_it_out(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/slash")
    assert refused.value.status == 308


def test_an_answer_that_takes_the_place_of_an_event_stream_arrives_whole(site):
    with StreamPeer(site.address, "/events/replaced") as peer:
        assert peer.status == 409
        assert peer.header("Content-Type") == "text/html; charset=utf-8"
        assert peer.rest() == b"instead"


def test_an_error_after_the_view_is_the_clients_answer_in_place_of_an_event_stream(site):
    with StreamPeer(site.address, "/events/broken") as peer:
        assert peer.status == 500
        assert b"Internal Server Error" in peer.rest()
    site.wait_for_traceback("LookupError: after the request")


def test_a_generator_that_needs_the_request_has_it_where_it_stays_in_the_call(site):
    with StreamPeer(site.address, "/events/context") as peer:
        assert [peer.data(), peer.data()] == ["/events/context", "nobody"]
        assert peer.rest() == b""
