"""The package websocket-client against the library's servers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websocket import ABNF, WebSocket, create_connection

from tests.interop.messages import assert_same, every_message
from tests.interop.served import PATIENCE


@contextmanager
def connected(url: str, **options) -> Iterator[WebSocket]:
    ws = create_connection(url, timeout=PATIENCE, **options)
    try:
        yield ws
        ws.close(timeout=PATIENCE)
    finally:
        # close() leaves the socket open where a close frame was sent before.
        ws.shutdown()


def parting_of(frame: ABNF) -> tuple[int, str]:
    """The code and reason of a close frame."""
    assert frame.opcode == ABNF.OPCODE_CLOSE
    return struct.unpack("!H", frame.data[:2])[0], frame.data[2:].decode()


@every_message
def test_a_message_comes_back_as_it_was_sent(served, message):
    with connected(served.url()) as ws:
        ws.send(message) if isinstance(message, str) else ws.send_binary(message)
        assert_same(ws.recv(), message)


def test_fragments_come_back_as_one_message(served):
    with connected(served.url()) as ws:
        for data, opcode, is_final in (
            ("one ", ABNF.OPCODE_TEXT, 0),
            ("", ABNF.OPCODE_CONT, 0),
            ("two ", ABNF.OPCODE_CONT, 0),
            ("three", ABNF.OPCODE_CONT, 1),
        ):
            ws.send_frame(ABNF.create_frame(data, opcode, is_final))
        assert ws.recv() == "one two three"


def test_a_ping_is_answered_with_its_own_payload(served):
    with connected(served.url()) as ws:
        ws.ping(b"\x00\xff" * 62)
        assert ws.recv_data(control_frame=True) == (ABNF.OPCODE_PONG, b"\x00\xff" * 62)


def test_a_ping_within_a_fragmented_message_is_answered_before_its_end(served):
    with connected(served.url()) as ws:
        ws.send_frame(ABNF.create_frame(b"\x00" * 70000, ABNF.OPCODE_BINARY, 0))
        ws.ping("within")
        assert ws.recv_data(control_frame=True) == (ABNF.OPCODE_PONG, b"within")
        ws.send_frame(ABNF.create_frame(b"\x01", ABNF.OPCODE_CONT, 1))
        assert_same(ws.recv(), b"\x00" * 70000 + b"\x01")


def test_a_close_of_the_client_is_learned_by_both(served, note):
    with connected(served.url(note=note)) as ws:
        ws.send_close(4001, "bis später")
        code, _ = parting_of(ws.recv_frame())
        assert ws.sock.recv(1) == b"", "nothing follows a close frame, and the server ends TCP"
    assert code == 4001
    assert served.closed(note) == [4001, "bis später", True, "peer"]


def test_a_close_of_the_server_is_learned_by_both(served, note):
    with connected(served.url("part", note=note)) as ws:
        ws.send("4003 bis später")
        # The client answers by itself, with 1000.
        _, frame = ws.recv_data_frame()
        assert ws.sock.recv(1) == b"", "nothing follows a close frame, and the server ends TCP"
    assert parting_of(frame) == (4003, "bis später")
    code, _, was_clean, cause = served.closed(note)
    assert (code, was_clean, cause) == (4003, True, "local")


# None in common is left out: this client takes a 101 without a subprotocol for a mistake.
@pytest.mark.parametrize(
    "offered, spoken, agreed",
    [
        (["mqtt", "chat"], "chat,other", "chat"),
        (["mqtt", "chat"], "chat,mqtt", "mqtt"),
    ],
    ids=["one-in-common", "the-clients-order"],
)
def test_a_subprotocol_is_agreed_on(served, offered, spoken, agreed):
    with connected(served.url(protocols=spoken), subprotocols=offered) as ws:
        assert ws.getsubprotocol() == agreed


def test_compression_is_not_taken_up(served):
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    with connected(served.url(), header=[offer]) as ws:
        assert "sec-websocket-extensions" not in ws.getheaders()
        ws.send("plain")
        assert ws.recv() == "plain"
