"""contrib.django on real servers: requests, users, origins, the database, checks."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.kinds import ROOT
from tests.support.peer import PATIENCE, Peer, Refused
from tests.support.stream_peer import StreamPeer

ONLY = ("django_views",)
ON = (
    "wsgiref-threading",  # what runserver is made of
    "gunicorn-sync",
    "gunicorn-gthread",
    "gunicorn-gevent",
    "uwsgi",
)


def cookie_of(head) -> str:
    return "; ".join(re.findall(r"(?i)set-cookie: *([^;\r]+)", head))


def logged_in(site) -> str:
    answer = site.get("/enter")
    assert answer.text == "in"
    return "; ".join(each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie"))


def test_a_function_has_the_parameters_of_its_url_and_the_request(site):
    with Peer(site.address, "/rooms/7") as peer:
        assert peer.read() == "AnonymousUser in 7, 0 visits"
        assert peer.close() == (1000, "")


def test_the_user_and_the_session_are_there(site):
    with Peer(site.address, "/rooms/7", headers=[("Cookie", logged_in(site))]) as peer:
        assert peer.read() == "ann in 7, 0 visits"
        assert peer.close() == (1000, "")


def test_the_101_has_the_cookies_and_the_headers_of_middlewares(site):
    with Peer(site.address, "/visits") as peer:
        assert peer.read() == "seen"
        assert peer.answer_close() == (1000, "")
    assert "\r\nX-Frame-Options: DENY" in peer.head
    assert "Content-" not in peer.head.replace("X-Content-", "")
    cookie = cookie_of(peer.head)
    with Peer(site.address, "/rooms/7", headers=[("Cookie", cookie)]) as peer:
        assert peer.read() == "AnonymousUser in 7, 1 visits"
        assert peer.close() == (1000, "")


def test_login_required_sends_away_by_http(site):
    with pytest.raises(Refused) as refused:
        Peer(site.address, "/members")
    assert refused.value.status == 302
    assert "\r\nLocation: /login?next=/members" in refused.value.head
    with Peer(site.address, "/members", headers=[("Cookie", logged_in(site))]) as peer:
        peer.say("hello")
        assert peer.read() == "hello"
        assert peer.close() == (1000, "")


def test_login_required_beneath_lets_members_in_and_closes_on_others(site):
    with Peer(site.address, "/members/beneath", headers=[("Cookie", logged_in(site))]) as peer:
        peer.say("hello")
        assert peer.read() == "hello"
        assert peer.close() == (1000, "")
    with Peer(site.address, "/refused/beneath") as peer:
        assert peer.answer_close() == (1008, "")
    site.wait_for_log(r"write decorator\(websocket_view\(function\)\)")


def test_no_connection_to_the_database_is_held_while_waiting_and_no_transaction(site):
    with Peer(site.address, "/ask") as peer:
        for number in range(3):
            peer.say(str(number))
            assert peer.read() == f"{number} False False"
        assert peer.close() == (1000, "")


def test_an_exception_is_logged_and_closes_with_1011(site):
    with Peer(site.address, "/fail") as peer:
        assert peer.answer_close() == (1011, "")
    site.wait_for_traceback("LookupError: of the function")


ORIGINS = [
    pytest.param("http://127.0.0.1:{port}", True, id="same-host"),
    pytest.param("https://trusted.example", True, id="trusted"),
    pytest.param("http://trusted.example", False, id="trusted-by-another-scheme"),
    pytest.param("https://a.wild.example", True, id="wildcard"),
    pytest.param("https://wild.example.evil", False, id="wildcard-not-at-the-end"),
    pytest.param("https://www.friends.example", True, id="allowed-host"),
    pytest.param("https://friends.example.evil", False, id="another"),
    pytest.param("null", False, id="null"),
    pytest.param("http://[bad", False, id="no-url"),
]


@pytest.mark.parametrize("origin, is_allowed", ORIGINS)
def test_origins_are_those_of_djangos_settings(site, origin, is_allowed):
    headers = [("Origin", origin.format(port=site.server.port))]
    if not is_allowed:
        with pytest.raises(Refused) as refused:
            Peer(site.address, "/echo", headers=headers)
        assert refused.value.status == 403
        return
    with Peer(site.address, "/echo", headers=headers) as peer:
        peer.say("hello")
        assert peer.read() == "hello"
        assert peer.close() == (1000, "")


def test_a_page_request_is_told_what_to_do(site):
    answer = site.get("/echo")
    assert answer.status_code == 426
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_generator_has_the_request_and_the_database(site):
    with StreamPeer(site.address, "/feed/news", Cookie=logged_in(site)) as peer:
        assert peer.data() == "news for ann"
        assert peer.event() == {"data": "2", "id": "7"}


def test_a_stream_for_members_sends_others_away(site):
    with StreamPeer(site.address, "/members/feed/news") as peer:
        assert peer.status == 302


def test_a_view_of_events_may_answer_with_something_else(site):
    answer = site.get("/feed-closed")
    assert (answer.status_code, answer.text) == (403, "not you")


CHECKS = """
import sys, types
from django.conf import settings
settings.configure(INSTALLED_APPS=["faye_sync.contrib.django.FayeSync"])
import django
django.setup()
{more}
from django.core.checks import run_checks
print([check.id for check in run_checks()])
"""


@pytest.mark.parametrize(
    "more, found",
    [
        pytest.param("", [], id="nothing"),
        pytest.param("settings.INSTALLED_APPS.append('daphne')", ["faye_sync.W001"], id="daphne"),
        pytest.param(
            "sys.modules['mod_wsgi'] = types.ModuleType('m')", ["faye_sync.W002"], id="mod_wsgi"
        ),
    ],
)
def test_a_check_tells_of_servers_that_cannot(more, found):
    script = CHECKS.format(more=more)
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.stdout == f"{found}\n", run.stderr
