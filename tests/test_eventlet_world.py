"""The world of an eventlet hub, piece by piece; test_concurrency.py has what both kinds share."""

from __future__ import annotations

import textwrap

from tests.test_concurrency import PATCHED_OR_NOT, run_script

# What each script may use: the world, and two pairs of sockets that nobody made green.
SCENE = """
import _socket, errno, signal, time
from faye_sync.concurrency import THREADS, world_of

world = hub.world()
ours, theirs = _socket.socketpair()
mine, yours = _socket.socketpair()
pairs = (ours, theirs, mine, yours)
fd, other = ours.fileno(), mine.fileno()

def go_on():
    # More turns of the hub than anything here needs.
    for _ in range(20):
        hub.sleep(0)

def begin(*functions):
    begun = [hub.spawn(function) for function in functions]
    go_on()
    return begun

def ended(begun):
    return [greenthread.wait() for greenthread in begun if greenthread.dead]

def results(begun):
    return [greenthread.wait() for greenthread in begun]
"""


def play(script: str, *, patched: bool) -> None:
    """Run a script of assertions on an eventlet hub."""
    closing = "\nfor sock in pairs:\n    sock.close()\nprint('played')\n"
    script = SCENE + textwrap.dedent(script) + closing
    assert run_script(script, under="eventlet", patched=patched) == "played\n"


@PATCHED_OR_NOT
def test_a_wait_for_a_descriptor_ends_at_its_timeout(patched):
    script = """
        began = time.monotonic()
        assert not world.wait_readable(fd, 0)
        assert not world.wait_readable(fd, 0.05)
        assert not world.wait_any((fd, other), 0.05)
        assert time.monotonic() - began >= 0.1
    """
    play(script, patched=patched)


@PATCHED_OR_NOT
def test_what_is_ready_is_told_also_where_there_is_no_time_to_wait(patched):
    script = """
        theirs.send(b"x")
        assert world.wait_readable(fd, 0)
        assert world.wait_writable(fd, 0)
        assert world.wait_any((other, fd), 0)
        # Resumed by a descriptor, the next wait begins behind the hub's look at its sockets.
        begun = begin(lambda: (world.wait_readable(fd, None), world.wait_readable(fd, 0)))
        assert ended(begun) == [(True, True)]
    """
    play(script, patched=patched)


def test_two_descriptors_that_are_ready_at_once_resume_once():
    script = """
        def wait():
            first = world.wait_any((fd, other), None)
            return first, world.hub.switch()

        begun = begin(wait)
        theirs.send(b"x")
        yours.send(b"y")
        go_on()
        assert ended(begun) == []
        world.soon(begun[0].switch, "the only one")
        go_on()
        assert ended(begun) == [(True, "the only one")]
    """
    play(script, patched=False)


def test_two_may_wait_for_room_on_one_descriptor():
    # A sender, and a reader whose TLS has something to say.
    script = """
        ours.setblocking(False)
        sent = 0
        while world.wait_writable(fd, 0):
            sent += ours.send(bytes(65536), _socket.MSG_DONTWAIT)
        begun = begin(*[lambda: world.wait_writable(fd, 60)] * 2)
        assert not world.wait_writable(fd, 0.01)
        assert ended(begun) == []
        theirs.recv(sent, _socket.MSG_WAITALL)
        assert results(begun) == [True, True]
    """
    play(script, patched=False)


def test_a_descriptor_that_the_kernel_refuses_is_refused_again():
    script = """
        theirs.close()
        ours.close()
        for _ in range(2):
            try:
                world.wait_readable(fd, 60)
            except OSError as error:
                assert error.errno == errno.EBADF, error
            else:
                raise AssertionError("not refused")
    """
    play(script, patched=False)


def test_a_greenthread_that_is_killed_leaves_no_wait_behind():
    script = """
        (victim,) = begin(lambda: world.wait_readable(fd, None))
        victim.kill()
        assert victim.dead
        theirs.send(b"x")
        assert world.wait_readable(fd, 60)
        assert fd not in world.hub.listeners[world.hub.READ]
    """
    play(script, patched=False)


@PATCHED_OR_NOT
def test_a_flag_wakes_all_who_wait_but_those_whose_time_is_over(patched):
    script = """
        flag = world.event()
        begun = begin(*[lambda: flag.wait(60)] * 3)
        assert not flag.wait(0.01)
        assert not flag.is_set()
        assert ended(begun) == []
        flag.set()
        assert results(begun) == [True] * 3
        assert flag.wait(0)
        flag.clear()
        assert not flag.wait(0)
    """
    play(script, patched=patched)


def test_a_flag_that_is_raised_as_the_time_is_over_resumes_once():
    script = """
        def wait():
            return flag.wait(0.5), world.hub.switch()

        flag = world.event()
        begun = begin(wait)
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            continue
        # Both are due in the hub's next turn.
        flag.set()
        go_on()
        assert ended(begun) == []
        world.soon(begun[0].switch, "the only one")
        assert results(begun) == [(True, "the only one")]
    """
    play(script, patched=False)


