"""From a server's environ to the client's socket, and what is left of the server's own."""

from __future__ import annotations

import io
import os
import resource
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from faye_sync.errors import HijackError
from faye_sync.transport.hijack import DRAIN_LIMIT, drain, find, take
from faye_sync.transport.servers import Found
from tests.support.local import tcp_pair


@pytest.fixture
def pair():
    """A client's socket and the server's, connected by TCP."""
    server, client = tcp_pair()
    with client, server:
        yield client, server


def werkzeug(server: socket.socket, reader: io.BufferedReader) -> dict:
    return {"werkzeug.socket": server, "wsgi.input": reader}


def gunicorn(server: socket.socket, reader: io.BufferedReader) -> dict:
    unreader = SimpleNamespace(buf=io.BytesIO(held(reader)))
    body = SimpleNamespace(reader=SimpleNamespace(unreader=unreader))
    return {"gunicorn.socket": server, "wsgi.input": body}


def gevent(server: socket.socket, reader: io.BufferedReader) -> dict:
    return {"wsgi.input": reader}


def gevent_without_upgrade(server: socket.socket, reader: io.BufferedReader) -> dict:
    return {"wsgi.input": SimpleNamespace(rfile=reader)}


def held(reader: io.BufferedReader) -> bytes:
    return reader.read1(len(reader.peek(1)))


SHAPES = [werkzeug, gunicorn, gevent, gevent_without_upgrade]


def serve(pair, shape, early: bytes = b""):
    """Have the server read the request, and what came with it, as servers do."""
    client, server = pair
    client.sendall(b"GET / HTTP/1.1\r\n" + early)
    reader = server.makefile("rb")
    reader.readline()
    return shape(server, reader)


@pytest.mark.parametrize("shape", SHAPES)
def test_octets_that_the_server_had_read_are_kept(pair, shape):
    environ = serve(pair, shape, early=b"early octets")
    taken = take(find(environ))
    pair[0].sendall(b", later ones")
    assert taken.early == b"early octets"
    assert taken.stream.recv() == b", later ones"
    taken.stream.close()
    taken.far_end.close()


def test_a_client_that_goes_on_sending_does_not_hold_up_the_taking(pair):
    environ = serve(pair, werkzeug)
    octets = bytes(range(256)) * 1000
    pair[0].sendall(octets)
    taken = take(find(environ))
    assert len(taken.early) <= io.DEFAULT_BUFFER_SIZE
    received = taken.early
    while len(received) < len(octets):
        received += taken.stream.recv()
    assert received == octets
    taken.stream.close()
    taken.far_end.close()


@pytest.mark.parametrize("shape", SHAPES[:1])
def test_finding_reads_and_writes_nothing(pair, shape):
    environ = serve(pair, shape, early=b"early octets")
    find(environ)
    assert held(environ["wsgi.input"]) == b"early octets"
    pair[1].sendall(b"still the server's")
    assert pair[0].recv(100) == b"still the server's"


def test_the_server_reads_the_end_and_cannot_write_to_the_client(pair):
    client, server = pair
    taken = take(find(serve(pair, werkzeug)))
    assert server.recv(100) == b""
    server.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    taken.stream.send_now(b"ours")
    assert client.recv(100) == b"ours"
    taken.stream.close()
    taken.far_end.close()


def test_the_far_end_tells_when_the_server_drops_its_own(pair):
    client, server = pair
    environ = serve(pair, werkzeug)
    taken = take(find(environ))
    assert not drain(taken.far_end)
    server.sendall(b"x" * 1000)
    assert not drain(taken.far_end)
    environ["wsgi.input"].close()
    server.close()
    assert drain(taken.far_end)
    taken.stream.send_now(b"the client is still there")
    assert client.recv(100) == b"the client is still there"
    taken.stream.close()
    taken.far_end.close()


def test_the_servers_descriptor_keeps_its_mode_and_is_not_inherited(pair):
    server = pair[1]
    environ = serve(pair, werkzeug)
    server.setblocking(False)
    taken = take(find(environ))
    assert not os.get_blocking(server.fileno())
    assert not os.get_inheritable(server.fileno())
    taken.stream.close()
    taken.far_end.close()


def test_all_descriptors_are_given_back(pair):
    environ = serve(pair, werkzeug)
    before = descriptors()
    taken = take(find(environ))
    assert descriptors() == before + 2
    taken.stream.close()
    taken.far_end.close()
    assert descriptors() == before


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_without_a_free_descriptor_the_server_keeps_all_it_had(pair):
    environ = serve(pair, werkzeug, early=b"early octets")
    found = find(environ)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (pair[1].fileno(), hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            take(found)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert held(environ["wsgi.input"]) == b"early octets"
    pair[1].sendall(b"an error page")
    assert pair[0].recv(100) == b"an error page"


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"wsgi.input": io.BytesIO()}, id="body-in-memory"),
    ],
)
def test_a_server_that_shows_no_socket_is_named_with_the_cure(environ):
    with pytest.raises(HijackError, match=r"^SomeServer/2 does not let an application take"):
        find({"SERVER_SOFTWARE": "SomeServer/2", **environ})


@pytest.mark.parametrize("key", ["werkzeug.socket", "gunicorn.socket"])
def test_a_middleware_that_hides_what_the_server_has_read_is_named_by_what_it_put_there(key):
    with pytest.raises(HijackError, match=r"has put a _io\.BytesIO in the place of .* wsgi\.input"):
        find({key: object(), "wsgi.input": io.BytesIO()})


def test_a_body_without_end_is_let_fail(pair):
    server = pair[1]
    taken = take(find(serve(pair, werkzeug)))
    server.setblocking(False)
    written, is_over = 0, False
    while not is_over:
        assert written <= 2 * DRAIN_LIMIT
        written += server.send(bytes(65536))
        is_over = drain(taken.far_end)
    taken.far_end.close()
    with pytest.raises(OSError, match="Broken pipe"):
        server.send(b"more")
    taken.stream.close()


def test_a_socket_of_another_tls_is_refused_with_the_cure(pair):
    environ = serve(pair, werkzeug)
    environ["werkzeug.socket"] = SimpleNamespace(fileno=pair[1].fileno)
    with pytest.raises(HijackError, match=r"in a types\.SimpleNamespace, .* the builtin adapter"):
        find({"SERVER_SOFTWARE": "SomeServer/2", **environ})


def test_a_taking_that_fails_half_way_lets_the_client_go_and_gives_all_descriptors_back(pair):
    client, _ = pair
    environ = serve(pair, werkzeug)
    found = find(environ)
    environ["wsgi.input"].detach()
    before = descriptors()
    with pytest.raises(ValueError, match="detached"):
        take(found)
    assert descriptors() == before
    assert client.recv(100) == b""


def test_a_descriptor_that_is_no_socket_is_not_leaked(pair, tmp_path):
    with (tmp_path / "file").open("wb") as file:
        sock = SimpleNamespace(fileno=file.fileno)
        before = descriptors()
        with pytest.raises(OSError, match="Socket operation on non-socket"):
            take(Found(sock, bytes))
        assert descriptors() == before
