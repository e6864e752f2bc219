"""Redirects, and what of a request may reach whoever they lead to: RFC 9110 15.4.

Nobody else than the origin that it was meant for sees a credential, a header of the caller's or
an answer to a challenge, and what began with TLS never goes on without it."""

from __future__ import annotations

import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable

import pytest
import requests
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from faye_sync import Client, ConfigurationError, HandshakeError
from tests.support.certificates import certificate
from tests.support.endings import LONGER, failed_dial
from tests.support.heads import head
from tests.support.hostile import HostileServer, Script, Visit, answered, drip, opened, send

SECRET = "s3cr3t"  # in whatever form, nobody else may see it
SECRETS = (SECRET.encode(), b64encode(f"user:{SECRET}".encode()))
ACCEPTING: Script = opened(Visit.answer_close)


def redirect(location: str, status: int = 302, *lines: bytes) -> Script:
    """Answer with a redirect, as often as a request comes on the connection."""
    octets = head(
        b"Location: " + location.encode("latin-1"),
        b"Content-Length: 0",
        *lines,
        status=b"HTTP/1.1 %d Elsewhere" % status,
    )
    return (Visit.read_head, send(octets))


def redirect_by(locate: Callable[[Visit], str]) -> Script:
    """Redirect to what only the connection knows."""

    def answer(visit: Visit) -> None:
        for step in redirect(locate(visit)):
            step(visit)

    return (answer,)


def digest_challenge(status: bytes = b"401 Unauthorized") -> Script:
    challenge = b'WWW-Authenticate: Digest realm="r", nonce="n0nce", qop="auth", algorithm=MD5'
    return answered(head(challenge, b"Content-Length: 0", status=b"HTTP/1.1 " + status))


def connected(url: str, **options: object) -> Client:
    with Client(url, ca=certificate().authority, **options) as client:
        assert client.status_code == 101
    return client


def heads(*servers: HostileServer) -> list:
    return [request for server in servers for visit in server.visits for request in visit.requests]


# --- following --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(hostile, status):
    there = hostile(ACCEPTING)
    here = hostile(redirect(there.url("/there?x=1", scheme="http"), status))
    connected(here.url("/here"))
    assert there.request().target == "/there?x=1"
    assert there.request().method == "GET"
    assert there.request()["Host"] == f"127.0.0.1:{there.port}"
    assert there.request()["Upgrade"] == "websocket"


LOCATIONS = {
    "/there": "/there",
    "there": "/a/there",
    "../there": "/there",
    "?x=1": "/a/here?x=1",
    "//127.0.0.1:{port}/there": "/there",
    "ws://127.0.0.1:{port}/there": "/there",
    "WS://127.0.0.1:{port}/there": "/there",
    "http://127.0.0.1:{port}/there": "/there",
    "http://127.0.0.1:{port}": "/",
    "/there#fragment": "/there",
    "/th ere": "/th%20ere",
    "/caf\xc3\xa9": "/caf%C3%A9",
}


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_location_may_be_relative_or_of_websocket(hostile, location):
    server = hostile(
        redirect_by(lambda visit: location.format(port=visit.sock.getsockname()[1])), ACCEPTING
    )
    connected(server.url("/a/here"))
    assert server.request(1).target == LOCATIONS[location]


@pytest.mark.parametrize("scheme", ["wss", "https"])
def test_tls_may_be_taken_up(hostile, scheme):
    there = hostile(ACCEPTING, tls=True)
    here = hostile(redirect(there.url("/there", scheme=scheme)))
    connected(here.url())
    assert there.request().target == "/there"


def test_every_hop_has_a_connection_and_a_key_of_its_own(hostile):
    server = hostile(redirect("/b"), redirect("/c"), ACCEPTING)
    connected(server.url("/a"))
    requests_made = heads(server)
    assert [request.target for request in requests_made] == ["/a", "/b", "/c"]
    assert len({request["Sec-WebSocket-Key"] for request in requests_made}) == 3
    assert all(len(request.all("Sec-WebSocket-Key")) == 1 for request in requests_made)
    assert all(request["Sec-WebSocket-Version"] == "13" for request in requests_made)


def test_subprotocols_are_offered_on_every_hop(hostile):
    there = hostile(ACCEPTING)
    here = hostile(redirect(there.url(scheme="http")))
    connected(here.url(), protocols=["chat"])
    assert there.request()["Sec-WebSocket-Protocol"] == "chat"


def test_a_refusal_behind_redirects_tells_of_them(hostile):
    refusal = answered(head(b"Content-Length: 2", status=b"HTTP/1.1 403 Forbidden"), b"no")
    server = hostile(redirect("/b", 301), redirect("/c", 307), refusal)
    error = failed_dial(server.url(), HandshakeError)
    assert (error.status_code, error.body) == (403, b"no")
    assert [answer.status_code for answer in error.history] == [301, 307]


# --- not following ----------------------------------------------------------------------------------


def test_a_loop_ends_after_ten_redirects(hostile):
    server = hostile(redirect("/again"))
    error = failed_dial(server.url(), HandshakeError, open_timeout=20)
    assert len(server.visits) == 11
    assert len(error.history) >= 10
    assert "10" in str(error)


