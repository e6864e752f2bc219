"""Extensions from one end to the other: this library's client against its server."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from faye_sync import (
    Client,
    ConnectionClosed,
    Extension,
    HandshakeError,
    PerMessageDeflate,
    ProtocolError,
    WebSocket,
)
from tests.support.local import Local
from tests.support.planned_server import PlannedServer, accept
from tests.support.reversal import Reverse, Seal

PATIENCE = 20.0  # seconds to wait for what should come at once
NAMES = {"x-reverse": Reverse, "x-seal": Seal, "permessage-deflate": PerMessageDeflate}
MESSAGES = ["", "text", "Grüße" * 1000, b"", b"octets", bytes(range(256)) * 1000, "x" * 70_000]


class Served:
    """A server in this process whose handlers are the test's; keeps its extensions."""

    def __init__(self) -> None:
        self.extensions: list[Extension] = []
        self.errors: list[BaseException] = []
        self.is_over = threading.Event()
        self._server = make_server("127.0.0.1", 0, self._application, threaded=True)
        self.url = f"ws://127.0.0.1:{self._server.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02])

    def _application(self, environ, start_response):
        ws = WebSocket(environ, extensions=self.extensions)
        return ws.start(self._talk)(environ, start_response)

    def _talk(self, ws: WebSocket) -> None:
        try:
            if ws.environ["PATH_INFO"] == "/streams":
                while True:
                    ws.send_stream(ws.receive_stream(PATIENCE))
            for message in ws:
                ws.send(message)
        except Exception as error:
            self.errors.append(error)
            raise
        finally:
            ws.wait_closed(PATIENCE)
            self.is_over.set()

    def __enter__(self) -> Served:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as server:
        yield server


def made(names: tuple[str, ...]) -> list[Extension]:
    return [NAMES[name]() for name in names]


@pytest.mark.parametrize("path", ["", "streams"], ids=["whole", "streams"])
@pytest.mark.parametrize(
    "names",
    [order for count in (1, 2, 3) for order in itertools.permutations(NAMES, count)],
    ids="+".join,
)
def test_messages_come_back_through_extensions_in_any_order(served, names, path):
    served.extensions = made(names)
    with Client(served.url + path, extensions=made(tuple(reversed(names)))) as ws:
        # The server's order is that of the answer.
        assert ws.extensions == names
        for message in MESSAGES:
            ws.send(message)
            assert ws.receive(PATIENCE) == message
            ws.send_stream([message, message])
            assert b"".join(map(octets, ws.receive_stream(PATIENCE))) == octets(message) * 2


