"""Peers that fall silent, drip, end or reset at every stage until the WebSocket is open.

Whatever they do, one deadline counts for all of it, and an end is told of at once."""

from __future__ import annotations

import ssl
import threading

import pytest

from faye_sync import Client, ConnectionClosed, HandshakeError
from tests.support.certificates import certificate
from tests.support.endings import LONGER, OPEN_TIMEOUT, failed_dial, in_time, nothing_left
from tests.support.heads import head, switching
from tests.support.hostile import (
    Script,
    Step,
    Visit,
    answered,
    drip,
    flood,
    opened,
    read,
    send,
    unreachable,
)
from tests.support.program import Program

CONTINUE = head(status=b"HTTP/1.1 100 Continue")

# What a server does before it stops. A client speaks first, over TLS too.
STAGES: dict[str, Script] = {
    "before-the-request-is-read": (),
    "behind-the-request": (Visit.read_head,),
    "within-the-status-line": (Visit.read_head, send(b"HTTP/1.1 10")),
    "within-the-fields": (Visit.read_head, send(switching()[:-2])),
    "within-a-field": (Visit.read_head, send(switching()[:-2] + b"X: y")),
    "behind-a-100": (Visit.read_head, send(CONTINUE)),
}
stages = pytest.mark.parametrize("script", STAGES.values(), ids=STAGES)
over_tls_too = pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])

DRIPS = {
    "a-status-line": drip(b"HTTP/1.1 101 " + b"x" * 1000),
    "a-version": drip(b"HTTP/1.1111"),
    "fields": drip(switching()[:-2] + b"X: y\r\n" * 1000),
    "a-field": drip(switching()[:-2] + b"X: " + b"y" * 1000),
    "folded-lines": drip(switching()[:-2] + b" x\r\n" * 1000),
    "100s": drip(CONTINUE),
}

# A TLS handshake record, of 16 KiB as it says, that holds the start of a ServerHello.
RECORD = bytes.fromhex("16 03 03 3f ff 02 00 3f fb 03 03") + bytes(1000)

# As the standard library tells of the end in a TLS handshake, and of a reset.
CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError)


def ca(server_is_tls: bool) -> dict[str, str]:
    return {"ca": certificate().authority} if server_is_tls else {}


# --- silence ----------------------------------------------------------------------------------------


@stages
def test_a_server_that_falls_silent_is_given_up_at_the_deadline(hostile, script):
    error = failed_dial(hostile(script).url(), TimeoutError, waits=True)
    assert f"open_timeout of {OPEN_TIMEOUT}" in str(error)


OVER_TLS: dict[str, Script] = {
    "before-the-request-is-read": (),
    "behind-the-request": (Visit.read_head,),
    "within-the-fields": (Visit.read_head, send(switching()[:-2])),
    "dripped": (Visit.read_head, drip(CONTINUE)),
}


@pytest.mark.parametrize("script", OVER_TLS.values(), ids=OVER_TLS)
def test_a_server_that_speaks_tls_is_given_up_at_the_deadline_too(hostile, script):
    server = hostile(script, tls=True)
    failed_dial(server.url(), TimeoutError, waits=True, **ca(True))


def test_a_connection_that_is_never_made_is_given_up_at_the_deadline():
    with nothing_left(), unreachable() as port:
        failed_dial(f"ws://127.0.0.1:{port}/", TimeoutError, waits=True)


@pytest.mark.parametrize("steps", [(), (read(5),)], ids=["unread", "read"])
def test_a_server_that_never_answers_the_tls_hello_is_given_up_at_the_deadline(hostile, steps):
    server = hostile(steps)
    failed_dial(server.url(scheme="wss"), TimeoutError, waits=True, **ca(True))


def test_a_request_that_is_never_read_is_given_up_at_the_deadline(hostile):
    server = hostile((Visit.stall,), receive_buffer=4096)
    failed_dial(server.url(), TimeoutError, waits=True, headers={"X-Long": "x" * 2**23})


def test_the_deadline_is_the_one_that_was_given(hostile):
    server = hostile(())
    error = failed_dial(server.url(), TimeoutError, waits=True, open_timeout=0.1)
    assert "open_timeout of 0.1" in str(error)


def test_without_a_deadline_a_slow_server_is_waited_for(hostile):
    answer = switching()
    steps = (step for octet in answer[:40] for step in (send(bytes((octet,))), pause_briefly))
    server = hostile((Visit.read_head, *steps, send(answer[40:]), Visit.answer_close))
    with Client(server.url(), open_timeout=None) as ws:
        assert ws.status_code == 101


def pause_briefly(visit: Visit) -> None:
    visit.pause(0.01)


# --- drips ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", DRIPS.values(), ids=DRIPS)
def test_a_server_that_drips_its_answer_is_given_up_at_the_deadline(hostile, step):
    failed_dial(hostile((Visit.read_head, step)).url(), TimeoutError, waits=True)


def test_a_server_that_drips_its_tls_hello_is_given_up_at_the_deadline(hostile):
    server = hostile((read(5), drip(RECORD)))
    failed_dial(server.url(scheme="wss"), TimeoutError, waits=True, **ca(True))


# --- ends -------------------------------------------------------------------------------------------


@over_tls_too
@stages
def test_eof_before_the_end_of_the_answer_is_told_at_once(hostile, script, tls):
    server = hostile((*script, Visit.end_writing), tls=tls)
    error = failed_dial(server.url(), HandshakeError, **ca(tls))
    assert error.status_code is None
    assert "h11" not in str(error)
    assert "state" not in str(error)


def test_eof_before_any_answer_says_so(hostile):
    server = hostile((Visit.read_head, Visit.end_writing))
    assert "before an answer" in str(failed_dial(server.url(), HandshakeError))


