"""One hop after the other: what is asked of whom, and what requests gets to see of the answer."""

# ruff: noqa: F811  # fixtures that are imported

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator

import pytest
import requests

from faye_sync.concurrency import THREADS
from faye_sync.errors import ConfigurationError, HandshakeError
from faye_sync.transport.adapter import UpgradeAdapter
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.wayfinder import Wayfinder
from tests.client.conftest import _housekept, hostile  # noqa: F401  # fixtures
from tests.support.clients import refused_port
from tests.support.heads import ACCEPTING, UPGRADE, head, switching
from tests.support.hostile import HostileServer, Script, Visit, answered, opened, send
from tests.support.ways import PATIENCE, asking, ways

ESTABLISHED = head(status=b"HTTP/1.1 200 Connection established")
KEY = "Sec-WebSocket-Key"


@pytest.fixture
def attempt():
    with Attempt(THREADS, PATIENCE) as attempt:
        yield attempt


@pytest.fixture
def adapter(hostile, attempt) -> Iterator[UpgradeAdapter]:
    """An adapter that verifies no certificate, and speaks to servers of the test."""
    adapter = UpgradeAdapter(asking(), ways(tls={"verify": False}), attempt)
    yield adapter
    adapter.give_up()


def prepared(url: str, **headers: str | bytes) -> requests.PreparedRequest:
    """A request as a session hands it over; headers have _ for -."""
    request = requests.Request("GET", url, headers={"Upgrade": "websocket"}).prepare()
    request.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return request


def plain(server: HostileServer, path: str = "/") -> str:
    return server.url(path, scheme="http")


def behind_proxy(*scripts: Script, is_tls: bool = False) -> list[Script]:
    """Servers of any name, each found through this proxy."""
    shake = (Visit.shake_hands,) if is_tls else ()
    return [(Visit.read_head, send(ESTABLISHED), *shake, *script) for script in scripts]


def through(proxy: HostileServer) -> dict[str, str]:
    return {"all": plain(proxy)}


def refusal(*lines: bytes, status: bytes = b"403 Forbidden", body: bytes = b"") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return head(length, *lines, status=b"HTTP/1.1 " + status) + body


# --- what is asked --------------------------------------------------------------------------------

HOSTS = {
    "http://example.com/": "example.com",
    "http://example.com:80/": "example.com",
    "http://example.com:443/": "example.com:443",
    "http://example.com:8080/": "example.com:8080",
    "http://EXAMPLE.com/": "example.com",
    "http://example.com./": "example.com.",
    "http://b\xfccher.example/": "xn--bcher-kva.example",
    "http://192.0.2.1:81/": "192.0.2.1:81",
    "http://[2001:DB8::1]/": "[2001:db8::1]",
    "http://[2001:db8::1]:8080/": "[2001:db8::1]:8080",
    "http://user:pass@example.com/": "example.com",
    # RFC 6874 4: a zone means something on this machine alone.
    "http://[fe80::1%25eth0]:8080/": "[fe80::1]:8080",
    "https://example.com/": "example.com",
    "https://example.com:443/": "example.com",
    "https://example.com:80/": "example.com:80",
}


@pytest.mark.parametrize("url", HOSTS, ids=ascii)
def test_the_host_is_that_of_the_url_with_a_port_that_is_not_the_schemes(hostile, adapter, url):
    proxy = hostile(*behind_proxy(opened(), is_tls=url.startswith("https")))
    adapter.send(prepared(url), proxies=through(proxy))
    assert proxy.visit().requests[1].all("Host") == [HOSTS[url]]


def test_host_comes_first_and_what_asks_for_a_websocket_last(hostile, adapter):
    server = hostile(opened())
    adapter.send(prepared(plain(server), User_Agent="me", X_One="1", X_Two="2"))
    names = [name for name, _ in server.request().fields]
    assert names == [
        "Host",
        *("User-Agent", "X-One", "X-Two"),
        *("Upgrade", "Connection", KEY, "Sec-WebSocket-Version"),
    ]


def test_a_host_of_the_callers_own_takes_the_place_of_ours(hostile, adapter):
    server = hostile(opened())
    adapter.send(prepared(plain(server), hOsT="virtual.example"))
    assert server.request().fields[0] == ("Host", "virtual.example")
    assert len(server.request().all("Host")) == 1


TARGETS = {
    "/": "/",
    "/a/b?c=d&e": "/a/b?c=d&e",
    "?a": "/?a",
    "/a b": "/a%20b",
    "/\xe9": "/%C3%A9",
    "/%2F%41": "/%2FA",
    "/a#b": "/a",
    "//twice": "//twice",
}


