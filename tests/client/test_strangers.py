"""What a second stranger's programs ran into."""

from __future__ import annotations

import sys
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote

import pytest
import requests
from requests.adapters import HTTPAdapter

from faye_sync import Client, HandshakeError, ProxyError, ReadyState, Reconnect
from faye_sync.driver.client_handshake import ask, fault_of
from faye_sync.driver.handshake import accept_token
from tests.support.clients import PATIENCE, planned_servers  # noqa: F401  # a fixture
from tests.support.planned_server import accept, drop, refuse

BACK_OFF = 6.0  # seconds; what is to end long before that has less than 2


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Handler(BaseHTTPRequestHandler):
    """Gives whoever asks a token; as a proxy it wants a login."""

    def answer(self, status: int, body: bytes) -> None:
        told = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, told))
        self.server.logins.append(self.headers.get("Proxy-Authorization"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer(200, b"token")

    do_POST = do_GET  # noqa: N815

    def do_CONNECT(self) -> None:
        self.answer(407, b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(name="site")
def plain_site():
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen, server.logins = [], []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(PATIENCE)


# --- deadlines ------------------------------------------------------------------------------------------


def test_wait_closed_in_a_listener_keeps_its_deadline_during_an_outage(planned):
    server = planned(drop("hello"), accept)
    ws = Client(server.url, reconnect=Reconnect(initial=BACK_OFF, jitter=0))
    took: list[float] = []

    def listener(event):
        begun = time.monotonic()
        # Long enough for housekeeping to notice the end for the reader, who is here.
        ws.wait_closed(1.5)
        took.append(time.monotonic() - begun)
        ws.close()

    ws.on("message", listener)
    ws.start()
    assert ws.join(PATIENCE)
    assert took[0] < BACK_OFF - 2


def test_wait_closed_in_a_listener_does_not_spin_while_another_thread_dials(planned):
    server = planned(drop(), accept)
    ws = Client(server.url, reconnect=Reconnect(initial=BACK_OFF, jitter=0))
    lost = threading.Event()
    ws.on("reconnect", lambda event: lost.set())
    ws.connect()
    assert lost.wait(PATIENCE)
    took: list[tuple[float, float]] = []

    def listener(event):
        begun, used = time.monotonic(), time.thread_time()
        ws.wait_closed(0.3)
        took.append((time.monotonic() - begun, time.thread_time() - used))
        ws.close()

    ws.on("open", listener)
    ws.start()
    assert ws.join(PATIENCE)
    seconds, of_the_processor = took[0]
    assert seconds < BACK_OFF - 2
    assert of_the_processor < 0.5


# --- interrupts -----------------------------------------------------------------------------------------


def interrupt_at(name: str):
    """Raise KeyboardInterrupt where CPython looks for signals: as a function begins."""

    def profile(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_name == name and "faye_sync" in code.co_filename:
            sys.setprofile(None)
            raise KeyboardInterrupt

    return profile


@pytest.mark.parametrize("function", ["_take", "_run", "_end", "_publish", "opened"])
def test_an_interrupt_at_any_point_of_the_dialing_leaves_what_can_be_closed(planned, function):
    server = planned(accept)
    ws = Client(server.url, open_timeout=3, close_timeout=1)
    sys.setprofile(interrupt_at(function))
    try:
        with pytest.raises(KeyboardInterrupt):
            ws.connect()
    finally:
        sys.setprofile(None)
    ws.close(1001)
    assert ws.wait_closed(3)
    assert ws.ready_state is ReadyState.CLOSED
    if server.count:
        server.visit().parting(5)


# --- sessions -------------------------------------------------------------------------------------------


class TokenSession(requests.Session):
    """Gets itself a token before its first request, as sessions of OAuth do."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._tokens: list[str] = []

    def request(self, method, url, **options):
        if not self._tokens:
            self._tokens.append("")
            self._tokens[0] = self.post(self._url, data={"password": "s3cret"}).text
        options["headers"] = {**(options.get("headers") or {}), "Authorization": self._tokens[0]}
        return super().request(method, url, **options)


def test_what_a_session_asks_for_beside_the_handshake_is_no_handshake(planned, site):
    server = planned(accept)
    session = TokenSession(f"http://127.0.0.1:{site.server_port}/token")
    with Client(server.url, session=session, close_timeout=1):
        headers = server.visit().request.headers
    assert site.seen == [("POST", b"password=s3cret")]
    assert headers["Authorization"] == "token"


def test_a_cookie_of_no_domain_stays_at_home(planned):
    there = planned(accept)
    here = planned(refuse(302, ("Location", f"http://localhost:{there.port}/")))
    session = requests.Session()
    session.cookies.set("sid", "s3cret")
    with Client(here.url, session=session, close_timeout=1):
        assert here.visit().request.headers["Cookie"] == "sid=s3cret"
        assert "Cookie" not in there.visit().request.headers


# --- proxies --------------------------------------------------------------------------------------------


def through(**options) -> None:
    with pytest.raises(ProxyError, match="407"):
        Client("ws://example.test/", open_timeout=PATIENCE, **options).connect()


WAYS = {
    "proxy": lambda url: {"proxy": url},
    "header": lambda url: {"proxy": {"origin": url, "headers": {"X-A": "b"}}},
    "session": lambda url: {"session": session_through(url)},
}


def session_through(url: str) -> requests.Session:
    session = requests.Session()
    session.proxies["http"] = url
    return session


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("password", ["secret", "ö", "€"], ids=["ascii", "latin-1", "beyond"])
def test_a_proxy_s_password_is_the_same_whichever_way_it_is_given(site, way, password):
    through(**way(f"http://user:{quote(password)}@127.0.0.1:{site.server_port}"))
    token = b64encode(f"user:{password}".encode()).decode()
    assert site.logins == [f"Basic {token}"]


class TokenAdapter(HTTPAdapter):
    asked = False

    def proxy_headers(self, proxy):
        self.asked = True
        return {"X-Token": "t0ken"}


def test_the_adapter_of_the_request_s_own_scheme_says_the_headers_for_a_proxy(site):
    session, adapter = requests.Session(), TokenAdapter()
    session.mount("http://", adapter)
    through(session=session, proxy=f"http://127.0.0.1:{site.server_port}")
    assert adapter.asked


def test_a_session_without_https_goes_through_a_proxy(site):
    session = requests.Session()
    del session.adapters["https://"]
    through(session=session, proxy=f"http://127.0.0.1:{site.server_port}")


# --- texts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    ["ftp://user:s3cret@example.test/", "http://example.test:port/?code=s3cret"],
    ids=["userinfo", "query"],
)
def test_no_text_shows_the_secrets_of_a_location(planned, location):
    server = planned(refuse(302, ("Location", location)))
    with pytest.raises(HandshakeError) as caught:
        Client(server.url).connect()
    assert "s3cret" not in str(caught.value)


def test_the_text_of_an_error_is_short_however_many_subprotocols_were_offered():
    asked = ask([f"p{number}" for number in range(3000)])
    fields = (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_token(asked.key)),
        ("Sec-WebSocket-Protocol", "another"),
    )
    assert len(fault_of(asked, "1.1", fields) or "") < 1000


def test_two_host_headers_are_refused(planned):
    with pytest.raises(ValueError, match="Host"):
        Client(
            planned(accept).url, headers=[("Host", "a"), ("Host", "b")], open_timeout=1
        ).connect()
