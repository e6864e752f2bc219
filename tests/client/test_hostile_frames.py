"""Frames that a server may not send, and ends, after the 101: RFC 6455 5 and 7.

What came before the fault is handed out, then the connection is failed with the right code."""

from __future__ import annotations

import socket

import pytest

from faye_sync import Client, ConnectionClosed, MessageTooBig, ProtocolError, ReadyState
from tests.support.certificates import certificate
from tests.support.endings import PATIENCE, in_time
from tests.support.hostile import HostileServer, Step, Visit, closing, opened, send
from tests.support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

HELLO = frame(TEXT, b"hello")
LIMIT = 1000


def failure(client: Client) -> ConnectionClosed:
    """Receive nothing but the end, and give the error."""
    with pytest.raises(ConnectionClosed) as raised:
        client.receive(PATIENCE)
    assert client.wait_closed(PATIENCE)
    return raised.value


def read_failure(visit: Visit) -> None:
    """Take the close frame and leave, as a server does whose own fault it is."""
    visit.code = visit.read_close()[0]
    visit.end_writing()


def long_head(opcode: int, length: int) -> bytes:
    """The head of a frame that announces so many octets, in eight."""
    return bytes((0x80 | opcode, 127)) + length.to_bytes(8, "big")


VIOLATIONS = {
    # RFC 6455 5.1: a server masks nothing.
    "masked-text": (frame(TEXT, b"x", mask=b"abcd"), 1002),
    "masked-with-zeros": (frame(TEXT, b"x", mask=bytes(4)), 1002),
    "masked-ping": (frame(PING, mask=b"abcd"), 1002),
    "masked-close": (frame(CLOSE, b"\x03\xe8", mask=b"abcd"), 1002),
    # 5.2: reserved bits and opcodes.
    "rsv1": (frame(TEXT, b"x", rsv=4), 1002),
    "rsv2": (frame(BINARY, b"x", rsv=2), 1002),
    "rsv3": (frame(PING, rsv=1), 1002),
    "rsv1-as-of-compression-that-nobody-agreed-on": (frame(TEXT, b"\xaa\x04\x00", rsv=4), 1002),
    **{f"opcode-{code}": (frame(code, b"x"), 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    # 5.2: the shortest form of a length.
    "non-minimal-16-bit": (frame(TEXT, b"x" * 125, length_size=2), 1002),
    "non-minimal-64-bit": (frame(TEXT, b"x" * 125, length_size=8), 1002),
    "non-minimal-64-bit-for-65535": (long_head(BINARY, 65535), 1002),
    "non-minimal-zero": (frame(TEXT, b"", length_size=2), 1002),
    "highest-bit-of-64": (long_head(BINARY, 2**63), 1002),
    "all-bits-of-64": (long_head(BINARY, 2**64 - 1), 1002),
    # 5.5: control frames are short and whole.
    "ping-of-126": (frame(PING, b"x" * 126), 1002),
    "pong-of-126": (frame(PONG, b"x" * 126), 1002),
    "close-of-126": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002),
    "ping-of-64-bits": (long_head(PING, 2**40), 1002),
    "fragmented-ping": (frame(PING, b"x", fin=False), 1002),
    "fragmented-close": (frame(CLOSE, b"\x03\xe8", fin=False), 1002),
    # 5.4: fragments.
    "continuation-of-nothing": (frame(CONTINUATION, b"x"), 1002),
    "unfinished-continuation-of-nothing": (frame(CONTINUATION, b"x", fin=False), 1002),
    "text-within-a-message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "binary-within-a-message": (frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"), 1002),
    # 8.1: text is UTF-8.
    "no-utf-8": (frame(TEXT, b"\xff"), 1007),
    "utf-8-cut-at-the-end": (frame(TEXT, b"\xe2\x82"), 1007),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "overlong": (frame(TEXT, b"\xc0\xaf"), 1007),
    "above-unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    "no-utf-8-in-an-unfinished-frame": (frame(TEXT, b"\xff" + b"x" * 99)[:3], 1007),
    "no-utf-8-across-fragments": (
        frame(TEXT, b"\xe2\x82", fin=False) + frame(CONTINUATION, b"x"),
        1007,
    ),
    # 5.5.1 and 7.4: what a close frame may hold.
    "close-of-one-octet": (frame(CLOSE, b"\x03"), 1002),
    "close-reason-no-utf-8": (closing(1000, b"\xff"), 1007),
    **{
        f"close-{code}": (closing(code), 1002)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    # No frames at all.
    "html": (b"<html>", 1002),
    "another-http-answer": (b"HTTP/1.1 200 OK\r\n\r\n", 1002),
    # 1009: over max_length, seen by the head alone.
    "over-the-limit": (frame(TEXT, b"x" * (LIMIT + 1))[:4], 1009),
    "over-the-limit-by-far": (long_head(BINARY, 2**62), 1009),
    "over-the-limit-as-far-as-can-be": (long_head(BINARY, 2**63 - 1), 1009),
    "over-the-limit-by-fragments": (
        frame(BINARY, b"x" * LIMIT, fin=False) + frame(CONTINUATION, b"x")[:2],
        1009,
    ),
    "over-the-limit-by-an-unfinished-fragment": (long_head(TEXT, 2**40), 1009),
}
violations = pytest.mark.parametrize("octets, code", VIOLATIONS.values(), ids=VIOLATIONS)


