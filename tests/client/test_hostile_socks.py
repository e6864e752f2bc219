"""SOCKS servers that answer wrongly, late or never: RFC 1928, RFC 1929, and SOCKS4.

All of it is a ProxyError, or the deadline; the socket is closed."""

from __future__ import annotations

import pytest

from faye_sync import Client, ProxyError
from tests.support.endings import bounded_memory, failed_dial
from tests.support.hostile import HostileServer, Step, Visit, drip, flood, opened, read, send

MIB = 2**20
TARGET = "ws://127.0.0.2:8080/chat"
NAMED = "ws://target.invalid:8080/chat"

CHOSEN = bytes.fromhex("05 00")  # no credentials wanted
ASKED = bytes.fromhex("05 02")  # user and password wanted
LET_IN = bytes.fromhex("01 00")
LED = bytes.fromhex("05 00 00 01 00 00 00 00 00 00")
LED_4 = bytes.fromhex("00 5a 00 00 00 00 00 00")

# Octets behind the four of a request's or reply's head, by its type of address.
ADDRESS_SIZES = {1: 4, 4: 16}


def greeting(visit: Visit) -> None:
    """Read the versions and methods offered."""
    version, methods = visit.read(2)
    assert version == 5
    visit.read(methods)


def credentials(visit: Visit) -> None:
    visit.read(1)
    for _ in range(2):
        visit.read(visit.read(1)[0])


def request(visit: Visit) -> None:
    kind = visit.read(4)[3]
    visit.asked = visit.read(ADDRESS_SIZES.get(kind) or visit.read(1)[0])
    visit.read(2)


def request_4(visit: Visit) -> None:
    """Read a request of version 4 with its user, and the name of 4a."""
    head = visit.read(8)
    visit.read_until(b"\0")
    if head[4:7] == bytes(3):
        visit.asked = visit.read_until(b"\0")[:-1]


def through(proxy: HostileServer, scheme: str = "socks5", userinfo: str = "") -> dict[str, str]:
    return {"proxy": f"{scheme}://{userinfo}127.0.0.1:{proxy.port}"}


def led(*steps: Step) -> tuple[Step, ...]:
    return (greeting, send(CHOSEN), request, send(LED), *steps)


# --- SOCKS5 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bound", [LED, LED[:3] + b"\3\xff" + bytes(257), LED[:3] + b"\4" + bytes(18)]
)
def test_a_socks_server_leads_on_whatever_address_it_tells(hostile, bound):
    proxy = hostile((greeting, send(CHOSEN), request, send(bound), *opened(Visit.answer_close)))
    with Client(TARGET, **through(proxy)) as ws:
        assert ws.status_code == 101
    assert proxy.visit().asked == bytes((127, 0, 0, 2))


def test_socks5h_leaves_the_name_to_the_proxy(hostile):
    proxy = hostile(led(*opened(Visit.answer_close)))
    with Client(NAMED, **through(proxy, "socks5h")):
        pass
    assert proxy.visit().asked == b"target.invalid"


