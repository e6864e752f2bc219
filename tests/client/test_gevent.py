"""A client on a hub of gevent: the same behaviour, and a hub that nobody holds up.

Each script is a process of its own, patched first of all, as its users have it, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from textwrap import dedent

import pytest

from tests.support.event_streams import streamed
from tests.support.hostile import HostileServer
from tests.support.on_a_hub import assert_passes
from tests.support.planned_server import PlannedServer, accept, drop, echo, greet, hold, refuse
from tests.support.program import Program
from tests.support.reference_server import Reference, serve_reference

PATIENCE = 60.0  # seconds for a script that should take two

SCENARIOS = ("styles", "callbacks", "reconnect", "reconnect_across")


@pytest.mark.parametrize("run", SCENARIOS, indirect=True)
def test_what_holds_on_threads_holds_on_a_patched_hub_and_never_holds_it_up(run):
    assert_passes(run, 2 * PATIENCE)


# --- scripts --------------------------------------------------------------------------------------------

PATCHED = "from gevent.monkey import patch_all\npatch_all()\n"

# ticking() runs a function and tells how often a greenlet beside it ticked, per second.
BEGINNING = """
import os, sys, time
import gevent
from faye_sync import Client, ConnectionClosed, Reconnect

# A thread that nobody patched has a hub once something asked for it.
gevent.get_hub()
url, *options = sys.argv[1:]
options = {"ca": options[0]} if options else {}
TICK = 0.01

def ticking(function):
    ticks = []
    def tick():
        while True:
            gevent.sleep(TICK)
            ticks.append(time.monotonic())
    ticker = gevent.spawn(tick)
    began = time.monotonic()
    function()
    took = time.monotonic() - began
    ticker.kill()
    return took, len(ticks)

def raised(kind, function, *arguments):
    try:
        function(*arguments)
    except kind as error:
        return error
    raise AssertionError(f"no {kind}")
