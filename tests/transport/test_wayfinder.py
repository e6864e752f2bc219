"""How a client gets to its servers: through which proxy, by whose TLS, from which address."""

# ruff: noqa: F811  # fixtures that are imported

from __future__ import annotations

import ssl
import traceback
from base64 import b64encode

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from faye_sync.errors import ConfigurationError
from faye_sync.transport.wayfinder import Wayfinder
from tests.client.conftest import _housekept, _plain_environment, hostile  # noqa: F401  # fixtures
from tests.support.certificates import certificate
from tests.support.hostile import opened
from tests.support.ways import upgrade, upgraded, ways

SECRET = "s3cret"


@pytest.fixture
def session():
    with requests.Session() as session:
        yield session


def prepared(url: str) -> requests.PreparedRequest:
    return requests.Request("GET", url).prepare()


# --- proxies --------------------------------------------------------------------------------------

PROXY_AUTHORIZATION = (("Proxy-Authorization", f"Basic {b64encode(b'u:p@ss').decode()}"),)
OPTIONS = {
    "http": ("http://proxy.example:3128", "http://proxy.example:3128", ()),
    "no-scheme": ("proxy.example", "http://proxy.example:80", ()),
    "socks": ("socks5h://proxy.example", "socks5h://proxy.example:1080", ()),
    "login": ("http://u:p%40ss@proxy.example", "http://proxy.example:80", PROXY_AUTHORIZATION),
    "mapping": ({"origin": "http://proxy.example"}, "http://proxy.example:80", ()),
    "headers": (
        {"origin": "http://proxy.example", "headers": {"X-A": "1"}},
        "http://proxy.example:80",
        (("X-A", "1"),),
    ),
    "headers-as-pairs-and-login": (
        {"origin": "http://u:p%40ss@proxy.example", "headers": [("X-A", "1"), ("X-A", "2")]},
        "http://proxy.example:80",
        (("X-A", "1"), ("X-A", "2"), *PROXY_AUTHORIZATION),
    ),
    "nothing-more": (
        {"origin": "http://proxy.example", "headers": None, "tls": None},
        "http://proxy.example:80",
        (),
    ),
}


class Chosen(Exception):
    """Which proxy was chosen, None if none was."""


REQUEST = requests.Request("GET", "http://server.example/").prepare()


class Asked(Wayfinder):
    """Ways that lead nowhere, and tell where they would."""

    def proxy_from(self, url, verify, request):
        raise Chosen(super().proxy_from(url, verify, request))

    def net_for(self, request):
        raise Chosen(None)


def chosen(url: str = "ws://server.invalid/", **options: object) -> object:
    """The proxy that a client would go through."""
    with pytest.raises(Chosen) as caught:
        upgrade(ways(Asked, **options), url)
    return caught.value.args[0]


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("option, text, headers", OPTIONS.values(), ids=OPTIONS)
def test_the_proxy_option_is_for_ws_and_wss(option, text, headers, scheme):
    proxy = chosen(f"{scheme}://server.invalid/", proxy=option)
    assert (str(proxy), proxy.headers, proxy.tls) == (text, headers, None)


NO_PROXIES = {
    "true": (True, "got bool"),
    "number": (5, "got int"),
    "bytes": (b"http://proxy.example", "got bytes"),
    "empty": ("", "needs a host"),
    "scheme": ("ftp://proxy.example", "one of http, https, socks4, socks4a, socks5, socks5h"),
    "an-empty-mapping": ({}, "got dict"),
    "a-mapping-without-origin": ({"headers": {"X-A": "1"}}, "got dict"),
    "an-origin-of-bytes": ({"origin": b"http://proxy.example"}, "got dict"),
    "an-unknown-key": (
        {"origin": "http://proxy.example", "orgin": 1},
        "proxy has no orgin; there are headers, origin, tls",
    ),
    "keys-of-other-types": ({"origin": "http://proxy.example", 5: 1, None: 2}, "no 5, None"),
    "headers": ({"origin": "http://proxy.example", "headers": 5}, "mapping or pairs, got int"),
    "tls": ({"origin": "https://proxy.example", "tls": 5}, "tls must be an ssl.SSLContext"),
    "tls-key": ({"origin": "https://proxy.example", "tls": {"x": 1}}, "tls has no 'x'"),
}


@pytest.mark.parametrize("option, told", NO_PROXIES.values(), ids=NO_PROXIES)
def test_a_proxy_option_that_cannot_work_is_refused_at_once(option, told):
    with pytest.raises(ConfigurationError, match=told):
        ways(proxy=option)


