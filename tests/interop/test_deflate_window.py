"""A window that was agreed on is kept to: what stands on the wire, for peers that have no larger one.

The peers are raw, and inflate with zlib in a window of just that size."""

from __future__ import annotations

import zlib

import pytest

from faye_sync import Client
from tests.interop.deflating import assert_within, octets, records
from tests.interop.served import PATIENCE
from tests.support.deflating import EACH_ENGINE, deflate_on, rows
from tests.support.heads import switching
from tests.support.hostile import HostileServer, Visit, send
from tests.support.local import Local
from tests.support.peer import closing
from tests.support.wiretap import Sent, Way, inflated

EXTENSIONS = "Sec-WebSocket-Extensions"

# What repeats is 500 to 40,000 octets back, from message to message and within one.
MESSAGES = [*records(40), rows(20_000).decode(), rows(20_000).decode(), *records(5)]

EACH = pytest.mark.parametrize("name", EACH_ENGINE)
EACH_WINDOW = pytest.mark.parametrize("bits", [9, 10, 15])
EACH_TAKEOVER = pytest.mark.parametrize("keeps", [True, False], ids=["takeover", "no-takeover"])


@EACH_TAKEOVER
@EACH_WINDOW
@EACH
def test_a_server_keeps_to_the_window_that_its_client_asked_for(name, bits, keeps):
    asked = f"; server_max_window_bits={bits}" if bits < 15 else ""
    offer = "permessage-deflate" + asked + ("" if keeps else "; server_no_context_takeover")
    way = Way(bytearray(b"\r\n\r\n"))
    with Local(headers=[(EXTENSIONS, offer)]) as local:
        ws = local.open(extensions=[deflate_on(name, threshold=0)])
        assert f"{EXTENSIONS}: permessage-deflate".lower() in local.peer.head.lower()
        assert asked in local.peer.head
        for message in MESSAGES:
            ws.send(message)
        ws.close()
        local.peer.send(closing(1000))
        assert ws.wait_closed(PATIENCE)
        local.end_call()
        way.octets += local.peer.rest()
    assert_within(way, MESSAGES, bits, keeps=keeps)


@EACH_TAKEOVER
@EACH_WINDOW
@EACH
def test_a_client_keeps_to_the_window_that_its_server_named(name, bits, keeps):
    answer = f"permessage-deflate; client_max_window_bits={bits}"
    answer += "" if keeps else "; client_no_context_takeover"
    script = (
        Visit.read_head,
        send(switching(f"{EXTENSIONS}: {answer}".encode())),
        read_messages,
    )
    with HostileServer(script) as server:
        extensions = [deflate_on(name, threshold=0)]
        with Client(server.url(), extensions=extensions) as ws:
            for message in MESSAGES:
                ws.send(message)
        way = Way(server.visit().received)
    assert_within(way, MESSAGES, bits, keeps=keeps)


def read_messages(visit: Visit) -> None:
    """Read to the close frame, which is answered."""
    way = Way(visit.received)
    while not (sent := way.everything()) or sent[-1].opcode != 8:
        visit.read_more()
    visit.send(b"\x88\x02\x03\xe8")
    visit.end_writing()


def test_a_window_that_is_too_large_would_be_seen():
    compressor = zlib.compressobj(6, zlib.DEFLATED, -10)
    packed = [
        compressor.compress(octets(message)) + compressor.flush(zlib.Z_SYNC_FLUSH)
        for message in MESSAGES
    ]
    sent = [Sent(1, is_compressed=True, payload=data[:-4]) for data in packed]
    assert inflated(sent, 10) == [octets(message) for message in MESSAGES]
    with pytest.raises(zlib.error, match="too far back"):
        inflated(sent, 9)
