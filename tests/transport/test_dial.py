"""A connection to the first address that answers: RFC 8305 section 5."""

from __future__ import annotations

import _socket
import errno
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import AF_INET, AF_INET6, AF_UNIX

import pytest

from faye_sync import ConfigurationError
from faye_sync.concurrency import THREADS
from faye_sync.transport.attempt import Attempt, CalledOff
from faye_sync.transport.dial import STAGGER, Net, connect, net_of
from tests.support.endings import in_time, nothing_left
from tests.support.parts import require
from tests.test_concurrency import BOTH, PATCHED_OR_NOT, run_script

TCP_FASTOPEN_CONNECT = 30  # of Linux; Python has no name for it
PATIENCE = 20.0  # seconds to wait for what should come at once
PLAIN = Net()


def missing_ipv6() -> str | None:
    try:
        socket.create_server(("::1", 0), family=AF_INET6).close()
    except OSError as error:
        return f"no ::1: {error}"
    return None


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture
def attempt():
    with Attempt(THREADS, PATIENCE) as attempt:
        yield attempt


@contextmanager
def listening(host: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    family = AF_INET6 if ":" in host else AF_INET
    with socket.create_server((host, port), family=family) as listener:
        yield listener


@contextmanager
def closed_port() -> Iterator[int]:
    """A port at which nobody listens, kept from everybody."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def dial(host: str, port: int, net: Net = PLAIN, timeout: float = PATIENCE) -> _socket.socket:
    """Connect within an attempt of its own."""
    with Attempt(THREADS, timeout) as attempt:
        return connect(host, port, net, attempt)


@pytest.fixture
def several(monkeypatch):
    """Have the name several.example stand for addresses, as no resolver on loopback does."""
    real = socket.getaddrinfo

    def stand_for(*hosts: str) -> None:
        def getaddrinfo(host, port, family=0, kind=0, proto=0, flags=0):
            if host != "several.example" or flags:
                return real(host, port, family, kind, proto, flags)
            found = [answer for each in hosts for answer in real(each, port, 0, kind, proto)]
            return [answer for answer in found if family in {0, answer[0]}]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return stand_for


# --- one address --------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_socket_is_connected_does_not_block_and_does_not_delay(host):
    if ":" in host:
        require("IPv6", missing_ipv6())
    with listening("::1" if ":" in host else "127.0.0.1") as listener:
        port = listener.getsockname()[1]
        sock = dial(host, port)
        assert sock.getpeername()[1] == port
        assert sock.gettimeout() == 0
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not os.get_inheritable(sock.fileno())
        sock.close()


def test_one_address_that_refuses_says_so_at_once():
    with closed_port() as port, in_time(0), pytest.raises(ConnectionRefusedError) as caught:
        dial("127.0.0.1", port)
    assert caught.value.errno == errno.ECONNREFUSED
    assert str(caught.value).endswith(f"127.0.0.1 port {port}")


def test_an_address_that_is_silent_ends_at_the_deadline():
    raises = pytest.raises(TimeoutError, match=r"connecting to 127\.0\.0\.1 port \d+")
    with silent_addresses() as port, in_time(1, not_before=1), raises:
        dial("127.0.0.1", port, timeout=1)


def test_a_port_that_connects_to_itself_is_refused():
    with closed_port() as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        dial("127.0.0.1", port, Net(source_address=("127.0.0.1", port)))


# --- several addresses --------------------------------------------------------------------------------

# Hosts in order, and how many staggers pass until the good one at 127.0.0.9 is tried. Those up to
# 127.0.0.4 are silent, the others refuse.
FIRST_GOOD = {
    "good-first": (["127.0.0.9", "127.0.0.1"], 0),
    "silent-then-good": (["127.0.0.1", "127.0.0.9"], 1),
    "three-silent-then-good": (["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.9"], 3),
    "refused-then-good": (["127.0.0.5", "127.0.0.6", "127.0.0.9"], 0),
    "silent-then-refused-then-good": (["127.0.0.1", "127.0.0.5", "127.0.0.9"], 1),
    "other-family-then-good": (["::1", "127.0.0.9"], 0),
}


@contextmanager
def silent(host: str, port: int = 0) -> Iterator[socket.socket]:
    """A listener whose backlog is full, so that the kernel answers nobody."""
    with socket.create_server((host, port), backlog=0) as listener, ExitStack() as stack:
        while True:
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
            if not select.select([], [waiting], [], 0.2)[1]:
                break
        yield listener


@contextmanager
def silent_addresses() -> Iterator[int]:
    """A port that is silent at the first four addresses of loopback, and refuses at the others."""
    with ExitStack() as stack:
        port = stack.enter_context(silent("127.0.0.1")).getsockname()[1]
        for number in (2, 3, 4):
            stack.enter_context(silent(f"127.0.0.{number}", port))
        yield port


@pytest.mark.parametrize("hosts, staggers", FIRST_GOOD.values(), ids=FIRST_GOOD)
def test_each_silent_address_costs_a_stagger_and_one_that_refuses_nothing(several, hosts, staggers):
    several(*hosts)
    cost = STAGGER * staggers
    with silent_addresses() as port, listening("127.0.0.9", port):
        with in_time(cost, not_before=cost):
            sock = dial("several.example", port)
        assert sock.getpeername() == ("127.0.0.9", port)
        sock.close()


def test_the_losers_are_closed(several):
    several("127.0.0.1", "127.0.0.2", "127.0.0.9")
    with silent_addresses() as port, listening("127.0.0.9", port), nothing_left():
        dial("several.example", port).close()


def test_an_address_that_answers_late_may_still_win(several):
    several("127.0.0.1", "127.0.0.2")
    with silent("127.0.0.1") as late, silent("127.0.0.2", late.getsockname()[1]):
        # Room in the backlog, for when the kernel asks again after a second.
        timer = threading.Timer(2 * STAGGER, late.listen, (64,))
        timer.start()
        sock = dial("several.example", late.getsockname()[1])
        timer.join(PATIENCE)
        assert sock.getpeername() == late.getsockname()
        sock.close()


def test_where_all_refuse_the_first_error_tells_of_the_others(several):
    several("127.0.0.1", "127.0.0.2")
    with closed_port() as port, in_time(0), pytest.raises(ConnectionRefusedError) as caught:
        dial("several.example", port)
    assert str(caught.value).count("Connection refused: 127.0.0.") == 2


def test_where_all_are_silent_one_deadline_counts(several):
    several("127.0.0.1", "127.0.0.2")
    with silent_addresses() as port, in_time(1, not_before=1), pytest.raises(TimeoutError):
        dial("several.example", port, timeout=1)


def test_an_error_beside_a_silent_address_waits_for_that(several):
    several("127.0.0.5", "127.0.0.1")
    with silent_addresses() as port, in_time(1, not_before=1), pytest.raises(TimeoutError):
        dial("several.example", port, timeout=1)


# --- ends on the way ----------------------------------------------------------------------------------


def test_a_silent_connect_can_be_called_off(attempt, several):
    several("127.0.0.1", "127.0.0.2")
    with silent_addresses() as port, ThreadPoolExecutor(1) as pool, in_time(0), nothing_left():
        dialing = pool.submit(connect, "several.example", port, Net(), attempt)
        attempt.call_off()
        with pytest.raises(CalledOff):
            dialing.result(PATIENCE)


def test_ctrl_c_leaves_no_socket(several):
    several("127.0.0.1", "127.0.0.2")
    with silent_addresses() as port, in_time(0.6), nothing_left(), ctrl_c_in(0.6):
        dial("several.example", port)


@contextmanager
def ctrl_c_in(seconds: float) -> Iterator[None]:
    """Expect the block to be ended by SIGINT, which comes after so many seconds."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    timer.join(PATIENCE)


def test_many_refused_and_timed_out_connects_leave_nothing(several):
    with closed_port() as refusing, silent_addresses() as port, nothing_left():
        for _ in range(100):
            with pytest.raises(ConnectionRefusedError):
                dial("127.0.0.1", refusing)
            with pytest.raises(TimeoutError):
                dial("127.0.0.1", port, timeout=0.01)


# --- the option net -----------------------------------------------------------------------------------


def test_socket_options_are_set_before_connecting():
    options = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 0),
        (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0)),
        # The kernel takes this only of a socket that has not begun to connect.
        (socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0),
    ]
    with listening() as listener:
        sock = dial(*listener.getsockname(), net_of({"socket_options": options}))
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
    sock.close()