SECRETIVE = {
    "origin": {"origin": f"ftp://user:{SECRET}@proxy.example"},
    "text": f"http://user:{SECRET}@proxy.example:port",
    "header": {"origin": "http://proxy.example", "headers": {"X-A": f"{SECRET}\n"}},
    "authorization": {
        "origin": "http://proxy.example",
        "headers": {"Proxy-Authorization": f"Basic {SECRET}\0"},
    },
    "headers": {"origin": "http://proxy.example", "headers": [SECRET]},
    "mapping-without-origin": {"headers": {"X-A": SECRET}},
}


@pytest.mark.parametrize("option", SECRETIVE.values(), ids=SECRETIVE)
def test_no_refusal_of_a_proxy_option_shows_its_secrets(option):
    with pytest.raises(ConfigurationError) as caught:
        ways(proxy=option)
    assert SECRET not in str(caught.value)


def test_false_leads_around_every_proxy_and_none_takes_the_sessions(session, monkeypatch):
    session.proxies = {"ws": "http://of-the-session.example"}
    assert str(chosen(session=session)) == "http://of-the-session.example:80"
    monkeypatch.setenv("http_proxy", "http://of-the-environment.example")
    monkeypatch.setenv("ws_proxy", "http://of-the-environment.example")
    assert str(chosen(session=session)) == "http://of-the-environment.example:80"
    assert chosen(session=session, proxy=False) is None


@pytest.mark.parametrize("name", ["ws_proxy", "http_proxy", "all_proxy", "WS_PROXY"])
def test_the_option_comes_before_every_variable(monkeypatch, name):
    monkeypatch.setenv(name, "http://of-the-environment.example")
    for option in ("http://proxy.example", {"origin": "http://proxy.example"}):
        assert str(chosen(proxy=option)) == "http://proxy.example:80"


BAD_VARIABLES = {
    "bracket": "http://user:s3cret@[::1",
    "odd-sign": "http://user:s3cret@proxy\u2100",
    "port": "http://user:s3cret@proxy:port",
    "scheme": "ftp://user:s3cret@proxy",
    "hash": "http://user:s3#cret@proxy",
}


@pytest.mark.parametrize("place", ["environment", "session"])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("proxy", BAD_VARIABLES.values(), ids=BAD_VARIABLES)
def test_a_proxy_that_is_none_is_refused_wherever_it_stands_and_not_shown(
    session, monkeypatch, proxy, scheme, place
):
    if place == "environment":
        monkeypatch.setenv("all_proxy", proxy)
    else:
        session.proxies = {"all": proxy}
    with pytest.raises(ConfigurationError) as caught:
        upgrade(ways(session=session), f"{scheme}://server.invalid/")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


class Heading(HTTPAdapter):
    """An adapter whose proxies want a header."""

    def proxy_headers(self, proxy):
        return {**super().proxy_headers(proxy), "X-From": "adapter"}


def test_what_the_sessions_adapter_has_for_proxies_is_sent_unless_the_option_says(session):
    session.mount("http://", Heading())
    origin = "http://u:p%40ss@proxy.example"
    proxy = chosen(session=session, proxy=origin)
    assert sorted(proxy.headers) == [*PROXY_AUTHORIZATION, ("X-From", "adapter")]
    own = {"origin": origin, "headers": {"X-Own": "1"}}
    proxy = chosen(session=session, proxy=own)
    assert proxy.headers == (("X-Own", "1"), *PROXY_AUTHORIZATION)


VERIFIED = {
    True: (ssl.CERT_REQUIRED, True),
    False: (ssl.CERT_NONE, False),
}


@pytest.mark.parametrize("verify", VERIFIED)
def test_tls_with_a_proxy_is_verified_as_the_servers_is(verify):
    settings = ways().proxy_from("https://proxy.example:3129", verify, REQUEST).tls
    assert settings.server_hostname == "proxy.example"
    assert (settings.context.verify_mode, settings.context.check_hostname) == VERIFIED[verify]


def test_tls_with_a_proxy_is_by_its_own_option_where_there_is_one():
    context = ssl.create_default_context()
    option = {"origin": "https://proxy.example", "tls": context}
    settings = ways(proxy=option).proxy_from(option["origin"], False, REQUEST).tls
    assert (settings.context, settings.server_hostname) == (context, "proxy.example")


def test_tls_with_a_proxy_is_not_by_the_option_for_the_server():
    context = ssl.create_default_context()
    found = ways(tls=context)
    assert found.proxy_from("https://proxy.example", True, REQUEST).tls.context is not context
    request = prepared("https://server.invalid/")
    assert found.tls_for(request, True, None).context is context


