"""Fields and bodies of answers that libraries behind the client read: cookies, challenges, codings.

Whatever they hold, the WebSocket opens or the HandshakeError comes, and nobody else's exception."""

from __future__ import annotations

import gzip
import http.cookiejar

import pytest
import requests
from requests.auth import HTTPDigestAuth

from faye_sync import Client, HandshakeError, Reconnect, ReconnectEvent
from tests.support.endings import bounded_memory, failed_dial
from tests.support.heads import head, switching
from tests.support.hostile import Script, Visit, answered, opened, send

MIB = 2**20
ACCEPTING: Script = opened(Visit.answer_close)
BOMB = gzip.compress(bytes(32 * MIB))
DIGEST = HTTPDigestAuth("user", "pass")


def refusal(status: bytes, *lines: bytes, body: bytes = b"") -> Script:
    length = b"Content-Length: %d" % len(body)
    return answered(head(length, *lines, status=b"HTTP/1.1 " + status), body)


# --- cookies ----------------------------------------------------------------------------------------

COOKIES = {
    "empty": b"",
    "equals": b"=",
    "semicolons": b";;;;",
    "no-value": b"a",
    "no-name": b"=b",
    "blanks": b"a = b ; path = /",
    "date-that-is-none": b"a=b; expires=yesterday",
    "date-beyond-all-bounds": b"a=b; expires=Thu, 01 Jan 99999 00:00:00 GMT",
    "age-that-is-none": b"a=b; max-age=soon",
    "age-beyond-all-bounds": b"a=b; max-age=" + b"9" * 4000,
    "negative-age": b"a=b; max-age=-1",
    "domain-of-all": b"a=b; domain=.",
    "empty-domain": b"a=b; domain=",
    "another-domain": b"a=b; domain=example.com",
    "port-that-is-none": b"a=b; port=x",
    "version-that-is-none": b"a=b; version=x",
    "another-path": b"a=b; path=/elsewhere",
    "obs-text": b"a=\xe9\xff; path=/\xe9",
    "control-characters": b"a=\x01\x7f",
    "quotes": b'a="b; c="d',
    "long": b"a=" + b"b" * 20_000,
    "many-attributes": b"a=b" + b"; c=d" * 5000,
    "many-blanks": b"a=b" + b" " * 20_000 + b"c",
    "expires-of-many-blanks": b"a=b; expires=" + b"1" + b" " * 20_000 + b"x",
}


@pytest.mark.filterwarnings("ignore:http.cookiejar bug")  # the standard library's, and it goes on
@pytest.mark.parametrize("name", ["Set-Cookie", "Set-Cookie2"])
@pytest.mark.parametrize("value", COOKIES.values(), ids=COOKIES)
def test_no_cookie_keeps_the_connection_from_opening(hostile, name, value):
    line = name.encode() + b": " + value
    session = requests.Session()
    script = (Visit.read_head, send(switching(line, line)), Visit.answer_close)
    server = hostile(script)
    for _ in range(2):
        # The second time with what the jar made of the first.
        with Client(server.url(), session=session) as ws:
            assert ws.status_code == 101


def test_a_cookie_for_another_domain_is_not_kept(hostile):
    session = requests.Session()
    lines = (b"Set-Cookie: a=b; domain=example.com", b"Set-Cookie: own=1")
    server = hostile((Visit.read_head, send(switching(*lines)), Visit.answer_close))
    with Client(server.url(), session=session):
        pass
    assert session.cookies.get_dict() == {"own": "1"}


def test_a_cookie_policy_of_the_session_is_followed(hostile):
    session = requests.Session()
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    server = hostile((Visit.read_head, send(switching(b"Set-Cookie: a=b")), Visit.answer_close))
    with Client(server.url(), session=session):
        pass
    assert session.cookies.get_dict() == {}


# --- challenges -------------------------------------------------------------------------------------

CHALLENGES = {
    "empty": b"",
    "digest-alone": b"Digest",
    "digest-and-a-blank": b"Digest ",
    "no-realm": b'Digest nonce="n"',
    "no-nonce": b'Digest realm="r"',
    "unknown-algorithm": b'Digest realm="r", nonce="n", algorithm=ROT13',
    "unknown-qop": b'Digest realm="r", nonce="n", qop="auth-int"',
    "empty-qop": b'Digest realm="r", nonce="n", qop=""',
    "unclosed-quote": b'Digest realm="r, nonce="n',
    "obs-text": b'Digest realm="\xe9", nonce="\xff"',
    "control-characters": b'Digest realm="\x01", nonce="\x02"',
    "no-parameters": b"Digest , , ,",
    "parameters-without-values": b"Digest realm, nonce, qop",
    "long": b'Digest realm="r", nonce="' + b"n" * 50_000 + b'"',
    "stale": b'Digest realm="r", nonce="n", stale=true',
    "basic": b'Basic realm="r"',
    "two-in-one": b'Basic realm="r", Digest realm="r", nonce="n"',
    "unknown-scheme": b"Made-Up x",
}


