"""What no deadline ends, because it was switched off, and what a refused connection takes."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from faye_sync import ConnectionClosed, WebSocket
from tests.support.peer import closing, frame

PATIENCE = 20.0  # seconds for what should come at once
FLOOD = bytes(8 * 2**20)  # a message that no socket buffer holds


def in_thread(function, *arguments) -> tuple[threading.Thread, list]:
    """Call function on a thread of its own; what it returns is appended to the list."""
    results: list = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments)), daemon=True)
    thread.start()
    return thread, results


# --- None in place of a deadline ------------------------------------------------------------------


def test_without_a_close_timeout_a_close_waits_for_as_long_as_the_peer_takes(local):
    ws = local.open(close_timeout=None)
    ws.close(4000, "bye")
    assert not ws.wait_closed(0.5)
    assert local.peer.read_close() == (4000, "bye")
    local.peer.send(closing(4000, "bye"))
    assert ws.wait_closed(PATIENCE)
    assert (ws.close_code, ws.close_reason) == (4000, "bye")


def test_without_a_close_timeout_a_failure_waits_until_it_is_received(local):
    ws = local.open(close_timeout=None, ping=None)
    with pytest.raises(TimeoutError):
        # From here on this is the thread that receives.
        ws.receive(0)
    local.peer.send(frame(1, b"before") + frame(1, b"bare", mask=False))
    # Here it would read on; elsewhere it only waits, and housekeeping reads meanwhile.
    thread, was_closed = in_thread(ws.wait_closed, 1.5)
    thread.join(PATIENCE)
    assert was_closed == [False]
    assert ws.receive(PATIENCE) == "before"
    with pytest.raises(ConnectionClosed) as raised:
        ws.receive(PATIENCE)
    assert raised.value.code == 1002
    assert local.peer.read_close()[0] == 1002


def test_without_a_send_timeout_one_sender_waits_for_another_until_the_peer_reads(local):
    ws = local.open(send_timeout=None)
    first, took_first = in_thread(ws.send, FLOOD)
    # The peer has the head of the first message, so that the second comes behind it.
    octets = local.peer.sock.recv(10)
    assert octets[:2].hex() == "827f"  # FIN, binary; 64 bits of length
    local.peer._held += octets
    second, took_second = in_thread(ws.send, "behind it")
    second.join(0.5)
    assert first.is_alive()
    assert second.is_alive()
    assert local.peer.read() == FLOOD
    assert local.peer.read() == "behind it"
    first.join(PATIENCE)
    second.join(PATIENCE)
    assert (took_first, took_second) == ([True], [True])


# --- a signal in a send ---------------------------------------------------------------------------


@contextmanager
def interrupted(when: threading.Event) -> Iterator[None]:
    """Send this process a SIGINT as soon as the flag is raised."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.get_ident()

    def interrupt() -> None:
        if when.wait(PATIENCE):
            signal.pthread_kill(main, signal.SIGINT)

    thread, _ = in_thread(interrupt)
    try:
        yield
    finally:
        thread.join(PATIENCE)
        signal.signal(signal.SIGINT, usual)


def test_ctrl_c_in_a_send_leaves_the_message_whole_and_1001_behind_it(local):
    ws = local.open()
    is_sending = threading.Event()

    def look() -> None:
        local.peer._held += local.peer.sock.recv(10, socket.MSG_WAITALL)
        is_sending.set()

    in_thread(look)
    with pytest.raises(KeyboardInterrupt), interrupted(is_sending):
        ws.send(FLOOD)
    local.end_call()
    assert local.peer.read() == FLOOD
    assert local.peer.answer_close() == (1001, "")


# --- a refused request ----------------------------------------------------------------------------


@pytest.fixture
def refused(local) -> WebSocket:
    return WebSocket({**local.environ, "HTTP_ORIGIN": "https://elsewhere.example"})


@pytest.mark.parametrize("name", ["pause", "resume", "discard"])
def test_what_a_view_sets_up_does_nothing_on_a_refused_request(local, refused, name):
    getattr(refused, name)()
    assert local.call(refused)
    assert local.started[0][0].startswith("403 ")


def test_send_many_and_end_tell_that_a_refused_request_takes_nothing(local, refused):
    assert refused.send_many(["a", "b"]) is False
    assert refused.end("last words") is None
    local.call(refused)
    assert local.started[0][0].startswith("403 ")


# --- end, the name that pipe() uses ---------------------------------------------------------------


def test_end_without_last_words_closes(local):
    ws = local.open()
    ws.end()
    assert local.peer.answer_close() == (1000, "")
