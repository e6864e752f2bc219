"""The way out: order, urgent frames, the tail, and that nothing follows a close frame."""

from __future__ import annotations

import _socket
import struct
import threading

import pytest

from faye_sync.backlog import Backlog
from faye_sync.concurrency import THREADS
from faye_sync.driver.hybi_sending import HybiSending
from faye_sync.queues import URGENT_LIMIT
from faye_sync.sending import Outgoing
from faye_sync.transport.stream import BlockingStream, CountingStream
from tests.support.local import LocalPeer, tcp_pair
from tests.support.peer import BINARY, CLOSE, PING, PONG, TEXT
from tests.support.told import Owner

BIG = 2**25  # octets, more than the buffers of the pair take


@pytest.fixture
def way():
    """An outgoing side, its owner, and the peer."""
    ours, theirs = tcp_pair()
    owner, sending = Owner(), HybiSending(masking=False)
    stream = BlockingStream(_socket.socket(fileno=ours.detach()))
    outgoing = Outgoing(stream, sending, THREADS, owner, max_queue=2 * BIG)
    peer = LocalPeer(theirs)
    yield outgoing, owner, peer, sending
    theirs.close()
    stream.close()


def message(sending: HybiSending, data: bytes):
    return (sending.binary, (data,))


def stall(outgoing: Outgoing, sending: HybiSending) -> None:
    """Fill the buffers, so that a frame is cut in two."""
    assert outgoing.send_nowait(message(sending, bytes(BIG)), BIG)
    assert outgoing.unsent > 0


def read_all(outgoing: Outgoing, peer: LocalPeer, count: int) -> list[tuple[int, bytes]]:
    """Read so many frames while the queue is flushed, as housekeeping does."""
    frames: list[tuple[int, bytes]] = []
    reader = threading.Thread(target=lambda: frames.extend(peer.read_frame() for _ in range(count)))
    reader.start()
    while not outgoing.is_idle:
        assert outgoing._stream.wait_writable(20)
        outgoing.flush()
    reader.join(20)
    return frames


def kinds(frames: list[tuple[int, bytes]]) -> list[object]:
    return [payload[:10] if len(payload) < 1000 else len(payload) for _, payload in frames]


def test_an_urgent_frame_overtakes_messages_but_not_the_inside_of_a_frame(way):
    outgoing, _, peer, sending = way
    stall(outgoing, sending)
    assert outgoing.send_nowait(message(sending, b"queued"), 6)
    outgoing.ping(b"urgent")
    frames = read_all(outgoing, peer, 3)
    assert [opcode for opcode, _ in frames] == [BINARY, PING, BINARY]
    assert kinds(frames) == [BIG, b"urgent", b"queued"]


def test_of_many_pongs_that_wait_the_newest_goes_out(way):
    outgoing, _, peer, sending = way
    stall(outgoing, sending)
    for number in range(100):
        outgoing.pong(b"%d" % number)
    assert read_all(outgoing, peer, 2)[1] == (PONG, b"99")


def test_a_close_frame_overtakes_what_is_queued_and_drops_it(way):
    outgoing, _, peer, sending = way
    stall(outgoing, sending)
    assert outgoing.send_nowait(message(sending, b"never sent"), 10)
    outgoing.close(1013, "slow", after_backlog=False)
    frames = read_all(outgoing, peer, 2)
    assert [opcode for opcode, _ in frames] == [BINARY, CLOSE]
    assert outgoing.unsent == 0


def test_a_close_frame_may_wait_for_what_is_queued(way):
    outgoing, _, peer, sending = way
    stall(outgoing, sending)
    assert outgoing.send_nowait(message(sending, b"still sent"), 10)
    outgoing.close(1000, "", after_backlog=True)
    assert kinds(read_all(outgoing, peer, 3)) == [BIG, b"still sent", struct.pack("!H", 1000)]


def test_a_close_frame_waits_even_behind_a_full_queue(way):
    outgoing, _, peer, sending = way
    stall(outgoing, sending)
    assert outgoing.send_nowait(message(sending, bytes(BIG)), BIG)
    outgoing.close(1000, "", after_backlog=True)
    assert kinds(read_all(outgoing, peer, 3)) == [BIG, BIG, struct.pack("!H", 1000)]


