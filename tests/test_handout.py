"""When what extensions hold is given up: after the last message, and never within one."""

from __future__ import annotations

import threading

import pytest

from faye_sync import CloseEvent, ConnectionClosed, Extension, PerMessageDeflate, WebSocket
from tests.support.hixie_peer import KEYS
from tests.support.local import Local
from tests.support.peer import BINARY, closing, frame

PATIENCE = 20.0  # seconds to wait for what should come at once
MIB = 2**20


class Slow(Extension.Session):
    """Takes its time with each message, and writes down what happens to it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.is_within = threading.Event()
        self.may_go_on = threading.Event()
        self.has_ended = threading.Event()

    def process_incoming_message(self, message):
        self.log.append("begun")
        self.is_within.set()
        assert self.may_go_on.wait(PATIENCE)
        self.log.append("done")
        return message

    def close(self):
        self.log.append("closed")
        self.has_ended.set()


class Patient(Extension):
    name = "x-patient"

    def __init__(self) -> None:
        self.session = Slow()

    def create_server_session(self, offers, options):
        return self.session


def offering(name: str) -> Local:
    return Local(headers=[("Sec-WebSocket-Extensions", name)])


def test_a_session_is_not_ended_while_it_unpacks_the_last_message():
    extension = Patient()
    with offering("x-patient") as local:
        ws = local.open(extensions=[extension])
        received = []

        def receive():
            received.append(ws.receive(PATIENCE))
            with pytest.raises(ConnectionClosed):
                ws.receive(PATIENCE)

        reader = threading.Thread(target=receive)
        reader.start()
        local.peer.sock.sendall(frame(BINARY, b"last") + closing(1000))
        session = extension.session
        assert session.is_within.wait(PATIENCE)
        # The peer is gone, and so is the connection, all but for its owner.
        local.peer.sock.close()
        session.may_go_on.set()
        reader.join(PATIENCE)
        assert received == [b"last"]
        assert session.has_ended.wait(PATIENCE)
        assert session.log == ["begun", "done", "closed"]


def test_a_stream_that_is_taken_slowly_outlives_its_connection():
    with offering("permessage-deflate") as local:
        ws = local.open(extensions=[PerMessageDeflate])
        packer = PerMessageDeflate().create_server_session([{}], {"max_length": MIB})
        encoder = packer.outgoing_stream(_head())
        packed = encoder.feed(bytes(4 * MIB)) + encoder.finish()
        whole = bytearray(frame(BINARY, packed))
        whole[0] |= 0x40
        local.peer.sock.sendall(bytes(whole) + closing(1000))
        stream = ws.receive_stream(PATIENCE)
        size = len(next(stream))
        local.peer.sock.close()
        assert size + sum(map(len, stream)) == 4 * MIB
        with pytest.raises(ConnectionClosed) as caught:
            ws.receive(PATIENCE)
        assert caught.value.code == 1000


def _head():
    from faye_sync.driver.extension import Message

    return Message(BINARY, b"")


def test_a_client_of_hixie_76_that_never_sends_its_body_is_given_up(local):
    environ = {name: value for name, value in local.environ.items() if "SEC_WEBSOCKET" not in name}
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": key for name, key in KEYS.items()}
    closed: list[CloseEvent] = []
    ws = WebSocket(environ, allow_drafts=True, pong_timeout=0.2)
    ws.on("close", closed.append)
    ws.start()
    assert ws.ready_state.name == "CONNECTING"
    assert ws.wait_closed(PATIENCE)
    assert ws.join(PATIENCE)
    assert [(event.code, event.cause) for event in closed] == [(1006, "handshake")]


@pytest.mark.parametrize("host", ["[", ".", "a b", ""], ids=repr)
def test_a_host_that_is_none_keeps_no_connection_from_being_opened(local, host):
    local.environ["HTTP_HOST"] = host
    ws = WebSocket(local.environ, allow_drafts=True).accept()
    assert ws.version == "hybi-13"
