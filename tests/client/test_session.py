"""A session of requests as its users have it: what it holds goes into the handshake, and back.

The site is Flask's, served by gunicorn with TLS."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import trustme
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth
from urllib3.util.ssl_ import create_urllib3_context

from faye_sync import Client, HandshakeError
from tests.support.certificates import certificate
from tests.support.login_site import NAME, PASSWORD, TOKEN
from tests.support.planned_server import PlannedServer, greet
from tests.support.servers import Server, serve

PATIENCE = 20.0  # seconds to wait for what should come at once
SITE = "tests.support.login_site:app"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("gunicorn-gthread-tls", SITE, tmp_path_factory.mktemp("site")) as server:
        yield server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session that trusts the site."""
    with requests.Session() as session:
        session.verify = certificate().authority
        yield session


def https(site: Server, path: str) -> str:
    return f"https://127.0.0.1:{site.port}{path}"


def seen(ws: Client) -> dict:
    """What the site saw of the handshake; headers by their name."""
    first = json.loads(ws.receive(PATIENCE))
    return {**first, "headers": dict(first["headers"])}


def seen_with(site: Server, path: str, **options) -> dict:
    with Client(site.ws(path), **options) as ws:
        return seen(ws)


def login(session: requests.Session, site: Server) -> None:
    form = {"name": NAME, "password": PASSWORD}
    assert session.post(https(site, "/login"), data=form, timeout=PATIENCE).status_code == 200


# --- cookies --------------------------------------------------------------------------------------------


def test_a_login_over_https_opens_the_websocket_whose_101_sets_a_cookie_for_the_next_page(
    site, session
):
    login(session, site)
    with Client(site.ws("/ws?user"), session=session) as ws:
        assert seen(ws)["cookies"] == {"user": NAME}
        ws.send("hello")
        assert ws.receive(PATIENCE) == "hello"
    page = session.get(https(site, "/me"), timeout=PATIENCE).json()
    assert page["cookies"] == {"user": NAME, "met": "yes"}


def test_who_has_not_logged_in_is_refused_with_the_sites_own_text(site, session):
    with pytest.raises(HandshakeError) as caught:
        Client(site.ws("/ws?user"), session=session).connect()
    error = caught.value
    assert (error.status_code, error.body) == (403, b"log in first")
    assert error.headers["Content-Type"].startswith("text/html")


def test_a_session_goes_on_with_pages_while_its_websocket_is_open(site, session):
    login(session, site)
    with Client(site.ws("/ws"), session=session) as ws:
        seen(ws)
        for number in range(3):
            assert session.get(https(site, "/me"), timeout=PATIENCE).status_code == 200
            ws.send(f"{number}")
            assert ws.receive(PATIENCE) == f"{number}"


def test_the_sessions_own_adapters_and_connections_are_left_alone(site, session):
    session.get(https(site, "/me"), timeout=PATIENCE)
    before = dict(vars(session))
    adapters = dict(session.adapters)
    with Client(site.ws("/ws"), session=session) as ws:
        seen(ws)
    assert dict(session.adapters) == adapters
    assert {name: value for name, value in vars(session).items() if name != "cookies"} == {
        name: value for name, value in before.items() if name != "cookies"
    }


def test_secure_cookies_stay_away_from_a_plain_websocket(session):
    session.cookies.set("secret", "s", secure=True, domain="127.0.0.1")
    session.cookies.set("open", "o", domain="127.0.0.1")
    with PlannedServer(greet()) as server:
        with Client(server.url, session=session):
            request = server.visit().request
        assert request.headers["Cookie"] == "open=o"


def test_a_cookie_header_of_the_callers_own_is_sent_as_it_is(site, session):
    login(session, site)
    cookies = seen_with(site, "/ws", session=session, headers={"Cookie": "mine=1"})["cookies"]
    assert cookies == {"mine": "1"}


# --- authentication -------------------------------------------------------------------------------------


class Bearer(AuthBase):
    """A custom scheme, as the documentation of requests shows one."""

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {TOKEN}"
        return request


BYTES = (NAME.encode(), PASSWORD.encode())

SCHEMES = {
    "basic-pair": ("/basic/ws", BYTES),
    "basic-object": ("/basic/ws", HTTPBasicAuth(*BYTES)),
    "digest-sha-256": ("/digest/ws?algorithm=SHA-256", HTTPDigestAuth(NAME, PASSWORD)),
    "digest-md5": ("/digest/ws?algorithm=MD5", HTTPDigestAuth(NAME, PASSWORD)),
    "custom": ("/bearer/ws", Bearer()),
}
schemes = pytest.mark.parametrize("path, auth", SCHEMES.values(), ids=SCHEMES)


