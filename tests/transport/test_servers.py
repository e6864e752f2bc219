"""Where each server keeps the socket, and what it has read ahead: one table, real wrappers."""

from __future__ import annotations

import io
import socket
import sys
import threading
from types import SimpleNamespace
from wsgiref.validate import InputWrapper

import pytest
from cheroot.server import KnownLengthRFile, SizeCheckWrapper
from django.core.handlers.wsgi import LimitedStream as DjangoStream
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import IterUnreader, SocketUnreader
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from werkzeug.middleware.lint import InputStream
from werkzeug.wsgi import LimitedStream

from faye_sync.errors import HijackError
from faye_sync.transport.hijack import find
from tests.support.local import tcp_pair

EARLY = b"\x81\x85 octets that came early"
REQUEST = b"GET /chat HTTP/1.1\r\nHost: example\r\n\r\n"


@pytest.fixture
def server():
    """A server's socket, with nothing to read."""
    ours, theirs = tcp_pair()
    with ours, theirs:
        yield ours


@pytest.fixture
def reader(server):
    """The server's own file, which holds what came early; it would wait for anything more."""
    file = io.BufferedReader(HeldSocketIO(server))
    assert file.peek(1) == EARLY
    return file


class HeldSocketIO(socket.SocketIO):
    """Gives the octets that came early, and after them what the socket does."""

    def __init__(self, sock: socket.socket) -> None:
        sock._io_refs += 1
        super().__init__(sock, "r")
        self._early = EARLY

    def readinto(self, buffer) -> int:
        octets, self._early = self._early, b""
        if not octets:
            return super().readinto(buffer)
        buffer[: len(octets)] = octets
        return len(octets)


# --- which environ shows what -------------------------------------------------------------------------


def werkzeug(sock, reader):
    return {"werkzeug.socket": sock, "wsgi.input": reader}


def gunicorn(sock, reader):
    unreader = SocketUnreader(sock)
    unreader.unread(EARLY)
    return {"gunicorn.socket": sock, "wsgi.input": Body(LengthReader(unreader, 0))}


def eventlet(sock, reader):
    return {"eventlet.input": SimpleNamespace(get_socket=lambda: sock, rfile=reader)}


def gevent(sock, reader):
    return {"wsgi.input": SimpleNamespace(rfile=reader)}


def wsgiref(sock, reader):
    return {"wsgi.input": reader}


def runserver(sock, reader):
    return {"wsgi.input": DjangoStream(reader, 0)}


def runserver_4(sock, reader):
    return {"wsgi.input": SimpleNamespace(stream=reader)}


def cheroot(sock, reader):
    return {"wsgi.input": KnownLengthRFile(reader, 0)}


def cheroot_chunked(sock, reader):
    return {"wsgi.input": KnownLengthRFile(SizeCheckWrapper(reader, 1000), 0)}


def waitress(sock, reader):
    channel = waitress_channel(sock)
    channel.received(REQUEST + EARLY)
    return {"waitress.client_disconnected": channel.check_client_disconnected}


def waitress_channel(sock, **adjustments) -> HTTPChannel:
    asyncore = SimpleNamespace(add_task=lambda channel: None, active_channels={})
    options = Adjustments(**adjustments)
    return HTTPChannel(asyncore, sock, sock.getpeername(), options, map={})


SERVERS = [
    werkzeug,
    gunicorn,
    eventlet,
    gevent,
    wsgiref,
    runserver,
    runserver_4,
    cheroot,
    cheroot_chunked,
    waitress,
]


@pytest.mark.parametrize("shape", SERVERS)
def test_the_socket_is_found_with_what_was_read_ahead(server, reader, shape):
    found = find(shape(server, reader))
    assert found.sock is server
    assert found.read_ahead() == EARLY


MIDDLEWARES = {
    "werkzeug": lambda body: LimitedStream(body, 0),
    "werkzeug-lint": InputStream,
    "wsgiref-validate": InputWrapper,
    "django-5": lambda body: DjangoStream(body, 0),
    "django-4": lambda body: SimpleNamespace(stream=body),
    "several": lambda body: InputWrapper(InputStream(DjangoStream(body, 0))),
}


@pytest.mark.parametrize("wrap", MIDDLEWARES.values(), ids=MIDDLEWARES)
@pytest.mark.parametrize("shape", [werkzeug, gunicorn, wsgiref])
def test_a_body_that_a_middleware_wrapped_is_looked_through(server, reader, shape, wrap):
    environ = shape(server, reader)
    environ["wsgi.input"] = wrap(environ["wsgi.input"])
    found = find(environ)
    assert found.sock is server
    assert found.read_ahead() == EARLY


def test_looking_through_wrappers_comes_to_an_end(server, reader):
    body = reader
    for _ in range(4):
        body = SimpleNamespace(stream=body)
    assert find({"wsgi.input": body}).sock is server
    endless = SimpleNamespace()
    endless.stream = endless
    for deep in (SimpleNamespace(stream=body), endless):
        with pytest.raises(HijackError, match="does not let an application take"):
            find({"wsgi.input": deep})


def test_octets_are_read_ahead_once(server, reader):
    for shape in (gunicorn, waitress):
        read_ahead = find(shape(server, reader)).read_ahead
        assert [read_ahead(), read_ahead()] == [EARLY, b""]


