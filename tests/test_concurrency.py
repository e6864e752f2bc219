"""Threads or greenlets: flags, locks, and who may touch what."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from faye_sync.concurrency import THREADS, call_home, world_here, world_of
from faye_sync.concurrency.threads import ThreadEvent

ROOT = Path(__file__).parents[1]
WORLDS = {"gevent": "Greenlets", "eventlet": "Greenthreads"}
PATIENCE = 60.0  # seconds for a script that should take one


def run_script(script: str, *, under: str = "gevent", patched: bool) -> str:
    """Run a script with a hub in a process of its own; returns what it printed."""
    first = f"from tests.support import under_{under} as hub\n" + "hub.patch()\n" * patched
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", first + textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_a_flag_wakes_all_who_wait():
    flag = ThreadEvent()
    woken = []
    threads = [threading.Thread(target=lambda: woken.append(flag.wait(20))) for _ in range(5)]
    for thread in threads:
        thread.start()
    flag.set()
    for thread in threads:
        thread.join(20)
    assert woken == [True] * 5
    assert flag.wait(0)


def test_a_flag_that_nobody_raises_ends_the_wait_at_its_timeout():
    flag = ThreadEvent()
    began = time.monotonic()
    assert not flag.wait(0.05)
    assert time.monotonic() - began >= 0.05
    flag.set()
    flag.clear()
    assert not flag.is_set()
    assert not flag.wait(0)


def test_a_plain_socket_is_served_by_threads():
    with socket.socket() as sock:
        assert world_of(sock) is THREADS


def test_without_a_hub_a_connection_of_ones_own_is_served_by_threads():
    assert world_here() is THREADS
    found = []
    thread = threading.Thread(target=lambda: found.append(world_here()))
    thread.start()
    thread.join(20)
    assert found == [THREADS]


def test_at_home_a_function_is_simply_called():
    assert call_home(THREADS, lambda: 5) == 5
    with pytest.raises(LookupError):
        call_home(THREADS, lambda: {}["missing"])


def test_importing_the_library_makes_no_lock_and_starts_no_thread():
    script = """
        import _thread, sys, threading
        makers = []
        allocate = _thread.allocate_lock

        def noted():
            makers.append(sys._getframe(1).f_globals["__name__"])
            return allocate()

        _thread.allocate_lock = threading._allocate_lock = noted
        import faye_sync
        print([name for name in makers if name.startswith("faye_sync")], threading.active_count())
        from faye_sync.concurrency import leaf_lock
        leaf_lock()
        print(makers[-1])
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == "[] 1\nfaye_sync.concurrency.locks\n"


BOTH = pytest.mark.parametrize("under", WORLDS)
PATCHED_OR_NOT = pytest.mark.parametrize("patched", [False, True], ids=["unpatched", "patched"])

FOREIGN = """
from faye_sync.concurrency import call_home, world_of

listener = hub.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
client = hub.spawn(hub.create_connection, listener.getsockname())
sock, _ = listener.accept()
world = world_of(sock)
lock, flag = world.lock(), world.event()
outcome = []

def foreign():
    outcome.append(world.is_home())
    outcome.append(call_home(world, lambda: (world.is_home(), lock.acquire(False))))
    try:
        call_home(world, lambda: {}["missing"])
    except KeyError as error:
        outcome.append(repr(error))
    world.post(flag.set)

hub.native(foreign)
assert flag.wait(20)
print(type(world).__name__, world.is_home(), outcome)
"""


@BOTH
@PATCHED_OR_NOT
def test_a_foreign_thread_has_its_work_done_at_the_hub(under, patched):
    output = run_script(FOREIGN, under=under, patched=patched)
    assert output == f"{WORLDS[under]} True [False, (True, True), \"KeyError('missing')\"]\n"


TALK = """
from faye_sync import WebSocket
from tests.support.peer import Peer

told = []
world = hub.world()
ended = world.event()

def native(ws):
    told.append(ws.send("from a native thread"))
    told.append(ws.receive(timeout=20))
    told.append(ws.send_nowait("queued by a native thread"))
    told.append(ws.ping("p"))
    ws.close(4000, "done")
    told.append(ws.wait_closed(20))
    told.append(ws.join(20))
    world.post(ended.set)

def application(environ, start_response):
    ws = WebSocket(environ).accept()
    hub.native(native, ws)
    ended.wait(20)
    return ws(environ, start_response)

address = hub.serve(application)

def client():
    with Peer(address, "/") as peer:
        seen = [peer.read()]
        peer.say("to the native thread")
        seen += [peer.read_frame(), peer.read_frame()]
        seen.append(peer.answer_close())
    return seen

print(CLIENT)
ended.wait(20)
print(told)
"""


@BOTH
@PATCHED_OR_NOT
def test_a_native_thread_may_use_a_hubs_connection(under, patched):
    # Without patches the client's socket would block the hub, so it needs a thread of its own.
    client = "client()" if patched else "hub.in_a_thread(client)"
    script = TALK.replace("CLIENT", client)
    seen, told = run_script(script, under=under, patched=patched).splitlines()
    assert seen.startswith("['from a native thread', (")
    assert "b'queued by a native thread'" in seen
    assert "(9, b'p')" in seen
    assert seen.endswith("(4000, 'done')]")
    assert told == "[True, 'to the native thread', True, True, True, True]"


