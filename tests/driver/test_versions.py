"""The choice of a driver: hybi-13 for every request yet."""

from __future__ import annotations

from faye_sync.driver.hybi import HybiServer
from faye_sync.driver.versions import server_driver, version_of
from faye_sync.events import ErrorEvent, MessageEvent
from tests.support.wire import TEXT, frame, from_client

REQUEST = {
    "REQUEST_METHOD": "GET",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP_SEC_WEBSOCKET_PROTOCOL": "xmpp, irc",
}


def test_a_good_request_is_of_hybi_13():
    assert version_of(REQUEST) == "hybi-13"


def test_the_driver_of_a_request_has_its_version_and_subprotocol():
    driver = server_driver(REQUEST, protocols="irc, xmpp", headers=(), max_length=1)
    assert isinstance(driver, HybiServer)
    assert (driver.version, driver.protocol) == ("hybi-13", "xmpp")


def test_the_options_reach_the_driver():
    driver = server_driver(
        REQUEST, protocols=(), headers=[("X", "y")], max_length=1, require_masking=False
    )
    driver.start()
    driver.receiving.receive_data(frame(TEXT, b"a") + frame(TEXT, b"ab"))
    _, message, error = driver.receiving.events()
    assert message == MessageEvent("a")
    assert isinstance(error, ErrorEvent)
    assert driver.sending.data_to_send().endswith(b"\r\nX: y\r\n\r\n")


def test_frames_must_be_masked_unless_that_is_switched_off():
    driver = server_driver(REQUEST, protocols=(), headers=(), max_length=1)
    driver.receiving.receive_data(from_client(TEXT, b"a"))
    assert driver.receiving.events() == [MessageEvent("a")]
