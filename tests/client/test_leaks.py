"""What clients leave behind: no thread, no descriptor, and nothing in a forked child."""

from __future__ import annotations

import gc
import queue
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from faye_sync import Client, ConnectionClosed, HandshakeError, Reconnect
from tests.support.authorities import authority
from tests.support.clients import (  # noqa: F401  # planned_servers is a fixture
    PATIENCE,
    planned_servers,
    refused_port,
)
from tests.support.endings import connection_threads
from tests.support.forked import forked
from tests.support.planned_server import PlannedServer, accept, cut, drop, greet, hold, refuse
from tests.support.reference_server import Reference, serve_reference
from tests.support.tls_peer import server_context

CYCLES = 1000


@pytest.fixture(autouse=True)
def _housekept() -> None:
    """Have housekeeping started: its thread and its descriptors last as long as the process."""
    with PlannedServer(accept) as server, Client(server.url):
        pass


# --- cycles ---------------------------------------------------------------------------------------------


def open_and_close(url: str, **options) -> None:
    with Client(url, **options) as ws:
        ws.send("x")
        assert ws.receive(PATIENCE) == "x"


def start_and_close(url: str, **options) -> None:
    ws = Client(url, **options)
    ws.on("open", lambda event: ws.close())
    ws.start()
    assert ws.join(PATIENCE)


def start_a_function(url: str, **options) -> None:
    assert Client(url, **options).start(lambda ws: ws.send("x")).join(PATIENCE)


def leave_it_to_the_collector(url: str, **options) -> None:
    """A client that was closed, and not waited for."""
    Client(url, **options).connect().close()


def fail(kind: type[Exception]) -> Callable[..., None]:
    def cycle(url: str, **options) -> None:
        with pytest.raises(kind):
            Client(url, **options).connect()

    return cycle


def fail_in_callback_style(url: str, **options) -> None:
    ws = Client(url, **options)
    ws.on("error", lambda event: None)
    ws.start()
    assert ws.join(PATIENCE)


