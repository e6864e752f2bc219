"""The handshake through requests: what is taken from a session, and what is left as it was."""

# ruff: noqa: F811  # fixtures that are imported

from __future__ import annotations

import traceback
from base64 import b64encode
from http.cookiejar import LWPCookieJar
from itertools import combinations
from pathlib import Path

import pytest
import requests
from hypothesis import given, strategies as st
from requests.adapters import HTTPAdapter

from faye_sync.errors import ConfigurationError, HandshakeError
from faye_sync.transport.request import check_request_headers, check_url, without_secrets
from tests.client.conftest import _housekept, _plain_environment, hostile  # noqa: F401  # fixtures
from tests.support.certificates import certificate
from tests.support.clients import refused_port
from tests.support.heads import Request, head
from tests.support.hostile import HostileServer, answered, opened
from tests.support.ways import upgrade, ways

REFUSED = head(b"Content-Length: 0", status=b"HTTP/1.1 403 Forbidden")
SECRET = "s3cret"


@pytest.fixture
def refusing(hostile) -> HostileServer:
    return hostile(answered(REFUSED))


def asked(server: HostileServer, headers: tuple = (), url: str = "", **options: object) -> Request:
    """The request that a server which refuses was sent."""
    with pytest.raises(HandshakeError):
        upgrade(ways(**options), url or server.url(), headers)
    return server.visits[-1].requests[-1]


@pytest.fixture
def session():
    with requests.Session() as session:
        yield session


# --- a URL ----------------------------------------------------------------------------------------

URLS = {
    "ws://example.com": "ws://example.com",
    "WSS://Example.COM:443/a?b=c": "WSS://Example.COM:443/a?b=c",
    "ws://example.com/a#fragment": "ws://example.com/a",
    "ws://example.com#": "ws://example.com",
    "ws://example.com/?a#b?c#d": "ws://example.com/?a",
    "ws://user:pass@example.com/": "ws://user:pass@example.com/",
    "ws://[::1]:65535/": "ws://[::1]:65535/",
    "ws://b\xfccher.example/\xe9": "ws://b\xfccher.example/\xe9",
    "ws://example.com:/": "ws://example.com:/",
    "ws://example.com/%0d%0a": "ws://example.com/%0d%0a",
}


@pytest.mark.parametrize("url", URLS, ids=ascii)
def test_a_url_is_taken_as_it_is_without_its_fragment(url):
    assert check_url(url) == URLS[url]


NO_URLS = {
    "none": (None, "must be a str, got NoneType"),
    "bytes": (b"ws://example.com/", "must be a str, got bytes"),
    "empty": ("", "scheme must be ws or wss, got none in ''"),
    "no-scheme": ("example.com/chat", "got none in 'example.com/chat'"),
    "no-scheme-with-slashes": ("//example.com/", "got none in"),
    "http": ("http://example.com/", "got http in 'http://example.com/'"),
    "https": ("https://example.com/", "got https"),
    "no-host": ("ws:///path", "has a host"),
    "port-alone": ("ws://:80/", "no URL|has a host"),
    "userinfo-alone": ("ws://user:s3cret@/", "has a host"),
    "port-0": ("ws://example.com:0/", "has a port above 0"),
    "port-65536": ("ws://example.com:65536/", "no URL"),
    "port-a-word": ("ws://example.com:http/", "no URL"),
    "port-below-0": ("ws://example.com:-1/", "no URL"),
    "open-bracket": ("ws://[::1/", "no URL"),
    "ipv6-without-brackets": ("ws://::1/", "no URL"),
    "blank": ("ws://example.com/a b", "no blanks or control characters, got ' '"),
    "blank-first": (" ws://example.com/", "got ' '"),
    "newline-last": ("ws://example.com/\n", r"got '\\n'"),
    "tab": ("ws://exam\tple.com/", r"got '\\t'"),
    "nul": ("ws://example.com/\0", r"got '\\x00'"),
    "delete": ("ws://example.com/\x7f", r"got '\\x7f'"),
}


