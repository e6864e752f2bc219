"""The three styles, refusals and failures in the views of every framework, on real servers."""

from __future__ import annotations

import pytest

from tests.support.peer import Peer, Refused

STYLES = ["callbacks", "start", "attached"]
FOREIGN = [("Origin", "http://evil.example")]

# These answer with ws.status_code and an empty body, the others with the object itself.
STATUS_ONLY = ("bottle", "falcon", "pyramid")


@pytest.mark.parametrize("style", STYLES)
def test_messages_come_back_and_no_octet_of_http_comes_after_the_close(site, style):
    with Peer(site.address, f"/{style}/echo") as peer:
        for message in ("hello", b"\x00\xff", "x" * 100_000):
            peer.say(message)
            assert peer.read() == message
        assert peer.close() == (1000, "")
    assert site.get("/hello").text == "hello"


@pytest.mark.parametrize("style", STYLES)
def test_a_refusal_reaches_the_client(site, style):
    with pytest.raises(Refused) as refused:
        Peer(site.address, f"/{style}/echo", headers=FOREIGN)
    assert refused.value.status == 403
    if site.framework not in STATUS_ONLY:
        assert b"may not open a WebSocket" in refused.value.body


@pytest.mark.parametrize("style", STYLES)
def test_a_page_request_is_answered_with_426(site, style):
    answer = site.get(f"/{style}/echo")
    assert answer.status_code == 426
    if site.framework not in STATUS_ONLY:
        assert answer.headers["Sec-WebSocket-Version"] == "13"
        assert "open it with a WebSocket client" in answer.text


@pytest.mark.parametrize("style", ["start", "attached"])
def test_a_handler_that_raises_closes_with_1011_and_one_traceback(site, style):
    with Peer(site.address, f"/{style}/raise") as peer:
        peer.say("go on")
        assert peer.read() == "go on"
        assert peer.answer_close() == (1011, "")
    site.wait_for_traceback("Deliberate: the handler failed on purpose")


@pytest.mark.parametrize("style", ["start", "attached"])
def test_a_handler_that_returns_closes_with_1000(site, style):
    with Peer(site.address, f"/{style}/return") as peer:
        peer.say("last words")
        assert peer.read() == "last words"
        assert peer.answer_close() == (1000, "")


@pytest.mark.parametrize("style", STYLES)
def test_a_peer_that_vanishes_leaves_the_site_as_it_was(site, style):
    with Peer(site.address, f"/{style}/echo") as peer:
        peer.say("hello")
        assert peer.read() == "hello"
        peer.drop()
    assert site.get("/hello").text == "hello"


def test_a_view_that_forgets_to_return_the_connection_closes_it_and_says_so(site):
    with Peer(site.address, "/mistakes/forgotten") as peer:
        peer.say("hello")
        assert peer.answer_close() == (1011, "")
    site.wait_for_log("forgot to return the WebSocket or to call close")
    expect_the_frameworks_own(site)


def test_a_view_that_never_opens_the_connection_gets_a_warning_with_the_cure(site):
    with pytest.raises(Refused):
        Peer(site.address, "/mistakes/unopened")
    site.wait_for_log("was neither opened nor answered; return it from the view")
    expect_the_frameworks_own(site)


def expect_the_frameworks_own(site) -> None:
    """Flask and Django have something to say themselves of views that return None."""
    if site.framework == "flask":
        site.wait_for_traceback("TypeError: The view function .* did not return a valid response")
    if site.framework == "django":
        site.wait_for_traceback("ValueError: The view .* didn't return an HttpResponse object")
