"""What holds on every server of the table (tests/support/kinds.py), TLS and Unix sockets included.

Volume, early octets, failures and refusals on all of them are in the files of those names."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from tests.support.leaks import held_by, settled
from tests.support.peer import TEXT, Peer, all_echo, closing, frame
from tests.support.servers import SERVERS, serve

APP = "tests.support.app:application"
COUNT = 50  # connections at once
STYLES = ("callbacks", "start", "attached")

every_style = pytest.mark.parametrize("style", STYLES)


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_starts_answers_and_stops_without_a_traceback(tmp_path, name):
    with serve(name, APP, tmp_path) as server:
        assert server.ask("/hello") == "hello"
        log = server.stop()
    assert "Traceback" not in log


def test_the_table_tells_what_users_have_to_know():
    for kind in SERVERS.values():
        assert kind.title
        assert kind.version[0].isdigit()
        assert kind.limits or kind.calls is None


@every_style
def test_text_and_binary_messages_are_echoed(any_server, style):
    with Peer(any_server.address, f"/{style}/echo") as peer:
        for message in ("Grüße", "", b"\x00\xff", bytes(70_000)):
            peer.say(message)
            assert peer.read() == message
        assert peer.close(4000) == (4000, "")


@every_style
def test_the_close_frame_is_the_last_octet_and_the_end_follows_though_the_peer_stays(
    any_server, style
):
    before = any_server.log()
    with Peer(any_server.address, f"/{style}/echo") as peer:
        peer.say("hello")
        assert peer.read() == "hello"
        peer.send(closing(1000))
        assert peer.read_close() == (1000, "")
        began = time.monotonic()
        assert peer.rest() == b""
        assert time.monotonic() - began < 2.0
        # Nor does what the server does after the call bring anything.
        assert any_server.ask("/hello") == "hello"
        assert peer.rest() == b""
    assert "Traceback" not in any_server.log()[len(before) :]


@every_style
def test_a_message_before_a_bad_frame_is_answered_before_the_1002(any_server, style):
    with Peer(any_server.address, f"/{style}/echo") as peer:
        peer.send(frame(TEXT, b"in order") + frame(TEXT, b"bare", mask=False))
        assert peer.read() == "in order"
        assert peer.read_close()[0] == 1002
        assert peer.rest() == b""


def test_detached_connections_take_no_worker_from_pages(any_server):
    with ExitStack() as stack:
        peers = [
            stack.enter_context(Peer(any_server.address, f"/{STYLES[i % 2]}/echo"))
            for i in range(COUNT)
        ]
        assert any_server.ask("/hello") == "hello"
        all_echo(peers, "still here")
        assert any_server.ask("/hello") == "hello"
        assert [peer.close() for peer in peers] == [(1000, "")] * COUNT


def test_attached_connections_take_one_call_each(any_server):
    count = min(any_server.kind.calls or 20, 20)
    with ExitStack() as stack:
        peers = [
            stack.enter_context(Peer(any_server.address, "/attached/echo")) for _ in range(count)
        ]
        all_echo(peers, "at once")
        assert [peer.close() for peer in peers] == [(1000, "")] * count
    assert any_server.ask("/hello") == "hello"


@every_style
def test_connections_give_back_their_threads_and_descriptors(any_server, style):
    def converse() -> None:
        with Peer(any_server.address, f"/{style}/echo") as peer:
            peer.say("hello")
            assert peer.read() == "hello"
            assert peer.close() == (1000, "")

    # The first of all brings what stays.
    converse()
    before = held_by(any_server)
    for _ in range(6):
        converse()
    assert settled(any_server, before)