@schemes
def test_auth_of_the_client_opens_the_websocket(site, path, auth):
    with Client(site.ws(path), auth=auth, ca=certificate().authority) as ws:
        seen(ws)
        assert ws.status_code == 101


@schemes
def test_auth_of_the_session_opens_the_websocket(site, session, path, auth):
    session.auth = auth
    with Client(site.ws(path), session=session) as ws:
        seen(ws)


@schemes
def test_a_wrong_secret_is_a_401_with_what_the_site_asks_for(site, session, path, auth):
    digest = isinstance(auth, HTTPDigestAuth)
    wrong = HTTPDigestAuth(NAME, "wrong") if digest else (NAME, "wrong")
    with pytest.raises(HandshakeError) as caught:
        Client(site.ws(path), session=session, auth=wrong).connect()
    error = caught.value
    assert error.status_code == 401
    assert 'realm="the site"' in error.headers["WWW-Authenticate"]
    assert [answer.status_code for answer in error.history] == [401] * digest


def test_digest_takes_a_second_request_with_a_key_of_its_own_and_the_cookie_of_the_first_answer(
    site, session
):
    auth = HTTPDigestAuth(NAME, PASSWORD)
    with Client(site.ws("/digest/ws"), session=session, auth=auth) as ws:
        assert seen(ws)["cookies"] == {"asked": "yes"}


def test_a_digest_that_was_answered_once_is_answered_at_once_by_the_next_client(site, session):
    session.auth = HTTPDigestAuth(NAME, PASSWORD)
    first, second = (
        seen_with(site, "/digest/ws", session=session)["headers"]["authorization"] for _ in range(2)
    )
    assert "nc=00000001" in first
    assert "nc=00000002" in second


def test_userinfo_of_the_url_is_basic_authentication(site):
    url = site.ws("/basic/ws").replace("wss://", "wss://Ada:pass%3Aw%C3%B6rd@")
    with Client(url, ca=certificate().authority) as ws:
        seen(ws)


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write a netrc file for the site."""

    def write(name: str, password: str) -> None:
        path = tmp_path / "netrc"
        path.write_text(f"machine 127.0.0.1 login {name} password {password}\n", encoding="utf-8")
        monkeypatch.setenv("NETRC", str(path))

    return write


def authorization(visit) -> str | None:
    return visit.request.headers.get("Authorization")


BASIC_NETRC = "Basic bmV0OnJj"  # net:rc


def test_netrc_is_looked_up(netrc):
    netrc("net", "rc")
    with PlannedServer(greet()) as server, Client(server.url):
        assert authorization(server.visit()) == BASIC_NETRC


def test_netrc_stays_behind_auth_userinfo_and_a_header_of_the_callers_own(netrc):
    netrc("net", "rc")
    with PlannedServer(greet()) as server:
        for url, options, expected in (
            (server.url, {"auth": ("a", "b")}, "Basic YTpi"),
            (server.url.replace("//", "//c:d@"), {}, "Basic Yzpk"),
            (server.url, {"headers": {"Authorization": "Own way"}}, "Own way"),
        ):
            with Client(url, **options):
                assert authorization(server.visit()) == expected


def test_a_session_that_trusts_no_environment_does_not_look_at_netrc(netrc, session):
    netrc("net", "rc")
    session.trust_env = False
    with PlannedServer(greet()) as server, Client(server.url, session=session):
        assert authorization(server.visit()) is None


# --- headers, params, hooks, subclasses -----------------------------------------------------------------


def test_headers_and_params_of_the_session_are_sent_with_the_clients_own(site, session):
    session.headers["X-From"] = "session"
    session.headers["X-Both"] = "session"
    session.params = {"page": "2"}
    both = seen_with(site, "/ws?own=1", session=session, headers={"X-Both": "client"})
    assert both["query"] == [["own", "1"], ["page", "2"]]
    assert (both["headers"]["x-from"], both["headers"]["x-both"]) == ("session", "client")


def test_a_hook_of_the_session_is_called_with_the_101(site, session):
    answers = []
    session.hooks["response"].append(lambda answer, **_: answers.append(answer))
    with Client(site.ws("/ws"), session=session) as ws:
        seen(ws)
    assert [(answer.status_code, answer.headers["Upgrade"]) for answer in answers] == [
        (101, "websocket")
    ]


class Deliberate(Exception):
    """A hook's own."""


