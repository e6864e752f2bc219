"""The client through real proxies: squid, proxy.py, dante and tiny-proxy.

What proxies may do wrong is in test_hostile_proxies.py and test_hostile_socks.py."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from faye_sync import Client, HandshakeError, ProxyError
from tests.support.certificates import certificate
from tests.support.endings import in_time, nothing_left
from tests.support.parts import require
from tests.support.proxies import (
    LOGIN,
    PASSWORD,
    TOKEN,
    USER,
    Proxy,
    dante,
    held_port,
    missing_dante,
    missing_squid,
    proxy_py,
    squid,
    tiny_proxy,
)
from tests.support.servers import Server
from tests.test_concurrency import run_script

PATIENCE = 20.0  # seconds to wait for what should come at once
BIG = "mirror " * 100_000
WRONG_LOGIN = f"{USER}:wrong@"

AUTHORITY = certificate().authority
TRUSTING = {"ca": AUTHORITY}
IDENTIFIED = {**TRUSTING, "cert": certificate().chain, "key": certificate().key}

# By what it needs: how each is started, once for the module.
PARTS = {
    "squid": ("squid", squid),
    "proxy.py": (None, proxy_py),
    "proxy.py-login": (None, lambda folder: proxy_py(folder, "--basic-auth", f"{USER}:{PASSWORD}")),
    "proxy.py-tls": (
        None,
        lambda folder: proxy_py(
            folder,
            *("--cert-file", certificate().chain, "--key-file", certificate().key),
            scheme="https",
        ),
    ),
    "dante": ("dante", dante),
    "tiny-4": (None, lambda folder: tiny_proxy(folder, "socks4")),
    "tiny-4-user": (None, lambda folder: tiny_proxy(folder, "socks4", USER)),
    "tiny-5": (None, lambda folder: tiny_proxy(folder, "socks5", USER, PASSWORD)),
}
MISSING = {"squid": missing_squid, "dante": missing_dante}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Give a proxy by its name; that of a squid is squid-<port>."""
    running: dict[str, dict[str, Proxy] | Proxy] = {}
    with ExitStack() as stack:

        def start(name: str) -> Proxy:
            part, port = ("squid", name[6:]) if name.startswith("squid-") else (name, "")
            needed, starter = PARTS[part]
            if needed:
                require(needed, MISSING[needed]())
            if part not in running:
                running[part] = stack.enter_context(starter(tmp_path_factory.mktemp(part)))
            return running[part][port] if port else running[part]

        yield start


@pytest.fixture(params=["ws", "wss"])
def server(request, started) -> Server:
    return started("werkzeug-tls" if request.param == "wss" else "gunicorn-gthread")


@pytest.fixture
def plain(started) -> Server:
    return started("gunicorn-gthread")


def url_of(server: Server, host: str = "localhost") -> str:
    return server.ws("/callbacks/echo").replace("127.0.0.1", host)


def assert_echoes(client: Client, proxy: Proxy | None = None) -> None:
    """Have messages come back, through the proxy and not around it."""
    with client as ws:
        if proxy is not None:
            assert ws.remote_address == ("127.0.0.1", proxy.port)
        for message in ("hello", BIG, b"\0" * 70_000):
            ws.send(message)
            assert ws.receive(PATIENCE) == message
    assert ws.close_code == 1000


# Of a proxy: its scheme, the login, and TLS with the proxy itself.
ROUTES = {
    "squid": ("squid-open", "http", "", None),
    "squid-with-a-login": ("squid-login", "http", LOGIN, None),
    "squid-over-tls": ("squid-tls", "https", "", TRUSTING),
    "squid-with-a-clients-certificate": ("squid-mutual", "https", "", IDENTIFIED),
    "proxy.py": ("proxy.py", "http", "", None),
    "proxy.py-with-a-login": ("proxy.py-login", "http", LOGIN, None),
    "proxy.py-over-tls": ("proxy.py-tls", "https", "", TRUSTING),
    "dante-socks4": ("dante", "socks4", "", None),
    "dante-socks5": ("dante", "socks5", "", None),
    "dante-socks5h": ("dante", "socks5h", "", None),
    "tiny-socks4": ("tiny-4", "socks4", "", None),
    "tiny-socks4a": ("tiny-4", "socks4a", "", None),
    "tiny-socks4a-with-a-user": ("tiny-4-user", "socks4a", f"{USER}@", None),
    "tiny-socks5-with-a-login": ("tiny-5", "socks5", LOGIN, None),
    "tiny-socks5h-with-a-login": ("tiny-5", "socks5h", LOGIN, None),
}


@pytest.mark.parametrize("name, scheme, login, tls", ROUTES.values(), ids=ROUTES)
def test_every_proxy_leads_to_the_server(proxy, server, name, scheme, login, tls):
    through = proxy(name)
    origin = through.url(login, scheme)
    option = {"origin": origin, "tls": tls} if tls else origin
    ca = {"ca": AUTHORITY} if server.tls else {}
    assert_echoes(Client(url_of(server), proxy=option, **ca), through)


