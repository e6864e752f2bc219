"""From hosts to addresses, in time."""

from __future__ import annotations

import socket
import threading
from socket import AF_INET, AF_INET6, AF_UNSPEC

import pytest

from faye_sync.concurrency import THREADS
from faye_sync.transport.addresses import Address, interleave, look_up
from faye_sync.transport.attempt import Attempt, CalledOff
from tests.support.endings import in_time
from tests.test_concurrency import BOTH, run_script


@pytest.fixture
def attempt():
    with Attempt(THREADS, 20) as attempt:
        yield attempt


@pytest.fixture
def resolver(monkeypatch):
    """Stand in for the resolver: no test may ask the network."""

    def answer(function):
        real = socket.getaddrinfo

        def getaddrinfo(host, port, family=0, kind=0, proto=0, flags=0):
            if flags & socket.AI_NUMERICHOST:
                return real(host, port, family, kind, proto, flags)
            return function(host, port, family)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return answer


NUMERIC = {
    "ipv4": ("127.0.0.1", AF_UNSPEC, Address(AF_INET, ("127.0.0.1", 80))),
    "ipv4-alone": ("127.0.0.1", AF_INET, Address(AF_INET, ("127.0.0.1", 80))),
    "ipv6": ("::1", AF_UNSPEC, Address(AF_INET6, ("::1", 80, 0, 0))),
    "ipv6-alone": ("::1", AF_INET6, Address(AF_INET6, ("::1", 80, 0, 0))),
    "zone": ("fe80::1%lo", AF_UNSPEC, Address(AF_INET6, ("fe80::1", 80, 0, 1))),
    "zone-by-number": ("fe80::1%1", AF_UNSPEC, Address(AF_INET6, ("fe80::1", 80, 0, 1))),
}


@pytest.mark.parametrize("host, family, expected", NUMERIC.values(), ids=NUMERIC)
def test_an_address_needs_no_resolver_and_no_thread(attempt, monkeypatch, host, family, expected):
    monkeypatch.setattr(Attempt, "run", None)
    assert look_up(host, 80, family, attempt) == [expected]


def test_a_name_is_looked_up_on_a_thread_beside(attempt, resolver):
    threads = []

    def answer(host, port, family):
        threads.append(threading.current_thread().name)
        return [(AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    resolver(answer)
    assert look_up("example.com", 80, AF_UNSPEC, attempt) == [Address(AF_INET, ("127.0.0.1", 80))]
    assert threads == ["faye-sync-look-up"]


def test_localhost_is_found_by_the_real_resolver(attempt):
    assert Address(AF_INET, ("127.0.0.1", 80)) in look_up("localhost", 80, AF_INET, attempt)


NO_HOSTS = {
    "unknown": ("example.invalid", AF_UNSPEC, "example.invalid"),
    "ipv4-where-ipv6-is-wanted": ("127.0.0.1", AF_INET6, "family for hostname not supported"),
    "ipv6-where-ipv4-is-wanted": ("::1", AF_INET, "family for hostname not supported"),
    "brackets": ("[::1]", AF_UNSPEC, r"\[::1\]"),
    "unknown-zone": ("fe80::1%nowhere", AF_UNSPEC, "fe80::1%nowhere"),
    "label-of-64-octets": (f"{'a' * 64}.example", AF_UNSPEC, "is no host name"),
    "empty-label": ("a..example", AF_UNSPEC, "is no host name"),
    "nul": ("127.0.0.1\0.example", AF_UNSPEC, "is no host name"),
    "empty": ("", AF_UNSPEC, "not known"),
}


@pytest.mark.parametrize("host, family, text", NO_HOSTS.values(), ids=NO_HOSTS)
def test_what_is_no_host_is_an_error_of_the_resolver(attempt, resolver, host, family, text):
    def answer(*_):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    resolver(answer)
    with pytest.raises(socket.gaierror, match=text):
        look_up(host, 80, family, attempt)


@pytest.mark.parametrize("how", ["deadline", "called-off"])
def test_a_resolver_that_hangs_is_left_alone(resolver, how):
    release = threading.Event()
    answered = threading.Event()

    def answer(*_):
        if how == "called-off":
            attempt.call_off()
        release.wait(20)
        answered.set()
        return []

    resolver(answer)
    expected, timeout = (TimeoutError, 0.2) if how == "deadline" else (CalledOff, 20)
    raises = pytest.raises(expected, match=r"looking up example\.com")
    with Attempt(THREADS, timeout) as attempt, in_time(0.2), raises:
        look_up("example.com", 80, AF_UNSPEC, attempt)
    release.set()
    assert answered.wait(20)


A, B, C = (Address(AF_INET, (f"192.0.2.{number}", 80)) for number in (1, 2, 3))
X, Y = (Address(AF_INET6, (f"2001:db8::{number}", 80, 0, 0)) for number in (1, 2))
ORDERS = {
    "one-family": ([A, B, C], [A, B, C]),
    "the-first-family-leads": ([X, Y, A, B, C], [X, A, Y, B, C]),
    "both-mixed": ([A, X, B, C, Y], [A, X, B, Y, C]),
    "none": ([], []),
}


@pytest.mark.parametrize("found, expected", ORDERS.values(), ids=ORDERS)
def test_families_take_turns(found, expected):
    assert interleave(found) == expected


def test_an_address_that_is_found_twice_is_tried_once(attempt, resolver):
    found = [(AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))] * 2
    resolver(lambda *_: found)
    assert look_up("example.com", 80, AF_UNSPEC, attempt) == [A]


@pytest.mark.parametrize(
    "address, text",
    [
        (A, "192.0.2.1 port 80"),
        (X, "2001:db8::1 port 80"),
        (Address(socket.AF_UNIX, b"/run/app.sock"), "/run/app.sock"),
    ],
    ids=["ipv4", "ipv6", "unix"],
)
def test_an_address_can_be_read(address, text):
    assert str(address) == text


ON_A_HUB = """
import socket, threading
from faye_sync.concurrency import THREADS
from faye_sync.transport.addresses import look_up
from faye_sync.transport.attempt import Attempt

world, called = hub.world(), []
real = socket.getaddrinfo

def getaddrinfo(*arguments):
    called.append(THREADS.current())
    return real(*arguments)

if PATCHED:
    getaddrinfo.__module__ = real.__module__
    socket.getaddrinfo = getaddrinfo
with Attempt(world, 20) as attempt:
    found = look_up("localhost", 80, socket.AF_INET, attempt)
print([address.sockaddr for address in found], called == [THREADS.current()] * PATCHED)
"""


@BOTH
@pytest.mark.parametrize("patched", [False, True], ids=["unpatched", "patched"])
def test_on_a_hub_the_patched_resolver_is_asked_if_there_is_one(under, patched):
    script = ON_A_HUB.replace("PATCHED", str(patched))
    output = run_script(script, under=under, patched=patched)
    assert output == "[('127.0.0.1', 80)] True\n"
