"""contrib.wsgi: WebSockets and event streams by their paths, beside any application."""

from __future__ import annotations

import pytest
from werkzeug.test import Client as PageClient

from faye_sync import HandshakeError
from faye_sync.contrib.wsgi import Router
from faye_sync.testing import connect, events

PATIENCE = 20.0  # seconds to wait for what should come at once


def pages(environ, start_response):
    body = f"page {environ['PATH_INFO']}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture
def router():
    router = Router(pages, max_length=1000)

    @router.route("/rooms/<int:number>")
    def talk(ws, number):
        for message in ws:
            ws.send(f"{number + 1}: {message}")

    @router.route("/tiny", max_length=5)
    def tiny(ws):
        for message in ws:
            ws.send(message)

    @router.view("/listen/<name>")
    def listen(ws, name):
        if name == "nobody":
            ws.reject(403, "not you")
        ws.on("message", lambda event: ws.send(f"{name}: {event.data}"))

    @router.view("/attached")
    def attached(ws):
        for message in ws:
            ws.send(message)

    @router.events("/feed/<name>", retry=None)
    def feed(es, name):
        yield f"{name} behind {es.last_event_id or 'nothing'}"
        yield {"data": "two", "id": 2}

    @router.route("/slash/")
    def slash(ws):
        ws.send("at the slash")

    return router


def test_a_function_talks_with_the_parameters_of_its_rule(router):
    with connect(router, "/rooms/7") as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "8: hello"


def test_a_view_may_listen_or_refuse(router):
    with connect(router, "/listen/ann") as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "ann: hello"
    with pytest.raises(HandshakeError, match="403"):
        connect(router, "/listen/nobody").connect()


def test_a_view_may_talk_within_the_call(router):
    with connect(router, "/attached") as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "hello"


def test_options_of_a_route_come_before_those_of_the_router(router):
    with connect(router, "/tiny") as ws:
        ws.send("x" * 6)
        assert ws.wait_closed(PATIENCE)
        assert ws.close_code == 1009
    with connect(router, "/rooms/1") as ws:
        ws.send("x" * 1001)
        assert ws.wait_closed(PATIENCE)
        assert ws.close_code == 1009


def test_a_generator_has_its_stream_and_the_parameters(router):
    with events(router, "/feed/news", last_event_id="1") as stream:
        first, second = stream
    assert (first.data, second.data, second.last_event_id) == ("news behind 1", "two", "2")


@pytest.mark.parametrize("path", ["/", "/rooms/7", "/rooms/none", "/slash/"])
def test_what_asks_for_a_page_gets_that_of_the_application(router, path):
    assert PageClient(router).get(path).text == f"page {path}"


def test_a_stream_is_for_get_alone(router):
    assert PageClient(router).post("/feed/news").text == "page /feed/news"


def test_an_upgrade_of_a_path_without_a_rule_is_the_applications(router):
    with pytest.raises(HandshakeError, match="200"):
        connect(router, "/rooms/none").connect()


def test_a_missing_slash_is_redirected(router):
    with connect(router, "/slash") as ws:
        assert ws.receive(PATIENCE) == "at the slash"


def test_without_an_application_all_else_is_not_found():
    assert PageClient(Router()).get("/").status_code == 404
    with pytest.raises(HandshakeError, match="404"):
        connect(Router(), "/").connect()


def test_what_is_no_application_is_refused():
    with pytest.raises(TypeError, match="app must be a WSGI application, got str"):
        Router("app:app")


def test_a_prefix_that_a_server_took_off_counts_for_no_rule(router):
    with connect(router, "/rooms/1", environ={"SCRIPT_NAME": "/below"}) as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "2: hello"