REFUSALS = {
    "another-version": (greeting, send(b"\4\0")),
    "http": (greeting, send(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    "nul": (greeting, send(bytes(100))),
    "no-method-is-acceptable": (greeting, send(b"\5\xff")),
    "a-method-that-was-not-offered": (greeting, send(b"\5\1")),
    "credentials-that-are-not-there": (greeting, send(ASKED)),
    "a-reply-of-another-version": (greeting, send(CHOSEN), request, send(b"\4" + LED[1:])),
    "a-reply-of-http": (greeting, send(CHOSEN), request, send(b"HTTP/1.1 200 OK\r\n\r\n")),
    "an-unknown-type-of-address": (greeting, send(CHOSEN), request, send(b"\5\0\0\7" + bytes(6))),
    **{
        f"reply-{code}": (greeting, send(CHOSEN), request, send(bytes((5, code)) + LED[2:]))
        for code in (1, 2, 3, 4, 5, 6, 7, 8, 9, 255)
    },
}


@pytest.mark.parametrize("script", REFUSALS.values(), ids=REFUSALS)
def test_a_socks_server_that_refuses_is_a_proxy_error_at_once(hostile, script):
    error = failed_dial(TARGET, ProxyError, **through(hostile(script)))
    assert (error.status_code, error.body) == (None, b"")


LOGINS = {
    "wrong-password": b"\1\1",
    "any-other-status": b"\1\xff",
    "another-version": b"\5\0",
}


@pytest.mark.parametrize("answer", LOGINS.values(), ids=LOGINS)
def test_a_login_that_fails_is_a_proxy_error_without_the_password(hostile, answer):
    proxy = hostile((greeting, send(ASKED), credentials, send(answer)))
    error = failed_dial(TARGET, ProxyError, **through(proxy, userinfo="user:s3cr3t@"))
    assert "s3cr3t" not in str(error)


# What the server did before it stops.
STAGES = {
    "before-the-greeting": (),
    "behind-the-greeting": (greeting,),
    "within-its-choice": (greeting, send(CHOSEN[:1])),
    "behind-the-login": (greeting, send(ASKED), credentials),
    "within-the-login": (greeting, send(ASKED), credentials, send(LET_IN[:1])),
    "behind-the-request": (greeting, send(CHOSEN), request),
    "within-the-reply": (greeting, send(CHOSEN), request, send(LED[:3])),
    "within-the-address": (greeting, send(CHOSEN), request, send(LED[:6])),
    "within-a-name": (greeting, send(CHOSEN), request, send(LED[:3] + b"\3\xffx")),
}
stages = pytest.mark.parametrize("script", STAGES.values(), ids=STAGES)
LOGIN = "user:pass@"


@stages
def test_a_socks_server_that_falls_silent_is_given_up_at_the_deadline(hostile, script):
    error = failed_dial(
        TARGET, TimeoutError, waits=True, **through(hostile(script), userinfo=LOGIN)
    )
    assert "open_timeout" in str(error)


@stages
def test_eof_within_the_negotiation_is_a_proxy_error_at_once(hostile, script):
    proxy = hostile((*script, Visit.end_writing))
    failed_dial(TARGET, ProxyError, **through(proxy, userinfo=LOGIN))


@stages
def test_a_reset_within_the_negotiation_ends_it_at_once(hostile, script):
    proxy = hostile((*script, lambda visit: visit.pause(0.05), Visit.reset))
    reset = (ProxyError, ConnectionResetError, BrokenPipeError)
    failed_dial(TARGET, *reset, **through(proxy, userinfo=LOGIN))


def test_a_reply_that_drips_is_given_up_at_the_deadline(hostile):
    name = LED[:3] + b"\3\xff" + bytes(257)
    proxy = hostile((greeting, send(CHOSEN), request, drip(name)))
    failed_dial(TARGET, TimeoutError, waits=True, **through(proxy))


def test_a_socks_server_that_floods_is_a_proxy_error_with_bounded_memory(hostile):
    proxy = hostile((greeting, flood(b"x")))
    with bounded_memory(2 * MIB):
        failed_dial(TARGET, ProxyError, **through(proxy), open_timeout=20)


def test_a_server_behind_socks_that_falls_silent_is_given_up_at_the_deadline(hostile):
    failed_dial(TARGET, TimeoutError, waits=True, **through(hostile(led())))


# --- SOCKS4 and 4a ----------------------------------------------------------------------------------

four = pytest.mark.parametrize(
    "scheme, url, asked",
    [("socks4", TARGET, None), ("socks4a", NAMED, b"target.invalid")],
    ids=["4", "4a"],
)


@four
def test_a_socks4_server_leads_on(hostile, scheme, url, asked):
    proxy = hostile((request_4, send(LED_4), *opened(Visit.answer_close)))
    with Client(url, **through(proxy, scheme)) as ws:
        assert ws.status_code == 101
    assert getattr(proxy.visit(), "asked", None) == asked


REPLIES_4 = {
    **{f"refused-{code}": bytes((0, code)) + bytes(6) for code in (91, 92, 93, 0, 255)},
    "another-version": b"\4\x5a" + bytes(6),
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@four
@pytest.mark.parametrize("reply", REPLIES_4.values(), ids=REPLIES_4)
def test_a_socks4_server_that_refuses_is_a_proxy_error(hostile, scheme, url, asked, reply):
    proxy = hostile((request_4, send(reply)))
    failed_dial(url, ProxyError, **through(proxy, scheme))


@four
@pytest.mark.parametrize(
    "steps", [(read(1),), (request_4,), (request_4, send(LED_4[:5]))], ids=["0", "1", "2"]
)
def test_a_socks4_server_that_falls_silent_is_given_up(hostile, scheme, url, asked, steps):
    failed_dial(url, TimeoutError, waits=True, **through(hostile(steps), scheme))


@four
def test_eof_of_a_socks4_server_is_a_proxy_error(hostile, scheme, url, asked):
    proxy = hostile((request_4, send(LED_4[:5]), Visit.end_writing))
    failed_dial(url, ProxyError, **through(proxy, scheme))
