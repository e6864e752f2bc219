"""What cannot stand in a request, wherever the caller has it from: RFC 9110 5.5, RFC 9112 3.

CR, LF and NUL end a line for somebody. Before a socket is opened they are a ConfigurationError."""

from __future__ import annotations

import base64
import socket

import pytest
import requests
from requests.auth import AuthBase

from faye_sync import Client, ConfigurationError
from tests.support.endings import failed_dial
from tests.support.hostile import Visit, opened

BREAKS = {
    "cr": "\r",
    "lf": "\n",
    "crlf": "\r\n",
    "nul": "\0",
    "a-header": "\r\nX-Injected: 1",
    "a-folded-line": "\r\n x",
    "a-request": "\r\n\r\nGET /injected HTTP/1.1\r\nHost: x\r\n\r\n",
}
breaks = pytest.mark.parametrize("text", BREAKS.values(), ids=BREAKS)
places = pytest.mark.parametrize("place", ["{}a", "a{}b", "a{}"], ids=["first", "within", "last"])


class HeaderAuth(AuthBase):
    """Sets a header, as custom schemes do."""

    def __init__(self, name: str, value: str) -> None:
        self.name, self.value = name, value

    def __call__(self, request):
        request.headers[self.name] = self.value
        return request


def session_of(**headers: str) -> requests.Session:
    session = requests.Session()
    session.headers.update(headers)
    return session


def cookies_of(name: str, value: str) -> requests.Session:
    session = requests.Session()
    session.cookies.set(name, value)
    return session