@pytest.mark.parametrize("url, told", NO_URLS.values(), ids=NO_URLS)
def test_what_is_no_url_of_a_websocket_is_refused(url, told):
    with pytest.raises(ConfigurationError, match=told):
        check_url(url)


BEFORE = st.sampled_from(["ws://", "wss://", "http://", "", "//", "ws:", "ws://[", "ws://a@"])
PART = st.text(st.sampled_from("ab:/?#[]%\xe9\u2100@ \n"), max_size=4)


@given(BEFORE, PART, PART, PART)
def test_no_refusal_of_a_url_shows_what_stands_before_an_at(before, user, mark, after):
    try:
        check_url(f"{before}{user}:{SECRET}{mark}@{after}")
    except ConfigurationError as error:
        text = str(error)
        assert SECRET not in text
        assert text.isascii()
        assert "\n" not in text


UNREADABLE = {
    # Beyond what urlsplit() takes: it is a/c once it is normalized.
    "host": "ws://user:s3cret@server\u2100invalid/",
    "user": "ws://us\u2100er:s3cret@server.invalid/",
    "bracket-in-password": "ws://user:s3[cret@server.invalid/",
}


@pytest.mark.parametrize("url", UNREADABLE.values(), ids=UNREADABLE)
def test_a_url_that_requests_cannot_read_is_not_shown(url):
    with pytest.raises(ConfigurationError) as caught:
        upgrade(ways(), url)
    text = "".join(traceback.format_exception(caught.value))
    assert SECRET not in text


SHOWN = {
    "ws://example.com/": "ws://example.com/",
    "": "",
    "ws://user:s3cret@example.com/a": "ws://...@example.com/a",
    "wss://s3cret@example.com": "wss://...@example.com",
    "user:s3cret@example.com": "...@example.com",
    "ws://user:s3cret@@example.com": "ws://...@example.com",
    "ws://user:s3cret#@example.com": "ws://...@example.com",
    "ws://user:s3cret/@example.com": "ws://...@example.com",
    "ws://user:s3cret@": "ws://...@",
}


@pytest.mark.parametrize("url", SHOWN)
def test_a_url_can_be_shown_without_its_userinfo(url):
    assert without_secrets(url) == SHOWN[url]


# --- headers --------------------------------------------------------------------------------------


def test_headers_that_can_be_sent_are_given_back():
    headers = (("Origin", "https://example.com"), ("X-A", "1"), ("x-a", "h\xe9"))
    assert check_request_headers(headers) == headers


@pytest.mark.parametrize("name", ["Proxy-Authorization", "proxy-authorization"])
def test_credentials_for_a_proxy_are_refused_with_the_cure_and_not_shown(name):
    with pytest.raises(
        ConfigurationError, match=f"^{name} is for the proxy; pass proxy="
    ) as caught:
        check_request_headers(((name, SECRET),))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["Upgrade", "connection", "Content-Length", "Sec-WebSocket-Key", "sec-websocket-new"]
)
def test_the_handshakes_own_headers_are_refused_and_not_shown(name):
    with pytest.raises(ConfigurationError, match="handshake's own") as caught:
        check_request_headers(((name, SECRET),))
    assert SECRET not in str(caught.value)


JOINED = {
    "other-names": ((("X-A", "1"), ("X-B", "2")), {"X-A": ["1"], "X-B": ["2"]}),
    "twice": ((("X-A", "1"), ("X-A", "2"), ("X-A", "1")), {"X-A": ["1, 2, 1"]}),
    "in-other-case": ((("X-Abc", "1"), ("x-aBC", "2")), {"X-Abc": ["1, 2"]}),
    "with-others-between": ((("X-A", "1"), ("X-B", "2"), ("X-A", "3")), {"X-A": ["1, 3"]}),
    "empty": ((("X-A", ""), ("X-A", "1")), {"X-A": [", 1"]}),
    "cookies": ((("Cookie", "a=1"), ("Cookie", "b=2; c=3")), {"Cookie": ["a=1; b=2; c=3"]}),
    "cookies-in-other-case": ((("cookie", "a=1"), ("COOKIE", "b=2")), {"Cookie": ["a=1; b=2"]}),
    "accept": ((("Accept", "a/b"),), {"Accept": ["a/b"], "Accept-Encoding": []}),
    "accept-twice": ((("accept", "a/b"), ("Accept", "c/d")), {"Accept": ["a/b, c/d"]}),
    "user-agent": ((("user-agent", "me"),), {"User-Agent": ["me"]}),
    "none": ((), {"Accept": [], "Accept-Encoding": [], "User-Agent": ["faye_sync"]}),
}


