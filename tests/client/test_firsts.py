"""What a stranger's first programs ran into."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import requests

from faye_sync import Client, ConnectionClosed, HandshakeError, ReadyState, Reconnect
from tests.support.clients import (  # noqa: F401  # planned_servers is a fixture
    LONG,
    PATIENCE,
    log_events,
    planned_servers,
    quick,
    start,
)
from tests.support.kinds import ROOT
from tests.support.planned_server import accept, cut, greet, hold, part, refuse

# Seconds; an interpreter on a busy machine takes two.
LIMIT = 10.0

BEGINNING = """
import signal, sys, threading
from faye_sync import Client, Reconnect
ws = Client(sys.argv[1], reconnect=Reconnect(initial=0.01) if sys.argv[2] else None)
"""

SENDERS = {
    # The listener sends on a connection that is closing, or gone: False, or an exception, but soon.
    "closed-by-itself": ("", "def send(event):\n    ws.close(); ws.send('x')\n"),
    "dropped-by-itself": (
        "",
        (
            "seen = []\ndef send(event):\n    seen.append(1)\n"
            "    ws.reconnect() if len(seen) == 1 else ws.close()\n    ws.send('x')\n"
        ),
    ),
    "lost": (
        "policy",
        (
            "seen = []\ndef send(event):\n    seen.append(1)\n"
            "    if len(seen) == 1:\n        while ws.send('x' * 10**6): pass\n"
        ),
    ),
}

USES = {
    "blocking": "ws.on('open', send)\ntry:\n    with ws: pass\nexcept OSError: pass\n",
    "callbacks": "ws.on('open', send)\nthreading.Timer(0.3, ws.close).start()\nws.run()\n",
}


def ends(code: str, *arguments: str) -> bool:
    """Whether a program comes to its end."""
    try:
        subprocess.run(
            [sys.executable, "-c", BEGINNING + code, *arguments],
            cwd=ROOT,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("policy, sender", SENDERS.values(), ids=SENDERS)
def test_a_send_of_an_open_listener_on_a_connection_that_is_over_comes_back(
    planned, policy, sender, use
):
    server = planned(reset_once_open, accept)
    assert ends(sender + use, server.url, policy)


def reset_once_open(visit) -> None:
    accept(visit)
    visit.reset()


@pytest.mark.parametrize("way", ["run", "start", "iteration"])
def test_reconnect_does_nothing_once_the_server_has_closed(planned, way):
    server = planned(part(1000))
    ws = Client(server.url)
    events = log_events(ws, "open", "close")
    if way == "iteration":
        assert list(ws) == []
    else:
        getattr(ws, way)()
        assert ws.join(PATIENCE)
    assert ws.closed
    ws.reconnect()
    with pytest.raises(ConnectionClosed):
        ws.connect()
    assert ws.ready_state is ReadyState.CLOSED
    assert server.count == 1
    assert len(events) == 2


def test_reconnect_in_a_close_listener_does_not_undo_the_close(planned):
    server = planned(part(1000))
    ws = Client(server.url)
    events = log_events(ws, "open", "close")
    ws.on("close", lambda event: ws.reconnect())
    ws.run()
    assert [event.type for event in events] == ["open", "close"]
    assert server.count == 1


def test_a_close_while_paused_ends_a_client_whose_connection_was_lost(planned):
    server = planned(greet("unread"), hold)
    ws = Client(server.url, reconnect=Reconnect(initial=LONG, maximum=LONG))
    events = log_events(ws, "message", "close")
    ws.pause()
    start(ws)
    server.visit().cut()
    # Long enough for housekeeping to notice the end for the reader, who is paused.
    assert not ws.wait_closed(1.5)
    assert ws.ready_state is ReadyState.CONNECTING
    ws.close()
    try:
        assert ws.join(3.0)
        assert events[-1].type == "close"
    finally:
        ws.resume()


def test_a_signal_handler_may_close_while_its_thread_adds_a_listener():
    # The handler runs where the tuple of listeners is made: with the lock of the listeners held.
    assert ends(
        """
class Name(str):
    def __hash__(self):
        signal.raise_signal(signal.SIGUSR1)
        return str.__hash__(self)
    __eq__ = str.__eq__
signal.signal(signal.SIGUSR1, lambda *_: ws.close())
ws.on(Name("open"), print)
""",
        "ws://127.0.0.1:9/",
        "",
    )


def test_connect_again_makes_as_many_attempts_as_the_first_time(planned):
    server = planned(cut)
    ws = Client(server.url, reconnect=quick(max_attempts=3))
    for count in (3, 6):
        with pytest.raises(HandshakeError):
            ws.connect()
        assert server.count == count


def test_a_refusal_that_a_hook_raises_for_is_no_redirect(planned):
    session = requests.Session()
    session.hooks["response"] = [lambda answer, **_: answer.raise_for_status()]
    with pytest.raises((HandshakeError, requests.HTTPError)) as caught:
        Client(planned(refuse(404)).url, session=session).connect()
    assert "redirect" not in str(caught.value)


def test_a_failure_of_the_network_in_an_auth_is_tried_again(planned):
    attempts = []

    def auth(request):
        attempts.append(request)
        if len(attempts) == 1:
            raise requests.ConnectionError("the token's server is down")
        return request

    with Client(planned(accept).url, auth=auth, reconnect=quick()):
        assert len(attempts) == 2


def test_a_slow_function_for_headers_is_named_by_the_deadline(planned):
    ws = Client(
        planned(accept).url,
        headers=lambda: {"X-Waited": str(threading.Event().wait(0.5))},
        open_timeout=0.2,
    )
    with pytest.raises(TimeoutError, match="headers"):
        ws.connect()