def test_one_deadline_counts_for_all_hops(hostile):
    def late(visit: Visit) -> None:
        visit.read_head()
        visit.pause(0.15)

    server = hostile((late, redirect("/again")[1]))
    failed_dial(server.url(), TimeoutError, waits=True, open_timeout=LONGER)
    assert 2 <= len(server.visits) <= 4


def test_a_hop_that_drips_ends_at_the_deadline(hostile):
    there = hostile((Visit.read_head, drip(b"HTTP/1.1 101 " + b"x" * 1000)))
    here = hostile(redirect(there.url(scheme="http")))
    failed_dial(here.url(), TimeoutError, waits=True)


def test_a_redirect_whose_body_drips_is_over_by_the_deadline(hostile):
    answer = head(b"Location: /b", b"Content-Length: 1000", status=b"HTTP/1.1 302 Found")
    server = hostile((Visit.read_head, send(answer), drip(b"x")), ())
    failed_dial(server.url(), TimeoutError, waits=True)


NOWHERE = {
    "file": "file:///etc/passwd",
    "ftp": "ftp://127.0.0.1/",
    "gopher": "gopher://127.0.0.1/",
    "javascript": "javascript:alert(1)",
    "data": "data:,x",
    "unknown-scheme": "x-made-up://127.0.0.1/",
    "unix": "http+unix://%2Ftmp%2Fx/",
    "port-of-letters": "http://127.0.0.1:port/",
    "port-too-large": "http://127.0.0.1:65536/",
    "negative-port": "http://127.0.0.1:-1/",
    "unclosed-bracket": "http://[::1/",
}


@pytest.mark.parametrize("location", NOWHERE.values(), ids=NOWHERE)
def test_a_location_that_leads_nowhere_is_refused(hostile, location):
    server = hostile(redirect(location))
    error = failed_dial(server.url(), HandshakeError, open_timeout=20)
    assert error.status_code == 302
    assert server.count() == 1


STRANGE = {
    "empty": "",
    "no-host": "http:///there",
    "no-host-but-a-port": "http://:80/",
    "blank-in-the-host": "http://a b/",
    "latin-1": "/caf\xe9",
    "no-utf-8": "http://\xff\xfe/",
    "label-too-long": f"http://{'a' * 64}.example/",
    "empty-label": "http://a..example/",
}


@pytest.mark.parametrize("location", STRANGE.values(), ids=STRANGE)
def test_a_location_that_means_little_ends_in_an_error_of_ours_or_of_the_look_up(hostile, location):
    server = hostile(redirect(location))
    failed_dial(server.url(), HandshakeError, socket.gaierror, open_timeout=20)


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_tls_is_never_given_up(hostile, scheme):
    there = hostile(ACCEPTING)
    here = hostile(redirect(there.url(scheme=scheme)), tls=True)
    error = failed_dial(here.url(), HandshakeError, ca=certificate().authority)
    assert error.status_code == 302
    assert there.count() == 0


def test_tls_is_not_given_up_on_the_second_hop_either(hostile):
    plain = hostile(ACCEPTING)
    second = hostile(redirect(plain.url(scheme="http")), tls=True)
    first = hostile(redirect(second.url()), tls=True)
    failed_dial(first.url(), HandshakeError, ca=certificate().authority)
    assert plain.count() == 0


def test_a_hop_to_tls_verifies_its_certificate(hostile):
    there = hostile(ACCEPTING, tls=True)
    here = hostile(redirect(there.url()))
    failed_dial(here.url(), ssl.SSLCertVerificationError)


# --- leaks ------------------------------------------------------------------------------------------


class KeyHeader(AuthBase):
    """As a user writes it for an API."""

    def __call__(self, request):
        request.headers["X-Auth-Key"] = SECRET
        return request


def session_with(auth: object = None, **headers: str) -> requests.Session:
    session = requests.Session()
    session.auth = auth
    session.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return session


def cookie_session(host: str) -> requests.Session:
    session = requests.Session()
    session.cookies.set("sid", SECRET, domain=host, path="/")
    return session


TELLING = {
    "authorization-header": lambda: {"headers": {"Authorization": f"Bearer {SECRET}"}},
    "custom-header": lambda: {"headers": {"X-Api-Key": SECRET}},
    "headers-that-are-called": lambda: {"headers": lambda: {"X-Api-Key": SECRET}},
    "cookie-header": lambda: {"headers": {"Cookie": f"sid={SECRET}"}},
    "auth-pair": lambda: {"auth": ("user", SECRET)},
    "basic-auth": lambda: {"auth": HTTPBasicAuth("user", SECRET)},
    "auth-of-a-class": lambda: {"auth": KeyHeader()},
    "session-auth": lambda: {"session": session_with(auth=("user", SECRET))},
    "session-auth-of-a-class": lambda: {"session": session_with(auth=KeyHeader())},
    "session-headers": lambda: {"session": session_with(X_Api_Key=SECRET)},
    "session-authorization": lambda: {"session": session_with(Authorization=f"Bearer {SECRET}")},
}


