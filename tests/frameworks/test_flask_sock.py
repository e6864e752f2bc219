"""Sock: flask-sock's views as they are, requests that last as long as their connection, streams."""

from __future__ import annotations

import re
from contextlib import ExitStack

import pytest
from flask import Flask, Response, request
from werkzeug.test import EnvironBuilder

from faye_sync import ConfigurationError
from faye_sync.contrib.flask import Sock, WebSocket
from faye_sync.testing import connect
from tests.support.peer import Peer, Refused
from tests.support.stream_peer import StreamPeer

ONLY = ("flask_sock",)


@pytest.fixture
def wait_told(site):
    """Wait until the site tells something of a path; returns all that it told of it."""

    def wait(path: str, pattern: str) -> list[str]:
        log = site.wait_for_log(rf"^told: {path} {pattern}")
        return re.findall(rf"^told: {path} (.*)$", log, re.MULTILINE)

    return wait


# --- flask-sock's views -------------------------------------------------------------------------------


def test_an_echo_that_never_looks_for_the_end_ends_normally(site, wait_told):
    with Peer(site.address, "/echo") as peer:
        peer.say("text")
        assert peer.read() == "text"
        peer.say(b"octets")
        assert peer.read() == b"octets"
        assert peer.close() == (1000, "")
    assert "request nobody None" in wait_told("/echo", "request")


def test_the_members_of_simple_websocket_do_what_they_do_there(site, wait_told):
    with Peer(site.address, "/members", headers=[("Sec-WebSocket-Protocol", "chat")]) as peer:
        said = [peer.read() for _ in range(5)]
        assert said == ["True", "5", "{'a': 1}", b"octets", "True chat"]
        assert peer.answer_close() == (1008, "x")
    assert "connected False" in wait_told("/members", "connected")


def test_connection_closed_has_the_code_as_reason_and_the_text_as_message(site, wait_told):
    with Peer(site.address, "/closed") as peer:
        assert peer.close(4001) == (4001, "")
    since = wait_told("/closed", "request")
    assert since[:2] == ["closed 4001 '' 4001 ''", "unsent 4001"]


def test_a_blueprint_and_its_parameters_reach_the_view(site):
    with Peer(site.address, "/rooms/7") as peer:
        assert peer.read() == "7"
        assert peer.answer_close() == (1000, "")


def test_what_was_routed_before_there_was_an_application_is_served(site):
    with Peer(site.address, "/early") as peer:
        assert peer.read() == "early"
        assert peer.answer_close() == (1000, "")


def test_a_coroutine_may_be_a_view(site):
    with Peer(site.address, "/coroutine") as peer:
        assert peer.read() == "/coroutine"
        assert peer.answer_close() == (1000, "")


def test_a_function_before_the_request_may_refuse(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/private/1")
    assert refused.value.status == 401


# --- the request --------------------------------------------------------------------------------------


def test_the_view_has_the_request_and_its_g_to_the_end_and_teardown_comes_then(site, wait_told):
    with Peer(site.address, "/private/1?user=ann") as peer:
        assert peer.read() == "2 /private/1 ann no name"
        assert "told: /private/1 request" not in site.log()
        assert peer.close() == (1000, "")
    since = wait_told("/private/1", "app")
    assert since == ["request ann None", "app ann's None"]


def test_an_exception_of_the_view_is_told_logged_and_closes_with_1011(site, wait_told):
    with Peer(site.address, "/broken") as peer:
        assert peer.answer_close() == (1011, "")
    site.wait_for_traceback("LookupError: of the view")
    since = wait_told("/broken", "request")
    assert since == [
        "failed LookupError('of the view')",
        "request nobody LookupError('of the view')",
    ]


def test_the_101_has_what_functions_after_the_request_add(site):
    with Peer(site.address, "/session") as peer:
        assert peer.read() == "yes"
        assert peer.answer_close() == (1000, "")
    assert "\r\nSet-Cookie: session=" in peer.head
    assert "\r\nX-After: yes" in peer.head
    assert "Content-" not in peer.head


def test_an_answer_in_the_place_of_the_websocket_is_the_answer(site, wait_told):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/replaced")
    assert refused.value.status == 409
    assert wait_told("/replaced", "request") == ["request nobody None"]


def test_a_failure_after_the_request_is_answered_with_500(site, wait_told):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/fails-after")
    assert refused.value.status == 500
    site.wait_for_traceback("LookupError: after the request")
    assert len(wait_told("/fails-after", "request")) == 2  # the failure, and one teardown


def test_a_rejection_is_the_answer(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/rejected")
    assert refused.value.status == 403


def test_a_hundred_idle_views_leave_a_database_pool_of_five_free(site):
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(site.address, "/pooled")) for _ in range(100)]
        for peer in peers:
            assert peer.read() == "1"
        for peer in peers:
            peer.say("2")
        assert {peer.read() for peer in peers} == {"2"}
        # With a connection of the pool, for which it would wait long in vain.
        assert site.get("/pool").text == "3"


# --- the native WebSocket -----------------------------------------------------------------------------


def test_a_native_view_gets_a_websocket_as_it_is(site):
    with Peer(site.address, "/native") as peer:
        assert peer.read() == "TimeoutError"
        peer.say("hello")
        assert peer.read() == "hello"
        assert peer.close() == (1000, "")


