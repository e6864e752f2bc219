"""Peers without measure after the 101: floods, bombs, and those that do nothing at all.

Memory is bounded by octets, and every wait by its deadline."""

from __future__ import annotations

import threading
import time
from math import inf

import pytest

from faye_sync import Client, ConnectionClosed, ReadyState
from tests.support.endings import PATIENCE, bounded_memory, in_time
from tests.support.hostile import Visit, drip, flood, opened, send
from tests.support.wire import BINARY, CONTINUATION, PING, PONG, TEXT, frame

MIB = 2**20
KERNEL = 24 * MIB  # more than two kernels hold for one connection
HUGE = bytes(KERNEL)
WHILE = 0.5  # seconds in which a flood is many times what may be held


def caught(client: Client) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as raised:
        client.receive(PATIENCE)
    assert client.wait_closed(PATIENCE)
    return raised.value


# --- bombs and floods -------------------------------------------------------------------------------


def test_a_frame_that_announces_much_costs_only_what_came(hostile):
    announced = frame(BINARY, bytes(60 * MIB))[:100]
    server = hostile(opened(send(announced)))
    client = Client(server.url(), close_timeout=0.1).connect()
    with bounded_memory(2 * MIB), pytest.raises(TimeoutError):
        client.receive(WHILE)
    client.close()
    assert client.wait_closed(PATIENCE)


def test_a_message_over_the_limit_is_refused_before_it_is_read(hostile):
    octets = frame(BINARY, bytes(8 * MIB))
    server = hostile(opened(flood(octets)))
    client = Client(server.url(), max_length=MIB, close_timeout=0.5).connect()
    with bounded_memory(2 * MIB):
        assert caught(client).code == 1009


@pytest.mark.parametrize("size", [0, 1, 100, 4000], ids="{}-octets".format)
def test_a_message_of_fragments_without_end_is_bounded_by_its_limit(hostile, size):
    start = frame(BINARY, bytes(size), fin=False)
    more = frame(CONTINUATION, bytes(size), fin=False)
    server = hostile(opened(send(start), flood(more, inf)))
    client = Client(server.url(), max_length=MIB, close_timeout=0.1).connect()
    with bounded_memory(8 * MIB):
        if size:
            assert caught(client).code == 1009
            return
        with pytest.raises(TimeoutError):
            client.receive(WHILE)
    client.close()
    assert client.wait_closed(PATIENCE)


