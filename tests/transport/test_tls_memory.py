"""TLS in memory: the codec, whatever the wire cuts; key updates; signal handlers anywhere."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings, strategies as st

from faye_sync.concurrency import THREADS
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.pipe import SocketPipe
from faye_sync.transport.tls_memory import MemoryTlsStream, TlsCodec, TlsLayer, TlsPipe
from tests.support.key_update import update_keys
from tests.support.parts import require
from tests.support.tls_layers import SETTINGS, TlsServer, layered
from tests.support.tls_peer import PATIENCE, RECORD, fill, in_thread, server_context
from tests.support.wire import cut, one_by_one

DEPTHS = [pytest.param(1, id="tls"), pytest.param(2, id="tls-in-tls")]


@pytest.fixture(params=DEPTHS)
def memory_pair(request):
    """A client's stream over one or two layers of TLS, and the server's end."""
    with layered(request.param) as pair:
        yield pair


# --- the codec -----------------------------------------------------------------------------------


class Wires:
    """A codec and its server's end, joined without a socket."""

    def __init__(self, depth: int, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        self.wire = bytearray()
        self.server: TlsServer | None = None
        layers: tuple[TlsLayer, ...] = ()
        for _ in range(depth):
            self.server = TlsServer(None, server_context(version), self.server)
            layers = (*layers, TlsLayer(SETTINGS))
            self.codec = TlsCodec(layers)
            self._shake_hands(layers[-1])

    def sealed_by_client(self, data: bytes) -> bytes:
        for start in range(0, len(data), RECORD):
            self.codec.write(data[start : start + RECORD])
            self.codec.drain(self.wire)
        octets = bytes(self.wire)
        self.wire.clear()
        return octets

    def opened_by_client(self, pieces: Iterable[bytes]) -> bytes:
        data = b""
        for piece in pieces:
            self.codec.feed(piece)
            data += self.codec.open() or b""
            assert self.codec.is_dry
        return data

    def _shake_hands(self, layer: TlsLayer) -> None:
        server, outer = self.server, self.server._outer
        while not layer.shake_hands() or layer.pending:
            # Beneath, both ends are through, so that a layer's own octets travel sealed.
            self.codec.drain(self.wire)
            octets, self.wire[:] = bytes(self.wire), b""
            server._in.write(octets if outer is None else outer.open(octets))
            try:
                server._tls.do_handshake()
            except ssl.SSLWantReadError:
                assert server._out.pending
            answer = server._out.read()
            self.codec.feed(answer if outer is None else outer.seal(answer))
            if outer is not None:
                for lower in self.codec.layers[:-1]:
                    layer.feed(lower.open() or b"")


SMALL = settings(max_examples=60)
PLACES = st.lists(st.integers(0, 60_000), max_size=12)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("depth", DEPTHS)
@SMALL
@given(message=st.binary(min_size=1, max_size=50_000), places=PLACES)
def test_however_the_wire_cuts_records_the_octets_are_the_same(depth, version, message, places):
    wires = Wires(depth, version)
    octets = wires.server.seal(message)
    assert wires.opened_by_client(filter(None, cut(octets, places))) == message
    assert wires.server.open(wires.sealed_by_client(message)) == message


@pytest.mark.parametrize("depth", DEPTHS)
def test_octet_by_octet_the_octets_are_the_same(depth):
    wires = Wires(depth)
    message = os.urandom(20_000)
    assert wires.opened_by_client(one_by_one(wires.server.seal(message))) == message


@pytest.mark.parametrize("depth", DEPTHS)
def test_whoever_reads_and_sends_by_turns_keeps_the_order_of_records(depth):
    wires = Wires(depth)
    for turn in range(50):
        update_keys(wires.server._tls)
        octets = wires.server.seal(b"to the client %d" % turn)
        assert wires.opened_by_client([octets]) == b"to the client %d" % turn
        # With the key that the answer to the update brought in.
        assert wires.server.open(wires.sealed_by_client(b"back")) == b"back"


# --- key updates -----------------------------------------------------------------------------------


def test_a_key_update_is_answered_by_who_only_reads(memory_pair):
    stream, peer = memory_pair
    for _ in range(3):
        update_keys(peer._tls)
        peer._give(peer._out.read())
        peer.say(b"octets")
        assert stream.recv() == b"octets"
    answers = peer.sock.recv(1000)
    assert answers
    assert peer.open(answers) == b""


def test_a_key_update_amid_a_refused_record_goes_behind_it(memory_pair):
    stream, peer = memory_pair
    sent = fill(stream)
    for _ in range(3):
        update_keys(peer._tls)
        peer._give(peer._out.read())
        peer.say(b"octets")
        assert stream.recv() == b"octets"
    thread, read = in_thread(lambda: peer.read(sent + 3 * RECORD))
    rest = b"f" * RECORD + b"g" * 2 * RECORD
    while rest:
        assert stream.wait_writable(PATIENCE)
        rest = rest[stream.send_now(rest) :]
    thread.join(PATIENCE)
    assert read == [b"f" * (sent + RECORD) + b"g" * 2 * RECORD]
    assert stream.error is None


def test_a_peer_that_asks_for_answers_and_takes_none_is_given_up():
    with layered() as (stream, peer):
        # The kernel would else find more room from time to time.
        stream._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        while stream.wait_writable(0.1):
            fill(stream)
        while stream.error is None:
            update_keys(peer._tls)
            peer.sock.sendall(peer._out.read())
            assert THREADS.wait_readable(stream.fileno(), PATIENCE)
            stream.recv_now()
        assert "takes none of TLS's own answers" in str(stream.error)
        assert THREADS.wait_readable(stream.fileno(), 0)
        assert stream.recv() == b""
        assert len(stream._wire) < 2**17


@contextmanager
def s_server() -> Iterator[tuple[MemoryTlsStream, subprocess.Popen]]:
    """The stream of a client whose server is `openssl s_server`, and that process."""
    require("openssl", None if shutil.which("openssl") else "not on the path")
    from tests.support.certificates import certificate

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-tls1_2", "-naccept", "1"]
    command += ["-cert", certificate().chain, "-key", certificate().key]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, stderr=subprocess.DEVNULL) as process:
        try:
            line = b""
            while b"ACCEPT" not in line:
                line = process.stdout.readline()
                assert line, "openssl s_server ended at once"
            sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
            sock.setblocking(False)
            with sock, Attempt(THREADS, PATIENCE) as attempt:
                pipe = TlsPipe(SocketPipe(sock, attempt), SETTINGS)
                yield MemoryTlsStream(sock, pipe.codec, THREADS), process
        finally:
            process.kill()