@pytest.mark.parametrize("challenge", CHALLENGES.values(), ids=CHALLENGES)
def test_a_challenge_that_nobody_can_meet_is_a_refusal(hostile, challenge):
    server = hostile(refusal(b"401 Unauthorized", b"WWW-Authenticate: " + challenge, body=b"no"))
    error = failed_dial(server.url(), HandshakeError, auth=HTTPDigestAuth("user", "pass"))
    assert (error.status_code, error.body) == (401, b"no")
    assert server.count() <= 2


# --- bodies that are read on the way ----------------------------------------------------------------

WAYS = {
    "redirect": (b"302 Found", b"Location: /there"),
    "challenge": (b"401 Unauthorized", b'WWW-Authenticate: Digest realm="r", nonce="n"'),
}
ways = pytest.mark.parametrize("status, line", WAYS.values(), ids=WAYS)
CODINGS = {
    "gzip-that-is-none": (b"gzip", b"no"),
    "gzip-cut-short": (b"gzip", BOMB[:1000]),
    "deflate-that-is-none": (b"deflate", b"no"),
    "br-that-is-none": (b"br", b"no"),
    "zstd-that-is-none": (b"zstd", b"no"),
    "many-times": (b", ".join([b"gzip"] * 100), b"no"),
    "unknown": (b"x-made-up", b"no"),
}


@ways
def test_a_gzip_bomb_on_the_way_is_not_inflated(hostile, status, line):
    server = hostile(refusal(status, line, b"Content-Encoding: gzip", body=BOMB), ACCEPTING)
    client = Client(server.url(), auth=DIGEST)
    with bounded_memory(4 * MIB), client:
        assert client.status_code == 101


@ways
@pytest.mark.parametrize("coding, body", CODINGS.values(), ids=CODINGS)
def test_a_coding_on_the_way_is_nobodys_business(hostile, status, line, coding, body):
    coded = refusal(status, line, b"Content-Encoding: " + coding, body=body)
    server = hostile(coded, ACCEPTING)
    with Client(server.url(), auth=DIGEST) as ws:
        assert ws.status_code == 101


BROKEN = {
    "cut-short": head(b"Content-Length: 10") + b"no",
    "chunk-that-is-none": head(b"Transfer-Encoding: chunked") + b"zz\r\n",
    "without-end": head(b"Content-Length: 100000") + bytes(70_000),
}


@ways
@pytest.mark.parametrize("octets", BROKEN.values(), ids=BROKEN)
def test_a_broken_body_on_the_way_keeps_nobody_from_going_on(hostile, status, line, octets):
    rest = octets.partition(b"\r\n")[2]
    octets = b"HTTP/1.1 " + status + b"\r\n" + line + b"\r\n" + rest
    server = hostile((*answered(octets), Visit.end_writing), ACCEPTING)
    with Client(server.url(), auth=DIGEST) as ws:
        assert ws.status_code == 101


# --- when to come back ------------------------------------------------------------------------------

RETRIES = {
    "empty": b"",
    "letters": b"soon",
    "negative": b"-5",
    "nan": b"nan",
    "infinite": b"inf",
    "exponent": b"1e400",
    "fraction": b"0.5",
    "digits-of-another-script": "\u0663".encode(),
    "date-that-is-none": b"Xxx, 99 Xxx 9999 99:99:99 GMT",
    "date-beyond-all-bounds": b"Fri, 31 Dec 99999 23:59:59 GMT",
    "zone-beyond-all-bounds": b"Fri, 31 Dec 2021 23:59:59 +9999999999",
    "date-of-the-past": b"Thu, 01 Jan 1970 00:00:00 GMT",
}


@pytest.mark.parametrize("value", RETRIES.values(), ids=RETRIES)
def test_a_retry_after_that_means_nothing_puts_nothing_off(hostile, value):
    server = hostile(refusal(b"503 Busy", b"Retry-After: " + value), ACCEPTING)
    client = Client(server.url(), reconnect=Reconnect(initial=0.01))
    with client:
        assert client.status_code == 101


@pytest.mark.parametrize(
    "value", [b"9" * 5000, b"Fri, 31 Dec 9999 23:59:59 GMT"], ids=["9", "date"]
)
def test_a_retry_after_without_measure_is_a_day_at_most(hostile, value):
    server = hostile(refusal(b"503 Busy", b"Retry-After: " + value))
    client = Client(server.url(), reconnect=Reconnect(initial=0.01))
    told: list[ReconnectEvent] = []

    @client.on("reconnect")
    def end(event: ReconnectEvent) -> None:
        told.append(event)
        client.close()

    client.start()
    assert client.join(20)
    assert 0 < told[0].delay <= 86400