@pytest.mark.parametrize("headers, lines", JOINED.values(), ids=JOINED)
def test_headers_of_one_name_are_joined_to_one_line(refusing, headers, lines):
    request = asked(refusing, headers)
    assert {name: request.all(name) for name in lines} == lines


def test_of_a_session_all_headers_are_sent_but_those_for_pages(refusing, session):
    session.headers.update({"X-A": "session", "X-B": "session", "Accept-Language": "de"})
    request = asked(refusing, (("x-a", "client"),), session=session)
    assert (request.all("X-A"), request["X-B"]) == (["client"], "session")
    assert request["Accept-Language"] == "de"
    assert request["User-Agent"].startswith("python-requests")
    assert (request["Accept"], request["Accept-Encoding"]) == (None, None)


# --- who one is -----------------------------------------------------------------------------------


def basic(text: str, encoding: str = "utf-8") -> str:
    return f"Basic {b64encode(text.encode(encoding)).decode()}"


def named(session: requests.Session, names: set[str], port: int, netrc: Path) -> dict:
    """Options that say who one is, in each of some ways."""
    options: dict = {"session": session, "url": f"ws://127.0.0.1:{port}/"}
    if "option" in names:
        options["auth"] = ("option", "x")
    if "header" in names:
        # In any case, because the names of headers are.
        options["headers"] = (("aUTHORIZATION", basic("header:x")),)
    if "url" in names:
        options["url"] = f"ws://url:x@127.0.0.1:{port}/"
    if "session" in names:
        session.auth = ("session", "x")
    if "netrc" in names:
        netrc.write_text("machine 127.0.0.1 login netrc password x\n")
    if "session-header" in names:
        session.headers["Authorization"] = basic("session-header:x")
    return options


PRECEDENCE = ("option", "header", "url", "session", "netrc", "session-header")


@pytest.mark.parametrize(
    "first, second", list(combinations(PRECEDENCE, 2)), ids=lambda name: name.replace("-", "_")
)
def test_of_two_who_one_may_be_the_first_is_told(
    refusing, session, tmp_path, monkeypatch, first, second
):
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    options = named(session, {first, second}, refusing.port, netrc)
    assert asked(refusing, **options).all("Authorization") == [basic(f"{first}:x")]


USERINFO = {
    "user:pass@": basic("user:pass"),
    # Not without a password: requests has it so.
    "user@": None,
    "user:@": basic("user:"),
    ":pass@": basic(":pass"),
    "us%40er:p%3Aa%2Fss@": basic("us@er:p:a/ss"),
    "%C3%BCser:p%C3%A4ss@": basic("\xfcser:p\xe4ss"),
    "@": None,
    ":@": None,
}


@pytest.mark.parametrize("userinfo", USERINFO)
def test_userinfo_of_the_url_is_decoded_and_told_as_utf_8(refusing, userinfo):
    url = f"ws://{userinfo}127.0.0.1:{refusing.port}/"
    request = asked(refusing, url=url)
    assert request["Authorization"] == USERINFO[userinfo]
    assert request.target == "/"


def test_an_auth_object_may_leave_a_header_of_the_callers_own(refusing):
    def auth(request):
        request.headers["X-Signed"] = "yes"
        return request

    request = asked(refusing, (("Authorization", "Own way"),), auth=auth)
    assert (request["Authorization"], request["X-Signed"]) == ("Own way", "yes")


@pytest.mark.parametrize(
    "auth", [5, "user:s3cret", ["user", SECRET], (SECRET,), ("user", SECRET, "x"), {"user": SECRET}]
)
def test_what_is_no_auth_is_refused_and_not_shown(auth):
    with pytest.raises(ConfigurationError, match=r"^auth must be a callable") as caught:
        ways(auth=auth)
    assert str(caught.value).endswith(f"got {type(auth).__name__}")
    assert SECRET not in str(caught.value)


