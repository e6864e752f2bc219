"""Ctrl-C in a script, wherever its main thread waits: the script ends at once, and the server is
told."""

from __future__ import annotations

import signal
import time

import pytest

from tests.support.planned_server import PlannedServer, accept, hold, refuse
from tests.support.program import Program

ENOUGH = 2.5  # seconds; half a second is what an idle machine takes with the interpreter's own end

BEGINNING = """
import sys
from faye_sync import Client, Reconnect
url = sys.argv[1]
policy = Reconnect(initial=3600, maximum=3600)
def ready(*_):
    print("ready", flush=True)
"""

OPEN = {
    "receive": """
with Client(url) as ws:
    ready()
    ws.receive()
""",
    "receive-without-with": """
ws = Client(url).connect()
ready()
ws.receive()
""",
    "iteration": """
with Client(url) as ws:
    ready()
    for message in ws:
        pass
""",
    "receive-with-a-policy": """
with Client(url, reconnect=policy) as ws:
    ready()
    ws.receive()
""",
    "wait_closed": """
with Client(url) as ws:
    ready()
    ws.wait_closed()
""",
    "run": """
ws = Client(url)
ws.on("open", ready)
ws.run()
""",
    "run-with-a-policy": """
ws = Client(url, reconnect=policy)
ws.on("open", ready)
ws.run()
""",
    "join": """
with Client(url) as ws:
    ws.on("open", ready)
    ws.start().join()
""",
    "join-without-with": """
ws = Client(url)
ws.on("open", ready)
ws.start().join()
""",
    "join-of-a-function": """
ws = Client(url)
ws.start(lambda ws: [ready(), ws.receive()])
ws.join()
""",
}


def end_of(program: Program) -> float:
    """Press Ctrl-C; returns how many seconds the program went on."""
    began = time.monotonic()
    program.send_signal(signal.SIGINT)
    assert program.wait() == -signal.SIGINT, program.errors()
    return time.monotonic() - began


@pytest.mark.parametrize("script", OPEN.values(), ids=OPEN)
def test_ctrl_c_while_it_is_open_ends_the_script_with_1001(script):
    with PlannedServer(accept) as server, Program("-c", BEGINNING + script, server.url) as program:
        assert program.read() == "ready"
        assert end_of(program) < ENOUGH
        assert server.visit().parting()[0] == 1001
    assert program.errors().count("Traceback") == 1


DIALING = {
    "connect": "Client(url).connect()",
    "with": "with Client(url) as ws: pass",
    "send": "Client(url).send('x')",
    "receive": "Client(url).receive()",
    "run": "Client(url).run()",
    "join": "Client(url).start().join()",
    "connect-with-a-policy": "Client(url, reconnect=policy).connect()",
    "receive-with-a-policy": "Client(url, reconnect=policy).receive()",
    "run-with-a-policy": "Client(url, reconnect=policy).run()",
}


@pytest.mark.parametrize("script", DIALING.values(), ids=DIALING)
def test_ctrl_c_while_it_dials_ends_the_script(script):
    with PlannedServer(hold) as server, Program("-c", BEGINNING + script, server.url) as program:
        visit = server.visit()
        assert end_of(program) < ENOUGH
        assert visit.parting() is None
        assert server.count == 1
    assert program.errors().count("Traceback") == 1


WAITING = {
    "connect": "ws.connect()",
    "with": "with ws: pass",
    "send": "ws.send('x')",
    "receive": "ws.receive()",
    "run": "ws.run()",
    "join": "ws.start().join()",
}


@pytest.mark.parametrize("script", WAITING.values(), ids=WAITING)
def test_ctrl_c_while_it_waits_for_the_next_attempt_ends_the_script(script):
    made = 'ws = Client(url, reconnect=policy)\nws.on("reconnect", ready)\n'
    script = BEGINNING + made + script
    with PlannedServer(refuse(503)) as server, Program("-c", script, server.url) as program:
        assert program.read() == "ready"
        assert end_of(program) < ENOUGH
        assert server.count == 1
    assert program.errors().count("Traceback") == 1


def test_ctrl_c_does_not_wait_for_a_server_that_answers_no_close():
    script = f"{BEGINNING}\nwith Client(url) as ws:\n    ready()\n    ws.receive()\n"
    with PlannedServer(accept) as server, Program("-c", script, server.url) as program:
        assert program.read() == "ready"
        with server.visit().deafened() as visit:
            assert end_of(program) < ENOUGH
        assert visit.parting()[0] == 1001
