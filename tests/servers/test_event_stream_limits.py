"""Event streams and clients that are slow, servers that end, iterables that wait, fail or never end."""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests

from faye_sync import parse_events
from tests.support.nginx import missing_nginx, serve_nginx
from tests.support.parts import require
from tests.support.servers import serve
from tests.support.stream_peer import StreamPeer

APP = "tests.servers.app:application"
SMALL = 4096  # octets of a receive buffer
COUNT = 500


@pytest.fixture(params=["gunicorn-gthread", "gunicorn-gevent"])
def one_of_each(request, deeds):
    """A server on threads, and one on a hub, for what takes its time."""
    return deeds(request.param)


# --- slow clients ---------------------------------------------------------------------------------


def test_one_event_too_many_for_a_client_that_reads_nothing_ends_its_stream_alone(
    main_server, name
):
    with ExitStack() as stack:
        slow = StreamPeer(
            main_server.address, f"/streams/push/{name}?max_queue=100000", receive_buffer=SMALL
        )
        stack.enter_context(slow)
        other = stack.enter_context(StreamPeer(main_server.address, f"/streams/push/{name}-other"))
        assert other.data() == "welcome"
        sent = 0
        while main_server.ask(f"/streams/send/{name}?size=50000"):
            sent += 1
            assert sent < 1000
        assert main_server.ask(f"/streams/end/{name}") == "queue full"
        assert main_server.ask(f"/streams/send/{name}-other?data=still")
        assert other.data() == "still"


def test_a_client_that_stops_reading_is_cut_at_send_timeout(main_server, name):
    path = f"/streams/push/{name}?send_timeout=1.0&max_queue=100000000"
    with StreamPeer(main_server.address, path, receive_buffer=SMALL) as peer:
        assert peer.data() == "welcome"
        assert main_server.ask(f"/streams/send/{name}?size=30000000")
        assert main_server.ask(f"/streams/end/{name}") == "send timeout"


def test_a_client_that_reads_slowly_is_not_cut_and_misses_nothing(one_of_each, name):
    path = f"/streams/push/{name}?send_timeout=1.0&max_queue=100000000"
    with StreamPeer(one_of_each.address, path) as peer:
        assert peer.data() == "welcome"
        assert one_of_each.ask(f"/streams/send/{name}?size=20000000")
        began = time.monotonic()
        received = 0
        peer.sock.settimeout(20)
        while received < 20_000_000:
            received += len(peer.sock.recv(1 << 20))
            if time.monotonic() - began < 2.5:
                # Slow for longer than send_timeout: a wait for what never comes.
                with pytest.raises(TimeoutError):
                    waiting(peer)
        assert one_of_each.ask(f"/streams/state/{name}") == 1


def waiting(peer: StreamPeer) -> None:
    """Wait a moment, by the time-out of a socket that gets nothing."""
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(0.1)
        near.recv(1)
    peer.sock.settimeout(20)


def test_an_iterable_waits_while_its_client_reads_nothing(one_of_each, name):
    path = f"/streams/endless/{name}?send_timeout=none"
    with StreamPeer(one_of_each.address, path, receive_buffer=SMALL) as peer:
        assert peer.data() == "0"
        first = stands_still(one_of_each, name)
        # What the kernel took, the queue of 64 KiB, and no more.
        assert first < 2_000_000
    assert one_of_each.ask(f"/streams/closing/{name}") == "closed"


def stands_still(server, name: str) -> int:
    """Wait until the iterable gives no more; how many it gave."""
    before = -1
    deadline = time.monotonic() + 20
    while (given := server.ask(f"/streams/given/{name}")) != before:
        assert time.monotonic() < deadline
        before = given
        near, far = socket.socketpair()
        with near, far:
            near.settimeout(0.3)
            with pytest.raises(TimeoutError):
                near.recv(1)
    return before


# --- iterables ------------------------------------------------------------------------------------


def test_pings_go_out_while_an_iterable_blocks_and_then_its_event(main_server, name):
    with StreamPeer(main_server.address, f"/streams/quiet/{name}?ping=0.1") as peer:
        assert peer.data() == "before"
        assert [peer.block() for _ in range(3)] == [":"] * 3
        assert main_server.ask(f"/streams/release/{name}")
        assert peer.data() == "after"
        assert peer.rest().strip(b":\n") == b""
    assert main_server.ask(f"/streams/closing/{name}") == "closed"


def test_an_iterable_that_raises_ends_the_stream_and_is_logged_once(main_server, name):
    with StreamPeer(main_server.address, f"/streams/failing/{name}") as peer:
        assert peer.data() == "before"
        assert peer.rest() == b""
    assert main_server.ask(f"/streams/end/{name}") == "local"
    log = main_server.log()
    assert log.count(f"ValueError: {name} failed on purpose") == 1
    assert log.count(f"the iterable of the stream raised: ValueError('{name} failed") <= 1