"""

LEAST = 0.3  # of the ticks that an idle hub would have


def printed(script: str, *arguments: str, patched: bool = True) -> list[str]:
    """Run a script to its end; returns what it printed."""
    text = PATCHED * patched + BEGINNING + dedent(script)
    with Program("-W", "error", "-c", text, *arguments) as program:
        status = program.wait(PATIENCE)
        assert status == 0, program.errors()
        assert "Traceback" not in program.errors()
        return program.rest()


def assert_ticked(line: str, seconds: float) -> None:
    """The function took so long at least, and the hub went on meanwhile."""
    took, ticks = map(float, line.split())
    assert took >= seconds
    assert ticks >= LEAST * took / 0.01


both = pytest.mark.parametrize("patched", [True, False], ids=["patched", "unpatched"])


WAITS = {
    "dial": "raised(TimeoutError, Client(holds, open_timeout=0.3).connect)",
    "receive": "raised(TimeoutError, Client(accepts).receive, 0.3)",
    "back-off": "raised(TimeoutError, Client(refuses, reconnect=policy).receive, 0.3)",
    "join": "Client(accepts).start().join(0.3)",
    "wait_closed": "Client(accepts).connect().wait_closed(0.3)",
}


@pytest.fixture(scope="module", params=[True, False], ids=["patched", "unpatched"])
def ticked(request) -> dict[str, str]:
    """Have one program wait in each way, one after the other; what it printed of each."""
    script = "".join(
        (
            "holds, accepts, refuses = sys.argv[1:]\n",
            "policy = Reconnect(initial=3600, maximum=3600)\n",
            *(f"print(*ticking(lambda: {wait}))\n" for wait in WAITS.values()),
            "sys.stdout.flush()\n",
            "os._exit(0)\n",
        )
    )
    steps = (hold, accept, refuse(503))
    with ExitStack() as stack:
        urls = [stack.enter_context(PlannedServer(step)).url for step in steps]
        return dict(zip(WAITS, printed(script, *urls, patched=request.param), strict=True))


@pytest.mark.parametrize("wait", WAITS)
def test_the_hub_ticks_while_a_client_waits(ticked, wait):
    assert_ticked(ticked[wait], 0.3)


@both
def test_the_hub_ticks_while_a_send_waits_for_a_server_that_reads_nothing(patched):
    script = """
        ws = Client(url, send_timeout=0.6).connect()
        print(*ticking(lambda: raised(TimeoutError, ws.send, bytes(2**25))))
    """
    text = PATCHED * patched + BEGINNING + dedent(script)
    with PlannedServer(accept) as server, Program("-c", text, server.url) as program:
        with server.visit().deafened():
            assert_ticked(program.read(), 0.6)
        assert program.wait(PATIENCE) == 0, program.errors()


@both
def test_a_conversation_on_a_hub(patched):
    script = """
        with Client(url) as ws:
            for number in range(100):
                ws.send(str(number))
                assert ws.receive(10) == str(number)
            big = bytes(2**23)
            ws.send(big)
            assert ws.receive(20) == big
        print(ws.close_code)
    """
    with PlannedServer(echo) as server:
        assert printed(script, server.url, patched=patched) == ["1000"]


@both
def test_one_greenlet_receives_while_another_sends(patched):
    script = """
        with Client(url) as ws:
            heard = []
            reader = gevent.spawn(lambda: [heard.append(ws.receive(10)) for _ in range(200)])
            for number in range(200):
                ws.send(str(number))
            reader.get(timeout=20)
        print(heard == [str(number) for number in range(200)])
    """
    with PlannedServer(echo) as server:
        assert printed(script, server.url, patched=patched) == ["True"]


@both
def test_callbacks_on_a_hub_run_on_a_greenlet_of_its_thread(patched):
    script = """
        import threading
        from gevent.monkey import get_original
        here = get_original("_thread", "get_ident")
        heard = []
        ws = Client(url)
        ws.on("message", lambda event: heard.append((event.data, here(), gevent.getcurrent())))
        ws.start()
        assert ws.join(10)
        [(data, thread, greenlet)] = heard
        print(data, thread == here(), greenlet is not gevent.getcurrent())
    """
    with PlannedServer(drop("hello")) as server:
        assert printed(script, server.url, patched=patched) == ["hello True True"]


@both
def test_a_client_connects_again_on_a_hub(patched):
    script = """
        ws = Client(url, reconnect=Reconnect(initial=0.01))
        opened = []
        ws.on("open", opened.append)
        with ws:
            print([ws.receive(10) for _ in range(2)], len(opened))
    """
    with PlannedServer(drop("one"), refuse(503), greet("two")) as server:
        assert printed(script, server.url, patched=patched) == ["['one', 'two'] 2"]


@both
def test_gevents_timeout_cuts_a_dial_which_leaves_nothing_behind(patched):
    script = """
        from pathlib import Path
        def held():
            return len(list(Path("/proc/self/fd").iterdir()))
        first = Client(url, open_timeout=None)
        raised(gevent.Timeout, lambda: gevent.with_timeout(0.1, first.connect))
        before = held()
        for _ in range(5):
            ws = Client(url, open_timeout=None)
            raised(gevent.Timeout, lambda: gevent.with_timeout(0.05, ws.connect))
        print(held() - before)
        sys.stdout.flush()
        with first:
            print(first.receive(10))
    """
    with PlannedServer(*[hold] * 6, greet("hello")) as server:
        assert printed(script, server.url, patched=patched) == ["0", "hello"]
        assert [server.visit().parting() for _ in range(6)] == [None] * 6


@both
def test_gevents_timeout_cuts_a_receive_and_the_connection_stays_open(patched):
    script = """
        with Client(url) as ws:
            raised(gevent.Timeout, lambda: gevent.with_timeout(0.1, ws.receive))
            ws.send("still there")
            print(ws.receive(10))
    """
    with PlannedServer(echo) as server:
        assert printed(script, server.url, patched=patched) == ["still there"]


@both
def test_a_greenlet_that_is_killed_while_it_dials_or_receives_leaves_no_connection(patched):
    script = """
        def receive():
            with Client(url, open_timeout=None) as ws:
                ws.receive()
        for _ in range(2):
            greenlet = gevent.spawn(receive)
            gevent.sleep(0.3)
            greenlet.kill()
        print("done")
        sys.stdout.flush()
        sys.stdin.readline()
    """
    text = PATCHED * patched + BEGINNING + dedent(script)
    with PlannedServer(hold, accept) as server, Program("-c", text, server.url) as program:
        assert program.read() == "done"
        assert server.visit().parting() is None
        assert server.visit().parting()[0] == 1011


# --- many at once ---------------------------------------------------------------------------------------


@pytest.fixture(
    scope="module", params=["websockets-sync", "websockets-sync-tls", "gunicorn-gevent"]
)
def reference(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with serve_reference(request.param, tmp_path_factory.mktemp(request.param)) as reference:
        yield reference


@both
def test_fifty_greenlets_talk_at_once(reference, patched):
    script = """
        def talk(number):
            with Client(url, **options) as ws:
                for turn in range(10):
                    ws.send(f"{number}-{turn}")
                    assert ws.receive(20) == f"{number}-{turn}"
            return ws.close_code
        talk(0)
        def all():
            greenlets = [gevent.spawn(talk, number) for number in range(50)]
            print({greenlet.get(timeout=30) for greenlet in greenlets})
        print(*ticking(all))
    """
    arguments = list(reference.options.values())
    closed, ticks = printed(script, reference.url("echo"), *arguments, patched=patched)
    assert closed == "{1000}"
    assert int(ticks.split()[1]) > 0


def test_a_program_that_does_not_use_gevent_does_not_load_it():
    script = """
        import sys
        from faye_sync import Client
        with Client(sys.argv[1]) as ws:
            ws.send("hello")
        print([name for name in sys.modules if name.split(".")[0] in {"gevent", "eventlet"}])
    """
    with PlannedServer(echo) as server, Program("-c", dedent(script), server.url) as program:
        assert program.read() == "[]"


@both
def test_the_hub_ticks_while_an_event_stream_is_silent_and_a_real_thread_closes_it(patched):
    script = """
        from faye_sync import EventSourceClient

        events = EventSourceClient(url, retry=3600)
        got = []
        def read():
            got.extend(event.data for event in events)
        def close_later():
            # Beside the hub: a wait in a real thread, whatever is patched.
            from gevent.threadpool import ThreadPool
            from gevent.monkey import get_original
            sleep = get_original("time", "sleep")
            ThreadPool(1).spawn(lambda: (sleep(0.4), events.close()))
        close_later()
        print(*ticking(read))
        print(got)
    """
    with HostileServer(streamed(b"data: one\n\n")) as server:
        took, got = printed(script, server.url(scheme="http"), patched=patched)
    assert_ticked(took, 0.3)
    assert got == "['one']"
