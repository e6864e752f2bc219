"""What type checkers say of the public names: mypy by `make check`, pyright by tests/test_types.py.

Never run: each function is a claim of types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from typing_extensions import assert_type

from faye_sync import (
    Client,
    CloseEvent,
    EventSource,
    EventSourceClient,
    MessageEvent,
    PerMessageDeflate,
    ReadyState,
    Reconnect,
    ServerSentEvent,
    WebSocket,
    broadcast,
    parse_events,
)
from faye_sync.contrib.flask import Sock, WebSocket as FlaskWebSocket
from faye_sync.contrib.wsgi import Router
from faye_sync.testing import AppClient, AppEvents, Clock, connect, events

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def server(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    assert_type(WebSocket.is_websocket(environ), bool)
    ws = WebSocket(environ, ["chat"], extensions=[PerMessageDeflate], ping=None, origins="*")

    def talk(ws: WebSocket) -> None:
        for message in ws:
            assert_type(message, str | bytes)
            assert_type(ws.send(message), bool)

    assert_type(ws.accept({"X-One": "1"}), WebSocket)
    assert_type(ws.start(talk), WebSocket)
    assert_type(ws.ready_state, ReadyState)
    assert_type(ws.closed, bool)
    return ws(environ, start_response)


def listeners(ws: WebSocket) -> None:
    @ws.on("message")
    def decorated(event: MessageEvent) -> None:
        assert_type(event.data, str | bytes)

    def closed(event: CloseEvent) -> None:
        assert_type(event.code, int)

    same: Callable[[CloseEvent], None] = ws.on("close", closed)
    ws.off("close", same)
    assert_type(broadcast([ws], "text"), int)


def client() -> None:
    with Client("ws://localhost/", reconnect=Reconnect(idle=60.0)) as ws:
        assert_type(ws, Client)
        assert_type(ws.receive(timeout=5), str | bytes)
        assert_type(ws.receive(), str | bytes)
        assert_type(ws.send_many(["a", b"b"]), bool)
        assert_type(ws.wait_closed(1.0), bool)
        assert_type(ws.latency, float | None)


def streams(environ: Environ) -> None:
    es = EventSource.stream(environ, ["a", 1, {"data": "b"}, None])
    assert_type(es, EventSource)
    assert_type(es.send("text", id=7), bool)
    assert_type(EventSource.encode("text"), bytes)
    with EventSourceClient("http://localhost/") as events:
        for event in events:
            assert_type(event, ServerSentEvent)
            assert_type(event.last_event_id, str)
    assert_type(parse_events(b"data: 1\n\n"), Iterator[ServerSentEvent])


def frameworks(app: Any) -> None:
    sock, router = Sock(app, release=lambda: None), Router(app)

    @sock.route("/native", native=True)
    def native(ws: FlaskWebSocket) -> None:
        assert_type(ws.receive(), str | bytes)

    @router.route("/rooms/<name>")
    def room(ws: WebSocket, name: str) -> None:
        ws.send(name)

    kept: Callable[[FlaskWebSocket], None] = native
    kept_too: Callable[[WebSocket, str], None] = room
    del kept, kept_too


def tests(app: Any) -> None:
    with connect(app, "/chat") as ws, events(app, "/news") as stream, Clock() as clock:
        assert_type(ws, AppClient)
        assert_type(ws.server, WebSocket)
        assert_type(stream, AppEvents)
        clock.advance(1)


def wrong(ws: WebSocket, es: EventSource) -> None:
    """Each line is an error, or the comment behind it would be one."""
    ws.send(5)  # type: ignore[arg-type]
    ws.close("1000")  # type: ignore[arg-type]
    ws.receive("5")  # type: ignore[arg-type]
    es.send({"a": 1})  # type: ignore[arg-type]
    Client(5)  # type: ignore[arg-type]
    WebSocket({}, ping="20")  # type: ignore[arg-type]
