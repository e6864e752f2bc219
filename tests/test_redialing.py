"""One connection out of many: threads, and signal handlers, that meet between two links."""

from __future__ import annotations

import errno
import resource
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from faye_sync import Client, ConnectionClosed, HandshakeError
from faye_sync.concurrency import THREADS
from faye_sync.events import ErrorEvent, OpenEvent
from faye_sync.housekeeping import housekeeper_of
from faye_sync.receiving import PAUSED_MARK
from tests.support.clients import (  # noqa: F401  # planned_servers is a fixture
    LONG,
    PATIENCE,
    SHORT,
    beside,
    log_events,
    planned_servers,
    quick,
)
from tests.support.endings import connection_threads
from tests.support.planned_server import PlannedServer, Visit, accept, greet, hold, refuse

# Descriptors that any process has. With fewer, poll(2) takes no descriptor either.
STANDARD = 3
BARRED = 0.3  # seconds that a thread may try to come by a lock, which it should not


class Staged(Client):
    """Tells how far its threads have come.

    Attributes:
        lost: A link has ended, and whether another follows is decided.
        past_end: The reader has come to the end of a link, and asks for the next.
        linked: The second link is there.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.lost, self.past_end, self.linked = (threading.Event() for _ in range(3))
        self._links = 0

    def _ended(self, link):
        super()._ended(link)
        self.lost.set()

    def _following(self, *arguments):
        self.past_end.set()
        return super()._following(*arguments)

    def _linked(self, link):
        super()._linked(link)
        self._links += 1
        if self._links == 2:
            self.linked.set()


class Held:
    """A listener that says when it has begun, and then stands still until it is let go."""

    def __init__(self, then: Callable[[], object] = bool) -> None:
        self._then = then
        self._has_begun, self._may_go = threading.Event(), threading.Event()
        self.thread: threading.Thread | None = None

    def __call__(self, event: object) -> None:
        self.thread = threading.current_thread()
        self._has_begun.set()
        assert self._may_go.wait(PATIENCE)
        self._then()

    def begun(self) -> None:
        """Wait for the listener to be called."""
        assert self._has_begun.wait(PATIENCE)

    def let_go(self) -> None:
        self._may_go.set()


def start_held(server: PlannedServer, then: Callable[[], object] = bool) -> tuple[Staged, Held]:
    """Start a client whose reading thread stands in a listener while its connection is lost."""
    ws = Staged(server.url, reconnect=quick())
    listener = ws.on("message", Held(then))
    ws.start()
    visit = server.visit()
    listener.begun()
    cut(ws, visit)
    assert ws.lost.wait(PATIENCE)
    return ws, listener


def cut(ws: Client, visit: Visit) -> None:
    """End TCP, and have housekeeping look for the end now, and not at its next tick."""
    link = ws._link
    visit.cut()
    link.leave()
    link.housekeeper.post(link.neglected)


@contextmanager
def at_call(name: str, action: Callable[[], object], *, file: str = "faye_sync") -> Iterator[None]:
    """Act once, as a signal handler may, where the library calls a function in this thread."""

    def profile(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_name == name and file in code.co_filename:
            sys.setprofile(None)
            action()

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


def accept_after(flag: threading.Event) -> Callable[[Visit], None]:
    def step(visit: Visit) -> None:
        assert flag.wait(PATIENCE)
        visit.accept()

    return step


# --- the end ------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reading_thread_that_is_ended_between_two_connections_ends_the_client(planned):
    ws, listener = start_held(planned(greet("hello"), accept), then=sys.exit)
    closes = log_events(ws, "close")
    listener.let_go()
    # In here, where what pytest has to say of it is expected.
    listener.thread.join(PATIENCE)
    assert ws.join(PATIENCE)
    assert [(event.code, event.cause) for event in closes] == [(1001, "local")]


def test_a_close_before_anybody_has_begun_to_dial_again_is_followed_by_no_attempt(planned):
    server = planned(greet("hello"), accept)
    ws, listener = start_held(server)
    events = log_events(ws, "reconnect", "close")
    ws.close(4000)
    listener.let_go()
    assert ws.join(PATIENCE)
    assert [event.type for event in events] == ["close"]
    assert (server.count, events[0].code) == (1, 4000)


def test_whoever_waits_for_the_end_tells_of_none_that_another_connection_follows(planned):
    server = planned(accept)
    ws = Client(server.url, reconnect=quick())
    events = log_events(ws, "open", "close")
    ws.connect()
    ws.once("open", lambda event: ws.close())
    visit = server.visit()
    with at_call("_wait_for_end", lambda: cut(ws, visit)):
        assert ws.wait_closed(PATIENCE)
    assert [event.type for event in events] == ["open", "open", "close"]


def test_waiting_for_the_end_goes_on_where_the_next_connection_comes_as_it_begins(planned):
    asked = threading.Event()

    class Between(Staged):
        asker: object = None

        @property
        def _outage(self):
            outage = self.__dict__["_outage"]
            if self.asker == threading.get_ident():
                self.asker = None
                asked.set()
                self.linked.wait(BARRED)
                return self.__dict__["_outage"]
            return outage

        @_outage.setter
        def _outage(self, outage):
            self.__dict__["_outage"] = outage

    def wait() -> bool:
        ws.asker = threading.get_ident()
        return ws.wait_closed(PATIENCE)

    server = planned(accept, accept_after(asked))
    ws = Between(server.url, reconnect=quick())
    ws.connect()
    cut(ws, server.visit())
    assert ws.lost.wait(PATIENCE)
    with beside(wait) as outcome:
        assert ws.linked.wait(PATIENCE)
        ws.close()
    assert outcome == [True]


def test_a_close_without_an_answer_is_told_behind_a_with_though_housekeeping_is_late(planned):
    server = planned(accept)
    ws = Client(server.url, close_timeout=SHORT)
    closes = log_events(ws, "close")
    ws.connect()
    is_left = threading.Event()
    with server.visit().deafened(), ws:
        housekeeper_of(THREADS).post(lambda: is_left.wait(2 * SHORT))
    is_left.set()
    assert len(closes) == 1
    assert ws.closed


# --- messages -----------------------------------------------------------------------------------------


def test_messages_are_kept_where_a_link_is_cleared_as_the_next_one_comes(planned):
    cleared = threading.Event()

    class Inbox(deque):
        def popleft(self):
            event = super().popleft()
            if isinstance(event, str) and not cleared.is_set():
                cleared.set()
                assert ws.linked.wait(PATIENCE)
            return event

    server = planned(accept, accept_after(cleared))
    ws = Staged(server.url, reconnect=quick())
    ws.connect()
    first = ws._link
    first.incoming.inbox = Inbox()
    visit = server.visit()
    visit.say("old")
    cut(ws, visit)
    # The beginning of wait_closed(), which clears the link.
    assert ws._wait_for_end(first, PATIENCE)
    server.visit().say("new")
    assert [ws.receive(PATIENCE) for _ in range(2)] == ["old", "new"]
    ws.close()


@contextmanager
def busy_housekeeping() -> Iterator[None]:
    """Have housekeeping look after nothing while the block runs."""
    has_begun, may_go = threading.Event(), threading.Event()
    housekeeper_of(THREADS).post(lambda: (has_begun.set(), may_go.wait(PATIENCE)))
    assert has_begun.wait(PATIENCE)
    try:
        yield
    finally:
        may_go.set()


def test_what_a_connection_left_in_the_kernel_as_a_send_found_it_reset_is_read(planned):
    server = planned(accept, greet("new"))
    ws = Client(server.url, reconnect=quick())
    ws.connect()
    visit = server.visit()
    reset = select.poll()
    reset.register(ws._link.fileno(), 0)
    with busy_housekeeping():
        visit.say("old 1")
        visit.say("old 2")
        visit.reset()
        assert reset.poll(PATIENCE * 1000)
        assert ws.send("over the next one")
        assert server.visit().read() == "over the next one"
        assert [ws.receive(PATIENCE) for _ in range(3)] == ["old 1", "old 2", "new"]
    ws.close()


def test_a_receive_keeps_its_deadline_where_reconnect_dials_without_a_policy(planned):
    server = planned(accept, hold)
    ws = Client(server.url, open_timeout=2.0)
    ws.connect()
    ws.reconnect()
    with pytest.raises(TimeoutError, match="no message came within the timeout"):
        ws.receive(SHORT)
    ws.close()


def test_reading_ahead_is_resumed_by_an_open_listener(planned):
    server = planned(accept)
    ws = Client(server.url)
    ws.pause()
    ws.on("open", lambda event: ws.resume())
    ws.connect()
    visit = server.visit()
    for _ in range(4):
        visit.say(bytes(PAUSED_MARK))
    link = ws._link
    link.housekeeper.post(link.neglected)
    assert visit.ping(b"behind them") == b"behind them"
    ws.close()


# --- attempts -----------------------------------------------------------------------------------------


def test_attempts_go_on_once_there_are_descriptors_again(planned):
    server = planned(accept, greet("new"))
    ws = Client(server.url, reconnect=quick())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    failures = []

    def allow(event):
        if getattr(event.error, "errno", None) == errno.EMFILE:
            failures.append(event.error)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    ws.on("reconnect", allow)
    ws.connect()
    visit = server.visit()
    resource.setrlimit(resource.RLIMIT_NOFILE, (STANDARD, limits[1]))
    try:
        visit.cut()
        assert ws.receive(PATIENCE) == "new"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(failures) == 1
    ws.close()


def test_a_close_as_the_last_attempt_has_failed_is_told_of_and_lasts(planned):
    server = planned(refuse(403), accept)
    ws = Client(server.url)
    closes = log_events(ws, "close")
    with at_call("gave_up", lambda: ws.close(4000)), pytest.raises(HandshakeError):
        ws.connect()
    assert ws.closed
    assert [(event.code, event.cause) for event in closes] == [(4000, "local")]
    with pytest.raises(ConnectionClosed):
        ws.connect()
    assert server.count == 1


def test_a_close_by_a_signal_handler_as_a_connection_takes_its_place_is_clean(planned):
    server = planned(accept)
    ws = Client(server.url, open_timeout=LONG)
    closes = log_events(ws, "close")
    with at_call("_linked", lambda: ws.close(4000)), pytest.raises(ConnectionClosed):
        ws.connect()
    assert server.visit().parting() == (4000, "")
    assert ws.wait_closed(PATIENCE)
    assert [(event.code, event.was_clean) for event in closes] == [(4000, True)]


def test_a_close_by_a_signal_handler_as_a_connection_is_lost_is_told_of_last(planned):
    server = planned(accept)
    ws = Client(server.url, reconnect=quick())
    events = log_events(ws, "open", "reconnect", "close")
    ws.connect()
    server.visit().cut()
    begun = at_call("__init__", lambda: ws.close(4000), file="faye_sync/outage.py")
    with begun, pytest.raises(ConnectionClosed) as caught:
        ws.receive(PATIENCE)
    # It was lost before, and nothing follows.
    assert caught.value.code == 1006
    assert ws.wait_closed(PATIENCE)
    for thread in connection_threads():
        thread.join(PATIENCE)
    assert [event.type for event in events].index("close") == len(events) - 1


# --- listeners ----------------------------------------------------------------------------------------


def test_listeners_on_the_reader_and_on_the_dialer_may_run_at_once(planned):
    """Who is in a listener is known behind them too: join() would be refused there."""
    may_open = threading.Event()
    server = planned(accept, accept_after(may_open))
    ws = Staged(server.url, reconnect=quick())
    of_reader, of_dialer = ws.on("ping", Held()), ws.on("reconnect", Held())

    def read():
        heard = ws.receive(PATIENCE)
        ws.close()
        return heard, ws.join(PATIENCE)

    ws.connect()
    visit = server.visit()
    with beside(read) as outcome:
        visit.ping(b"")
        of_reader.begun()
        cut(ws, visit)
        of_dialer.begun()
        of_reader.let_go()
        assert ws.past_end.wait(PATIENCE)
        of_dialer.let_go()
        may_open.set()
        server.visit().say("hello")
    assert outcome == [("hello", True)]


def test_join_is_refused_where_the_thread_of_a_started_function_dials(planned):
    ws = Client(planned(accept).url)
    outcomes = []

    def join(event):
        with pytest.raises(RuntimeError, match="inside a listener would wait for itself"):
            outcomes.append(ws.join(SHORT))
        outcomes.append("refused")

    ws.on("open", join)
    ws.start(lambda ws: None)
    assert ws.join(PATIENCE)
    assert outcomes == ["refused"]


def test_an_event_may_be_kept_while_another_thread_hands_kept_ones_out():
    ws = Client("ws://127.0.0.1/")

    class Slow(ErrorEvent):
        """Looked at while the other thread puts back what it did not hand out."""

        @property
        def type(self):
            opening.let_go()
            assert was_replayed.wait(PATIENCE)
            return ErrorEvent.type

    def replay():
        with suppress(SystemExit):
            ws._replay()
        was_replayed.set()

    was_replayed = threading.Event()
    errors = [ErrorEvent(str(number), ValueError()) for number in range(2)]
    opening = Held(then=sys.exit)
    ws._dispatch(OpenEvent())
    ws._dispatch(errors[0])
    ws.on("open", opening)
    with beside(replay):
        opening.begun()
        ws._kept.append(Slow("", ValueError()))
        ws._dispatch(errors[1])
    assert [event for event in ws._kept if event in errors] == errors