def test_a_session_with_a_password_that_latin_1_does_not_have_is_refused_and_not_shown(session):
    session.auth = ("user", f"{SECRET}\u2603")
    with pytest.raises(ConfigurationError) as caught:
        upgrade(ways(session=session), "ws://server.invalid/")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "password, octets", [("caf\xe9", b"caf\xe9"), ("\u2603", "\u2603".encode())], ids=ascii
)
def test_a_password_of_the_option_is_latin_1_where_it_can_be_and_else_utf_8(password, octets):
    assert ways(auth=("user", password)).auth == (b"user", octets)


@pytest.mark.parametrize("session", [5, "session", requests, requests.Session], ids=repr)
def test_what_is_no_session_is_refused(session):
    with pytest.raises(ConfigurationError, match=r"^session must be a requests\.Session or None"):
        ways(session=session)


# --- the session is left alone --------------------------------------------------------------------


class Slotted(requests.Session):
    """A session with a place of its own for what it knows, beside the dict that all have."""

    __slots__ = ("empty", "token")
    seen: list = []  # noqa: RUF012  # of the class, as is to be seen

    def __init__(self) -> None:
        super().__init__()
        self.token = "token"
        self.trace = "trace"

    def request(self, method, url, **options):
        self.seen.append((type(self), self.token, self.trace, hasattr(self, "empty")))
        return super().request(method, url, **options)


class OneSlot(Slotted):
    """__slots__ may be one name, and each class has its own."""

    __slots__ = "more"  # noqa: PLC0205  # as users write it

    def request(self, method, url, **options):
        self.seen.append(self.more)
        return super().request(method, url, **options)


def test_a_session_of_another_class_is_asked_with_all_that_it_knows(refusing):
    with Slotted() as session:
        asked(refusing, session=session)
        assert session.seen.pop() == (Slotted, "token", "trace", False)


def test_what_each_class_of_a_session_has_in_slots_is_there(refusing):
    with OneSlot() as session:
        session.more = "more"
        session.empty = None
        asked(refusing, session=session)
        assert session.seen.pop() == (OneSlot, "token", "trace", True)
        assert session.seen.pop() == "more"


def test_nothing_of_a_session_is_changed_but_its_cookies(hostile, session):
    server = hostile(opened())
    session.proxies = {"no_proxy": "127.0.0.1"}
    before = {name: value for name, value in vars(session).items() if name != "adapters"}
    adapters = list(session.adapters.items())
    upgrade(ways(session=session, proxy=False), server.url())
    assert {name: value for name, value in vars(session).items() if name != "adapters"} == before
    assert list(session.adapters.items()) == adapters
    assert session.proxies == {"no_proxy": "127.0.0.1"}
    assert session.max_redirects == 30


class Private(requests.Session):
    """A session with names that Python mangles."""

    __slots__ = ("__token",)

    def __init__(self) -> None:
        super().__init__()
        self.__token = "token"

    def request(self, method, url, **options):
        return super().request(method, url, headers={"X-Token": self.__token})


def test_private_names_in_slots_are_there(refusing):
    with Private() as session:
        assert asked(refusing, session=session)["X-Token"] == "token"


class WithDict:
    """A mixin for classes that have none of the two."""

    __slots__ = ("__dict__", "__weakref__")


class Mixed(WithDict, requests.Session):
    """Its dict is in its slots."""


def test_a_session_whose_dict_is_a_slot_keeps_its_adapters(refusing):
    with Mixed() as session:
        before = list(session.adapters.items())
        asked(refusing, session=session)
        assert list(session.adapters.items()) == before


class Mine(HTTPAdapter):
    """Any adapter of a user's own."""