def type_in(process: subprocess.Popen, line: bytes) -> None:
    process.stdin.write(line + b"\n")
    process.stdin.flush()


HELLO_REQUEST = b"r"  # a line of s_server's: RFC 5246 7.4.1.1


def test_a_second_handshake_is_done_by_who_reads():
    with s_server() as (stream, process):
        tls = stream._codec.layers[0].tls
        first = tls.get_channel_binding("tls-unique")
        type_in(process, HELLO_REQUEST)
        while tls.get_channel_binding("tls-unique") == first:
            assert THREADS.wait_readable(stream.fileno(), PATIENCE)
            assert stream.recv_now() is None
        type_in(process, b"octets")
        assert stream.recv() == b"octets\n"


def test_a_send_within_a_second_handshake_fails_instead_of_turning_in_circles():
    with s_server() as (stream, process):
        type_in(process, HELLO_REQUEST)
        codec = stream._codec
        while not codec.pending:
            assert THREADS.wait_readable(stream.fileno(), PATIENCE)
            codec.feed(stream._sock.recv(1))
            assert codec.open() is None
        with pytest.raises(OSError, match="began another TLS handshake"):
            stream.send_now(b"octets")


# --- the end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["close_notify", "no record"])
def test_an_end_that_was_read_with_octets_is_seen_by_whoever_polls(memory_pair, ending):
    stream, peer = memory_pair
    octets = peer.seal(b"last")
    if ending == "close_notify":
        with pytest.raises(ssl.SSLWantReadError):
            peer._tls.unwrap()
        last = peer._out.read()
        octets += last if peer._outer is None else peer._outer.seal(last)
    else:
        octets += b"GET / HTTP/1.1\r\n\r\n"
    peer.sock.sendall(octets)
    # The peer's TCP goes on: nothing more comes, and no end of it either.
    assert stream.recv() == b"last"
    assert THREADS.wait_readable(stream.fileno(), PATIENCE)
    assert stream.recv_now() == b""
    assert isinstance(stream.error, ssl.SSLError) is (ending != "close_notify")


def test_every_layer_says_goodbye_and_only_once(memory_pair):
    stream, peer = memory_pair
    stream.send_now(b"last")
    assert stream.end_writing()
    assert stream.end_writing()
    assert peer.rest() == b"last"
    assert peer.sock.recv(10) == b""
    assert stream.error is None


def test_a_goodbye_to_one_who_has_left_is_an_end_all_the_same(memory_pair):
    stream, peer = memory_pair
    peer.sock.close()
    assert stream.recv() == b""
    assert stream.end_writing()