@over_tls_too
@stages
def test_a_reset_before_the_end_of_the_answer_comes_as_it_is(hostile, script, tls):
    # The client has read what was sent, so that the reset is all there is to see.
    server = hostile((*script, pause_briefly, Visit.reset), tls=tls)
    failed_dial(server.url(), ConnectionResetError, BrokenPipeError, **ca(tls))


@pytest.mark.parametrize("end", [Visit.end_writing, Visit.reset], ids=["eof", "reset"])
@pytest.mark.parametrize(
    "steps",
    [(), (read(5),), (read(5), send(RECORD))],
    ids=["at-once", "behind-the-clients-hello", "within-its-hello"],
)
def test_an_end_within_the_tls_handshake_comes_as_tls_or_tcp_has_it(hostile, steps, end):
    server = hostile((*steps, end))
    failed_dial(server.url(scheme="wss"), *CUT, BrokenPipeError, **ca(True))


NO_TLS = {
    "http": head(status=b"HTTP/1.1 400 Bad Request"),
    "garbage": b"x" * 100,
    "nul": bytes(100),
    "an-alert": bytes.fromhex("15 03 01 00 02 02 28"),
    "ssl-2": bytes.fromhex("80 2e 01 03 01") + bytes(40),
}


@pytest.mark.parametrize("octets", NO_TLS.values(), ids=NO_TLS)
def test_a_server_that_speaks_no_tls_is_told_of_at_once(hostile, octets):
    server = hostile((read(5), send(octets)))
    failed_dial(server.url(scheme="wss"), ssl.SSLError, **ca(True))


def test_a_server_that_floods_the_tls_hello_is_told_of_at_once(hostile):
    server = hostile((read(5), flood(bytes(1000))))
    failed_dial(server.url(scheme="wss"), ssl.SSLError, **ca(True))


def test_a_plain_client_at_a_tls_server_is_told_of_at_once(hostile):
    # The server takes the request for a hello, answers with an alert and leaves.
    server = hostile(
        (Visit.read_head, send(bytes.fromhex("15 03 03 00 02 02 0a")), Visit.end_writing)
    )
    error = failed_dial(server.url(), HandshakeError)
    assert error.status_code is None


def test_a_certificate_of_an_unknown_authority_ends_the_handshake(hostile):
    server = hostile((), tls=True)
    failed_dial(server.url(), ssl.SSLCertVerificationError)
    assert server.visit().received == b""


# --- called off -------------------------------------------------------------------------------------


def closed_when(reached: threading.Event, client: Client) -> threading.Thread:
    def close() -> None:
        reached.wait(20)
        client.close()

    thread = threading.Thread(target=close)
    thread.start()
    return thread


@over_tls_too
@stages
def test_close_from_another_thread_ends_the_dialing_at_every_stage(hostile, script, tls):
    reached = threading.Event()
    reach: Step = lambda visit: reached.set()  # noqa: E731
    server = hostile((*script, reach), tls=tls)
    client = Client(server.url(), open_timeout=20, **ca(tls))
    closer = closed_when(reached, client)
    with in_time(1), pytest.raises(ConnectionClosed) as raised:
        client.connect()
    closer.join(20)
    assert raised.value.cause == "local"


# --- in callback style ------------------------------------------------------------------------------

FAILURES = {
    "no-101": (answered(head(b"Content-Length: 0", status=b"HTTP/1.1 403 No")), "handshake"),
    "a-bad-101": (answered(head()), "handshake"),
    "eof": ((Visit.read_head, Visit.end_writing), "handshake"),
    "reset": ((Visit.read_head, pause_briefly, Visit.reset), "connect"),
    "silence": ((Visit.read_head,), "connect"),
}


@pytest.mark.parametrize("script, cause", FAILURES.values(), ids=FAILURES)
def test_in_callback_style_a_failure_is_an_error_event_then_a_close_event(hostile, script, cause):
    client = Client(hostile(script).url(), open_timeout=LONGER)
    events = []
    for name in ("open", "error", "close"):
        client.on(name, events.append)
    with in_time(LONGER):
        client.run()
    error, close = events
    assert (error.type, close.type) == ("error", "close")
    assert isinstance(error.error, OSError)
    assert (close.cause, close.was_clean) == (cause, False)


# --- descriptors ------------------------------------------------------------------------------------

DIAL_WITH_FEW_DESCRIPTORS = """
import os, resource, sys
from errno import errorcode
from faye_sync import Client

def dial():
    try:
        with Client(sys.argv[1]):
            return "open"
    except OSError as error:
        return errorcode.get(error.errno, repr(error))

def held():
    return len(os.listdir("/proc/self/fd"))

dial()
before = held()
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
outcomes = []
for spare in range(16):
    resource.setrlimit(resource.RLIMIT_NOFILE, (before - 2 + spare, most))
    outcomes.append(dial())
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
print(*outcomes)
print(dial(), held() - before)
"""


def test_without_descriptors_to_be_had_a_dial_fails_as_the_kernel_says_and_keeps_none(
    hostile, tmp_path
):
    server = hostile(opened(Visit.answer_close))
    script = tmp_path / "dial.py"
    script.write_text(DIAL_WITH_FEW_DESCRIPTORS)
    with Program(script, server.url()) as program:
        outcomes = program.read().split()
        end, left = program.read().split()
        assert program.wait() == 0
    assert "EMFILE" in outcomes
    assert outcomes[-1] == "open"
    assert set(outcomes) == {"EMFILE", "open"}
    # Of the last dial or the first, one may not have been seen off yet.
    assert (end, abs(int(left)) < 2) == ("open", True)