@pytest.mark.parametrize("kind", [HTTPAdapter, Mine])
def test_the_pool_of_a_session_verifies_as_it_did(session, kind):
    adapter = kind()
    session.mount("https://", adapter)
    request = requests.Request("GET", f"https://127.0.0.1:{refused_port()}/").prepare()
    pool = adapter.get_connection_with_tls_context(request, True, proxies={}, cert=None)
    adapter.cert_verify(pool, request.url, True, None)
    with pytest.raises(ConnectionRefusedError):
        upgrade(ways(session=session), request.url.replace("https:", "wss:"))
    assert pool.cert_reqs == "CERT_REQUIRED"


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_the_adapters_of_a_session_connect_to_nobody(hostile, session, scheme):
    server = hostile(opened(), tls=scheme == "wss")
    session.verify = certificate().authority
    upgrade(ways(session=session), server.url())
    for adapter in session.adapters.values():
        pools = adapter.poolmanager.pools
        assert [pools.get(key).num_connections for key in pools.keys()] == [0] * len(pools)  # noqa: SIM118


COOKIES = head(
    b"Set-Cookie: new=2; Path=/", b"Content-Length: 0", status=b"HTTP/1.1 302 Found\r\nLocation: /b"
)


@pytest.mark.parametrize("jar", [None, LWPCookieJar], ids=["requests", "a-jar-of-the-library"])
def test_cookies_are_shared_with_the_session(hostile, session, jar):
    server = hostile(answered(COOKIES), opened())
    if jar is not None:
        session.cookies = jar()
    own = session.cookies
    old = requests.cookies.create_cookie("old", "1", domain="127.0.0.1")
    own.set_cookie(old)
    upgrade(ways(session=session), server.url())
    assert [server.request(number)["Cookie"] for number in (0, 1)] == ["old=1", "old=1; new=2"]
    assert session.cookies is own
    assert sorted(cookie.name for cookie in own) == ["new", "old"]


def test_a_session_may_allow_fewer_redirects(hostile, session):
    moved = head(b"Location: /", b"Content-Length: 0", status=b"HTTP/1.1 302 Found")
    server = hostile(answered(moved))
    session.max_redirects = 2
    with pytest.raises(HandshakeError, match="redirects in a loop") as caught:
        upgrade(ways(session=session), server.url())
    assert server.count() == 3
    assert (caught.value.status_code, len(caught.value.history)) == (302, 2)


# --- the way ends ---------------------------------------------------------------------------------


class Answering(requests.Session):
    """A session that has all answers already, as those that cache do."""

    def request(self, method, url, **options):
        answer = requests.Response()
        answer.status_code = 200
        return answer


def test_a_session_that_answers_by_itself_opens_nothing():
    with pytest.raises(HandshakeError, match="the session answered by itself") as caught:
        upgrade(ways(session=Answering()), "ws://server.invalid/")
    assert caught.value.status_code is None


class Deliberate(ValueError):
    """A user's own."""


@pytest.mark.parametrize("error", [Deliberate("x"), KeyError("x"), OSError("x")], ids=repr)
def test_what_an_auth_object_raises_goes_on_as_it_is(error):
    def auth(request):
        raise error

    with pytest.raises(type(error)) as caught:
        upgrade(ways(auth=auth), "ws://server.invalid/")
    assert caught.value is error


MISTAKES = {
    "a-header-of-another-type": lambda session: session.headers.update({"X-A": 5}),
    "a-header-with-a-newline": lambda session: session.headers.update({"X-A": "a\nb"}),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_what_requests_finds_wrong_is_told_as_an_error_of_ours(session, mistake):
    mistake(session)
    session.proxies = {"all": "http://127.0.0.1:1"}
    with pytest.raises(ConfigurationError, match=r"^this request cannot be made: ") as caught:
        upgrade(ways(session=session), "ws://server.invalid/")
    assert isinstance(caught.value.__cause__, requests.RequestException)


@pytest.mark.parametrize("attribute", ["verify", "cert"])
def test_a_file_of_the_session_that_is_not_there_is_told_before_anything_is_dialed(
    hostile, session, attribute
):
    server = hostile(opened())
    setattr(session, attribute, "/no/such/file")
    with pytest.raises(ConfigurationError, match=r"^TLS cannot be set up: .*/no/such/file"):
        upgrade(ways(session=session), server.url(scheme="wss"))
    assert server.count() == 0