@violations
def test_a_violation_fails_the_connection_with_its_code(hostile, octets, code):
    server = hostile(opened(send(HELLO + octets), read_failure))
    client = Client(server.url(), max_length=LIMIT).connect()
    assert client.receive(PATIENCE) == "hello"
    error = failure(client)
    assert (error.code, error.cause) == (code, "protocol")
    assert isinstance(error.__cause__, ProtocolError)
    assert isinstance(error.__cause__, MessageTooBig) == (code == 1009)
    assert server.visit().left.wait(PATIENCE)
    # A close frame with 1007 for a reason, and 1002 for all else that is wrong with one.
    assert server.visit().code == code


@violations
def test_a_violation_glued_to_the_101_fails_the_open_connection(hostile, octets, code):
    server = hostile(opened(read_failure, glued=HELLO + octets))
    client = Client(server.url(), max_length=LIMIT).connect()
    assert client.receive(PATIENCE) == "hello"
    assert failure(client).code == code


@pytest.mark.parametrize(
    "octets, code", [(frame(3), 1002), (frame(TEXT, b"\xff"), 1007)], ids=["opcode", "utf-8"]
)
def test_in_callback_style_a_violation_is_an_error_event_then_a_close_event(hostile, octets, code):
    server = hostile(opened(read_failure, glued=HELLO + octets))
    client = Client(server.url())
    events = []
    for name in ("message", "error", "close"):
        client.on(name, events.append)
    client.run()
    message, error, close = events
    assert message.data == "hello"
    assert isinstance(error.error, ProtocolError)
    assert (close.code, close.was_clean, close.cause) == (code, False, "protocol")


def test_a_violation_of_a_server_that_never_leaves_ends_in_time(hostile):
    server = hostile(opened(glued=frame(3)))
    client = Client(server.url(), close_timeout=0.5).connect()
    with in_time(0.5):
        assert failure(client).code == 1002
    server.wait_left()


# --- octets glued to the 101 ------------------------------------------------------------------------


def test_messages_glued_to_the_101_are_delivered_at_once(hostile):
    glued = frame(TEXT, b"one") + frame(BINARY, b"two") + frame(PING, b"p") + frame(TEXT, b"3")
    server = hostile(opened(Visit.read_frame, Visit.answer_close, glued=glued))
    with Client(server.url()) as client, in_time(1):
        assert [client.receive(PATIENCE) for _ in range(3)] == ["one", b"two", "3"]
    assert server.visit().frames[0] == (PONG, b"p")