def test_nothing_follows_a_close_frame(way):
    outgoing, _, peer, sending = way
    outgoing.close(1000, "", after_backlog=False)
    assert not outgoing.send([message(sending, b"late")], 1)
    outgoing.ping(b"late")
    outgoing.pong(b"late")
    outgoing.close(1001, "", after_backlog=False)
    assert outgoing.end()
    assert peer.read_frame() == (CLOSE, struct.pack("!H", 1000))
    assert peer.rest() == b""


def test_a_send_takes_what_was_queued_before_it(way):
    outgoing, _, peer, sending = way
    stall(outgoing, sending)
    assert outgoing.send_nowait(message(sending, b"queued"), 6)
    frames: list[tuple[int, bytes]] = []
    reader = threading.Thread(target=lambda: frames.extend(peer.read_frame() for _ in range(3)))
    reader.start()
    assert outgoing.send([message(sending, b"sent")], 20)
    reader.join(20)
    assert kinds(frames) == [BIG, b"queued", b"sent"]


def test_a_send_too_late_to_begin_leaves_no_octet_behind(way):
    outgoing, owner, peer, sending = way
    stall(outgoing, sending)
    with pytest.raises(TimeoutError, match="the peer took no octets"):
        outgoing.send([message(sending, b"too late")], 0.05)
    assert "torn" not in owner.told
    assert outgoing.send_nowait(message(sending, b"the next"), 8)
    assert kinds(read_all(outgoing, peer, 2)) == [BIG, b"the next"]


def test_a_send_that_ends_within_its_frame_tears_the_connection(way):
    outgoing, owner, _, sending = way
    with pytest.raises(TimeoutError):
        outgoing.send([message(sending, bytes(BIG))], 0.05)
    assert owner.told[0] == "torn"


def test_a_message_that_cannot_be_framed_does_not_take_others_with_it(way):
    outgoing, _, peer, sending = way
    outgoing.writing_lock.acquire()
    assert outgoing.send_nowait(message(sending, b"queued before"), 13)
    outgoing.writing_lock.release()
    with pytest.raises(ValueError, match="lone surrogate"):
        outgoing.send([(sending.text, ("\ud800",))], 1)
    assert peer.read_frame() == (BINARY, b"queued before")


def test_progress_counts_where_the_kernel_takes_just_the_rest(way, monkeypatch):
    outgoing, _, _, sending = way
    stall(outgoing, sending)
    taken = [len(outgoing._tail), 0]
    monkeypatch.setattr(outgoing._stream, "send_now", lambda *_: taken.pop(0))
    outgoing.progressed_at = 0.0
    assert outgoing.send_nowait(message(sending, b"next"), 4)
    assert taken == []
    assert outgoing.progressed_at > 0


def test_pings_to_a_peer_that_takes_nothing_do_not_pile_up(way):
    outgoing, _, _, sending = way
    stall(outgoing, sending)
    for _ in range(10_000):
        outgoing.ping(b"x")
    assert len(outgoing.queues.urgent) == URGENT_LIMIT


def test_the_owner_is_told_of_a_stall_and_of_its_end(way):
    outgoing, owner, peer, sending = way
    stall(outgoing, sending)
    assert owner.told == ["stalled"]
    read_all(outgoing, peer, 1)
    assert owner.told[-1] == "drained"
    assert owner.told.count("drained") == 1


def test_a_peer_that_is_gone_is_told_as_broken_and_empties_the_queues(way):
    outgoing, owner, peer, sending = way
    stall(outgoing, sending)
    peer.sock.close()
    assert not outgoing.send([message(sending, b"x")], 20)
    assert isinstance(owner.told[-1], OSError)
    assert "drained" not in owner.told
    assert outgoing.is_idle
    assert not outgoing.send([message(sending, b"x")], 20)