def test_an_option_that_the_kernel_refuses_is_no_failure_of_the_network():
    net = net_of({"socket_options": [(socket.SOL_SOCKET, 9999, 1)]})
    with listening() as listener, pytest.raises(ConfigurationError, match="Protocol not available"):
        dial(*listener.getsockname(), net)


@pytest.mark.parametrize(
    "source", ["127.0.0.7", ("127.0.0.7", 0), ["127.0.0.7", 0], "::ffff:127.0.0.7", ("", 0)]
)
def test_the_source_address_is_where_the_connection_comes_from(source):
    if source == "::ffff:127.0.0.7":
        require("IPv6", missing_ipv6())
    with listening() as listener:
        port = listener.getsockname()[1]
        target = "::ffff:127.0.0.1" if "::" in str(source) else "127.0.0.1"
        sock = dial(target, port, net_of({"source_address": source}))
        peer, (host, _) = listener.accept()
        assert host == ("127.0.0.7" if "127" in str(source) else "127.0.0.1")
        peer.close()
        sock.close()


def test_a_source_port_is_shared_by_addresses_tried_beside_each_other(several):
    several("127.0.0.1", "127.0.0.9")
    with closed_port() as own:
        pass
    with silent_addresses() as port, listening("127.0.0.9", port):
        sock = dial("several.example", port, net_of({"source_address": ("127.0.0.1", own)}))
        assert sock.getsockname() == ("127.0.0.1", own)
        sock.close()


def test_a_source_of_another_family_than_the_host_is_told():
    with pytest.raises(OSError, match=r"source_address '::1' to 127\.0\.0\.1 port 9") as caught:
        dial("127.0.0.1", 9, Net(source_address=("::1", 0)))
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_a_source_that_is_not_ours_is_the_kernels_error():
    with listening() as listener, pytest.raises(OSError, match="assign requested address"):
        dial(*listener.getsockname(), Net(source_address=("192.0.2.1", 0)))


