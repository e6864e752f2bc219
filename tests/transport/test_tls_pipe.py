"""The pipe through TLS that is talked through while dialing."""

from __future__ import annotations

import os
import re
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.readiness import HANGUP
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.pipe import Pipe, SocketPipe
from faye_sync.transport.tls_client import TlsSettings
from faye_sync.transport.tls_memory import TlsPipe
from tests.support.certificates import certificate
from tests.support.key_update import update_keys
from tests.support.local import tcp_pair
from tests.support.tls_layers import SETTINGS, TlsServer, answer
from tests.support.tls_peer import PATIENCE, in_thread, server_context

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
UNTRUSTING = TlsSettings(ssl.create_default_context(cadata=""), "127.0.0.1")
OF_ANOTHER = TlsSettings(SETTINGS.context, "example.com")


@contextmanager
def answered(
    behave: Callable[[socket.socket], object], timeout: float = PATIENCE
) -> Iterator[tuple[Pipe, list]]:
    """A pipe to a peer that behaves so on a thread of its own; the list gets what that gives."""
    theirs, ours = tcp_pair()
    theirs.settimeout(PATIENCE)
    ours.setblocking(False)

    def play() -> object:
        try:
            return behave(theirs)
        except OSError as error:
            return error

    thread, given = in_thread(play)
    with theirs, Attempt(THREADS, timeout) as attempt:
        attempt.phase = "TLS handshake"
        with ours:
            yield SocketPipe(ours, attempt), given
        thread.join(PATIENCE)


def piped(pipe: Pipe, depth: int) -> Pipe:
    for _ in range(depth):
        pipe = TlsPipe(pipe, SETTINGS)
    return pipe