def octets(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message


class Noted(Reverse):
    """Tells when its session has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.has_ended = threading.Event()

    def _add(self, session):
        close = session.close
        session.close = lambda: (close(), self.has_ended.set())
        return super()._add(session)


def test_sessions_of_both_ends_are_closed_once(served):
    ours, theirs = Noted(), Noted()
    served.extensions = [theirs]
    with Client(served.url, extensions=[ours]) as ws:
        ws.send("text")
        ws.receive(PATIENCE)
    assert served.is_over.wait(PATIENCE)
    for extension in (ours, theirs):
        assert extension.has_ended.wait(PATIENCE)
        (session,) = extension.sessions
        assert session.closed == 1


def test_a_session_that_no_answer_came_for_is_closed(served):
    ours = Seal()
    with Client(served.url, extensions=[ours]) as ws:
        assert ws.extensions == ()
    assert [session.closed for session in ours.sessions] == [1]


def test_a_session_is_closed_where_the_handshake_fails():
    ours = Seal()

    def accept_what_nobody_offered(visit):
        visit.answer(403, [], "no")

    with PlannedServer(accept_what_nobody_offered) as server:
        ws = Client(server.url, extensions=[ours])
        with pytest.raises(HandshakeError):
            ws.connect()
    assert [session.closed for session in ours.sessions] == [1]


def test_an_extension_that_nobody_answered_leaves_messages_alone():
    with PlannedServer(accept) as server, Client(server.url, extensions=[Reverse()]) as ws:
        visit = server.visit()
        ws.send(b"octets")
        assert visit.read() == b"octets"


class Broken(Extension):
    """Fails where it is told to, and tells when its session has ended."""

    name = "x-broken"

    def __init__(self, where: str = "", error: Exception | None = None) -> None:
        self._where = where
        self._error = error
        self.has_ended = threading.Event()

    def create_client_session(self, options):
        return BrokenSession(self._where, self._error, self.has_ended)

    def create_server_session(self, offers, options):
        return self.create_client_session(options)


class BrokenSession:
    """No more than the methods that an extension of faye-websocket has."""

    def __init__(self, where, error, has_ended):
        self._where = where
        self._error = error
        self._has_ended = has_ended

    def generate_offer(self):
        return {}

    def activate(self, params):
        return True

    def generate_response(self):
        return {}

    def process_incoming_message(self, message):
        return self._pass("incoming", message)

    def process_outgoing_message(self, message):
        return self._pass("outgoing", message)

    def close(self):
        self._has_ended.set()
        self._pass("close", None)

    def _pass(self, where, message):
        if where == self._where:
            raise self._error
        return message


ERRORS = [
    pytest.param(LookupError("nothing there"), 1010, "x-broken: ", id="any-error"),
    pytest.param(ProtocolError("not so", 1003), 1003, "not so", id="error-with-a-code"),
]


@pytest.mark.parametrize("error, code, text", ERRORS)
def test_a_session_that_fails_on_the_way_in_closes_the_connection(served, error, code, text):
    served.extensions = [Broken("incoming", error)]
    with Client(served.url, extensions=[Broken()]) as ws:
        ws.send("text")
        with pytest.raises(ConnectionClosed) as caught:
            ws.receive(PATIENCE)
    assert (caught.value.code, caught.value.cause) == (code, "peer")
    assert caught.value.reason.startswith(text)


@pytest.mark.parametrize("error, code, text", ERRORS)
@pytest.mark.parametrize("how", ["send", "send_stream", "send_nowait"])
def test_a_session_that_fails_on_the_way_out_tells_the_sender_and_the_peer(
    served, how, error, code, text
):
    served.extensions = [Broken()]
    ws = Client(served.url, extensions=[Broken("outgoing", error)]).connect()
    if how == "send_nowait":
        ws.send_nowait("text")
    else:
        with pytest.raises(ProtocolError, match=text):
            getattr(ws, how)(["text"] if how == "send_stream" else "text")
    assert ws.wait_closed(PATIENCE)
    assert ws.close_code == code


def test_a_session_that_fails_as_it_ends_is_logged(served, caplog, monkeypatch):
    emit = caplog.handler.emit
    broken = Broken("close", LookupError("not there"))
    served.extensions = [broken]
    told = threading.Event()

    def note(record):
        emit(record)
        if "could not end its session" in record.msg:
            told.set()

    monkeypatch.setattr(caplog.handler, "emit", note)
    with Client(served.url, extensions=[Broken()]) as ws:
        ws.send("text")
        assert ws.receive(PATIENCE) == "text"
    assert broken.has_ended.wait(PATIENCE)
    assert told.wait(PATIENCE)
    (record,) = [one for one in caplog.records if "could not end its session" in one.msg]
    assert isinstance(record.exc_info[1], LookupError)


@pytest.mark.parametrize("header", ["a,", "x-webkit- -frame", 'a; b="', "a; =1"], ids=repr)
@pytest.mark.parametrize("known", [[], [PerMessageDeflate]], ids=["none", "deflate"])
def test_a_header_that_follows_no_grammar_is_answered_with_400(header, known):
    with Local(headers=[("Sec-WebSocket-Extensions", header)]) as local:
        ws = WebSocket(local.environ, extensions=known)
        assert b"Sec-WebSocket-Extensions" in local.call(ws)
        assert local.started[0][0].startswith("400 ")


@pytest.mark.parametrize("compress", [None, True, False], ids=repr)
def test_send_says_whether_to_compress(served, compress):
    served.extensions = [PerMessageDeflate()]
    with Client(served.url, extensions=[PerMessageDeflate]) as ws:
        for message in ("short", "long" * 1000):
            assert ws.send(message, compress=compress)
            assert ws.receive(PATIENCE) == message