def test_half_a_frame_glued_to_the_101_is_completed_later(hostile):
    octets = frame(TEXT, b"hello")
    server = hostile(opened(send(octets[3:]), Visit.answer_close, glued=octets[:3]))
    with Client(server.url()) as client:
        assert client.receive(PATIENCE) == "hello"


@pytest.mark.parametrize("size", [2**16, 2**20], ids=["64-kib", "1-mib"])
def test_a_large_message_glued_to_the_101_is_whole(hostile, size):
    server = hostile(opened(Visit.answer_close, glued=frame(BINARY, bytes(size))))
    with Client(server.url()) as client:
        assert client.receive(PATIENCE) == bytes(size)


def test_a_message_glued_to_the_101_is_delivered_though_eof_follows(hostile):
    server = hostile(opened(Visit.end_writing, glued=HELLO))
    client = Client(server.url()).connect()
    assert client.receive(PATIENCE) == "hello"
    error = failure(client)
    assert (error.code, error.cause, error.was_clean) == (1006, "eof", False)


def test_a_close_glued_to_the_101_is_a_clean_close(hostile):
    server = hostile(
        opened(Visit.read_close, Visit.end_writing, glued=HELLO + closing(4001, b"go"))
    )
    client = Client(server.url()).connect()
    assert client.receive(PATIENCE) == "hello"
    error = failure(client)
    assert (error.code, error.reason, error.was_clean) == (4001, "go", True)


def test_messages_glued_to_the_101_reach_a_listener(hostile):
    glued = frame(TEXT, b"one") + frame(TEXT, b"two") + closing(1000)
    server = hostile(opened(Visit.read_close, Visit.end_writing, glued=glued))
    client = Client(server.url())
    heard = []
    client.on("message", lambda event: heard.append(event.data))
    client.start()
    assert client.join(PATIENCE)
    assert heard == ["one", "two"]


# --- ends without a closing handshake ---------------------------------------------------------------

# What the server had sent of a message when it ended, if anything.
UNFINISHED = {
    "between-messages": b"",
    "within-a-frame": frame(TEXT, b"hello")[:4],
    "within-a-head": frame(TEXT, b"x" * 300)[:3],
    "within-a-message": frame(TEXT, b"hello", fin=False),
}
unfinished = pytest.mark.parametrize("octets", UNFINISHED.values(), ids=UNFINISHED)
over_tls_too = pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])


def opened_client(server: HostileServer, **options: object) -> Client:
    return Client(server.url(), ca=certificate().authority, **options).connect()


@over_tls_too
@unfinished
def test_eof_without_a_close_frame_is_1006(hostile, octets, tls):
    server = hostile(opened(send(HELLO + octets), Visit.end_writing), tls=tls)
    client = opened_client(server)
    assert client.receive(PATIENCE) == "hello"
    error = failure(client)
    assert (error.code, error.cause, error.was_clean) == (1006, "eof", False)
    assert client.ready_state is ReadyState.CLOSED


@over_tls_too
@unfinished
def test_a_reset_is_1006(hostile, octets, tls):
    def reset_when_heard(visit: Visit) -> None:
        assert visit.read_frame() == (TEXT, b"heard")
        visit.reset()

    server = hostile(opened(send(HELLO + octets), reset_when_heard), tls=tls)
    client = opened_client(server)
    assert client.receive(PATIENCE) == "hello"
    client.send("heard")
    error = failure(client)
    assert (error.code, error.cause, error.was_clean) == (1006, "reset", False)


def test_iteration_raises_what_is_no_normal_end(hostile):
    server = hostile(opened(Visit.end_writing, glued=HELLO))
    client = Client(server.url()).connect()
    heard = []
    with pytest.raises(ConnectionClosed) as raised:
        heard.extend(client)
    assert (heard, raised.value.code) == (["hello"], 1006)