@PATCHED_OR_NOT
def test_a_lock_is_waited_for_as_long_as_said_or_for_ever(patched):
    script = """
        lock = world.lock()
        assert lock.acquire()
        assert not lock.acquire(False)
        assert not lock.acquire(True, 0)
        assert not lock.acquire(True, 0.01)

        def take(seconds):
            assert lock.acquire(True, seconds)
            lock.release()
            return seconds

        # What at_most() makes of None, and of a timeout of 292 years.
        begun = begin(lambda: take(-1), lambda: take(9.2e9), lambda: take(60))
        assert ended(begun) == []
        lock.release()
        assert results(begun) == [-1, 9.2e9, 60]
        with lock:
            assert not lock.acquire(False)
        assert lock.acquire(False)
    """
    play(script, patched=patched)


@PATCHED_OR_NOT
def test_waits_longer_than_the_kernel_allows_leave_the_hub_alive(patched):
    script = """
        # The hub has nothing else to wake for, so it would sleep as long as that.
        flag, lock = world.event(), world.lock()
        lock.acquire()
        hub.native(world.post, flag.set)
        assert flag.wait(1e12)
        hub.native(world.post, lock.release)
        assert lock.acquire(True, 9.2e9)
        hub.native(world.post, lambda: theirs.send(b"x"))
        assert world.wait_readable(fd, float("inf"))
    """
    play(script, patched=patched)


@PATCHED_OR_NOT
def test_who_breathes_lets_timers_and_sockets_have_their_turn(patched):
    script = """
        begun = begin(lambda: world.wait_readable(fd, 60), lambda: hub.sleep(0.005))
        theirs.send(b"x")
        end = time.monotonic() + 30
        while len(ended(begun)) < 2 and time.monotonic() < end:
            world.breathe()
        assert ended(begun) == [True, None]
    """
    play(script, patched=patched)


@PATCHED_OR_NOT
def test_a_poller_waits_through_the_hub(patched):
    script = """
        poller = world.poller()
        poller.arm(fd, 1)
        begun = begin(lambda: poller.wait(None))
        assert ended(begun) == []
        theirs.send(b"x")
        assert results(begun) == [[(fd, 1)]]
        assert poller.wait(0) == poller.wait(0.01) == []
        poller.close()
    """
    play(script, patched=patched)


def test_a_signal_handler_wakes_a_hub_that_sleeps():
    script = """
        flag = world.event()
        signal.signal(signal.SIGALRM, lambda *_: flag.set())
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        began = time.monotonic()
        # A hub that is not woken sleeps to the end of the wait.
        assert flag.wait(50)
        assert time.monotonic() - began < 40
    """
    play(script, patched=True)


@PATCHED_OR_NOT
def test_threads_are_real_in_a_process_of_eventlets(patched):
    script = """
        assert world_of(ours) is THREADS
        # A green socket, met on a thread without a hub.
        with hub.socket() as green:
            assert hub.in_a_thread(lambda: world_of(green)) is THREADS

        def real():
            poller = THREADS.poller()
            poller.arm(other, 1)
            world.post(begun.set)
            # Blocks the thread, and not the hub, which sends what is waited for.
            told.extend((THREADS.current(), THREADS.wait_readable(fd, 50), poller.wait(50)))
            poller.close()
            world.post(done.set)

        told, begun, done = [], world.event(), world.event()
        THREADS.spawn("real", real)
        assert begun.wait(50)
        theirs.send(b"x")
        yours.send(b"y")
        assert done.wait(50)
        assert told[0] != THREADS.current()
        assert told[1:] == [True, [(other, 1)]]
    """
    play(script, patched=patched)


@PATCHED_OR_NOT
def test_one_hub_has_one_world_and_another_hub_another(patched):
    script = """
        assert hub.world() is world
        from eventlet.hubs import use_hub
        use_hub()
        hub.sleep(0)
        assert hub.world() is not world
    """
    play(script, patched=patched)


@PATCHED_OR_NOT
def test_nothing_keeps_the_process_alive(patched):
    script = """
        flag, poller = world.event(), world.poller()
        begin(
            lambda: world.wait_readable(fd, None),
            lambda: poller.wait(None),
            lambda: flag.wait(),
            lambda: poller.wait(1e6),
        )
    """
    play(script, patched=patched)


@PATCHED_OR_NOT
def test_a_number_that_another_left_a_listener_at_can_be_waited_for(patched):
    script = """
        from eventlet.hubs import trampoline

        begin(lambda: trampoline(fd, read=True))
        ours.close()
        again, far = _socket.socketpair()
        assert again.fileno() == fd
        far.send(b"x")
        assert world.wait_readable(fd, 5)
        again.close()
        far.close()
    """
    play(script, patched=patched)
