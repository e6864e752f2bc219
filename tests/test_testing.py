"""faye_sync.testing: its clients behave as those of a real server do, and tell more."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import requests

from faye_sync import (
    Client,
    ConfigurationError,
    ConnectionClosed,
    EventSource,
    EventSourceClient,
    EventSourceError,
    HandshakeError,
    MessageTooBig,
    PerMessageDeflate,
    ReadyState,
    WebSocket,
)
from faye_sync.testing import connect, events
from tests.support.behaviours_app import application
from tests.support.servers import serve

ROOT = Path(__file__).parents[1]
PATIENCE = 20.0  # seconds to wait for what should come at once

Dial = Callable[..., Client]
Listen = Callable[..., EventSourceClient]


# --- forty behaviours, in memory and on a real server -----------------------------------------------


class InMemory:
    """Clients of the application in this process."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self, path: str, protocols: Any = (), **options: Any) -> Client:
        client = connect(application, path, protocols, **options).connect()
        self._stack.push(lambda *_: self._leave(client))
        return client

    def listen(self, path: str, **options: Any) -> EventSourceClient:
        return self._stack.enter_context(events(application, path, **options))

    @staticmethod
    def _leave(client: Client) -> None:
        # That it is raised in the test is shown further below.
        with suppress(LookupError):
            client.__exit__(None, None, None)


class OverTheNetwork:
    """Clients of a server's."""

    def __init__(self, stack: ExitStack, port: int) -> None:
        self._stack = stack
        self._host = f"127.0.0.1:{port}"

    def __call__(self, path: str, protocols: Any = (), **options: Any) -> Client:
        client = Client(f"ws://{self._host}{path}", protocols, **options)
        return self._stack.enter_context(client)

    def listen(self, path: str, **options: Any) -> EventSourceClient:
        url = f"http://{self._host}{path}"
        return self._stack.enter_context(EventSourceClient(url, reconnect=False, **options))


@pytest.fixture(scope="session")
def behaving(tmp_path_factory: pytest.TempPathFactory):
    """The application on real servers, started when they are asked for."""
    running = {}
    with ExitStack() as stack:

        def start(name: str) -> int:
            if name not in running:
                app = "tests.support.behaviours_app:application"
                running[name] = stack.enter_context(
                    serve(name, app, tmp_path_factory.mktemp("behaviours"))
                )
            return running[name].port

        yield start


@pytest.fixture(params=["in-memory", "werkzeug", "gunicorn-gthread"])
def dial(request: pytest.FixtureRequest, behaving) -> Iterator[Any]:
    with ExitStack() as stack:
        if request.param == "in-memory":
            yield InMemory(stack)
        else:
            yield OverTheNetwork(stack, behaving(request.param))


def echoes(ws: Client, message: str | bytes) -> bool:
    ws.send(message)
    return ws.receive(PATIENCE) == message


def closed_by(ws: Client) -> ConnectionClosed:
    try:
        while True:
            ws.receive(PATIENCE)
    except ConnectionClosed as closed:
        return closed


def text(dial):
    assert echoes(dial("/echo"), "hello")


def octets(dial):
    assert echoes(dial("/echo"), bytes(range(256)))


def empty(dial):
    ws = dial("/echo")
    assert echoes(ws, "")
    assert echoes(ws, b"")


def text_of_all_planes(dial):
    assert echoes(dial("/echo"), "aä€😀")


def a_message_of_a_mebibyte(dial):
    assert echoes(dial("/echo"), b"m" * 2**20)


def a_thousand_messages_in_order(dial):
    ws = dial("/echo")
    for number in range(1000):
        ws.send(str(number))
    assert [ws.receive(PATIENCE) for _ in range(1000)] == [str(n) for n in range(1000)]


def several_messages_in_one_write(dial):
    ws = dial("/echo")
    ws.send_many(["one", b"two", "three"])
    assert [ws.receive(PATIENCE) for _ in range(3)] == ["one", b"two", "three"]


def a_message_in_parts(dial):
    ws = dial("/echo")
    ws.send_stream(iter(["one ", "two"]))
    assert ws.receive(PATIENCE) == "one two"


def a_message_taken_in_parts(dial):
    assert "".join(dial("/in-parts").receive_stream(PATIENCE)) == "one two three"


def the_server_speaks_first(dial):
    assert dial("/welcome").receive(PATIENCE) == "welcome"


def two_clients_at_once(dial):
    first, second = dial("/echo"), dial("/echo")
    first.send("1")
    second.send("2")
    assert [second.receive(PATIENCE), first.receive(PATIENCE)] == ["2", "1"]