def test_headers_of_ones_own_go_to_the_proxy(proxy, plain):
    origin = proxy("squid-token").url()
    option = {"origin": origin, "headers": {"X-Token": TOKEN}}
    assert_echoes(Client(url_of(plain), proxy=option), proxy("squid-token"))
    with pytest.raises(ProxyError) as caught:
        Client(url_of(plain), proxy=origin, headers={"X-Token": TOKEN}).connect()
    assert caught.value.status_code == 403


@pytest.mark.parametrize("kind", ["dict", "context"])
def test_tls_with_the_proxy_may_be_given_either_way(proxy, plain, kind):
    context = ssl.create_default_context(cafile=AUTHORITY)
    context.load_cert_chain(certificate().chain, certificate().key)
    option = {"origin": proxy("squid-mutual").url(), "tls": {"dict": IDENTIFIED}.get(kind, context)}
    assert_echoes(Client(url_of(plain), proxy=option), proxy("squid-mutual"))


def test_a_session_that_trusts_the_proxys_authority_needs_no_option(proxy, server):
    with requests.Session() as session:
        session.verify = AUTHORITY
        session.proxies = {"all": proxy("squid-tls").url()}
        assert_echoes(Client(url_of(server), session=session), proxy("squid-tls"))


# --- refusals -----------------------------------------------------------------------------------------

LOGINS = {
    "squid-without": ("squid-login", "http", ""),
    "squid-wrong": ("squid-login", "http", WRONG_LOGIN),
    "proxy.py-without": ("proxy.py-login", "http", ""),
    "proxy.py-wrong": ("proxy.py-login", "http", WRONG_LOGIN),
}


@pytest.mark.parametrize("name, scheme, login", LOGINS.values(), ids=LOGINS)
def test_a_login_that_is_wrong_or_missing_is_a_407(proxy, plain, name, scheme, login):
    client = Client(url_of(plain), proxy=proxy(name).url(login))
    with in_time(0), pytest.raises(ProxyError, match="407") as caught:
        client.connect()
    assert caught.value.status_code == 407
    assert caught.value.headers["Proxy-Authenticate"].startswith("Basic")
    assert "wrong" not in str(caught.value)


def test_the_page_that_comes_with_a_407_is_kept(proxy, plain):
    with pytest.raises(ProxyError) as caught:
        Client(url_of(plain), proxy=proxy("squid-login").url()).connect()
    assert b"<html" in caught.value.body.lower()
    assert int(caught.value.headers["Content-Length"]) == len(caught.value.body)


def test_a_login_of_socks_that_is_wrong_or_missing_is_told(proxy, plain):
    for login in ("", WRONG_LOGIN):
        client = Client(url_of(plain), proxy=proxy("tiny-5").url(login))
        with in_time(0), pytest.raises(ProxyError) as caught:
            client.connect()
        assert "wrong" not in str(caught.value)
    client = Client(url_of(plain), proxy=proxy("tiny-4-user").url("other@", "socks4a"))
    with in_time(0), pytest.raises(ProxyError):
        client.connect()


def test_a_proxy_that_leads_to_port_443_alone_is_told_of(proxy, plain):
    with pytest.raises(ProxyError, match="many proxies allow CONNECT to port 443 only") as caught:
        Client(url_of(plain), proxy=proxy("squid-strict").url()).connect()
    assert caught.value.status_code == 403


GIVING_UP = {
    "squid": ("squid-open", "http", ""),
    "squid-over-tls": ("squid-tls", "https", ""),
    "proxy.py": ("proxy.py", "http", ""),
    "dante-socks4": ("dante", "socks4", ""),
    "dante-socks5": ("dante", "socks5", ""),
    "tiny-socks4a": ("tiny-4", "socks4a", ""),
    "tiny-socks5h": ("tiny-5", "socks5h", LOGIN),
}


@pytest.mark.parametrize("name, scheme, login", GIVING_UP.values(), ids=GIVING_UP)
def test_a_server_that_the_proxy_cannot_reach_is_a_proxy_error(proxy, name, scheme, login):
    tls = TRUSTING if scheme == "https" else None
    option = {"origin": proxy(name).url(login, scheme), "tls": tls}
    with held_port() as port, nothing_left(), in_time(0), pytest.raises(ProxyError) as caught:
        Client(f"ws://127.0.0.1:{port}/", proxy=option).connect()
    if scheme in {"http", "https"}:
        assert caught.value.status_code >= 500


def test_a_refusal_of_the_server_behind_the_proxy_is_the_servers(proxy, plain):
    for name, scheme, login in (("squid-open", "http", ""), ("tiny-5", "socks5h", LOGIN)):
        option = proxy(name).url(login, scheme)
        with pytest.raises(HandshakeError) as caught:
            Client(plain.ws("/threads"), proxy=option).connect()
        assert type(caught.value) is HandshakeError
        assert caught.value.status_code == 200