def test_a_family_leaves_the_others_out(several):
    require("IPv6", missing_ipv6())
    several("127.0.0.1", "::1")
    with listening() as listener, pytest.raises(ConnectionRefusedError) as caught:
        dial("several.example", listener.getsockname()[1], net_of({"family": AF_INET6}))
    assert "127.0.0.1" not in str(caught.value)


@pytest.fixture(params=["str", "bytes", "path", "abstract"])
def unix_path(request, tmp_path):
    path = tmp_path / "socket"
    kinds = {"str": str(path), "bytes": bytes(path), "path": path}
    return kinds.get(request.param, f"\0faye-sync-{os.getpid()}")


def test_a_unix_socket_stands_in_for_host_and_port(unix_path):
    net = net_of({"unix_path": unix_path})
    with socket.socket(AF_UNIX) as listener:
        listener.bind(net.unix_path)
        listener.listen()
        sock = dial("example.invalid", 80, net)
        peer, _ = listener.accept()
        peer.send(b"x")
        assert sock.recv(1) == b"x"
        peer.close()
        sock.close()


def test_a_unix_socket_that_is_not_there_is_the_kernels_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/socket"):
        dial("localhost", 80, Net(unix_path=f"{tmp_path}/socket"))


def test_a_unix_socket_whose_backlog_is_full_says_so_at_once(tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(AF_UNIX) as listener, ExitStack() as stack, in_time(0):
        listener.bind(path)
        listener.listen(0)
        net = Net(unix_path=path)
        with pytest.raises(BlockingIOError, match=path):
            all(stack.callback(dial("localhost", 80, net).close) for _ in range(9))


CHECKED = {
    "none": (None, Net()),
    "empty": ({}, Net()),
    "not-given": ({"source_address": None, "socket_options": None, "family": None}, Net()),
    "source-host": ({"source_address": "::1"}, Net(source_address=("::1", 0))),
    "source-pair": ({"source_address": ["::1", 5]}, Net(source_address=("::1", 5))),
    "options": ({"socket_options": [[1, 2, b"x"]]}, Net(socket_options=((1, 2, b"x"),))),
    "family": ({"family": AF_INET}, Net(family=AF_INET)),
    "unix-path": ({"unix_path": Path("/run/x")}, Net(unix_path="/run/x")),
}


@pytest.mark.parametrize("option, net", CHECKED.values(), ids=CHECKED)
def test_net_is_read(option, net):
    assert net_of(option) == net


REFUSED = {
    "no-mapping": ("127.0.0.1", "must be a mapping"),
    "unknown-key": ({"timeout": 5}, "'timeout'"),
    "source-number": ({"source_address": 5}, "source_address"),
    "source-of-three": ({"source_address": ("::1", 0, 0)}, "source_address"),
    "source-port-a-str": ({"source_address": ("::1", "5")}, "source_address"),
    "source-port-too-high": ({"source_address": ("::1", 65536)}, "source_address"),
    "options-no-list": ({"socket_options": 5}, "socket_options"),
    "option-of-two": ({"socket_options": [(1, 2)]}, "socket_options"),
    "option-of-str": ({"socket_options": [(1, 2, "x")]}, "socket_options"),
    "family-unix": ({"family": AF_UNIX}, "family"),
    "family-a-str": ({"family": "AF_INET"}, "family"),
    "path-number": ({"unix_path": 5}, "unix_path"),
    "path-empty": ({"unix_path": ""}, "unix_path"),
    "path-with-nul": ({"unix_path": "/run/\0x"}, "unix_path"),
    "path-too-long": ({"unix_path": "/" + "x" * 107}, "unix_path"),
    "path-and-family": ({"unix_path": "/run/x", "family": AF_INET}, "no family"),
}


@pytest.mark.parametrize("option, text", REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused_before_anything_happens(option, text):
    with pytest.raises(ConfigurationError, match=text):
        net_of(option)


# --- hubs ---------------------------------------------------------------------------------------------

ON_A_HUB = """
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.dial import Net, connect
from tests.support.hostile import unreachable

world, ticks = hub.world(), []

def tick():
    while True:
        ticks.append(1)
        hub.sleep(0.01)

hub.spawn(tick)
with unreachable() as port, Attempt(world, 0.5) as attempt:
    del ticks[:]
    try:
        connect("127.0.0.1", port, Net(), attempt)
    except TimeoutError as error:
        print(str(error).startswith("no connection"), len(ticks) > 10)
listener = hub.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
with Attempt(world, 20) as attempt:
    sock = connect("localhost", listener.getsockname()[1], Net(), attempt)
    print(sock.getpeername() == listener.getsockname(), type(sock).__module__)
sock.close()
"""


@BOTH
@PATCHED_OR_NOT
def test_on_a_hub_others_go_on_meanwhile(under, patched):
    output = run_script(ON_A_HUB, under=under, patched=patched)
    assert output == "True True\nTrue _socket\n"