# --- adapters of the user's own -------------------------------------------------------------------


class Pooling(HTTPAdapter):
    """An adapter that makes its pools with options, as its documentation shows."""

    def __init__(self, **options: object) -> None:
        self._pooling = options
        super().__init__()

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, **options, **self._pooling)


class Foreign(BaseAdapter):
    """An adapter that has nothing of requests' own."""

    def send(self, request, **options):
        raise NotImplementedError

    def close(self):
        pass


NODELAY = (6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY
SOURCE = ("127.0.0.2", 0)
NETS = {
    "none": (Pooling(), None, (None, ())),
    "source": (Pooling(source_address=SOURCE), None, (SOURCE, ())),
    "options": (Pooling(socket_options=[NODELAY]), None, (None, (NODELAY,))),
    "both": (Pooling(source_address=SOURCE, socket_options=[NODELAY]), None, (SOURCE, (NODELAY,))),
    "the-option-net-comes-first": (
        Pooling(source_address=SOURCE),
        {"source_address": ("127.0.0.3", 0)},
        (("127.0.0.3", 0), ()),
    ),
    "foreign": (Foreign(), None, (None, ())),
    "foreign-and-the-option": (Foreign(), {"source_address": SOURCE}, (SOURCE, ())),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("adapter, net, expected", NETS.values(), ids=NETS)
def test_sockets_are_opened_as_the_sessions_adapter_would(session, scheme, adapter, net, expected):
    session.mount(f"{scheme}://", adapter)
    request = prepared(f"{scheme}://server.invalid/")
    found = ways(session=session, net=net).net_for(request)
    assert (found.source_address, found.socket_options) == expected


def test_an_adapter_counts_for_what_it_is_mounted_at(hostile, session):
    server, other = hostile(opened()), hostile(opened())
    session.mount(server.url(scheme="http"), Pooling(source_address=SOURCE))
    sources = []
    for each in (server, other):
        with upgraded(ways(session=session), each.url()) as found:
            sources.append(found.route.sock.getsockname()[0])
    assert sources == ["127.0.0.2", "127.0.0.1"]


def test_an_adapter_whose_options_cannot_work_is_told_of(session):
    session.mount("http://", Pooling(source_address=5))
    with pytest.raises(ConfigurationError, match="source_address"):
        upgrade(ways(session=session), "ws://server.invalid/")


def test_the_context_of_an_adapter_is_the_one_that_is_used(session):
    context = ssl.create_default_context()
    session.mount("https://server.invalid/", Pooling(ssl_context=context))
    found = ways(session=session)
    for url, is_its in (("https://server.invalid/", True), ("https://other.invalid/", False)):
        request = prepared(url)
        assert (found.tls_for(request, True, None).context is context) is is_its


def test_what_an_adapter_asserts_is_checked_after_the_handshake(session):
    request = prepared("https://server.invalid/")
    assert ways(session=session).tls_for(request, True, None).check is None
    session.mount("https://", Pooling(assert_fingerprint="aa" * 32))
    settings = ways(session=session).tls_for(request, True, None)
    assert settings.check is not None
    assert not settings.context.check_hostname


def test_an_adapter_that_is_not_of_requests_is_taken_for_one_that_is(hostile, session):
    server = hostile(opened(), tls=True)
    session.mount("https://", Foreign())
    session.verify = certificate().authority
    with upgraded(ways(session=session), server.url()) as found:
        assert found.head.status == 101


def test_the_tls_option_comes_before_what_the_session_says(session):
    session.verify = False
    session.mount("https://", Pooling(ssl_context=ssl.create_default_context()))
    found = ways(session=session, ca=certificate().authority)
    request = prepared("https://[::1]:443/")
    settings = found.tls_for(request, False, None)
    assert settings.context.verify_mode is ssl.CERT_REQUIRED
    assert settings.server_hostname == "::1"
    assert len(settings.context.get_ca_certs()) == 1


def test_a_file_of_the_tls_option_that_is_not_there_is_told_at_once():
    with pytest.raises(FileNotFoundError):
        ways(ca="/no/such/file")
    with pytest.raises(FileNotFoundError):
        ways(proxy={"origin": "https://proxy.example", "tls": {"ca": "/no/such/file"}})


def test_to_go_without_a_proxy_leaves_the_environment_alone_which_threads_share():
    ways = Wayfinder(session=None, auth=None, proxy=False, tls=None, ca=None, net=None)
    # With a "no_proxy" requests would set that of the environment, and take it back.
    assert "no_proxy" not in ways.proxies
    assert set(ways.proxies.values()) == {""}