def a_broadcast_to_all(dial):
    clients = [dial("/room") for _ in range(5)]
    assert {ws.receive(PATIENCE) for ws in clients} == {"joined"}
    clients[2].send("to all")
    assert {ws.receive(PATIENCE) for ws in clients} == {"to all"}


def silence_is_a_timeout(dial):
    ws = dial("/echo")
    with pytest.raises(TimeoutError, match="no message came within"):
        ws.receive(timeout=0.05)
    assert echoes(ws, "still open")


def a_close_of_the_client_reaches_the_server(dial):
    ws = dial("/note-close")
    ws.close(4001, "bored")
    assert ws.wait_closed(PATIENCE)
    ws = dial("/closes")
    assert ws.receive(PATIENCE) == "4001 bored"


def a_close_of_the_server_reaches_the_client(dial):
    closed = closed_by(dial("/leave"))
    assert (closed.code, closed.reason, closed.was_clean) == (4002, "enough", True)


def messages_before_a_close_come_first(dial):
    ws = dial("/leave")
    assert ws.receive(PATIENCE) == "before"
    assert closed_by(ws).code == 4002


def the_end_of_the_function_is_1000(dial):
    assert list(dial("/end")) == ["last"]


def an_exception_of_the_function_is_1011(dial):
    ws = dial("/fail")
    ws.send("go on")
    assert closed_by(ws).code == 1011


def iteration_raises_what_is_no_normal_end(dial):
    with pytest.raises(ConnectionClosed):
        list(dial("/leave"))


def a_pong_answers_a_ping(dial):
    ws, answered = dial("/echo"), Queue()
    ws.ping("data", lambda: answered.put("pong"))
    assert echoes(ws, "behind it")
    assert answered.get(timeout=PATIENCE) == "pong"
    assert ws.latency > 0


def a_ping_of_the_server_is_answered(dial):
    assert dial("/ping").receive(PATIENCE) == "answered"


def a_refusal_has_status_body_and_headers(dial):
    with pytest.raises(HandshakeError) as refused:
        dial("/refuse")
    assert (refused.value.status_code, refused.value.body) == (403, b"not you")
    assert refused.value.headers["X-Why"] == "because"


def a_page_is_no_websocket(dial):
    with pytest.raises(HandshakeError) as refused:
        dial("/missing")
    assert (refused.value.status_code, refused.value.body) == (404, b"no page")


def another_origin_is_refused(dial):
    with pytest.raises(HandshakeError) as refused:
        dial("/echo", headers={"Origin": "http://elsewhere.example"})
    assert refused.value.status_code == 403


def a_redirect_is_followed(dial):
    assert echoes(dial("/elsewhere"), "there")


def a_subprotocol_is_agreed_on(dial):
    ws = dial("/protocols", ["chat", "soap"])
    assert ws.protocol == "chat"


def no_subprotocol_in_common(dial):
    assert dial("/protocols", ["irc"]).protocol == ""


def the_101_has_the_headers_of_the_application(dial):
    ws = dial("/headers")
    assert (ws.status_code, ws.headers["X-One"]) == (101, "1")


def headers_of_the_client_reach_the_application(dial):
    ws = dial("/ask", headers={"X-Agent": "a test"})
    ws.send("?")
    assert "a test" in ws.receive(PATIENCE)


def path_and_query_reach_the_application(dial):
    ws = dial("/ask/b%20c?q=d%26e")
    ws.send("?")
    assert ws.receive(PATIENCE).startswith("/ask/b c d&e ")


def cookies_go_both_ways_in_a_session(dial):
    with requests.Session() as session:
        dial("/headers", session=session)
        ws = dial("/ask", session=session)
        ws.send("?")
        assert "seen=yes" in ws.receive(PATIENCE)


def credentials_open_the_door(dial):
    with pytest.raises(HandshakeError) as refused:
        dial("/guarded", auth=("ann", "wrong"))
    assert refused.value.status_code == 401
    assert echoes(dial("/guarded", auth=("ann", "secret")), "in")


def compression_is_agreed_on(dial):
    ws = dial("/deflate", extensions=[PerMessageDeflate])
    assert ws.extensions == ("permessage-deflate",)
    assert echoes(ws, "again and again " * 100)


def a_message_over_the_servers_limit_is_1009(dial):
    ws = dial("/small")
    ws.send("x" * 101)
    assert closed_by(ws).code == 1009


def a_message_over_the_clients_limit_is_1009(dial):
    closed = closed_by(dial("/shout", max_length=1000))
    assert closed.code == 1009
    assert isinstance(closed.__cause__, MessageTooBig)


