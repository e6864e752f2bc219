"""A handler that raises or forgets: the peer gets 1011, no octet of HTTP, and the log one traceback."""

from __future__ import annotations

import pytest

from tests.support.peer import Peer, Refused


def raising(server, style) -> Peer:
    """A connection whose handler has raised."""
    peer = Peer(server.address, f"/{style}/raise")
    if style == "callbacks":
        assert peer.read() == "welcome"
    else:
        peer.say("go on")
        assert peer.read() == "go on"
    return peer


@pytest.mark.parametrize("style", ["callbacks", "start", "attached"])
def test_a_handler_that_raises_closes_with_1011_and_one_traceback(any_server, style):
    before = any_server.log()
    with raising(any_server, style) as peer:
        assert peer.answer_close() == (1011, "")
    log = any_server.log()[len(before) :]
    assert log.count("Traceback") == 1
    assert log.count("Deliberate: ") == 1


@pytest.mark.parametrize("style", ["start", "attached"])
def test_a_handler_that_returns_closes_with_1000(any_server, style):
    before = any_server.log()
    with Peer(any_server.address, f"/{style}/return") as peer:
        peer.say("last words")
        assert peer.read() == "last words"
        assert peer.answer_close() == (1000, "")
    assert "Traceback" not in any_server.log()[len(before) :]


def test_a_listener_that_raises_is_logged_and_reported_and_the_reading_goes_on(main_server):
    before = main_server.log()
    with Peer(main_server.address, "/callbacks/raise-in-listener") as peer:
        for _ in range(2):
            peer.say("go on")
            assert peer.read() == "error: the listener failed on purpose"
        assert peer.close() == (1000, "")
    log = main_server.log()[len(before) :]
    assert log.count("Traceback") == log.count("Deliberate: ") == 2


@pytest.mark.parametrize("style", ["callbacks", "start", "attached"])
def test_a_peer_that_vanishes_leaves_no_traceback(any_server, style):
    before = any_server.log()
    with Peer(any_server.address, f"/{style}/echo") as peer:
        peer.say("hello")
        peer.read()
        peer.drop()
    assert any_server.ask("/hello") == "hello"
    assert "Traceback" not in any_server.log()[len(before) :]


def test_a_view_that_forgets_to_return_the_connection_closes_it_and_says_so(any_server):
    before = any_server.log()
    with Peer(any_server.address, "/forgotten/echo") as peer:
        peer.say("hello")
        assert peer.answer_close() == (1011, "")
    log = any_server.log()[len(before) :]
    assert log.count("forgot to return the WebSocket or to call close()") == 1
    assert "Traceback" not in log


def test_a_view_that_never_opens_gets_a_warning_with_the_cure(any_server):
    before = any_server.log()
    with pytest.raises(Refused) as refused:
        Peer(any_server.address, "/unopened/echo")
    assert refused.value.status == 200
    assert (
        "was neither opened nor answered; return it from the view"
        in any_server.log()[len(before) :]
    )


def test_messages_without_a_listener_are_dropped_with_one_line(main_server):
    before = main_server.log()
    with Peer(main_server.address, "/callbacks/silent") as peer:
        for _ in range(20):
            peer.say(bytes(10_000))
        assert peer.close() == (1000, "")
    log = main_server.log()[len(before) :]
    assert log.count("messages are dropped from now on (call discard()") == 1