FORK = """
import os
from faye_sync import WebSocket
from tests.support.peer import Peer

held = []

def patiently(ws):
    while True:
        try:
            ws.send(ws.receive(timeout=0.2))
        except TimeoutError:
            if os.getpid() != parent:
                print("the handler goes on in the child")

def application(environ, start_response):
    held.append(WebSocket(environ).start(patiently))
    return held[0](environ, start_response)

parent = os.getpid()
address = hub.serve(application)
with Peer(address, "/") as peer:
    peer.say("before")
    print(peer.read())
    child = os.fork()
    if child == 0:
        # The hub goes on in the child, with all that waited in it.
        hub.sleep(1.0)
        ws = held[0]
        print(ws.closed, ws.send_nowait("from the child"), ws.join(1), flush=True)
        os._exit(0)
    print(os.waitpid(child, 0)[1])
    peer.say("after")
    print(peer.read(), peer.close())
"""


@BOTH
def test_a_child_forked_under_a_hub_goes_on_and_leaves_the_parent_alone(under):
    output = run_script(FORK, under=under, patched=True)
    assert output.splitlines() == ["before", "True False True", "0", "after (1000, '')"]


BREATHING = """
import os, time

def go_on(what):
    print("parent" if os.getpid() == parent else "child", what, flush=True)

def breathe():
    end = time.monotonic() + 0.005
    while time.monotonic() < end:
        continue
    world.breathe()
    go_on("breathed")

parent, world = os.getpid(), hub.world()
hub.spawn(breathe)
hub.sleep(0)
world.spawn("late", lambda: go_on("began"))
world.post(lambda: go_on("did the job"))
child = os.fork()
if child == 0:
    # As housekeeping does; the hub goes on.
    world.abandon()
    world.post(lambda: go_on("did a job of its own"))
    hub.sleep(0.2)
    os._exit(0)
os.waitpid(child, 0)
hub.sleep(0.2)
"""


@BOTH
def test_a_fork_ends_in_the_child_what_was_about_to_go_on(under):
    first, *rest = run_script(BREATHING, under=under, patched=False).splitlines()
    assert first == "child did a job of its own"
    assert sorted(rest) == ["parent began", "parent breathed", "parent did the job"]


START = """
from faye_sync import WebSocket
from tests.support.peer import Peer

def repeat(ws):
    for message in ws:
        ws.send(message)

def native(ws, how):
    if how == "/listeners":
        ws.start()
    elif how == "/function":
        ws.start(repeat)
    else:
        ws.run()

def application(environ, start_response):
    how = environ["PATH_INFO"]
    ws = WebSocket(environ).accept()
    if how != "/function":
        ws.on("message", lambda event: ws.send(event.data))
    hub.native(native, ws, how)
    ws.wait_closed(20)
    return ws(environ, start_response)

address = hub.serve(application)

def client():
    for how in ("/listeners", "/function", "/run"):
        with Peer(address, how) as peer:
            peer.say("hello")
            print(how, peer.read(), peer.close(4000))

hub.in_a_thread(client)
"""


@BOTH
def test_a_native_thread_may_start_a_hubs_connection(under):
    output = run_script(START, under=under, patched=False)
    assert output.splitlines() == [
        f"/{how} hello (4000, '')" for how in ("listeners", "function", "run")
    ]


# Who asks for a connection once the main thread has a hub; each prints its world.
HERE = """
import threading
from faye_sync.concurrency import THREADS, world_here

def name(world):
    return "Threads" if world is THREADS else type(world).__name__

def native():
    hub.sleep(0)
    found.append(world_here())

hub.sleep(0)
main = world_here()
print("main:", name(main), main is world_here() is hub.world(), main.is_home())
found = []
hub.spawn(lambda: found.append(world_here()))
hub.sleep(0)
hub.sleep(0)
print("green:", found.pop() is main)
print("native:", name(hub.in_a_thread(world_here)))
hub.in_a_thread(native)
other = found.pop()
print("native with a hub of its own:", name(other), other is main, other.is_home())
print("main again:", world_here() is main)
thread = threading.Thread(target=lambda: found.append(world_here()))
thread.start()
thread.join(20)
print("threading:", name(found[0]), found.pop() is main)
"""


@BOTH
@PATCHED_OR_NOT
def test_a_connection_of_ones_own_is_served_by_this_threads_hub_if_there_is_one(under, patched):
    hub = WORLDS[under]
    assert run_script(HERE, under=under, patched=patched).splitlines() == [
        f"main: {hub} True True",
        "green: True",
        "native: Threads",
        f"native with a hub of its own: {hub} False False",
        "main again: True",
        # What threading makes there is a greenlet, or a real thread.
        f"threading: {hub} True" if patched else "threading: Threads False",
    ]


@BOTH
def test_where_all_is_patched_the_main_thread_gets_a_hub_by_asking_for_a_connection(under):
    # Else its waits would hold up every greenlet that it makes later.
    script = "from faye_sync.concurrency import world_here\nprint(type(world_here()).__name__)"
    assert run_script(script, under=under, patched=True) == f"{WORLDS[under]}\n"


NO_HUB = """
from faye_sync.concurrency import world_here
LOOK
world_here()
print(HAS)
"""
LOOKS = {
    "gevent": ("from gevent._hub_local import get_hub_if_exists", "get_hub_if_exists()"),
    "eventlet": ("from eventlet.hubs import _threadlocal", "getattr(_threadlocal, 'hub', None)"),
}


@BOTH
def test_looking_for_a_hub_makes_none_where_nothing_is_patched(under):
    look, has = LOOKS[under]
    script = NO_HUB.replace("LOOK", look).replace("HAS", has)
    assert run_script(script, under=under, patched=False) == "None\n"


ANEW = """
from gevent.hub import get_hub
from faye_sync.concurrency import world_here

hub.sleep(0)
first = world_here()
get_hub().destroy()
hub.sleep(0)
print(first is world_here(), world_here() is world_here(), world_here().hub is get_hub())
"""


def test_a_hub_that_was_destroyed_is_not_taken_for_the_next():
    assert run_script(ANEW, patched=False) == "False True True\n"