class Signing(requests.Session):
    """A session that adds to each request."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self.value = value

    def request(self, method, url, **options):
        options["headers"] = {**(options.get("headers") or {}), "X-Signed": self.value}
        return super().request(method, url, **options)


PROXY = "http://127.0.0.1:{port}"

# Each takes text that must not be sent, and the port of a server that must not be asked.
WAYS = {
    "header-value": lambda bad, port: {"headers": {"X-A": bad}},
    "header-value-of-pairs": lambda bad, port: {"headers": [("X-A", "ok"), ("X-A", bad)]},
    "header-value-of-a-function": lambda bad, port: {"headers": lambda: {"X-A": bad}},
    "header-name": lambda bad, port: {"headers": {f"X-{bad}": "a"}},
    "authorization": lambda bad, port: {"headers": {"Authorization": bad}},
    "cookie-header": lambda bad, port: {"headers": {"Cookie": bad}},
    "user-agent": lambda bad, port: {"headers": {"User-Agent": bad}},
    "origin": lambda bad, port: {"headers": {"Origin": bad}},
    "host-header": lambda bad, port: {"headers": {"Host": bad}},
    "subprotocol": lambda bad, port: {"protocols": [bad]},
    "second-subprotocol": lambda bad, port: {"protocols": ["chat", bad]},
    "session-header-value": lambda bad, port: {"session": session_of(X_A=bad)},
    "session-header-name": lambda bad, port: {"session": session_of(**{f"X-{bad}": "a"})},
    "session-of-a-subclass": lambda bad, port: {"session": Signing(bad)},
    "session-cookie-value": lambda bad, port: {"session": cookies_of("sid", bad)},
    "session-cookie-name": lambda bad, port: {"session": cookies_of(f"s{bad}", "a")},
    "auth-header-value": lambda bad, port: {"auth": HeaderAuth("X-Auth", bad)},
    "auth-header-name": lambda bad, port: {"auth": HeaderAuth(f"X-{bad}", "a")},
    "auth-authorization": lambda bad, port: {"auth": HeaderAuth("Authorization", bad)},
    "proxy-header-value": lambda bad, port: {
        "proxy": {"origin": PROXY.format(port=port), "headers": {"X-A": bad}}
    },
    "proxy-header-name": lambda bad, port: {
        "proxy": {"origin": PROXY.format(port=port), "headers": {f"X-{bad}": "a"}}
    },
    "proxy-host": lambda bad, port: {"proxy": f"http://127.0.0.1{bad}:{port}"},
    "proxy-userinfo": lambda bad, port: {"proxy": f"http://user:{bad}@127.0.0.1:{port}"},
}


@breaks
@places
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_break_of_a_line_is_refused_before_a_socket_is_opened(hostile, way, place, text):
    server = hostile(())
    with pytest.raises(ConfigurationError):
        Client(server.url(), **way(place.format(text), server.port), open_timeout=5).connect()
    assert server.count() == 0


# Each takes the text and gives a URL, {port} for the server's.
URLS = {
    "path": "ws://127.0.0.1:{port}/a%sb",
    "end-of-the-path": "ws://127.0.0.1:{port}/a%s",
    "query": "ws://127.0.0.1:{port}/?a=%sb",
    "host": "ws://127.0.0.1%s:{port}/",
    "start-of-the-host": "ws://%s127.0.0.1:{port}/",
    "port": "ws://127.0.0.1:{port}%s/",
    "user": "ws://us%ser:pass@127.0.0.1:{port}/",
    "password": "ws://user:pa%sss@127.0.0.1:{port}/",
    "scheme": "w%ss://127.0.0.1:{port}/",
    "fragment": "ws://127.0.0.1:{port}/#a%sb",
    "before-all": "%sws://127.0.0.1:{port}/",
}


@breaks
@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
@pytest.mark.parametrize("is_called", [False, True], ids=["text", "function"])
def test_a_break_of_a_line_in_the_url_is_refused_before_a_socket_is_opened(
    hostile, url, text, is_called
):
    server = hostile(())
    bad = (url % text).format(port=server.port)
    with pytest.raises(ConfigurationError):
        Client((lambda: bad) if is_called else bad, open_timeout=5).connect()
    assert server.count() == 0


HOSTS = ("a b", "[::1", "::1", "", "a_b:x", "%")


@pytest.mark.parametrize("host", HOSTS, ids=ascii)
def test_a_host_that_is_none_is_refused_before_a_socket_is_opened(host):
    failed_dial(f"ws://{host}/", ConfigurationError)


@pytest.mark.parametrize("host", ["127.0.0.1%0d%0aX:1", "127.0.0.1%00"])
def test_a_host_with_an_escaped_control_is_no_host(host):
    # urllib3 before 2.1 leaves the escape to the resolver, which knows no such name.
    failed_dial(f"ws://{host}/", ConfigurationError, socket.gaierror)


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:b", "a,b", "(a)", "é", "a\tb", "\N{SNOWMAN}"], ids=ascii
)
def test_a_header_name_is_a_token(hostile, name):
    server = hostile(())
    failed_dial(server.url(), ConfigurationError, headers={name: "x"})
    assert server.count() == 0


@pytest.mark.parametrize("name", ["", " ", "a b", "a,b", "a;b", "é", '"a"'], ids=ascii)
def test_a_subprotocol_is_a_token(hostile, name):
    server = hostile(())
    failed_dial(server.url(), ConfigurationError, protocols=["chat", name])
    assert server.count() == 0


@pytest.mark.parametrize("value", ["\N{SNOWMAN}", "\ud800"], ids=ascii)
def test_a_header_value_that_latin_1_does_not_have_is_refused(hostile, value):
    server = hostile(())
    failed_dial(server.url(), ConfigurationError, headers={"X-A": value})
    assert server.count() == 0


OWN = {
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    "Sec-WebSocket-Version": "8",
    "Sec-WebSocket-Protocol": "mine",
    "Sec-WebSocket-Extensions": "permessage-deflate",
    "Sec-WebSocket-Accept": "x",
    "Upgrade": "h2c",
    "Connection": "close",
    "Content-Length": "5",
    "Transfer-Encoding": "chunked",
    "Expect": "100-continue",
    "TE": "trailers",
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("of_session", [False, True], ids=["headers", "session"])
def test_the_handshakes_own_headers_are_not_the_callers(hostile, name, of_session):
    server = hostile(opened(Visit.answer_close))
    mine = {name: OWN[name]}
    options = {"session": session_of(**mine)} if of_session else {"headers": mine}
    try:
        with Client(server.url(), **options):
            pass
    except ConfigurationError:
        assert server.count() == 0
        return
    request = server.request()
    assert request["Upgrade"] == "websocket"
    assert request["Connection"].lower() == "upgrade"
    assert request["Sec-WebSocket-Version"] == "13"
    assert len(request.all("Sec-WebSocket-Key")) == 1
    assert request["Sec-WebSocket-Key"] != OWN["Sec-WebSocket-Key"]
    for absent in ("Protocol", "Extensions", "Accept"):
        assert request[f"Sec-WebSocket-{absent}"] is None
    # A body that nobody sends would swallow the first frames: RFC 9112 6.
    assert request["Content-Length"] is None
    assert request["Transfer-Encoding"] is None


HARMLESS = {
    "/a%0d%0ab": "/a%0d%0ab",
    "/a%00b": "/a%00b",
    "/\N{SNOWMAN}": "/%E2%98%83",
    "/a#fragment": "/a",
    "?a": "/?a",
    "": "/",
}


@pytest.mark.parametrize("path", HARMLESS, ids=ascii)
def test_what_percent_encoding_makes_harmless_is_sent_so(hostile, path):
    server = hostile(opened(Visit.answer_close))
    with Client(server.url(path)):
        pass
    assert server.request().target.lower() == HARMLESS[path].lower()


def test_userinfo_is_decoded_into_base64_and_so_harmless(hostile):
    server = hostile(opened(Visit.answer_close))
    with Client(server.url(host="us%0d%0aer:p%40ss@127.0.0.1")):
        pass
    scheme, _, token = server.request()["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(token)) == ("Basic", b"us\r\ner:p@ss")


def test_a_cookie_of_the_server_cannot_break_the_next_request(hostile):
    session = requests.Session()
    session.cookies.set("sid", "a\r\nX-Injected: 1", domain="127.0.0.1", path="/")
    server = hostile(())
    failed_dial(server.url(), ConfigurationError, session=session)
    assert server.count() == 0
