"""The server side: from a WSGI call to a connection, and back to the server."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from queue import Queue
from types import SimpleNamespace

import pytest

from faye_sync import (
    ConfigurationError,
    ConnectionClosed,
    HijackError,
    ReadyState,
    WebSocket,
)
from faye_sync.concurrency import THREADS
from faye_sync.housekeeping import housekeeper_of
from tests.support.local import Local
from tests.support.peer import Refused, closing

# What middlewares that check an answer want to see in that of an ended call.
EMPTY_TEXT = [("Content-Type", "text/plain"), ("Content-Length", "0")]

PATIENCE = 20.0  # seconds to wait for what should come at once


def refused_by(local: Local) -> Refused:
    """What a request came to whose answer the server would send."""
    status, headers = local.started[0]
    return SimpleNamespace(status=status, headers=dict(headers))


# --- the constructor and the handshake ------------------------------------------------------------------


def test_the_constructor_writes_nothing(local):
    ws = WebSocket(local.environ)
    local.peer.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        local.peer.sock.recv(1)
    ws.accept()
    assert "101 Switching Protocols" in local.peer.read_head()


def test_a_request_object_serves_as_the_environ(local):
    request = SimpleNamespace(environ=local.environ)
    assert WebSocket.is_websocket(request)
    ws = WebSocket(request)
    assert ws.environ is local.environ
    ws.accept()


def test_once_open_it_keeps_of_the_environ_what_outlasts_the_call(local):
    local.environ["app.user"] = user = object()
    ws = local.open()
    assert ws.environ["app.user"] is user
    assert ws.environ["PATH_INFO"] == "/chat"
    assert local.environ.keys() - ws.environ.keys() == {"wsgi.input", "werkzeug.socket"}


@pytest.mark.parametrize("thing", [None, "environ", 5, SimpleNamespace(environ=5)], ids=repr)
def test_what_has_no_environ_is_a_type_error(thing):
    with pytest.raises(TypeError, match="takes a WSGI environ or a request that has one"):
        WebSocket(thing)


def test_the_101_names_the_first_subprotocol_of_the_client_that_the_server_knows():
    with Local(headers=[("Sec-WebSocket-Protocol", "soap, irc, xmpp")]) as local:
        ws = local.open(protocols=["xmpp", "irc"])
        assert ws.protocol == "irc"
        assert "\r\nSec-WebSocket-Protocol: irc" in local.peer.head


def test_accept_adds_headers_behind_those_of_the_constructor(local):
    WebSocket(local.environ, headers={"X-One": "1"}).accept([("X-Two", "2"), ("X-Two", "3")])
    head = local.peer.read_head()
    assert "\r\nX-One: 1\r\nX-Two: 2\r\nX-Two: 3" in head


def test_headers_that_come_behind_the_101_are_an_error_and_the_connection_stays(local):
    ws = local.open()
    with pytest.raises(RuntimeError, match="the 101 was sent already"):
        ws.accept({"X-Late": "yes"})
    assert ws.accept() is ws
    assert ws.ready_state is ReadyState.OPEN


def test_accept_refuses_a_header_that_cannot_stand_in_an_answer_and_may_be_called_again(local):
    ws = WebSocket(local.environ)
    with pytest.raises(ConfigurationError, match="header X-Split must be latin-1"):
        ws.accept({"X-Split": "a\r\nb"})
    ws.accept()
    assert "X-Split" not in local.peer.read_head()


def test_the_101_carries_the_headers_of_the_application(local):
    local.open(headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    assert "\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2" in local.peer.head


BAD_OPTIONS = [
    pytest.param({"headers": {"X": "a\r\nEvil: 1"}}, "header X must be", id="header-injection"),
    pytest.param({"headers": {"Upgrade": "x"}}, "the handshake's own", id="own-header"),
    pytest.param({"protocols": ["a b"]}, "is no token", id="subprotocol"),
    pytest.param({"ping": 0}, "ping must be seconds, above 0", id="ping-0"),
    pytest.param({"ping": "20"}, "got '20'", id="ping-str"),
    pytest.param({"pong_timeout": -1}, "pong_timeout must be", id="negative"),
    pytest.param({"send_timeout": float("nan")}, "send_timeout must be", id="nan"),
    pytest.param({"close_timeout": float("inf")}, "or None for none", id="infinite"),
    pytest.param({"max_queue": 0}, "positive int of octets", id="max-queue-0"),
    pytest.param({"detach": "yes"}, "detach must be True, False or None", id="detach"),
    pytest.param({"headers": "abc"}, "mapping or pairs, got str", id="headers-str"),
    pytest.param({"headers": [("a",)]}, "mapping or pairs", id="headers-no-pairs"),
    pytest.param({"protocols": 5}, "protocols must be names, got 5", id="protocols-int"),
    pytest.param({"max_length": 1.5}, "max_length must be", id="max-length-float"),
    pytest.param({"origins": "http://a.example"}, r"pass \['http://a.example'\]", id="origins-str"),
]


@pytest.mark.parametrize("options, text", BAD_OPTIONS)
@pytest.mark.filterwarnings("error")
def test_an_option_that_cannot_work_is_refused_before_anything_is_sent(local, options, text):
    with pytest.raises(ConfigurationError, match=text) as raised:
        WebSocket(local.environ, **options)
    assert isinstance(raised.value, ValueError)


def test_protocols_may_be_none(local):
    assert local.open(protocols=None).protocol == ""


def test_what_can_be_asked_of_a_connection():
    with Local(path="/chat%20room?a=1", headers=[("X-Word", "hello")]) as local:
        host, port = local.peer.sock.getpeername()
        ws = local.open()
        assert ws.headers["x-word"] == "hello"
        assert ws.headers["Host"] == f"{host}:{port}"
        assert ws.url == f"ws://{host}:{port}/chat%20room?a=1"
        assert (ws.version, ws.extensions, ws.status_code) == ("hybi-13", (), 101)
        assert ws.remote_address == local.peer.sock.getsockname()
        assert ws.environ["QUERY_STRING"] == "a=1"
        assert len(ws.id) == 8


# --- servers whose socket cannot be had -------------------------------------------------------------------


def test_an_unknown_server_is_named_with_the_cure(local):
    environ = {**local.environ, "SERVER_SOFTWARE": "NoSuch/1.0", "wsgi.input": None}
    del environ["werkzeug.socket"]
    with pytest.raises(
        HijackError, match=r"NoSuch/1\.0 does not let .*; run the application under gunicorn"
    ):
        WebSocket(environ)


def test_http_2_is_refused_with_the_cure(local):
    with pytest.raises(HijackError, match=r"switch HTTP/2 off"):
        WebSocket({**local.environ, "SERVER_PROTOCOL": "HTTP/2"})


def test_a_bad_request_is_answered_even_there(local):
    environ = {**local.environ, "HTTP_SEC_WEBSOCKET_VERSION": "8"}
    del environ["werkzeug.socket"]
    ws = WebSocket(environ)
    assert b"must be 13" in local.call(ws)
    assert refused_by(local).status.startswith("426")


# --- refusing ---------------------------------------------------------------------------------------------


def test_a_refused_request_is_closed_and_tells_its_listeners_when_called():
    with Local(without="Sec-WebSocket-Key") as local:
        ws = WebSocket(local.environ)
        told = []
        ws.on("error", told.append)
        ws.on("close", told.append)
        assert ws.ready_state is ReadyState.CLOSED
        assert (ws.status_code, ws.close_code) == (400, 1002)
        assert not ws.send("anything")
        assert not ws.send_nowait("anything")
        assert not ws.ping()
        ws.close()
        assert list(ws) == []
        assert b"Sec-WebSocket-Key" in local.call(ws)
        assert [event.type for event in told] == ["error", "close"]
        assert (told[1].code, told[1].cause) == (1002, "handshake")


def test_a_function_is_not_started_on_a_refused_request():
    with Local(without="Sec-WebSocket-Key") as local:
        called = []
        ws = WebSocket(local.environ).start(called.append)
        assert ws.join(PATIENCE)
        assert local.call(ws)
        assert called == []


def test_receive_on_a_refused_request_raises(local):
    ws = WebSocket({**local.environ, "HTTP_ORIGIN": "http://evil.example"})
    with pytest.raises(ConnectionClosed) as closed:
        ws.receive()
    assert (closed.value.code, closed.value.cause) == (1002, "handshake")
    local.call(ws)
    assert refused_by(local).status.startswith("403")


def test_reject_answers_when_the_object_is_called(local):
    ws = WebSocket(local.environ)
    ws.reject(503, "{}", {"Retry-After": "5", "Content-Type": "application/json"})
    assert ws.ready_state is ReadyState.CLOSED
    assert local.call(ws) == b"{}"
    answer = refused_by(local)
    assert answer.status.startswith("503")
    assert (answer.headers["Retry-After"], answer.headers["Content-Type"]) == (
        "5",
        "application/json",
    )


def test_reject_after_the_101_says_what_to_do_instead(local):
    ws = local.open()
    with pytest.raises(RuntimeError, match=r"close\(code, reason\)"):
        ws.reject()


def test_a_listener_may_reject_what_is_being_rejected(local):
    ws = WebSocket(local.environ)
    ws.on("error", lambda event: ws.reject(500))
    ws.reject(401)
    local.call(ws)
    assert refused_by(local).status.startswith("401")


def test_reject_keeps_the_answer_of_a_request_that_was_refused_already():
    with Local(without="Upgrade") as local:
        ws = WebSocket(local.environ)
        ws.reject(401)
        local.call(ws)
        assert refused_by(local).status.startswith("426")


@pytest.mark.parametrize("status", [101, 200, 399, 600])
def test_reject_takes_refusals_only(local, status):
    ws = WebSocket(local.environ)
    with pytest.raises(ConfigurationError, match=rf"400 to 599, got {status}"):
        ws.reject(status)
    ws.reject()
    local.call(ws)


def test_reject_refuses_headers_that_cannot_stand_in_an_answer(local):
    ws = WebSocket(local.environ)
    with pytest.raises(ConfigurationError, match="header X must be"):
        ws.reject(403, headers={"X": "a\r\nEvil: 1"})
    ws.reject()
    local.call(ws)


# --- the end of the call ----------------------------------------------------------------------------------


def test_calling_the_object_starts_its_listeners(local):
    ws = WebSocket(local.environ)
    ws.on("message", lambda event: ws.send(event.data.upper()))
    assert local.call(ws) == b""
    assert local.started == [("101 Switching Protocols", EMPTY_TEXT)]
    local.peer.read_head()
    local.end_call()
    local.peer.say("loud")
    assert local.peer.read() == "LOUD"
    assert local.peer.close() == (1000, "")


def test_the_server_cannot_reach_the_peer_after_accept(local):
    ws = local.open()
    local.server.sendall(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
    assert local.server.recv(100) == b""
    ws.send("clean")
    assert local.peer.read() == "clean"
    ws.close()
    local.peer.answer_close()


def test_a_call_that_ends_without_closing_closes_with_1011_and_a_warning(local, caplog):
    ws = local.open()
    told = Queue()
    ws.on("close", told.put)
    local.end_call()
    assert local.peer.answer_close() == (1011, "")
    assert told.get(timeout=PATIENCE).code == 1011
    assert "the handler raised, or forgot to return the WebSocket" in caplog.text


@pytest.mark.parametrize("style", ["listeners", "function"])
def test_with_detach_false_the_connection_is_read_in_the_call(local, style):
    ws = WebSocket(local.environ, detach=False)
    readers = Queue()
    if style == "listeners":
        ws.on("message", lambda event: readers.put(threading.current_thread()))
    else:
        ws.start(lambda ws: readers.put(ws.receive() and threading.current_thread()))
    call = threading.Thread(target=local.call, args=(ws,))
    call.start()
    local.peer.read_head()
    local.peer.say("who reads?")
    assert readers.get(timeout=PATIENCE) is call
    if style == "listeners":
        local.peer.close()
    else:
        assert local.peer.answer_close() == (1000, "")
    call.join(PATIENCE)
    assert ws.closed


def test_an_object_that_was_never_opened_warns_with_path_and_cure(local, caplog):
    WebSocket(local.environ)
    gc.collect()
    assert "on /chat was neither opened nor answered; return it from the view" in caplog.text


@pytest.mark.parametrize("how", ["refused", "rejected"])
def test_an_object_that_was_answered_does_not_warn(how, caplog):
    with Local(without="Upgrade" if how == "refused" else "") as local:
        ws = WebSocket(local.environ)
        if how == "rejected":
            ws.reject()
        local.call(ws)
        del ws
        gc.collect()
    assert caplog.text == ""


def test_a_connection_is_told_of_the_end_of_the_process_from_its_first_moment(local):
    housekeeper = housekeeper_of(THREADS)
    reached, may_go_on = threading.Event(), threading.Event()
    housekeeper.post(lambda: (reached.set(), may_go_on.wait(PATIENCE)))
    reached.wait(PATIENCE)
    ws = local.open()
    assert ws._link in housekeeper.live
    may_go_on.set()
    local.peer.close()


def test_a_connection_that_is_over_is_let_go_long_before_its_next_ping(local):
    ws = local.open(ping=3600)
    local.peer.send(closing(1000))
    assert list(ws) == []
    local.peer.read_close()
    reference = weakref.ref(ws._link)
    del ws
    local.peer.rest()
    local.end_call()
    deadline = time.monotonic() + PATIENCE
    while reference() is not None and time.monotonic() < deadline:
        # A job of housekeeping's at a time, so that it gets to giving up the descriptor.
        done = threading.Event()
        housekeeper_of(THREADS).post(done.set)
        done.wait(PATIENCE)
        gc.collect()
    assert reference() is None


# --- Django -----------------------------------------------------------------------------------------------


@pytest.fixture
def django():
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure()
    return django


@pytest.mark.usefixtures("django")
def test_django_response_is_an_empty_101(local):
    ws = WebSocket(local.environ)
    ws.on("message", lambda event: ws.send(event.data))
    response = ws.django_response()
    assert (response.status_code, response.content) == (101, b"")
    local.peer.read_head()
    local.end_call()
    local.peer.say("hello")
    assert local.peer.read() == "hello"
    local.peer.close()


@pytest.mark.usefixtures("django")
def test_django_response_carries_a_refusal():
    with Local(without="Upgrade") as local:
        response = WebSocket(local.environ).django_response()
    assert response.status_code == 426
    assert response["Sec-WebSocket-Version"] == "13"
    assert b"proxy removed the Upgrade header" in response.content


@pytest.mark.usefixtures("django")
def test_django_response_keeps_headers_that_come_twice(local):
    ws = WebSocket(local.environ)
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/x")]
    ways = [("WWW-Authenticate", "Basic"), ("WWW-Authenticate", "Bearer")]
    ws.reject(401, "who are you?", [*cookies, *ways])
    response = ws.django_response()
    assert response["WWW-Authenticate"] == "Basic, Bearer"
    assert {name: morsel.value for name, morsel in response.cookies.items()} == {"a": "1", "b": "2"}
    assert response.cookies["b"]["path"] == "/x"


# --- fork -------------------------------------------------------------------------------------------------


def test_a_forked_child_reads_its_copy_as_closed_and_leaves_the_parent_alone(local):
    ws = local.open().start(lambda ws: [ws.send(message) for message in ws])
    local.peer.say("before")
    assert local.peer.read() == "before"
    child = os.fork()
    if child == 0:
        closed = ws.closed and not ws.send_nowait("from the child") and ws.join(1.0)
        ws.close()
        os._exit(0 if closed else 1)
    assert os.waitpid(child, 0)[1] == 0
    local.peer.say("after")
    assert local.peer.read() == "after"
    assert local.peer.close() == (1000, "")