def test_a_proxy_that_nobody_signed_for_is_not_spoken_to(proxy, plain):
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(url_of(plain), proxy=proxy("squid-tls").url()).connect()


def test_a_server_behind_a_proxy_is_verified_for_itself(proxy, started):
    server = started("werkzeug-tls")
    option = {"origin": proxy("squid-tls").url(), "tls": TRUSTING}
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(url_of(server), proxy=option).connect()


def test_a_proxy_that_wants_a_certificate_refuses_who_has_none(proxy, plain):
    option = {"origin": proxy("squid-mutual").url(), "tls": TRUSTING}
    with in_time(0), pytest.raises((ssl.SSLError, ConnectionError)):
        Client(url_of(plain), proxy=option).connect()


# --- the environment and the session ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_the_environment_names_a_proxy_for_ws(proxy, plain, monkeypatch, name):
    monkeypatch.setenv(name, proxy("squid-login").url(LOGIN))
    assert_echoes(Client(url_of(plain)), proxy("squid-login"))


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_the_environment_names_a_proxy_for_wss(proxy, started, monkeypatch, name):
    monkeypatch.setenv(name, proxy("tiny-5").url(LOGIN, "socks5h"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert_echoes(Client(url_of(started("werkzeug-tls")), ca=AUTHORITY), proxy("tiny-5"))


def test_a_proxy_of_the_environment_may_lack_its_scheme(proxy, plain, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy('squid-open').port}")
    assert_echoes(Client(url_of(plain)), proxy("squid-open"))


@pytest.mark.parametrize("hosts", ["localhost", "*", "other.example,localhost", ".localhost"])
def test_no_proxy_leads_around_it(plain, monkeypatch, hosts):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", hosts)
    with Client(url_of(plain)) as ws:
        assert ws.remote_address == ("127.0.0.1", plain.port)


def test_no_proxy_of_addresses_may_be_a_network(plain, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    assert_echoes(Client(url_of(plain, "127.0.0.1")))


def test_no_proxy_for_others_leaves_ours(proxy, plain, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy("squid-open").url())
    monkeypatch.setenv("NO_PROXY", "other.example")
    assert_echoes(Client(url_of(plain)), proxy("squid-open"))


def test_false_leads_around_the_proxies_of_environment_and_session(plain, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with requests.Session() as session:
        session.proxies = {"http": "http://127.0.0.1:9"}
        assert_echoes(Client(url_of(plain), session=session, proxy=False))


def test_the_option_comes_before_environment_and_session(proxy, plain, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    with requests.Session() as session:
        session.proxies = {"http": "http://127.0.0.1:9"}
        option = proxy("squid-open").url()
        assert_echoes(Client(url_of(plain), session=session, proxy=option), proxy("squid-open"))


@pytest.mark.parametrize("key", ["http", "ws", "all", "http://localhost"])
def test_a_session_names_a_proxy(proxy, plain, key):
    with requests.Session() as session:
        session.proxies = {key: proxy("squid-login").url(LOGIN)}
        assert_echoes(Client(url_of(plain), session=session), proxy("squid-login"))


# --- hubs and descriptors -----------------------------------------------------------------------------

ON_A_HUB = """
from faye_sync import Client

for option in OPTIONS:
    with Client("URL", proxy=option, ca="AUTHORITY") as ws:
        ws.send("hello")
        print(ws.receive(20))
"""


@pytest.mark.parametrize("under", ["gevent", "eventlet"])
@pytest.mark.parametrize("patched", [False, True], ids=["unpatched", "patched"])
def test_under_a_hub_every_kind_of_proxy_leads_on(proxy, started, under, patched):
    options = [
        proxy("squid-login").url(LOGIN),
        {"origin": proxy("squid-mutual").url(), "tls": IDENTIFIED},
        proxy("tiny-4").url(scheme="socks4a"),
        proxy("tiny-5").url(LOGIN, "socks5h"),
    ]
    script = (
        ON_A_HUB.replace("OPTIONS", repr(options))
        .replace("URL", url_of(started("werkzeug-tls")))
        .replace("AUTHORITY", AUTHORITY)
    )
    assert run_script(script, under=under, patched=patched) == "hello\n" * len(options)


def test_many_connections_through_proxies_leave_nothing(proxy, plain):
    routes = (("squid-tls", "https", "", TRUSTING), ("tiny-5", "socks5h", LOGIN, None))
    for name, scheme, login, tls in routes:
        option = {"origin": proxy(name).url(login, scheme), "tls": tls}
        # What lasts, housekeeping and the trusted authorities, is there after the first.
        with Client(url_of(plain), proxy=option):
            pass
        with nothing_left():
            for _ in range(50):
                with Client(url_of(plain), proxy=option):
                    pass