FLOODS = {
    "pings": frame(PING, b"x" * 125),
    "empty-pings": frame(PING),
    "pongs": frame(PONG, b"x" * 125),
    "pings-within-a-message": frame(PING, b"x"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_control_frames_costs_no_memory(hostile, name):
    start = frame(TEXT, b"x", fin=False) if "within" in name else b""
    server = hostile(opened(send(start), flood(FLOODS[name], inf)))
    client = Client(server.url(), close_timeout=0.1).connect()
    with bounded_memory(4 * MIB), pytest.raises(TimeoutError):
        client.receive(WHILE)
    client.close()
    assert client.wait_closed(PATIENCE)


def test_a_flood_of_pings_whose_pongs_nobody_reads_costs_no_memory(hostile):
    def flood_deafly(visit: Visit) -> None:
        try:
            while True:
                visit.send(frame(PING, b"x" * 125) * 500, 0.3)
        except TimeoutError:
            # It takes no more from a peer that takes nothing: as it should.
            return

    server = hostile(opened(flood_deafly), receive_buffer=4096)
    client = Client(server.url(), close_timeout=0.1, ping=None).connect()
    with bounded_memory(24 * MIB), pytest.raises((TimeoutError, ConnectionClosed)):
        client.receive(1)
    client.close()
    assert client.wait_closed(PATIENCE)


@pytest.mark.parametrize("size", [0, 1000, 100_000], ids="{}-octets".format)
def test_messages_that_nobody_receives_stop_the_reading(hostile, size):
    server = hostile(opened(flood(frame(BINARY, bytes(size)), inf)))
    client = Client(server.url(), max_queue=MIB, close_timeout=0.1).connect()
    assert client.receive(PATIENCE) == bytes(size)
    with bounded_memory(8 * MIB):
        # From now on housekeeping is who reads, and stops.
        assert not server.visit().left.wait(1)
    assert server.visit().sent < KERNEL
    client.close()
    assert client.wait_closed(PATIENCE)


def test_messages_without_a_listener_cost_no_memory(hostile, caplog):
    server = hostile(opened(flood(frame(BINARY, bytes(1000)), inf)))
    client = Client(server.url(), close_timeout=0.1)
    with bounded_memory(8 * MIB):
        client.start()
        assert not client.join(WHILE)
    client.close()
    assert client.join(PATIENCE)
    assert len([record for record in caplog.records if "listener" in record.message]) <= 1


def test_a_flood_does_not_keep_close_from_being_heard(hostile):
    server = hostile(opened(flood(frame(TEXT, b"x" * 1000), inf)))
    client = Client(server.url(), close_timeout=0.2)
    client.on("message", lambda event: None)
    client.start()
    assert not client.join(0.3)
    with in_time(0.2):
        client.close()
        assert client.join(PATIENCE)
    assert client.ready_state is ReadyState.CLOSED


# --- peers that are slow, or do nothing -------------------------------------------------------------


def test_a_frame_that_drips_does_not_hold_receive_past_its_timeout(hostile):
    start = frame(BINARY, bytes(1000))[:4]
    server = hostile(opened(send(start), drip(b"\0", 0.05)))
    client = Client(server.url(), close_timeout=0.1).connect()
    with in_time(0.3, not_before=0.3), pytest.raises(TimeoutError):
        client.receive(0.3)
    client.close()
    assert client.wait_closed(PATIENCE)


def test_a_send_to_a_peer_that_stops_reading_ends_at_its_deadline(hostile):
    server = hostile(opened(Visit.stall), receive_buffer=4096)
    client = Client(server.url(), send_timeout=0.5, ping=None).connect()
    with in_time(0.5, not_before=0.5), pytest.raises(TimeoutError) as raised:
        client.send(HUGE)
    assert "0.5 s" in str(raised.value)
    error = caught(client)
    assert (error.code, error.cause) == (1006, "send timeout")


def test_a_close_behind_a_send_that_waits_ends_at_its_deadline(hostile):
    server = hostile(opened(Visit.stall), receive_buffer=4096)
    client = Client(server.url(), close_timeout=0.5, send_timeout=20, ping=None).connect()
    ended = []

    def send_all() -> None:
        with pytest.raises((TimeoutError, ConnectionClosed)) as raised:
            client.send(HUGE)
        ended.append(raised.value)

    sender = threading.Thread(target=send_all)
    sender.start()
    with pytest.raises(TimeoutError):
        client.receive(0.2)
    with in_time(0):
        client.close()
    with in_time(0.5):
        assert client.wait_closed(PATIENCE)
    sender.join(PATIENCE)
    assert len(ended) == 1
    assert client.close_code == 1006


@pytest.mark.parametrize("steps", [(), (Visit.stall,)], ids=["reading", "deaf"])
def test_a_close_that_is_never_answered_ends_at_its_deadline(hostile, steps):
    server = hostile(opened(*steps))
    client = Client(server.url(), close_timeout=0.3).connect()
    with in_time(0):
        client.close(4000, "bye")
    with in_time(0.3, not_before=0.3):
        assert client.wait_closed(PATIENCE)
    error = caught(client)
    assert (error.code, error.was_clean, error.cause) == (1006, False, "close timeout")


def test_a_with_block_ends_though_the_close_is_never_answered(hostile):
    server = hostile(opened())
    with in_time(0.3, not_before=0.3), Client(server.url(), close_timeout=0.3):
        pass


def test_a_close_that_is_answered_by_messages_only_ends_at_its_deadline(hostile):
    server = hostile(opened(flood(frame(TEXT, b"x" * 100), inf)))
    client = Client(server.url(), close_timeout=0.3).connect()
    client.close()
    with in_time(0.3):
        assert client.wait_closed(PATIENCE)
    assert client.close_code == 1006


def test_tcp_that_stays_open_behind_the_closing_handshake_ends_in_time(hostile):
    def answer(visit: Visit) -> None:
        visit.read_close()
        visit.send(frame(8, b"\x03\xe8"))

    server = hostile(opened(answer))
    client = Client(server.url(), close_timeout=0.5).connect()
    with in_time(2):
        client.close()
        assert client.wait_closed(PATIENCE)
    assert (client.close_code, caught(client).was_clean) == (1000, True)


@pytest.mark.parametrize("reader", ["receive", "listener", "nobody"])
def test_a_peer_that_answers_no_ping_is_given_up(hostile, reader):
    server = hostile(opened())
    client = Client(server.url(), ping=0.3, pong_timeout=0.3, close_timeout=0.5).connect()
    began = time.monotonic()
    if reader == "receive":
        error = caught(client)
        assert (error.code, error.cause) == (1006, "ping timeout")
    elif reader == "listener":
        assert client.start().join(PATIENCE)
    else:
        assert server.visit().left.wait(PATIENCE)
        assert client.wait_closed(PATIENCE)
    assert time.monotonic() - began < 5
    assert client.close_code == 1006


def test_a_peer_that_answers_no_ping_but_sends_is_alive(hostile):
    server = hostile(opened(drip(frame(TEXT, b"x"), 0.1)))
    client = Client(server.url(), ping=0.2, pong_timeout=0.3, close_timeout=0.1).connect()
    with in_time(PATIENCE, not_before=1):
        assert [client.receive(PATIENCE) for _ in range(4)] == ["x"] * 4
    client.close()
    assert client.wait_closed(PATIENCE)
