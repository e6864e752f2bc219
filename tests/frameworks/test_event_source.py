"""EventSource in views of Flask and Django: what they and their middlewares do after the view counts."""

from __future__ import annotations

from tests.support.stream_peer import StreamPeer

ONLY = ("flask", "django")


def test_cookies_of_the_session_reach_the_client(site):
    with StreamPeer(site.address, "/events/session") as peer:
        assert peer.data() == "welcome"
        assert peer.header("Set-Cookie").startswith(("session=", "sessionid="))
        assert "Cookie" in peer.header("Vary")


def test_no_middleware_compresses_or_holds_back(site):
    headers = {"Accept-Encoding": "gzip, deflate, br"}
    with StreamPeer(site.address, "/events/session", **headers) as peer:
        assert peer.header("Content-Encoding") is None
        assert peer.data() == "welcome"