@pytest.mark.stress
@pytest.mark.parametrize(
    "server_name", ["gunicorn-gevent", pytest.param("gevent", marks=pytest.mark.long)]
)
def test_a_hundred_endless_iterables_share_a_hub_fairly(deeds, name, server_name):
    server = deeds(server_name)

    def opened(number: int) -> StreamPeer:
        path = f"/streams/endless/{name}-{number}?send_timeout=none"
        return stack.enter_context(StreamPeer(server.address, path))

    with ExitStack() as stack, ThreadPoolExecutor(100) as pool:
        peers = list(pool.map(opened, range(100)))
        # Those that came first had more time until now.
        fair_share(peers, seconds=1.5)
        given = fair_share(peers, seconds=2.0)
        assert server.ask("/hello") == "hello"
    assert min(given.values()) >= max(given.values()) / 2, sorted(given.values())


def fair_share(peers: list[StreamPeer], seconds: float) -> Counter[int]:
    """Read from all that have something, for so long; the octets of each."""
    given: Counter[int] = Counter()
    with selectors.DefaultSelector() as selector:
        for number, peer in enumerate(peers):
            peer.sock.setblocking(False)
            selector.register(peer.sock, selectors.EVENT_READ, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for key, _ in selector.select(20):
                given[key.data] += len(key.fileobj.recv(65536))
    return given


# --- many, and the end of the process ---------------------------------------------------------------


@pytest.mark.stress
def test_two_worker_threads_hold_500_idle_streams_without_a_thread_and_answer_pages(deeds, name):
    server = deeds("gunicorn-gthread-2")
    before = own_threads(server) | {"faye-sync-housekeeping"}
    with ExitStack() as stack:
        peers = [
            stack.enter_context(StreamPeer(server.address, f"/streams/push/{name}-{number}"))
            for number in range(COUNT)
        ]
        for peer in peers:
            assert peer.data() == "welcome"
        assert [server.get("/hello").status_code for _ in range(20)] == [200] * 20
        assert own_threads(server) <= before
        assert server.ask(f"/streams/broadcast/{name}?data=all") == COUNT
        assert [peer.data() for peer in peers] == ["all"] * COUNT


def own_threads(server) -> set[str]:
    return {thread for thread in server.ask("/threads") if thread.startswith("faye-sync")}


ENDS = [
    pytest.param("gunicorn-gthread", "", signal.SIGTERM, id="gthread-detached-TERM"),
    pytest.param("gunicorn-gthread", "detach=false", signal.SIGTERM, id="gthread-attached-TERM"),
    pytest.param("gunicorn-gthread", "detach=false", signal.SIGHUP, id="gthread-attached-HUP"),
    pytest.param("gunicorn-sync", "detach=false", signal.SIGTERM, id="sync-attached-TERM"),
    pytest.param("gunicorn-gevent", "detach=false", signal.SIGTERM, id="gevent-attached-TERM"),
]


@pytest.mark.parametrize("server_name, form, how", ENDS)
def test_streams_end_at_once_when_their_worker_does(tmp_path, name, server_name, form, how):
    with serve(server_name, APP, tmp_path) as server:
        with StreamPeer(server.address, f"/streams/push/{name}?{form}") as peer:
            assert peer.data() == "welcome"
            began = time.monotonic()
            server.send_signal(how)
            assert peer.rest() == b""
            # Before the graceful time-out of three seconds is over.
            assert time.monotonic() - began < 2.5
        if how == signal.SIGTERM:
            log = server.stop()
            assert "Traceback" not in log


# --- nginx ------------------------------------------------------------------------------------------

BARE = {"bare": "", "gzip": "gzip on; gzip_types *; gzip_min_length 0;"}


@pytest.mark.parametrize("directives", BARE.values(), ids=BARE)
@pytest.mark.parametrize("upstream", ["gunicorn-gthread", "gevent"])
def test_behind_a_bare_proxy_pass_each_event_comes_before_the_next_is_sent(
    deeds, name, tmp_path, upstream, directives
):
    require("nginx", missing_nginx())
    server = deeds(upstream)
    proxy = serve_nginx(server, tmp_path, directives)
    with proxy.plain:
        url = f"http://127.0.0.1:{proxy.plain.port}/streams/push/{name}?ping=60.0"
        with requests.get(url, stream=True, timeout=20) as answer:
            assert answer.headers.get("Content-Encoding") == ("gzip" if directives else None)
            events = parse_events(answer)
            assert next(events).data == "welcome"
            for number in range(3):
                assert server.ask(f"/streams/send/{name}?data={number}")
                assert next(events).data == str(number)
            began = time.monotonic()
        assert server.ask(f"/streams/end/{name}") in ("eof", "reset")
        assert time.monotonic() - began < 20