def a_client_with_listeners(dial):
    ws, heard = dial("/echo"), Queue()
    ws.on("message", lambda event: heard.put(event.data))
    ws.start()
    ws.send("heard")
    assert heard.get(timeout=PATIENCE) == "heard"
    ws.close()
    assert ws.join(PATIENCE)


def an_application_with_listeners(dial):
    assert echoes(dial("/listeners"), "listened to")


def an_application_that_talks_within_its_call(dial):
    assert echoes(dial("/attached"), "in the call")


def a_connection_tells_its_state(dial):
    ws = dial("/echo")
    assert ws.ready_state is ReadyState.OPEN
    ws.close()
    assert ws.wait_closed(PATIENCE)
    assert (ws.ready_state, ws.close_code, ws.closed) == (ReadyState.CLOSED, 1000, True)


def an_event_stream_is_read_and_resumed(dial):
    first = list(islice(dial.listen("/feed"), 3))
    assert [event.data for event in first] == ["event 1", "event 2", "event 3"]
    again = next(iter(dial.listen("/feed", last_event_id=first[-1].last_event_id)))
    assert again.data == "event 4"


BEHAVIOURS = (
    text,
    octets,
    empty,
    text_of_all_planes,
    a_message_of_a_mebibyte,
    a_thousand_messages_in_order,
    several_messages_in_one_write,
    a_message_in_parts,
    a_message_taken_in_parts,
    the_server_speaks_first,
    two_clients_at_once,
    a_broadcast_to_all,
    silence_is_a_timeout,
    a_close_of_the_client_reaches_the_server,
    a_close_of_the_server_reaches_the_client,
    messages_before_a_close_come_first,
    the_end_of_the_function_is_1000,
    an_exception_of_the_function_is_1011,
    iteration_raises_what_is_no_normal_end,
    a_pong_answers_a_ping,
    a_ping_of_the_server_is_answered,
    a_refusal_has_status_body_and_headers,
    a_page_is_no_websocket,
    another_origin_is_refused,
    a_redirect_is_followed,
    a_subprotocol_is_agreed_on,
    no_subprotocol_in_common,
    the_101_has_the_headers_of_the_application,
    headers_of_the_client_reach_the_application,
    path_and_query_reach_the_application,
    cookies_go_both_ways_in_a_session,
    credentials_open_the_door,
    compression_is_agreed_on,
    a_message_over_the_servers_limit_is_1009,
    a_message_over_the_clients_limit_is_1009,
    a_client_with_listeners,
    an_application_with_listeners,
    an_application_that_talks_within_its_call,
    a_connection_tells_its_state,
    an_event_stream_is_read_and_resumed,
)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_a_client_in_memory_meets_what_one_of_a_real_server_does(dial, behaviour):
    behaviour(dial)


def test_there_are_forty_behaviours():
    assert len(set(BEHAVIOURS)) == 40


# --- what only a client in memory tells ---------------------------------------------------------------


def raising(environ, start_response):
    raise LookupError("in the call")


def failing(environ, start_response):
    def talk(ws):
        ws.receive()
        raise LookupError("in the function")

    return WebSocket(environ).start(talk)(environ, start_response)


def failing_listener(environ, start_response):
    ws = WebSocket(environ)

    @ws.on("message")
    def fail(event):
        ws.send("soon")
        raise LookupError("in a listener")

    return ws(environ, start_response)


def failing_within_the_call(environ, start_response):
    ws = WebSocket(environ)
    ws.receive()
    raise LookupError("behind the 101")


def failing_stream(environ, start_response):
    def items():
        yield "one"
        raise LookupError("in the generator")

    return EventSource.stream(environ, items())(environ, start_response)


def test_an_exception_in_place_of_an_answer_is_raised_in_the_test():
    with pytest.raises(LookupError, match="in the call") as raised:
        connect(raising).connect()
    assert isinstance(raised.value.__cause__, HandshakeError)


def provoke(app, then: Callable[[Client], object]) -> None:
    with connect(app) as ws:
        ws.send("go on")
        then(ws)


@pytest.mark.parametrize(
    "app, message",
    [
        (failing, "in the function"),
        (failing_listener, "in a listener"),
        (failing_within_the_call, "behind the 101"),
    ],
)
def test_an_exception_of_the_application_is_raised_at_the_end(app, message):
    with pytest.raises(LookupError, match=message):
        provoke(app, lambda ws: ws.receive(PATIENCE))


def test_the_applications_exception_comes_before_the_close_that_it_caused():
    with pytest.raises(LookupError, match="in the function") as raised:
        provoke(failing, lambda ws: ws.receive(PATIENCE))
    assert isinstance(raised.value.__cause__, ConnectionClosed)