def received(pipe: Pipe, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = pipe.recv()
        assert piece
        data += piece
    return data


# --- once the hands are shaken ---------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("depth", [1, 2, 3], ids="in-{}-layers".format)
@pytest.mark.parametrize("size", [1, 16_384, 2**20 + 7])
def test_octets_of_any_size_go_both_ways(depth, version, size):
    def echo(sock: socket.socket) -> None:
        server = answer(sock, depth, server_context(version))
        server.say(server.read(size))

    octets = os.urandom(size)
    with answered(echo) as (raw, _):
        pipe = piped(raw, depth)
        pipe.send_all(octets)
        assert received(pipe, size) == octets
        assert len(pipe.codec.layers) == depth


def test_octets_in_the_segment_that_ends_the_handshake_are_received():
    def greet(sock: socket.socket) -> None:
        server = TlsServer(sock, server_context(ssl.TLSVersion.TLSv1_2))
        server._in.write(sock.recv(2**16))
        with pytest.raises(ssl.SSLWantReadError):
            server._tls.do_handshake()
        sock.sendall(server._out.read())
        server._in.write(sock.recv(2**16))
        server._tls.do_handshake()
        server._tls.write(b"greetings")
        sock.sendall(server._out.read())

    with answered(greet) as (raw, _):
        assert piped(raw, 1).recv() == b"greetings"


def test_a_key_update_is_answered_before_the_next_wait():
    def update(sock: socket.socket) -> bytes:
        server = answer(sock, 1, server_context())
        for _ in range(3):
            update_keys(server._tls)
            server.say(b"octets")
        return server.read(4)

    with answered(update) as (raw, given):
        pipe = piped(raw, 1)
        assert received(pipe, 18) == b"octets" * 3
        pipe.send_all(b"back")
    assert given == [b"back"]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("ending", ["say_goodbye", "shutdown"])
def test_either_end_reads_as_the_end(depth, ending):
    def leave(sock: socket.socket) -> None:
        server = answer(sock, depth, server_context())
        server.say(b"last")
        if ending == "say_goodbye":
            server.say_goodbye()
        sock.shutdown(socket.SHUT_WR)
        sock.recv(2**16)

    with answered(leave) as (raw, _):
        pipe = piped(raw, depth)
        assert [pipe.recv() for _ in range(3)] == [b"last", b"", b""]


def test_octets_that_are_no_record_raise_and_the_peer_is_told():
    def spoil(sock: socket.socket) -> object:
        server = answer(sock, 1, server_context())
        server.say(b"good")
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return server.read(1)

    with answered(spoil) as (raw, given):
        pipe = piped(raw, 1)
        assert pipe.recv() == b"good"
        for _ in range(2):
            with pytest.raises(ssl.SSLError, match=r"(?i)wrong.version.number"):
                pipe.recv()
    assert "ALERT" in str(given[0])


# --- handshakes that fail ----------------------------------------------------------------------------


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def say(octets: bytes) -> Callable[[socket.socket], None]:
    def behave(sock: socket.socket) -> None:
        sock.recv(2**16)
        sock.sendall(octets)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(2**16)

    return behave


def first_flight(sock: socket.socket) -> bytes:
    server = TlsServer(sock, server_context())
    server._in.write(sock.recv(2**16))
    with pytest.raises(ssl.SSLWantReadError):
        server._tls.do_handshake()
    return server._out.read()


def half_a_hello(sock: socket.socket) -> None:
    sock.sendall(first_flight(sock)[:500])
    sock.shutdown(socket.SHUT_WR)
    sock.recv(2**16)


ENDED = "ended the connection in the TLS handshake with 127.0.0.1"
FAILURES = {
    "plain-http": (say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ssl.SSLError, "WRONG_VERSION_NUMBER"),
    "zeros": (say(bytes(100)), ssl.SSLError, r"\[SSL"),
    "an-alert": (say(bytes.fromhex("15 03 03 00 02 02 28")), ssl.SSLError, "HANDSHAKE_FAILURE"),
    "an-end-at-once": (say(b""), ssl.SSLEOFError, ENDED),
    "an-end-in-its-hello": (half_a_hello, ssl.SSLEOFError, ENDED),
    "a-reset": (reset, ConnectionResetError, "in the TLS handshake with 127.0.0.1"),
}


@pytest.mark.parametrize("behave, kind, text", FAILURES.values(), ids=FAILURES)
def test_what_goes_wrong_in_a_handshake_is_told(behave, kind, text):
    with answered(behave) as (raw, _), pytest.raises(kind, match=text):
        piped(raw, 1)


def silence(sock: socket.socket) -> None:
    while sock.recv(2**16):
        continue


def drip(sock: socket.socket) -> None:
    octets = first_flight(sock)
    sock.settimeout(0.2)
    for octet in octets:
        sock.sendall(bytes((octet,)))
        try:
            if not sock.recv(1):
                return
        except TimeoutError:
            continue


@pytest.mark.parametrize("behave", [silence, drip])
def test_a_handshake_ends_at_the_deadline_of_the_attempt(behave):
    began = time.monotonic()
    with answered(behave, timeout=0.7) as (raw, _):
        with pytest.raises(TimeoutError, match=r"open_timeout of 0\.7 s: TLS handshake"):
            piped(raw, 1)
        assert 0.7 <= time.monotonic() - began < 3


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize(
    "settings, text, alert",
    [
        pytest.param(OF_ANOTHER, "not valid for 'example.com'", "bad.certificate", id="name"),
        pytest.param(UNTRUSTING, "unable to get local issuer", "unknown.ca", id="authority"),
    ],
)
def test_a_certificate_that_is_not_accepted_is_told_to_both_ends(depth, settings, text, alert):
    with answered(lambda sock: answer(sock, depth, server_context())) as (raw, given):
        outer = piped(raw, depth - 1)
        with pytest.raises(ssl.SSLCertVerificationError, match=text):
            TlsPipe(outer, settings)
    assert re.search(f"(?i){alert}", str(given[0]))


def test_a_check_that_fails_fails_the_handshake():
    def refuse(tls: ssl.SSLObject) -> None:
        assert tls.getpeercert(True)
        raise ssl.SSLCertVerificationError("not that one")

    settings = TlsSettings(SETTINGS.context, "127.0.0.1", refuse)
    with (
        answered(lambda sock: answer(sock, 1, server_context())) as (raw, _),
        pytest.raises(ssl.SSLCertVerificationError, match="not that one"),
    ):
        TlsPipe(raw, settings)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_server_that_misses_our_certificate_is_heard(version):
    def demand(sock: socket.socket) -> object:
        context = server_context(version)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate().authority)
        return answer(sock, 1, context)

    # In TLS 1.3 the client is through before the server has looked.
    with answered(demand) as (raw, _), pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        piped(raw, 1).recv()


def test_what_a_server_said_before_it_left_is_told_to_who_sends():
    def refuse(sock: socket.socket) -> None:
        context = server_context()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate().authority)
        try:
            answer(sock, 1, context)
        finally:
            reset(sock)

    with answered(refuse) as (raw, _):
        pipe = piped(raw, 1)
        # The alert has come, and the reset behind it; neither is read yet.
        assert raw._attempt.wait([(raw._sock.fileno(), HANGUP)])
        with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
            pipe.send_all(b"a request")
