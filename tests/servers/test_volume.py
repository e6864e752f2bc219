"""Much at once: both directions full, many senders, small buffers."""

from __future__ import annotations

import hashlib
import threading

import pytest

from tests.servers.app import pattern
from tests.support.peer import BINARY, TEXT, Peer, closing, frame

SIZE = 8_000_000
SENDERS, MESSAGES = 8, 200


@pytest.fixture(params=["werkzeug", "gunicorn-gthread", "gevent"])
def small_buffers(request, deeds):
    return deeds(request.param, send_buffer=4096)


def test_both_peers_send_8_mb_before_either_reads(duplex_server, name):
    theirs = pattern(SIZE, 2)
    with Peer(duplex_server.address, f"/swap/{name}") as peer:
        peer.say(str(SIZE))
        peer.send(frame(BINARY, theirs))
        assert hashlib.sha256(peer.read()).digest() == hashlib.sha256(pattern(SIZE, 1)).digest()
        assert peer.answer_close() == (1000, "")

    result = duplex_server.ask(f"/result/{name}")
    assert result["digest"] == hashlib.sha256(theirs).hexdigest()
    assert result["clean"]


@pytest.mark.parametrize("style", ["callbacks", "start", "attached"])
@pytest.mark.parametrize("server", ["gunicorn-gthread", "uwsgi-http"])
def test_8_mb_are_echoed_while_8_mb_more_arrive(deeds, server, style):
    first, second = pattern(SIZE, 3), pattern(SIZE, 4)
    with Peer(deeds(server).address, f"/{style}/echo") as peer:
        writer = threading.Thread(
            target=peer.send, args=(frame(BINARY, first) + frame(BINARY, second),)
        )
        writer.start()
        assert peer.read() == first
        assert peer.read() == second
        writer.join()
        assert peer.close() == (1000, "")


@pytest.mark.stress
def test_eight_threads_send_at_once_through_a_small_buffer(small_buffers, name):
    counts = [0] * SENDERS
    with Peer(small_buffers.address, f"/crowd/{name}") as peer:
        for _ in range(SENDERS * MESSAGES):
            message = peer.read(timeout=60)
            sender, number, digest = message[0], message[1], message[2:34]
            assert number == counts[sender]
            assert hashlib.sha256(message[34:]).digest() == digest
            counts[sender] += 1
        assert peer.answer_close() == (1000, "")
    assert counts == [MESSAGES] * SENDERS
    assert small_buffers.ask(f"/result/{name}")["clean"]


@pytest.mark.parametrize("style", ["callbacks", "start", "attached"])
@pytest.mark.parametrize(
    "early",
    [
        pytest.param([b"early"], id="one-message"),
        pytest.param([b"x" * 20_000, b"y" * 60_000, b""], id="more-than-a-buffer"),
    ],
)
def test_frames_in_the_same_segment_as_the_request_are_answered(early_server, style, early):
    octets = b"".join(frame(TEXT, message) for message in early)
    with Peer(early_server.address, f"/{style}/echo", early=octets) as peer:
        assert [peer.read().encode() for _ in early] == early
        assert peer.close() == (1000, "")


@pytest.mark.parametrize("style", ["callbacks", "start", "attached"])
def test_a_message_with_its_close_in_the_same_segment_as_the_request_is_answered(
    main_server, style
):
    early = frame(TEXT, b"in a hurry") + closing(4000, "gone")
    for _ in range(20):
        with Peer(main_server.address, f"/{style}/echo", early=early) as peer:
            assert peer.read() == "in a hurry"
            assert peer.read_close() == (4000, "gone")
            assert peer.rest() == b""


@pytest.mark.parametrize("style", ["callbacks", "start", "attached"])
def test_a_frame_that_the_request_cut_in_two_is_answered(early_server, style):
    octets = frame(BINARY, b"cut in two")
    with Peer(early_server.address, f"/{style}/echo", early=octets[:5]) as peer:
        peer.send(octets[5:])
        assert peer.read() == b"cut in two"
        assert peer.close() == (1000, "")