NOT_ENOUGH = {
    "gunicorn without its socket": {"wsgi.input": Body(LengthReader(IterUnreader([]), 0))},
    "eventlet of another make": {"eventlet.input": io.BytesIO()},
    "eventlet without its file": {"eventlet.input": SimpleNamespace(get_socket=object)},
    "waitress without its channel": {"waitress.client_disconnected": lambda: False},
    "a file of the disk": {"wsgi.input": io.BufferedReader(io.BytesIO(b"octets"))},
}


@pytest.mark.parametrize("environ", NOT_ENOUGH.values(), ids=NOT_ENOUGH)
def test_half_of_what_a_server_shows_is_nothing(environ):
    with pytest.raises(HijackError, match="does not let an application take"):
        find(environ)


def test_a_connection_of_another_tls_is_refused_with_the_cure():
    connection = SimpleNamespace(fileno=lambda: 77)
    reader = SimpleNamespace(raw=SimpleNamespace(_sock=connection), peek=None, read1=None)
    with pytest.raises(HijackError, match="cheroot: the builtin adapter"):
        find({"wsgi.input": SimpleNamespace(rfile=reader)})


# --- waitress ------------------------------------------------------------------------------------------


def of_channel(channel: HTTPChannel) -> dict:
    return {"waitress.client_disconnected": channel.check_client_disconnected}


@pytest.mark.parametrize("early", [b"", EARLY, b"\r\n" + EARLY, EARLY + b"\r\n\r"], ids=repr)
def test_waitress_gives_back_what_it_took_for_the_beginning_of_a_request(server, early):
    channel = waitress_channel(server)
    channel.received(REQUEST + early)
    assert find(of_channel(channel)).read_ahead() == early
    assert channel.request is None


WRONGLY_PARSED = {
    "a bad request": EARLY + b"\r\n\r\n",
    "a bad request and more": EARLY + b"\r\n\r\n" + EARLY,
    "a good request": b"GET / HTTP/1.1\r\n\r\n",
    "a head whose body is to come": b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
}


@pytest.mark.parametrize("early", WRONGLY_PARSED.values(), ids=WRONGLY_PARSED)
def test_waitress_is_refused_where_octets_have_gone_into_another_request(server, early):
    channel = waitress_channel(server)
    channel.received(REQUEST + early)
    with pytest.raises(HijackError, match="has to wait for the 101"):
        find(of_channel(channel))


def test_waitress_is_waited_for_while_it_parses_what_came_early(server):
    channel = waitress_channel(server)
    channel.received(REQUEST)
    outcome = []

    def call() -> None:
        try:
            outcome.append(find(of_channel(channel)))
        except HijackError as error:
            outcome.append(error)

    thread = threading.Thread(target=call)
    with channel.requests_lock:
        thread.start()
        thread.join(0.2)
        assert outcome == []
        channel.requests.append(object())
    thread.join(20)
    assert isinstance(outcome[0], HijackError)


def test_waitress_that_reads_on_during_a_call_is_refused_with_the_cure(server):
    channel = waitress_channel(server, channel_request_lookahead=1)
    channel.received(REQUEST)
    with pytest.raises(HijackError, match="leave channel_request_lookahead at 0"):
        find(of_channel(channel))


# --- eventlet, uWSGI -------------------------------------------------------------------------------------


def test_eventlet_is_told_that_the_call_needs_no_answer(server, reader, monkeypatch):
    module = SimpleNamespace(WSGI_LOCAL=SimpleNamespace(already_handled=False))
    monkeypatch.setitem(sys.modules, "eventlet.wsgi", module)
    found = find(eventlet(server, reader))
    assert not module.WSGI_LOCAL.already_handled
    found.end_call()
    assert module.WSGI_LOCAL.already_handled


def uwsgi(monkeypatch, options: str, loop: bytes | None = None) -> dict:
    """An environ of uWSGI, whose module in the server tells of its options."""
    module = SimpleNamespace(opt=dict.fromkeys(options.split(), b"true"), loop=loop)
    module.connection_fd = lambda: 77
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    return {"uwsgi.version": b"2.0.30"}


UWSGI_WORKS = [
    "http-socket threads",
    "http-socket enable-threads",
    "http http-websockets threads",
    "https http-websockets threads",
    "socket threads",
]


@pytest.mark.parametrize("options", UWSGI_WORKS)
def test_uwsgi_shows_a_number_and_nothing_it_has_read(monkeypatch, options):
    found = find(uwsgi(monkeypatch, options))
    assert found.sock.fileno() == 77
    assert found.sock.hub is None
    assert found.read_ahead() == b""


def test_uwsgi_under_gevent_lives_in_that_hub(monkeypatch):
    hub = object()
    gevent = SimpleNamespace(get_hub=lambda: hub)
    monkeypatch.setitem(sys.modules, "gevent", gevent)
    assert find(uwsgi(monkeypatch, "http-socket gevent", b"gevent")).sock.hub is hub


UWSGI_FAILS = [
    ("http threads", None, "add --http-websockets"),
    ("https threads", None, "add --http-websockets"),
    ("http-socket", None, "add --enable-threads or --threads"),
    ("http-socket threads async", None, "only --gevent can wait"),
    ("http-socket threads", b"asyncio", "only --gevent can wait"),
    ("https-socket threads", None, "uWSGI's --https-socket is wrapped"),
    ("fastcgi-socket threads", None, "uWSGI's --fastcgi-socket is wrapped"),
]


@pytest.mark.parametrize("options, loop, cure", UWSGI_FAILS)
def test_uwsgi_is_refused_with_the_option_it_lacks(monkeypatch, options, loop, cure):
    with pytest.raises(HijackError, match=cure):
        find(uwsgi(monkeypatch, options, loop))