@pytest.mark.parametrize("options", TELLING.values(), ids=TELLING)
def test_another_origin_sees_nothing_that_was_for_the_first(hostile, options):
    there = hostile(ACCEPTING)
    here = hostile(redirect(there.url(scheme="http")))
    connected(here.url(), **options())
    assert any(secret in here.visit().received for secret in SECRETS)
    assert not any(secret in there.visit().received for secret in SECRETS)


@pytest.mark.parametrize("options", TELLING.values(), ids=TELLING)
def test_another_host_name_is_another_origin(hostile, options):
    # The same port and the same machine; only the name differs.
    server = hostile(
        redirect_by(lambda visit: f"http://localhost:{visit.sock.getsockname()[1]}/"), ACCEPTING
    )
    connected(server.url(), **options())
    assert not any(secret in server.visit(1).received for secret in SECRETS)


@pytest.mark.parametrize("name", ["authorization-header", "custom-header", "auth-pair"])
def test_the_same_origin_sees_it_again(hostile, name):
    server = hostile(redirect("/there"), ACCEPTING)
    connected(server.url("/here"), **TELLING[name]())
    assert any(secret in server.visit(1).received for secret in SECRETS)


def test_what_another_origin_sends_back_gets_nothing_that_was_for_the_first(hostile):
    # Over there and back: the way back is the other's choice, as every hop behind it.
    there = hostile(redirect_by(lambda visit: back[0]))
    here = hostile(redirect(there.url(scheme="http")), ACCEPTING)
    back = [here.url("/back", scheme="http")]
    connected(here.url(), headers={"X-Api-Key": SECRET})
    assert SECRET.encode() not in there.visit().received
    assert here.request(1).target == "/back"


def test_userinfo_of_the_url_reaches_its_own_origin_only(hostile):
    there = hostile(ACCEPTING)
    here = hostile(redirect(there.url(scheme="http")))
    connected(here.url(host=f"user:{SECRET}@127.0.0.1"))
    assert here.request()["Authorization"] == f"Basic {SECRETS[1].decode()}"
    assert here.request()["Host"] == f"127.0.0.1:{here.port}"
    assert there.request()["Authorization"] is None
    assert SECRET.encode() not in there.visit().received


def test_cookies_of_another_host_stay_at_home(hostile):
    there = hostile(ACCEPTING)
    here = hostile(redirect(f"http://localhost:{there.port}/"))
    connected(here.url(), session=cookie_session("127.0.0.1"))
    assert here.request()["Cookie"] == f"sid={SECRET}"
    assert there.request()["Cookie"] is None


def test_a_cookie_that_a_hop_sets_goes_to_its_own_host_on_the_next(hostile):
    server = hostile(redirect("/b", 302, b"Set-Cookie: hop=1"), ACCEPTING)
    session = requests.Session()
    connected(server.url("/a"), session=session)
    assert server.request(1)["Cookie"] == "hop=1"
    assert session.cookies["hop"] == "1"


@pytest.mark.parametrize(
    "options",
    [
        lambda: {"auth": HTTPDigestAuth("user", SECRET)},
        lambda: {"session": session_with(auth=HTTPDigestAuth("user", SECRET))},
    ],
    ids=["auth", "session-auth"],
)
def test_a_challenge_of_another_origin_is_not_answered(hostile, options):
    there = hostile(digest_challenge())
    here = hostile(redirect(there.url(scheme="http")))
    error = failed_dial(here.url(), HandshakeError, **options())
    assert error.status_code == 401
    # requests asks a second time; what matters is that there is no proof in it.
    assert [request["Authorization"] for request in heads(there)] == [None] * there.count()


def test_a_challenge_of_the_first_origin_is_answered_with_another_key(hostile):
    server = hostile(digest_challenge(), ACCEPTING)
    connected(server.url(), auth=HTTPDigestAuth("user", SECRET))
    first, second = heads(server)
    assert re.match(r'Digest username="user"', second["Authorization"])
    assert first["Sec-WebSocket-Key"] != second["Sec-WebSocket-Key"]
    assert second.all("Sec-WebSocket-Key") == [second["Sec-WebSocket-Key"]]


def test_a_challenge_that_is_repeated_is_answered_once(hostile):
    server = hostile(digest_challenge())
    error = failed_dial(server.url(), HandshakeError, auth=HTTPDigestAuth("user", SECRET))
    assert error.status_code == 401
    assert [answer.status_code for answer in error.history] == [401]
    assert len(server.visits) == 2


def test_no_error_shows_the_password_of_the_url(hostile):
    server = hostile(answered(head(b"Content-Length: 0", status=b"HTTP/1.1 403 Forbidden")))
    error = failed_dial(server.url(host=f"user:{SECRET}@127.0.0.1"), HandshakeError)
    assert SECRET not in str(error)
    error = failed_dial(f"ws://user:{SECRET}@127.0.0.1:port/", ConfigurationError)
    assert SECRET not in str(error)