@pytest.mark.parametrize("path", TARGETS, ids=ascii)
def test_the_target_is_the_path_with_its_query(hostile, adapter, path):
    server = hostile(opened())
    adapter.send(prepared(plain(server, path)))
    assert server.request().target == TARGETS[path]


# Whoever sets them, a session, an auth object or a hook, does not know that this is a handshake.
REPLACED = {
    "Upgrade": ["websocket"],
    "Connection": ["Upgrade"],
    "Content-Length": [],
    "Transfer-Encoding": [],
    "Proxy-Authorization": [],
    "Sec-WebSocket-Version": ["13"],
    "Sec-WebSocket-Protocol": [],
}


@pytest.mark.parametrize("name", [name for name in REPLACED if name != "Upgrade"])
@pytest.mark.parametrize(
    "write",
    [str, str.lower, str.upper, lambda name: name.encode()],
    ids=["as-it-is", "lower", "upper", "bytes"],
)
def test_what_is_the_handshakes_own_is_replaced(hostile, adapter, name, write):
    server = hostile(opened())
    request = prepared(plain(server))
    # A dict, because that of requests takes no names of bytes; auth objects may put one there.
    request.headers = {"Upgrade": "websocket", write(name): "keep-alive"}
    adapter.send(request)
    assert server.request().all(name) == REPLACED[name]


def test_headers_may_be_bytes_and_beyond_ascii(hostile, adapter):
    server = hostile(opened())
    adapter.send(prepared(plain(server), X_A=b"h\xe9", X_B="h\xe9"))
    assert (server.request()["X-A"], server.request()["X-B"]) == ("h\xe9", "h\xe9")


