"""The choice of a driver: by the headers of the request, and by whether the drafts are spoken."""

from __future__ import annotations

import pytest

from faye_sync.driver.deflate import PerMessageDeflate
from faye_sync.driver.hixie import HixieServer75, HixieServer76
from faye_sync.driver.hybi import HybiServer
from faye_sync.driver.versions import refusal_of, server_driver, version_of
from faye_sync.errors import ConfigurationError
from faye_sync.events import ErrorEvent
from tests.support.wire import TEXT, frame, from_client

SHARED = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_UPGRADE": "WebSocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_PROTOCOL": "xmpp, irc",
}
VERSION = {"HTTP_SEC_WEBSOCKET_VERSION": "13"}
KEY = {"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ=="}
KEY_1 = {"HTTP_SEC_WEBSOCKET_KEY1": "1x 0"}
KEY_2 = {"HTTP_SEC_WEBSOCKET_KEY2": "4 5 0!"}

REQUEST = {**SHARED, **VERSION, **KEY}
REQUEST_75 = SHARED
REQUEST_76 = {**SHARED, **KEY_1, **KEY_2}


def driver_of(request: dict, **options: object):
    return server_driver(
        request, **{"protocols": (), "headers": (), "max_length": 1, "url": "ws://a/", **options}
    )


CHOICES = [
    pytest.param({**VERSION, **KEY}, "hybi-13", id="version and key"),
    pytest.param(VERSION, "hybi-13", id="version alone"),
    pytest.param({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, "hybi-13", id="another version"),
    pytest.param(KEY, "hybi-13", id="key alone"),
    pytest.param({"HTTP_SEC_WEBSOCKET_KEY": ""}, "hybi-13", id="empty key"),
    pytest.param({**KEY_1, **KEY_2}, "hixie-76", id="both keys of 76"),
    pytest.param(KEY_1, "hixie-76", id="first key of 76 alone"),
    pytest.param(KEY_2, "hixie-76", id="second key of 76 alone"),
    pytest.param({**KEY, **KEY_1, **KEY_2}, "hybi-13", id="keys of both"),
    pytest.param({**VERSION, **KEY_1}, "hybi-13", id="version and a key of 76"),
    pytest.param({}, "hixie-75", id="none"),
]


@pytest.mark.parametrize("marks, version", CHOICES)
def test_the_version_is_chosen_by_the_headers_where_the_drafts_are_spoken(marks, version):
    assert version_of({**SHARED, **marks}, allow_drafts=True) == version


@pytest.mark.parametrize("marks, version", CHOICES)
def test_every_request_is_of_hybi_13_where_they_are_not(marks, version):
    assert version_of({**SHARED, **marks}) == "hybi-13"


@pytest.mark.parametrize(
    "request_, kind",
    [
        pytest.param(REQUEST, HybiServer, id="hybi-13"),
        pytest.param(REQUEST_76, HixieServer76, id="hixie-76"),
        pytest.param(REQUEST_75, HixieServer75, id="hixie-75"),
    ],
)
def test_a_good_request_of_each_version_gets_its_driver(request_, kind):
    assert refusal_of(request_, allow_drafts=True) is None
    driver = driver_of(request_, allow_drafts=True)
    assert type(driver) is kind
    assert driver.version == version_of(request_, allow_drafts=True)


# --- refusals ---------------------------------------------------------------------------------------

NO_VERSION = "Sec-WebSocket-Version must be 13, but is missing."


@pytest.mark.parametrize("request_", [REQUEST_75, REQUEST_76], ids=["75", "76"])
def test_a_draft_that_is_not_spoken_is_told_what_is(request_):
    refused = refusal_of(request_)
    assert (refused.status, refused.text) == (426, NO_VERSION)
    assert refused.headers == (("Sec-WebSocket-Version", "13"),)


@pytest.mark.parametrize(
    "request_, status, text",
    [
        pytest.param(
            {**SHARED, **VERSION},
            400,
            "Sec-WebSocket-Key must be 16 octets in base64, but is missing.",
            id="hybi-13 without a key",
        ),
        pytest.param({**SHARED, **KEY}, 426, NO_VERSION, id="hybi-13 without a version"),
        pytest.param(
            {**SHARED, **KEY_1},
            400,
            "Sec-WebSocket-Key2 is missing: hixie-76 has two keys.",
            id="hixie-76 with one key",
        ),
        pytest.param(
            {**SHARED, "REQUEST_METHOD": "POST"},
            400,
            "A WebSocket is opened with GET, not with 'POST'.",
            id="hixie-75 by POST",
        ),
        pytest.param(
            {**REQUEST, "HTTP_SEC_WEBSOCKET_EXTENSIONS": "a,"},
            400,
            "Invalid Sec-WebSocket-Extensions header: 'a,'.",
            id="hybi-13 with bad extensions",
        ),
    ],
)
def test_a_request_is_judged_by_its_own_version(request_, status, text):
    refused = refusal_of(request_, allow_drafts=True)
    assert (refused.status, refused.text) == (status, text)


def test_a_draft_has_no_extensions_that_could_be_bad():
    request = {**REQUEST_76, "HTTP_SEC_WEBSOCKET_EXTENSIONS": "a,"}
    assert refusal_of(request, allow_drafts=True) is None


# --- options ----------------------------------------------------------------------------------------


def test_the_options_reach_the_driver_of_hybi_13():
    driver = driver_of(
        {**REQUEST, "HTTP_SEC_WEBSOCKET_EXTENSIONS": "permessage-deflate"},
        protocols="irc, xmpp",
        headers=[("X", "y")],
        extensions=[PerMessageDeflate],
        require_masking=False,
    )
    assert (driver.protocol, driver.extensions) == ("xmpp", ("permessage-deflate",))
    driver.start()
    driver.receiving.receive_data(frame(TEXT, b"a") + frame(TEXT, b"ab"))
    _, message, error = driver.receiving.events()
    assert message == "a"
    assert isinstance(error, ErrorEvent)
    assert driver.sending.data_to_send().endswith(b"\r\nX: y\r\n\r\n")


@pytest.mark.parametrize("request_", [REQUEST_75, REQUEST_76], ids=["75", "76"])
def test_the_options_reach_the_driver_of_a_draft(request_):
    driver = driver_of(request_, allow_drafts=True, url="wss://b/c", headers=[("X", "y")])
    driver.start()
    assert driver.sending.data_to_send().endswith(b"WebSocket-Location: wss://b/c\r\nX: y\r\n\r\n")
    driver.receiving.receive_data(bytes(8) if request_ is REQUEST_76 else b"")
    driver.receiving.receive_data(b"\0ab")
    assert isinstance(driver.receiving.events()[-1], ErrorEvent)


def test_frames_must_be_masked_unless_that_is_switched_off():
    driver = driver_of(REQUEST)
    driver.receiving.receive_data(from_client(TEXT, b"a"))
    assert driver.receiving.events() == ["a"]


@pytest.mark.parametrize("request_", [REQUEST, REQUEST_75, REQUEST_76], ids=["13", "75", "76"])
def test_a_header_that_cannot_stand_in_an_answer_is_refused_in_every_version(request_):
    with pytest.raises(ConfigurationError):
        driver_of(request_, allow_drafts=True, headers=[("X", "a\r\nb")])
