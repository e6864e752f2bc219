"""Django behind its stock middlewares: cookies, compression, what a refusal keeps, wrong returns."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.support.peer import Peer, Refused
from tests.support.stream_peer import StreamPeer

ONLY = ("django",)


def test_the_101_has_no_header_of_a_middleware(site):
    with Peer(site.address, "/session") as peer:
        assert peer.read() == "seen"
        assert peer.answer_close() == (1000, "")
    names = [line.partition(":")[0] for line in peer.head.split("\r\n")[1:]]
    assert names == ["Upgrade", "Connection", "Sec-WebSocket-Accept"]


def test_a_refusal_has_the_headers_of_the_middlewares_and_its_own(site):
    answer = site.get("/session")
    assert answer.status_code == 426
    assert answer.headers["Sec-WebSocket-Version"] == "13"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Set-Cookie"].startswith("sessionid=")


def test_every_cookie_of_reject_is_kept(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/rejected-with-cookies")
    cookies = re.findall(r"\r\nset-cookie: *([^\r]+)", refused.value.head, re.IGNORECASE)
    assert sorted(cookies)[:2] == ["a=1", "b=2; Path=/"]


def test_a_refusal_to_a_client_that_takes_gzip_is_compressed_and_whole(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/rejected-with-cookies", headers=[("Accept-Encoding", "gzip")])
    assert refused.value.status == 401
    assert gzip.decompress(refused.value.body) == b"x" * 1000


def test_the_headers_that_a_browser_adds_change_nothing(site):
    browser = {
        "Accept-Encoding": "gzip, deflate, br",
        "Accept-Language": "de",
        "Cookie": "sessionid=of-nobody; csrftoken=1",
        "Cache-Control": "no-cache",
        "Origin": f"http://127.0.0.1:{site.server.port}",
    }
    with Peer(site.address, "/callbacks/echo", headers=browser.items()) as peer:
        peer.say("hello")
        assert peer.read() == "hello"
        assert peer.close() == (1000, "")


def test_a_view_that_returns_the_connection_itself_gets_a_warning(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/mistakes/returned")
    assert refused.value.status == 500
    site.wait_for_traceback("AttributeError: 'WebSocket' object has no attribute 'get'")
    site.get("/hello")
    site.wait_for_log("on /mistakes/returned was neither opened nor answered")


def test_a_query_in_the_function_of_start_is_answered(site):
    with Peer(site.address, "/query") as peer:
        peer.say("2 * 21")
        assert peer.read() == "42"
        assert peer.close() == (1000, "")


@pytest.mark.parametrize("detach", ["none", "false"])
def test_an_iterable_is_streamed_to_its_end(site, detach):
    with StreamPeer(site.address, f"/events/iterable/{detach}") as peer:
        assert [peer.data(), peer.data()] == ["one", "two"]
        assert peer.rest() == b""