def test_frames_of_many_threads_are_never_torn(way):
    outgoing, _, peer, sending = way
    count, senders = 300, 6

    def send(number: int) -> None:
        for i in range(count):
            data = bytes([number]) * (i * 37 % 5000 + 1)
            if i % 3 == 0:
                assert outgoing.send([message(sending, data), (sending.text, ("x" * 50,))], 20)
            elif i % 3 == 1:
                assert outgoing.send([message(sending, data)], 20)
            else:
                outgoing.ping(bytes([number]) * 20)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(senders)]
    for thread in threads:
        thread.start()
    messages = {number: [] for number in range(senders)}
    total = senders * count * 4 // 3
    for _ in range(total):
        opcode, payload = peer.read_frame()
        assert len(set(payload)) == 1, "a frame is torn"
        if opcode == BINARY:
            messages[payload[0]].append(len(payload))
        assert opcode in (BINARY, TEXT, PING)
    for thread in threads:
        thread.join(20)
    expected = [i * 37 % 5000 + 1 for i in range(count) if i % 3 != 2]
    assert all(sizes == expected for sizes in messages.values())


def test_a_last_frame_waits_for_a_sender_who_is_about_to_be_done(way):
    outgoing, _, peer, _ = way
    outgoing.writing_lock.acquire()
    outgoing.close(1001, "", after_backlog=False)
    outgoing.flush_within(0.05)
    assert not outgoing.queues.has_closed
    thread = threading.Thread(target=outgoing.flush_within, args=(20,))
    thread.start()
    outgoing.writing_lock.release()
    thread.join(20)
    assert peer.read_close() == (1001, "")


def test_the_backlog_counts_octets_and_lets_one_large_message_pass():
    lines: list[object] = []
    backlog = Backlog(100, lines)
    assert lines == []
    assert backlog.put((print, ()), 500, ahead=0)
    assert any(lines)
    assert not backlog.put((print, ()), 1, ahead=0)
    assert backlog.take() == ((print, ()), 500)
    assert backlog.octets == 0
    assert not backlog.put((print, ()), 60, ahead=50)
    assert backlog.put((print, ()), 50, ahead=50)
    backlog.clear()
    assert not backlog
    assert not backlog.put_last((print, ()))


class InterruptedStream(CountingStream):
    """A stream in whose second send a signal handler raises, before or after octets were taken."""

    def __init__(self, sock, when: str) -> None:
        super().__init__(sock)
        self._when = {2: when}
        self._number = 0

    def send_now(self, data, counts=None):
        self._number += 1
        when = self._when.get(self._number)
        if when == "before":
            raise KeyboardInterrupt
        count = super().send_now(data, counts)
        if when == "after":
            raise KeyboardInterrupt
        return count


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("size", [5, BIG], ids=["whole", "in-part"])
@pytest.mark.parametrize("how", ["send", "send_nowait"])
def test_a_signal_handler_that_raises_in_a_send_neither_doubles_nor_loses_octets(
    way, how, size, when
):
    outgoing, _, peer, sending = way
    outgoing._stream = InterruptedStream(outgoing._stream._sock, when)
    assert outgoing.send([message(sending, b"first")], 20)
    second = message(sending, b"2" * size)
    with pytest.raises(KeyboardInterrupt):
        outgoing.send([second], 20) if how == "send" else outgoing.send_nowait(second, size)
    assert outgoing.send_nowait(message(sending, b"third"), 5)
    assert read_all(outgoing, peer, 3) == [
        (BINARY, b"first"),
        (BINARY, b"2" * size),
        (BINARY, b"third"),
    ]


@pytest.mark.parametrize("sent", [0, 1, 10, 11, 50_000, 100_010])
def test_a_handler_that_raises_in_a_large_send_neither_doubles_nor_loses_octets(
    way, monkeypatch, sent
):
    outgoing, _, peer, _ = way
    data = bytes(range(256)) * 400

    def give_some(head, data, counts):
        if sent:
            counts.append(outgoing._stream.send_now((head + data)[:sent]))
        raise KeyboardInterrupt

    monkeypatch.setattr(outgoing._stream, "send_both_now", give_some)
    with pytest.raises(KeyboardInterrupt):
        outgoing.send_whole(data[:100_000], None)
    assert read_all(outgoing, peer, 1) == [(BINARY, data[:100_000])]