def test_a_hook_that_raises_ends_the_connection(session):
    def fail(answer, **_):
        raise Deliberate

    session.hooks["response"].append(fail)
    with PlannedServer(greet()) as server:
        with pytest.raises(Deliberate):
            Client(server.url, session=session).connect()
        assert server.visit().parting() is None


class Traced(requests.Session):
    """A session that adds a header to all it asks for, and counts."""

    def __init__(self, trace: str) -> None:
        super().__init__()
        self.trace = trace
        self.asked: list[str] = []

    def request(self, method, url, **options):
        self.asked.append(f"{method} {url}")
        headers = {**(options.pop("headers", None) or {}), "X-Trace": self.trace}
        return super().request(method, url, headers=headers, **options)


def test_a_session_that_overrides_request_is_asked_too(site):
    with Traced("a trace") as session:
        session.verify = certificate().authority
        headers = seen_with(site, "/ws", session=session)["headers"]
    assert headers["x-trace"] == "a trace"
    assert session.asked == [f"GET {https(site, '/ws')}"]


def test_a_redirect_is_followed_with_the_sessions_cookies(site, session):
    login(session, site)
    with Client(site.ws("/moved"), session=session) as ws:
        assert seen(ws)["cookies"]["user"] == NAME


# --- verify and cert ------------------------------------------------------------------------------------


def test_a_session_that_does_not_know_the_authority_refuses_the_site(site):
    with requests.Session() as session, pytest.raises(ssl.SSLCertVerificationError):
        Client(site.ws("/ws"), session=session).connect()


def test_verify_false_of_the_session_takes_any_certificate(site):
    with requests.Session() as session:
        session.verify = False
        with Client(site.ws("/ws"), session=session) as ws:
            seen(ws)


def test_the_ca_variable_of_requests_counts_as_it_does_for_pages(site, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate().authority)
    with Client(site.ws("/ws")) as ws:
        seen(ws)


class OwnContext(HTTPAdapter):
    """An adapter with a context of its own, as the documentation of requests shows one."""

    def init_poolmanager(self, *arguments, **options):
        context = create_urllib3_context()
        context.load_verify_locations(certificate().authority)
        return super().init_poolmanager(*arguments, ssl_context=context, **options)


def test_an_adapter_that_the_session_has_for_the_site_brings_its_context(site):
    with requests.Session() as session:
        session.mount(https(site, "/"), OwnContext())
        with Client(site.ws("/ws"), session=session) as ws:
            seen(ws)


@pytest.fixture
def guarded() -> Iterator[tuple[PlannedServer, trustme.CA]]:
    """A server that wants a certificate of its clients, and who signs these."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate().chain, certificate().key)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    with PlannedServer(greet("come in"), tls=context) as server:
        yield server, authority


def test_the_certificate_of_the_session_is_shown_to_the_server(guarded, session, tmp_path):
    server, authority = guarded
    pem = tmp_path / "client.pem"
    authority.issue_cert("ada@example.com").private_key_and_cert_chain_pem.write_to_path(pem)
    session.cert = str(pem)
    with Client(server.url, session=session) as ws:
        assert ws.receive(PATIENCE) == "come in"
    names = server.visit().certificate["subjectAltName"]
    assert names == (("email", "ada@example.com"),)


def test_a_client_without_the_certificate_is_refused(guarded, session):
    server, _ = guarded
    with pytest.raises((OSError, HandshakeError)):
        Client(server.url, session=session).connect()
    assert server.count == 0


# --- threads --------------------------------------------------------------------------------------------


def test_two_threads_share_one_session(site, session):
    login(session, site)
    heard: list[str] = []

    def talk(name: str) -> None:
        for number in range(10):
            with Client(site.ws("/ws?user"), session=session) as ws:
                assert seen(ws)["cookies"]["user"] == NAME
                ws.send(f"{name}-{number}")
                heard.append(ws.receive(PATIENCE))

    threads = [threading.Thread(target=talk, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE)
    assert sorted(heard) == sorted(f"{name}-{number}" for name in "ab" for number in range(10))


def are_open_at(site: Server, count: int) -> bool:
    """Whether so many are open, now or in a moment: each end is the client's first."""
    deadline = time.monotonic() + PATIENCE
    while site.ask("/open") != {"open": count}:
        if time.monotonic() > deadline:
            return False
    return True


def test_no_websocket_is_left_open_at_the_site(site, session):
    with Client(site.ws("/ws"), session=session) as ws:
        seen(ws)
        assert are_open_at(site, 1)
    assert are_open_at(site, 0)