def test_a_failure_of_the_test_itself_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        provoke(failing, lambda _: 1 / 0)


def test_what_is_raised_is_heard_wherever_logs_go(monkeypatch):
    monkeypatch.setattr(logging.getLogger("faye_sync"), "disabled", True)
    with pytest.raises(LookupError, match="in the function"):
        provoke(failing, lambda ws: ws.receive(PATIENCE))


def test_an_application_that_does_not_end_is_a_failure(monkeypatch):
    monkeypatch.setattr("faye_sync.testing.PATIENCE", 0.2)
    is_over = threading.Event()

    def app(environ, start_response):
        return WebSocket(environ).start(lambda _: is_over.wait())(environ, start_response)

    with pytest.raises(TimeoutError, match=r"did not come to its end within 0\.2 s"):
        provoke(app, lambda ws: None)
    is_over.set()


def test_a_websocket_that_was_forgotten_is_a_refusal(caplog):
    def app(environ, start_response):
        WebSocket(environ)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with pytest.raises(HandshakeError, match="200 OK"):
        connect(app).connect()
    gc.collect()
    assert "was neither opened nor answered" in caplog.text


def test_an_exception_in_place_of_a_stream_is_raised_at_the_end():
    def read() -> list[str]:
        with events(raising) as stream:
            return [event.data for event in stream]

    with pytest.raises(LookupError, match="in the call") as raised:
        read()
    assert isinstance(raised.value.__cause__, EventSourceError)


def test_an_exception_of_a_stream_is_raised_at_the_end():
    def read() -> list[str]:
        with events(failing_stream) as stream:
            return [event.data for event in stream]

    with pytest.raises(LookupError, match="in the generator"):
        read()


def test_the_applications_end_can_be_looked_at():
    with connect(application, "/echo") as ws:
        assert echoes(ws, "hello")
        assert ws.server.environ["PATH_INFO"] == "/echo"
        assert ws.server.ready_state is ReadyState.OPEN
    assert ws.server.closed


def test_an_application_without_a_websocket_has_no_end_of_one():
    client = connect(application, "/missing")
    with pytest.raises(HandshakeError):
        client.connect()
    with pytest.raises(LookupError, match="has made no WebSocket"):
        client.server  # noqa: B018  # the looking raises


def test_more_of_the_environ_can_be_given():
    def app(environ, start_response):
        user = environ["REMOTE_USER"]
        return WebSocket(environ).start(lambda ws: ws.send(user))(environ, start_response)

    with connect(app, environ={"REMOTE_USER": "ann"}) as ws:
        assert ws.receive(PATIENCE) == "ann"


def test_no_port_is_taken_and_nothing_is_left(monkeypatch):
    def bind(*_):
        raise AssertionError("a port was taken")

    monkeypatch.setattr("socket.socket.bind", bind)
    with connect(application, "/echo") as ws:
        assert echoes(ws, "hello")
        here = {thread.name for thread in threading.enumerate()}
    assert any(name.startswith("faye-sync-") for name in here)
    assert not any(
        thread.name == "faye-sync-testing" or ws.server.id in thread.name
        for thread in threading.enumerate()
    )


@pytest.mark.parametrize("client", [5, requests.Session()], ids=["int", "session-of-requests"])
def test_what_is_no_test_client_is_refused(client):
    with pytest.raises(ConfigurationError, match="test client of Flask, Werkzeug or Django"):
        connect(application, client=client)


def test_what_is_no_application_is_refused():
    with pytest.raises(ConfigurationError, match="app must be a WSGI application, got str"):
        connect("app:app")


# --- fixtures of pytest -------------------------------------------------------------------------------

USERS_TESTS = """
import pytest
from faye_sync import WebSocket
from tests.support.behaviours_app import application


def test_two_of_a_room(ws_connect):
    ann, bob = ws_connect(application, "/room"), ws_connect(application, "/room")
    assert ann.receive(timeout=20) == bob.receive(timeout=20) == "joined"
    ann.send("hello")
    assert bob.receive(timeout=20) == "hello"


def test_a_stream(ws_events):
    stream = ws_events(application, "/feed")
    assert next(iter(stream)).data == "event 1"


def test_a_failure(ws_connect):
    ws_connect(application, "/fail").send("go on")
"""


def test_the_plugin_gives_clients_that_are_closed_behind_the_test(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(USERS_TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*LookupError: of the function*"])


def test_a_run_that_uses_no_fixture_loads_nothing_of_the_library(pytester):
    pytester.makepyfile("import sys\n\ndef test_it():\n    assert 'faye_sync' not in sys.modules")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