def test_what_follows_a_close_frame_is_not_delivered(hostile):
    server = hostile(
        opened(Visit.read_close, Visit.end_writing, glued=closing(1000) + HELLO + frame(3))
    )
    client = Client(server.url()).connect()
    error = failure(client)
    assert (error.code, error.was_clean) == (1000, True)


# --- what the client sends --------------------------------------------------------------------------


def test_after_its_close_frame_the_client_sends_nothing(hostile):
    late = frame(PING, b"late") + frame(TEXT, b"late")
    server = hostile(opened(send(closing(4000)), Visit.read_close, send(late), Visit.end_writing))
    client = Client(server.url()).connect()
    assert failure(client).code == 4000
    assert server.visit().left.wait(PATIENCE)
    assert server.visit().frames == [(CLOSE, (4000).to_bytes(2, "big"))]
    assert server.visit().unread() == b""


def test_every_frame_has_a_mask_of_its_own(hostile):
    count = 64
    server = hostile(opened(*[Visit.read_frame] * count, Visit.answer_close))
    with Client(server.url()) as client:
        for _ in range(count):
            client.send("x" * 8)
    octets = server.visit().received.partition(b"\r\n\r\n")[2]
    masks = [bytes(octets[start + 2 : start + 6]) for start in range(0, 14 * count, 14)]
    assert len(set(masks)) > count - 4
    # Random octets: of 256 of them, some 160 are different.
    assert len(set(b"".join(masks))) > 100


def test_a_ping_before_a_message_is_answered_before_it_is_handed_out(hostile):
    server = hostile(opened(Visit.read_frame, Visit.read_frame, glued=frame(PING, b"p") + HELLO))
    client = Client(server.url(), close_timeout=0.1).connect()
    client.send(client.receive(PATIENCE) + "!")
    client.close()
    assert client.wait_closed(PATIENCE)
    assert server.visit().frames == [(PONG, b"p"), (TEXT, b"hello!")]


def test_a_ping_is_answered_while_the_close_is_awaited(hostile):
    def ping_first(visit: Visit) -> None:
        visit.read_close()
        visit.send(frame(PING, b"p") + closing(1000))
        visit.end_writing()

    server = hostile(opened(ping_first))
    client = Client(server.url()).connect()
    client.close()
    assert client.wait_closed(PATIENCE)
    assert client.close_code == 1000


# --- TLS that goes wrong after the 101 --------------------------------------------------------------


def send_raw(octets: bytes) -> Step:
    """Send octets beside TLS."""
    return lambda visit: socket.socket.send(visit.sock, octets)


BESIDE = {
    "garbage": b"x" * 100,
    "nul": bytes(100),
    "a-bad-record": bytes.fromhex("17 03 03 00 20") + bytes(32),
    "a-fatal-alert": bytes.fromhex("15 03 03 00 02 02 28"),
    "a-record-over-the-limit": bytes.fromhex("17 03 03 ff ff") + bytes(100),
}


@pytest.mark.parametrize("octets", BESIDE.values(), ids=BESIDE)
def test_octets_that_are_no_tls_end_the_connection(hostile, octets):
    server = hostile(opened(send(HELLO), send_raw(octets)), tls=True)
    client = opened_client(server)
    assert client.receive(PATIENCE) == "hello"
    error = failure(client)
    assert (error.code, error.was_clean) == (1006, False)


def test_a_close_notify_without_a_close_frame_is_1006(hostile):
    def say_goodbye(visit: Visit) -> None:
        with visit.translated():
            visit.sock.settimeout(PATIENCE)
            visit.sock.unwrap()

    server = hostile(opened(send(HELLO), say_goodbye), tls=True)
    client = opened_client(server)
    assert client.receive(PATIENCE) == "hello"
    error = failure(client)
    assert (error.code, error.cause) == (1006, "eof")
