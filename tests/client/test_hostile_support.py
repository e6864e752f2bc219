"""The server of the hostile suite: that it does what its scripts say, and sees what clients do.

A client of another project, and plain sockets, stand in for the library's."""

from __future__ import annotations

import socket
import struct
import threading

import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

from tests.support import hostile as support
from tests.support.certificates import client_context
from tests.support.endings import bounded_memory, in_time, nothing_left
from tests.support.heads import head
from tests.support.hostile import (
    HostileServer,
    Visit,
    answered,
    closing,
    drip,
    flood,
    opened,
    read,
    send,
    unreachable,
)
from tests.support.wire import PING, PONG, TEXT, frame

SIMPLE = b"GET /a?b HTTP/1.1\r\nHost: x\r\nX-Key:  one \r\nx-key: two\r\n\r\n"


def dial(server: HostileServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 10)


def test_a_right_101_opens_a_client_of_another_project():
    script = opened(Visit.read_frame, send(frame(TEXT, b"two")), Visit.answer_close)
    with HostileServer(script) as server:
        with connect(server.url("/chat"), proxy=None) as client:
            client.send("one")
            assert client.recv(10) == "two"
        assert server.request().target == "/chat"
        assert server.request()["upgrade"] == "websocket"


def test_it_speaks_tls():
    with HostileServer(opened(Visit.answer_close), tls=True) as server:
        with connect(server.url(), ssl=client_context(), proxy=None) as client:
            client.close(4000)
        assert server.url().startswith("wss:")
        assert b"HTTP/1.1" in server.visit().received


def test_octets_glued_to_the_101_leave_with_it():
    script = opened(Visit.end_writing, glued=frame(TEXT, b"early") + closing(1000))
    with HostileServer(script) as server, connect(server.url(), proxy=None) as client:
        assert client.recv(10) == "early"
        with pytest.raises(ConnectionClosedOK):
            client.recv(10)


def test_heads_are_kept_as_they_came():
    with HostileServer(answered(b"bye")) as server:
        with dial(server) as client:
            client.sendall(SIMPLE + b"rest")
            assert client.recv(10) == b"bye"
        server.wait_left()
        request = server.request()
        assert (request.method, request.target) == ("GET", "/a?b")
        assert (request["HOST"], request.all("X-Key")) == ("x", ["one", "two"])
        assert request["Missing"] is None
        assert bytes(server.visit().received) == SIMPLE + b"rest"
        assert server.visit().end == "eof"


def test_each_connection_plays_the_next_script_and_the_last_one_is_for_all_others():
    with HostileServer([send(b"1")], [send(b"2")]) as server:
        heard = []
        for _ in range(3):
            with dial(server) as client:
                heard.append(client.recv(10))
    assert heard == [b"1", b"2", b"2"]
    assert len(server.visits) == 3


def test_connections_are_counted_up_to_now():
    with HostileServer([send(b"1")]) as server:
        assert server.count() == 0
        dial(server).close()
        # The one that counted is there, too.
        assert server.count() == 2


def test_a_reset_of_either_side_is_seen():
    with HostileServer([read(1), Visit.reset], [read(1)]) as server:
        with dial(server) as client:
            client.sendall(b"x")
            with pytest.raises(ConnectionResetError):
                client.recv(10)
        with dial(server) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert all(server.visit(number).left.wait(10) for number in (0, 1))
        assert [visit.end for visit in server.visits] == ["server", "reset"]


def test_a_client_that_does_not_leave_is_found_out(monkeypatch):
    monkeypatch.setattr(support, "PATIENCE", 0.2)
    with HostileServer([Visit.end_writing]) as server, dial(server) as client:
        assert client.recv(10) == b""
        with pytest.raises((AssertionError, TimeoutError)):
            server.wait_left()


def test_what_fails_in_a_script_fails_the_test():
    with HostileServer([Visit.read_frame]) as server:
        with dial(server) as client:
            client.sendall(frame(PING))
            assert client.recv(10) == b""
        with pytest.raises(AssertionError, match="a client has to mask"):
            server.wait_left()
        server.visit().error = None


def test_a_drip_goes_on_until_the_client_leaves():
    with HostileServer([drip(b"ab", 0.01)]) as server:
        with dial(server) as client:
            heard = b""
            while len(heard) < 5:
                heard += client.recv(10)
        server.wait_left()
    assert heard.startswith(b"ababa")


def test_a_flood_ends_with_the_client():
    with HostileServer([flood(b"x" * 1000)]) as server:
        with dial(server) as client:
            assert client.recv(10) == b"x" * 10
        server.wait_left()
        assert server.visit().sent < support.FLOOD


def test_a_flood_that_is_taken_for_good_fails_the_test():
    with HostileServer([flood(b"x", 10**6)]) as server:
        with dial(server) as client:
            while client.recv(10**6):
                continue
        with pytest.raises(AssertionError, match="the client took"):
            server.wait_left()
        server.visit().error = None


def test_frames_of_the_client_are_unmasked():
    with HostileServer([Visit.read_frame]) as server:
        with dial(server) as client:
            client.sendall(frame(PONG, b"p" * 300, mask=b"abcd"))
        assert server.visit().left.wait(10)
        assert server.visit().frames == [(PONG, b"p" * 300)]


def test_a_stalled_visit_reads_again_when_it_is_released():
    script = [Visit.stall]
    with HostileServer(script, receive_buffer=4096) as server, dial(server) as client:
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.sendall(b"x" * 2**24)
        server.release()
        client.settimeout(10)
        client.sendall(b"x")


def test_closing_the_server_ends_every_script():
    server = HostileServer([Visit.wait_for_eof])
    with dial(server):
        server.visit()
        server.close()
    assert server.visit().end == "closed"


def test_no_connection_is_made_to_a_full_backlog():
    with unreachable() as port, socket.socket() as sock:
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.connect(("127.0.0.1", port))


def test_a_head_has_its_lines_and_an_end():
    assert head(b"A: b", status=b"HTTP/1.1 200 OK") == b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"


# --- what the tests assert by -----------------------------------------------------------------------


def test_a_block_that_ends_too_early_or_too_late_is_found_out(monkeypatch):
    with pytest.raises(AssertionError), in_time(1, not_before=1):
        pass
    monkeypatch.setattr("tests.support.endings.SPARE", 0.0)
    with pytest.raises(AssertionError), in_time(0.0):
        pass


def test_memory_that_a_block_holds_for_a_moment_is_counted():
    with bounded_memory(2**22):
        bytearray(2**10)
    with pytest.raises(AssertionError, match="octets more"), bounded_memory(2**22):
        bytearray(b"x" * 2**24)


def test_a_socket_that_is_left_is_found_out(monkeypatch):
    monkeypatch.setattr("tests.support.endings.PATIENCE", 0.05)
    held = []
    with pytest.raises(AssertionError), nothing_left():
        held.append(socket.socket())
    held[0].close()


def test_a_thread_that_is_left_is_found_out(monkeypatch):
    monkeypatch.setattr("tests.support.endings.PATIENCE", 0.05)
    over = threading.Event()
    thread = threading.Thread(target=over.wait, args=(10,), name="faye-sync-a1")
    with pytest.raises(AssertionError), nothing_left():
        thread.start()
    over.set()
    thread.join(10)