BAD = {
    "crlf": "a\r\nX: y",
    "nul": "a\0b",
    "blank-at-the-end": "a ",
    "beyond-latin-1": "\u2603",
    "bytes-with-lf": b"a\nb",
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_what_cannot_be_sent_is_refused_before_anything_is_dialed(hostile, adapter, value):
    server = hostile(opened())
    with pytest.raises(ConfigurationError, match=r"^header X-A must be latin-1"):
        adapter.send(prepared(plain(server), X_A=value))
    assert server.count() == 0


def test_every_request_has_a_key_of_its_own(hostile, adapter):
    server = hostile(answered(refusal()))
    request = prepared(plain(server))
    for _ in range(5):
        # As digest does, which copies the request.
        request = request.copy()
        adapter.send(request)
    keys = {server.request(number)[KEY] for number in range(5)}
    assert len(keys) == 5
    assert KEY not in request.headers


# --- what another origin is told ------------------------------------------------------------------

HOME = "http://example.com/first"
ORIGINS = {
    "another-path": ("http://example.com/other?a", True),
    "the-port-said": ("http://example.com:80/", True),
    "the-host-in-other-case": ("http://Example.COM/", True),
    "userinfo": ("http://user:pass@example.com/", True),
    "another-port": ("http://example.com:8080/", False),
    "the-port-of-tls": ("http://example.com:443/", False),
    "tls": ("https://example.com/", False),
    "tls-at-the-same-port": ("https://example.com:80/", False),
    "another-host": ("http://example.org/", False),
    "a-host-beneath": ("http://www.example.com/", False),
    "a-host-that-ends-so": ("http://notexample.com/", False),
    "a-dot-at-the-end": ("http://example.com./", False),
}
SECRETS = ("Authorization", "X-Api-Key", "Referer", "Accept", "Host")
HARMLESS = ("User-Agent", "Accept-Language", "Origin")


@pytest.mark.parametrize("url, is_home", ORIGINS.values(), ids=ORIGINS)
def test_only_the_first_origin_is_told_what_was_for_it(hostile, adapter, url, is_home):
    first, second = answered(refusal()), answered(refusal())
    is_tls = url.startswith("https")
    proxy = hostile(*behind_proxy(first), *behind_proxy(second, is_tls=is_tls))
    for target in (HOME, url):
        request = prepared(target)
        request.headers.update(dict.fromkeys(SECRETS + HARMLESS, "told"))
        adapter.send(request, proxies=through(proxy))
    for number, knows in enumerate((True, is_home)):
        asked = proxy.visit(number).requests[1]
        assert {name: asked[name] == "told" for name in SECRETS} == dict.fromkeys(SECRETS, knows)
        assert {asked[name] for name in HARMLESS} == {"told"}


def test_the_first_origin_is_at_home_again_after_another(hostile, adapter):
    first, other = hostile(answered(refusal())), hostile(answered(refusal()))
    for server in (first, other, first):
        adapter.send(prepared(plain(server), X_Key="secret"))
    assert [first.request(number)["X-Key"] for number in (0, 1)] == ["secret", "secret"]
    assert other.request()["X-Key"] is None


def test_no_hop_leaves_tls(hostile, adapter):
    server, other = hostile(answered(refusal()), tls=True), hostile(opened())
    adapter.send(prepared(server.url(scheme="https")))
    with pytest.raises(HandshakeError, match="from wss to ws") as caught:
        adapter.send(prepared(plain(other)))
    assert caught.value.status_code == 403
    assert other.count() == 0


# --- the answer, as requests has it ---------------------------------------------------------------


def test_a_refusal_is_an_answer_like_any_other(hostile, adapter):
    lines = (b"Content-Type: text/plain; charset=utf-8", b"X-Why: a", b"x-why: b")
    octets = refusal(*lines, status=b"403 Nicht erlaubt", body="h\xe9".encode())
    request = prepared(plain(hostile(answered(octets)), "/a"))
    answer = adapter.send(request)
    assert (answer.status_code, answer.reason) == (403, "Nicht erlaubt")
    assert (answer.url, answer.request) == (request.url, request)
    assert answer.headers["x-WHY"] == "a, b"
    assert answer.text == "h\xe9"
    assert answer.connection is adapter


def test_cookies_of_an_answer_are_there_one_by_one(hostile, adapter):
    lines = (b"Set-Cookie: a=1; Path=/", b"set-cookie: b=2; Expires=Wed, 01 Jan 2110 00:00:00 GMT")
    server = hostile(answered(refusal(*lines, b"Set-Cookie: c=3; Domain=example.com")))
    answer = adapter.send(prepared(plain(server)))
    assert answer.cookies.get_dict() == {"a": "1", "b": "2"}


def test_a_body_is_left_in_the_encoding_that_it_came_in(hostile, adapter):
    body = gzip.compress(bytes(2**16))
    answer = adapter.send(
        prepared(plain(hostile(answered(refusal(b"Content-Encoding: gzip", body=body)))))
    )
    assert answer.content == body
    told = adapter.refusal("no")
    assert (told.headers["Content-Encoding"], told.body) == ("gzip", body)


LOCATIONS = {
    "ws://a.example/b": "http://a.example/b",
    "wss://a.example/b": "https://a.example/b",
    "WSS://a.example": "https://a.example",
    "http://a.example/": "http://a.example/",
    "https://a.example/": "https://a.example/",
    "/ws://b": "/ws://b",
    "//a.example/": "//a.example/",
    "wsx://a.example/": "wsx://a.example/",
    "ws:a": "ws:a",
    "": "",
}


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_location_of_websocket_is_said_as_requests_knows_it(hostile, adapter, location):
    lines = (b"LOCATION: " + location.encode(),)
    adapter.send(prepared(plain(hostile(answered(refusal(*lines, status=b"302 Found"))))))
    assert adapter.refusals[0].response.headers["Location"] == LOCATIONS[location]
    assert adapter.refusal("no").headers["Location"] == location


# --- what came of it ------------------------------------------------------------------------------


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_a_101_opens_and_whoever_has_it_closes_it(hostile, adapter):
    server = hostile(opened(glued=b"\x81\x02hi"))
    answer = adapter.send(prepared(plain(server)))
    descriptor = adapter.opened.route.sock.fileno()
    assert (answer.status_code, answer.headers["Upgrade"]) == (101, "websocket")
    assert (adapter.opened.head.status, adapter.opened.early) == (101, b"\x81\x02hi")
    assert adapter.refusals == []
    assert is_open(descriptor)
    adapter.give_up()
    adapter.give_up()
    assert adapter.opened is None
    assert not is_open(descriptor)


def test_of_two_that_open_the_second_is_kept(hostile, adapter):
    server = hostile(opened(), opened(glued=b"second"))
    for _ in range(2):
        # As a hook may do, or a session's own request().
        adapter.send(prepared(plain(server)))
    assert server.visit(0).left.wait(PATIENCE)
    assert adapter.opened.early == b"second"
    assert not server.visit(1).left.is_set()


def test_a_refusal_leaves_nothing_open(hostile, adapter):
    server = hostile(answered(refusal()))
    adapter.send(prepared(plain(server)))
    assert server.visit().left.wait(PATIENCE)
    assert adapter.opened is None


def test_a_101_that_is_wrong_opens_nothing_and_is_told_with_those_before_it(hostile, adapter):
    wrong = head(UPGRADE, ACCEPTING, b"X-A: 1")
    server = hostile(answered(refusal(status=b"401 Unauthorized")), answered(wrong))
    adapter.send(prepared(plain(server)))
    with pytest.raises(HandshakeError, match="Connection must list upgrade") as caught:
        adapter.send(prepared(plain(server)))
    assert (caught.value.status_code, caught.value.headers["X-A"]) == (101, "1")
    assert [answer.status_code for answer in caught.value.history] == [401]
    assert server.visit(1).left.wait(PATIENCE)
    assert adapter.opened is None


def test_an_error_tells_of_the_last_answer_and_of_those_before_it(hostile, adapter):
    statuses = (b"302 Found", b"401 Unauthorized", b"403 Forbidden")
    server = hostile(*(answered(refusal(status=status, body=status)) for status in statuses))
    answers = [adapter.send(prepared(plain(server))) for _ in statuses]
    told = adapter.refusal("why")
    assert (str(told), told.status_code, told.body) == ("why", 403, b"403 Forbidden")
    assert told.history == tuple(answers[:2])


def test_where_nothing_was_answered_an_error_tells_of_nothing(adapter):
    told = adapter.refusal("why")
    assert (str(told), told.status_code, told.headers, told.body) == ("why", None, None, b"")
    assert told.history == ()


def test_it_knows_whether_a_hop_was_begun(adapter):
    assert not adapter.was_used
    with pytest.raises(ConnectionRefusedError):
        adapter.send(prepared(f"http://127.0.0.1:{refused_port()}/"))
    assert adapter.was_used


def test_the_deadline_tells_whose_answer_did_not_come(hostile):
    server = hostile((Visit.read_head,))
    with Attempt(THREADS, 0.3) as attempt:
        adapter = UpgradeAdapter(asking(), ways(), attempt)
        with pytest.raises(TimeoutError, match=r"waiting for the answer of 127\.0\.0\.1$"):
            adapter.send(prepared(plain(server)))


# --- which proxy ----------------------------------------------------------------------------------


class Chosen(Exception):
    """Which proxy was chosen."""


class Asked(Wayfinder):
    """Ways that lead nowhere, and tell where they would."""

    def proxy_from(self, url, verify, request):
        raise Chosen(url)

    def net_for(self, request):
        raise Chosen(None)


WS, WSS = "http://example.com/", "https://example.com/"
CHOICES = {
    "http": (WS, {"http": "A"}, "A"),
    "ws": (WS, {"ws": "A"}, "A"),
    "https": (WSS, {"https": "A"}, "A"),
    "wss": (WSS, {"wss": "A"}, "A"),
    "all": (WSS, {"all": "A"}, "A"),
    "ws-is-not-wss": (WSS, {"ws": "A", "http": "B"}, None),
    "wss-is-not-ws": (WS, {"wss": "A", "https": "B"}, None),
    "ws-before-http": (WS, {"http": "B", "ws": "A"}, "A"),
    "wss-before-https": (WSS, {"wss": "A", "https": "B"}, "A"),
    "ws-before-all": (WS, {"all": "B", "ws": "A"}, "A"),
    "a-host-of-ws": (WS, {"ws://example.com": "A", "http": "B"}, "A"),
    "a-host-of-wss": (WSS, {"wss://example.com": "A", "wss": "B", "all": "C"}, "A"),
    "a-host-of-http": (WS, {"http://example.com": "A", "ws": "B"}, "A"),
    "another-host": (WS, {"ws://example.org": "A"}, None),
    "a-host-of-all": (WSS, {"all://example.com": "A", "all": "B"}, "A"),
    "no-more-than-exceptions": (WS, {"no_proxy": "*"}, None),
    "none": (WS, {}, None),
}


@pytest.mark.parametrize("url, proxies, chosen", CHOICES.values(), ids=CHOICES)
def test_a_proxy_may_be_named_for_ws_and_wss(attempt, url, proxies, chosen):
    adapter = UpgradeAdapter(asking(), ways(Asked), attempt)
    with pytest.raises(Chosen) as caught:
        adapter.send(prepared(url), proxies=proxies)
    assert caught.value.args == (chosen,)


def test_a_proxy_is_asked_for_the_server_and_the_server_for_the_path(hostile, adapter):
    proxy = hostile(*behind_proxy(answered(switching())))
    adapter.send(prepared("http://target.invalid:81/path"), proxies=through(proxy))
    connect, get = proxy.visit().requests
    assert (connect.method, connect.target) == ("CONNECT", "target.invalid:81")
    assert (get.method, get.target, get["Host"]) == ("GET", "/path", "target.invalid:81")