SUCCESSES = (open_and_close, start_and_close, start_a_function, leave_it_to_the_collector)


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Fail where the block leaves a thread of a connection, or a descriptor of any kind."""
    before = descriptors()
    yield
    for thread in connection_threads():
        thread.join(PATIENCE)
    assert connection_threads() == []
    deadline = time.monotonic() + PATIENCE
    # Housekeeping may still see a server off, also one from before.
    while (now := descriptors()) > before:
        assert time.monotonic() < deadline, f"{now - before} descriptors more than before"


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Reference]]:
    """One server without TLS, and one with it."""
    names = ("websockets-asyncio", "websockets-asyncio-tls")
    with ExitStack() as stack:
        yield [
            stack.enter_context(serve_reference(name, tmp_path_factory.mktemp(name)))
            for name in names
        ]


def test_a_thousand_connections_leave_no_thread_and_no_descriptor(references):
    plain, tls = references
    with no_descriptor_left():
        for number in range(CYCLES):
            # Every fifth, so that each of the four ways comes over TLS too.
            reference = plain if number % 5 else tls
            SUCCESSES[number % len(SUCCESSES)](reference.url("echo"), **reference.options)


def once_more(url: str, **options) -> None:
    """One that connects again."""
    ws = Client(url, **options)
    assert ws.receive(PATIENCE) == "hello"
    assert ws.receive(PATIENCE) == "hello"
    ws.close()
    assert ws.wait_closed(PATIENCE)


HURRIED = {"open_timeout": 0.005}
AT_ONCE = {"reconnect": Reconnect(initial=0, max_attempts=3)}

CYCLES_THAT_FAIL = {
    "refused": (refuse(401), fail(HandshakeError), {}),
    "refused-in-callback-style": (refuse(401), fail_in_callback_style, {}),
    "eof": (cut, fail(HandshakeError), {}),
    "silence": (hold, fail(TimeoutError), HURRIED),
    "silence-in-callback-style": (hold, fail_in_callback_style, HURRIED),
    "three-attempts": (refuse(503), fail(HandshakeError), AT_ONCE),
    "three-attempts-in-callback-style": (refuse(503), fail_in_callback_style, AT_ONCE),
    "another-connection": (drop("hello"), once_more, AT_ONCE),
}


@pytest.mark.parametrize(
    "step, cycle, options", CYCLES_THAT_FAIL.values(), ids=CYCLES_THAT_FAIL.keys()
)
def test_connections_that_fail_leave_no_thread_and_no_descriptor(step, cycle, options):
    with no_descriptor_left(), PlannedServer(step) as server:
        for _ in range(CYCLES // 10):
            cycle(server.url, **options)


def test_connections_that_nobody_takes_leave_no_thread_and_no_descriptor():
    url = f"ws://127.0.0.1:{refused_port()}/"
    with no_descriptor_left():
        for _ in range(CYCLES // 10):
            fail(ConnectionRefusedError)(url)
            fail_in_callback_style(url)


def test_certificates_that_are_not_trusted_leave_no_thread_and_no_descriptor():
    # Sooner read than all that the system trusts.
    other = authority().pem
    with no_descriptor_left(), PlannedServer(accept, tls=server_context()) as server:
        for _ in range(CYCLES // 10):
            fail(ssl.SSLCertVerificationError)(server.url, ca=other)


def test_closes_in_the_middle_of_a_dial_leave_no_thread_and_no_descriptor():
    with no_descriptor_left(), PlannedServer(hold) as server:
        for _ in range(CYCLES // 10):
            ws = Client(server.url).start()
            server.visit()
            ws.close()
            assert ws.join(PATIENCE)


def test_a_client_that_was_forgotten_while_it_is_open_lives_on_until_the_server_closes():
    with no_descriptor_left(), PlannedServer(accept) as server:
        Client(server.url).connect()
        gc.collect()
        visit = server.visit()
        assert visit.ping(b"there?") == b"there?"
        visit.close()
        assert visit.parting() == (1000, "")


# --- forks ----------------------------------------------------------------------------------------------


@pytest.fixture
def connected(planned) -> tuple[Client, PlannedServer]:
    server = planned(greet("hello"))
    ws = Client(server.url).connect()
    assert ws.receive(PATIENCE) == "hello"
    return ws, server


USES = {
    "receive": lambda ws: ws.receive(PATIENCE),
    "send": lambda ws: ws.send("from the child"),
    "connect": lambda ws: ws.connect(),
    "iteration": list,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_client_reads_as_closed_in_a_forked_child_and_goes_on_in_the_parent(connected, use):
    ws, server = connected
    visit = server.visit()
    with forked() as is_child:
        if is_child:
            assert ws.closed
            with pytest.raises(ConnectionClosed):
                use(ws)
            ws.close()
            assert ws.wait_closed(0)
    ws.send("from the parent")
    assert visit.read() == "from the parent"
    visit.say("and back")
    assert ws.receive(PATIENCE) == "and back"
    ws.close()
    assert visit.parting() == (1000, "")
    assert visit.unread() == []


def test_a_client_with_a_policy_does_not_dial_in_a_forked_child(planned):
    server = planned(greet("hello"))
    ws = Client(server.url, reconnect=Reconnect(initial=0)).connect()
    assert ws.receive(PATIENCE) == "hello"
    with forked() as is_child:
        if is_child:
            assert ws.closed
            with pytest.raises(ConnectionClosed):
                ws.receive(PATIENCE)
    assert server.count == 1
    ws.close()
    assert ws.wait_closed(PATIENCE)


def test_a_forked_child_may_open_connections_of_its_own(connected):
    ws, server = connected
    with forked() as is_child:
        if is_child:
            with Client(server.url) as own:
                assert own.receive(PATIENCE) == "hello"
    ws.close()
    assert ws.wait_closed(PATIENCE)


def test_a_started_client_keeps_its_thread_in_the_parent_alone(planned):
    server = planned(accept)
    ws = Client(server.url).start()
    visit = server.visit()
    with forked() as is_child:
        if is_child:
            assert ws.closed
            assert ws.join(PATIENCE)
    heard: queue.Queue = queue.Queue()
    ws.on("message", lambda event: heard.put(event.data))
    visit.say("still here")
    assert heard.get(timeout=PATIENCE) == "still here"
    ws.close()
    assert ws.join(PATIENCE)
