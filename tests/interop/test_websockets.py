"""The client of the package websockets against the library's servers."""

from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from tests.interop.messages import assert_same, every_message
from tests.interop.served import PATIENCE


def connected(url: str, **options) -> ClientConnection:
    return connect(url, max_size=None, open_timeout=PATIENCE, close_timeout=PATIENCE, **options)


def parting_of(ws: ClientConnection) -> tuple[int, str]:
    """The server's close frame, once TCP has ended as it should."""
    # Waits for the end of TCP too, in the releases that have no wait_closed() yet as well.
    ws.recv_events_thread.join(PATIENCE)
    assert not ws.recv_events_thread.is_alive()
    assert ws.protocol.close_exc.rcvd is not None, "no time-out, no reset"
    received = ws.protocol.close_rcvd
    return received.code, received.reason


@every_message
def test_a_message_comes_back_as_it_was_sent(served, message):
    with connected(served.url()) as ws:
        ws.send(message)
        assert_same(ws.recv(PATIENCE), message)


def test_fragments_come_back_as_one_message(served):
    with connected(served.url()) as ws:
        ws.send(["one ", "", "two ", "three"])
        assert ws.recv(PATIENCE) == "one two three"


def test_a_ping_is_answered(served):
    with connected(served.url()) as ws:
        assert ws.ping(b"\x00\xff" * 62).wait(PATIENCE)


def test_pings_within_a_fragmented_message_are_answered(served):
    answered = []

    def fragments(ws):
        yield b"\x00" * 70000
        answered.append(ws.ping("within").wait(PATIENCE))
        yield b"\x01"

    with connected(served.url()) as ws:
        ws.send(fragments(ws))
        assert answered == [True]
        assert_same(ws.recv(PATIENCE), b"\x00" * 70000 + b"\x01")


def test_a_close_of_the_client_is_learned_by_both(served, note):
    with connected(served.url(note=note)) as ws:
        ws.close(4001, "bis später")
    code, _ = parting_of(ws)
    assert code == 4001
    assert served.closed(note) == [4001, "bis später", True, "peer"]


def test_a_close_of_the_server_is_learned_by_both(served, note):
    with connected(served.url("part", note=note)) as ws:
        ws.send("4003 bis später")
        with pytest.raises(ConnectionClosedError) as caught:
            ws.recv(PATIENCE)
    assert caught.value.rcvd_then_sent
    assert parting_of(ws) == (4003, "bis später")
    code, _, was_clean, cause = served.closed(note)
    assert (code, was_clean, cause) == (4003, True, "local")


@pytest.mark.parametrize(
    "offered, spoken, agreed",
    [
        (["mqtt", "chat"], "chat,other", "chat"),
        (["mqtt", "chat"], "chat,mqtt", "mqtt"),
        (["mqtt"], "chat", None),
    ],
    ids=["one-in-common", "the-clients-order", "none-in-common"],
)
def test_a_subprotocol_is_agreed_on(served, offered, spoken, agreed):
    with connected(served.url(protocols=spoken), subprotocols=offered) as ws:
        assert ws.subprotocol == agreed


def test_compression_is_offered_and_not_taken_up(served):
    with connected(served.url()) as ws:
        assert "permessage-deflate" in ws.request.headers["Sec-WebSocket-Extensions"]
        assert "Sec-WebSocket-Extensions" not in ws.response.headers
        ws.send("plain")
        assert ws.recv(PATIENCE) == "plain"