def test_listeners_have_the_request_and_one_g_and_teardown_comes_at_the_end(site, wait_told):
    with Peer(site.address, "/callbacks?user=ann") as peer:
        peer.say("a")
        assert peer.read() == "/callbacks ann 1"
        peer.say("fail")
        site.wait_for_traceback("LookupError: of a listener")
        peer.say("b")
        assert peer.read() == "/callbacks ann 2"
        assert peer.close() == (1000, "")
    since = wait_told("/callbacks", "app")
    assert since == [
        "failed LookupError('of a listener')",
        "close 1000",
        "request ann None",
        "app callbacks None",
    ]


def test_a_view_may_start_the_listening_itself(site, wait_told):
    with Peer(site.address, "/started?user=ann") as peer:
        peer.say("hello")
        assert peer.read() == "hello ann"
        assert peer.close() == (1000, "")
    assert wait_told("/started", "request") == ["request ann None"]


def test_websocket_true_may_be_said_once_more(site):
    with Peer(site.address, "/said-twice") as peer:
        assert peer.read() == "once"
        assert peer.answer_close() == (1000, "")


def test_what_flask_passes_on_ends_the_request_too():
    app = Flask(__name__)
    app.testing = True
    Sock(app)
    ended = []
    app.teardown_request(lambda error: ended.append(repr(error)))

    @app.route("/chat", websocket=True)
    def chat():
        return WebSocket(request).start(lambda ws: ws.send("never"))

    @app.after_request
    def fail(response):
        raise LookupError("passed on")

    with pytest.raises(LookupError, match="passed on"):
        connect(app, "/chat").connect()
    assert ended == ["LookupError('passed on')"]


def test_a_view_may_talk_within_the_call(site, wait_told):
    with Peer(site.address, "/attached?user=ann") as peer:
        assert peer.read() == "before"
        peer.say("hello")
        assert peer.read() == "hello ann"
        assert peer.close() == (1000, "")
    assert "request ann None" in wait_told("/attached", "request")


def test_cookies_that_come_behind_the_101_are_missed_and_the_log_says_why(site):
    with Peer(site.address, "/welcome?user=ann") as peer:
        assert [peer.read(), peer.read()] == ["welcome", "ann"]
        assert peer.answer_close() == (1000, "")
    assert "session=" not in peer.head
    site.wait_for_log("/welcome: the view opened the connection before it returned it")


def test_an_upgrade_of_a_route_without_websocket_is_explained_in_the_log(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/page")
    assert refused.value.status == 400
    assert "@sock.route" in site.wait_for_log("/page asked for a WebSocket and gets 400")
    assert site.get("/page").text == "a page"


def test_without_sock_the_native_websocket_says_what_to_call(local):
    with pytest.raises(ConfigurationError, match=r"call Sock\(app\), or sock.init_app\(app\)"):
        WebSocket(local.environ)


def test_a_release_that_cannot_be_called_is_refused(local):
    with pytest.raises(TypeError, match="release takes a function, got int"):
        WebSocket(local.environ, release=5)
    with pytest.raises(TypeError, match="release takes a function, got str"):
        Sock(release="db.session.remove")


def test_options_of_simple_websocket_without_meaning_are_named(caplog):
    app = Flask(__name__)
    app.config["SOCK_SERVER_OPTIONS"] = {"receive_bytes": 4096, "ping_interval": 5}
    Sock(app)
    assert "receive_bytes of simple-websocket has no meaning here" in caplog.text


# --- event streams ------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"])
def test_a_generator_has_its_request_to_the_end_and_teardown_comes_then(site, wait_told, accept):
    with StreamPeer(site.address, "/feed?user=ann", Accept=accept) as peer:
        events = peer.rest().decode()
    assert "data: /feed ann\n" in events
    assert "event: name\ndata: named\n" in events
    since = wait_told("/feed", "app")
    assert since == ["end ann", "request ann None", "app feed None"]


def test_head_of_a_stream_ends_its_request_once(site, wait_told):
    with StreamPeer(site.address, "/feed?user=head", method="HEAD") as peer:
        assert peer.status == 200
        assert peer.header("Content-Type").startswith("text/event-stream")
    told = wait_told("/feed", "request head")
    assert told.count("request head None") == 1


def test_a_body_that_is_closed_unread_is_closed():
    app, closed = Flask(__name__), []
    sock = Sock(app)

    @sock.events("/feed")
    def feed():
        response = Response("a page")
        response.call_on_close(lambda: closed.append("closed"))
        return response

    body = app(EnvironBuilder("/feed").get_environ(), lambda *_: None)
    body.close()
    assert closed == ["closed"]


def test_a_teardown_that_fails_is_told_in_a_test():
    app = Flask(__name__)
    sock = Sock(app)

    @sock.route("/chat")
    def chat(ws):
        ws.send("hello")

    @app.teardown_request
    def fail(error):
        raise LookupError("of the teardown")

    def talk():
        with connect(app, "/chat") as ws:
            assert ws.receive() == "hello"

    with pytest.raises(LookupError, match="of the teardown"):
        talk()


def test_an_exception_of_the_generator_is_told_and_ends_the_stream(site, wait_told):
    with StreamPeer(site.address, "/feed/broken") as peer:
        assert b"data: one\n" in peer.rest()
    site.wait_for_traceback("LookupError: of the feed")
    since = wait_told("/feed/broken", "request")
    assert "failed LookupError('of the feed')" in since
    assert "request nobody LookupError('of the feed')" in since


def test_a_view_of_events_may_answer_with_something_else(site):
    answer = site.get("/feed/none")
    assert (answer.status_code, answer.text) == (403, "not you")


def test_an_answer_in_the_place_of_the_stream_ends_the_request(site, wait_told):
    with StreamPeer(site.address, "/feed?user=refused") as peer:
        assert peer.status == 409
    assert wait_told("/feed", "request refused").count("request refused None") == 1
