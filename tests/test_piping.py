"""pipe: from one connection's messages to whatever takes them."""

from __future__ import annotations

import io
import logging
import threading
from contextlib import ExitStack

import pytest

from faye_sync import Client, ErrorEvent
from tests.support.local import Local
from tests.support.peer import BINARY, PING, TEXT, closing, frame
from tests.support.planned_server import PlannedServer, accept

PATIENCE = 20.0  # seconds to wait for what should come at once


class Target:
    """Takes messages under one name or the other, and says how it was ended."""

    def __init__(self, answer: object = None) -> None:
        self.taken: list[object] = []
        self.ended = threading.Event()
        self._answer = answer

    def write(self, data: object) -> object:
        self.taken.append(data)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def end(self) -> None:
        self.ended.set()


@pytest.fixture
def ends():
    """Two connections of servers in this process."""
    with ExitStack() as stack:
        yield [stack.enter_context(Local()) for _ in range(2)]


def both(ends, **options):
    return [end.open(**options) for end in ends]


def test_messages_are_handed_on_as_they_came(ends):
    source, target = both(ends)
    assert source.pipe(target) is target
    source.start()
    ends[0].peer.say("text")
    ends[0].peer.say(b"octets")
    assert ends[1].peer.read_frame() == (TEXT, b"text")
    assert ends[1].peer.read_frame() == (BINARY, b"octets")


@pytest.mark.parametrize(
    "last, code",
    [
        pytest.param(closing(3000, "why"), 3000, id="code"),
        pytest.param(closing(1000), 1000, id="normal"),
        pytest.param(b"", 1011, id="eof"),
        pytest.param(b"\xff", 1011, id="failure"),
    ],
)
def test_the_target_is_closed_as_the_source_was(ends, last, code):
    source, target = both(ends)
    source.pipe(target)
    source.start()
    ends[0].peer.sock.sendall(last)
    if not last:
        ends[0].peer.sock.close()
    assert ends[1].peer.read_close()[0] == code


def test_without_end_the_target_stays_open(ends):
    source, target = both(ends)
    source.pipe(target, end=False)
    source.start()
    ends[0].peer.sock.sendall(closing(1000))
    assert source.join(PATIENCE)
    assert target.send("still there")
    assert ends[1].peer.read_frame() == (TEXT, b"still there")


def test_anything_with_write_takes_messages_and_is_ended(local):
    ws = local.open()
    target = ws.pipe(Target())
    ws.start()
    local.peer.say("one")
    local.peer.say(b"two")
    local.peer.sock.sendall(closing(1000))
    assert target.ended.wait(PATIENCE)
    assert target.taken == ["one", b"two"]


def test_a_file_takes_octets_and_is_closed(local):
    class File(io.BytesIO):
        def close(self):
            self.kept = self.getvalue()
            super().close()

    ws = local.open()
    file = ws.pipe(File())
    ws.start()
    local.peer.say(b"one")
    local.peer.say(b"two")
    local.peer.sock.sendall(closing(1000))
    assert ws.join(PATIENCE)
    assert (file.closed, file.kept) == (True, b"onetwo")


def test_a_target_that_takes_no_more_is_left_with_a_line_in_the_log(local, caplog):
    ws = local.open()
    target = Target(answer=False)
    ws.pipe(target)
    heard = []
    ws.on("message", lambda event: heard.append(event.data))
    ws.start()
    with caplog.at_level(logging.WARNING, "faye_sync"):
        local.peer.say("one")
        local.peer.say("two")
        local.peer.sock.sendall(closing(1000))
        assert ws.join(PATIENCE)
    assert target.taken == ["one"]
    assert heard == ["one", "two"]
    assert [record.getMessage() for record in caplog.records if "takes no more" in record.msg]


def test_a_target_that_raises_is_ended_and_the_error_told_of(local):
    ws = local.open()
    errors: list[ErrorEvent] = []
    ws.on("error", errors.append)
    fault = OSError("disk is full")
    target = ws.pipe(Target(answer=fault))
    ws.start()
    local.peer.say("one")
    assert target.ended.wait(PATIENCE)
    local.peer.say("two")
    local.peer.sock.sendall(closing(1000))
    assert ws.join(PATIENCE)
    assert target.taken == ["one"]
    assert [event.error for event in errors] == [fault]


def test_a_slow_target_stops_the_reading_and_pings_are_answered(ends):
    source, target = both(ends, max_queue=2**16)
    source.pipe(target)
    source.start()
    ends[0].peer.sock.settimeout(0.5)
    sent = 0
    octets = frame(BINARY, bytes(2**16))
    # The kernel's buffers and the queue of 64 KiB are full long before this.
    with pytest.raises(TimeoutError):  # noqa: PT012  # which octet waits is the kernel's business
        while sent < 2**26:
            sent += ends[0].peer.sock.send(octets)
    assert target.buffered_amount > 0
    source.close()
    target.close()


def test_both_directions_make_a_proxy(local):
    with PlannedServer(accept) as server, Client(server.url) as upstream:
        visit = server.visit()
        ws = local.open()
        ws.pipe(upstream)
        upstream.pipe(ws)
        upstream.start()
        ws.start()
        local.peer.say("up")
        assert visit.read() == "up"
        visit.say("down")
        assert local.peer.read_frame() == (TEXT, b"down")
        local.peer.sock.sendall(frame(PING, b"?"))
        assert local.peer.read_frame()[1] == b"?"
        local.peer.sock.sendall(closing(3001, "done"))
        assert visit.parting() == (3001, "done")


def test_pipe_is_for_callback_style(local):
    ws = local.open()
    with pytest.raises(TimeoutError):
        ws.receive(0)
    with pytest.raises(RuntimeError, match="handed out by"):
        ws.pipe(Target())


@pytest.mark.parametrize("target", [None, 5, object()], ids=repr)
def test_what_takes_nothing_is_refused(local, target):
    with pytest.raises(TypeError, match=r"send\(\) or write\(\)"):
        local.open().pipe(target)
