"""The server's driver: the 101 first, then the two halves."""

from __future__ import annotations

import pytest

from faye_sync.driver.hybi import HybiServer
from faye_sync.errors import ConfigurationError
from faye_sync.events import ErrorEvent, OpenEvent
from tests.support.wire import TEXT, frame, from_client

# The key of RFC 6455 1.3.
REQUEST = {
    "REQUEST_METHOD": "GET",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP_SEC_WEBSOCKET_PROTOCOL": "foo, irc",
}


def server(**options: object) -> HybiServer:
    return HybiServer(REQUEST, **{"protocols": (), "headers": (), "max_length": 100, **options})


def test_nothing_is_written_or_told_before_the_start():
    driver = server()
    assert driver.sending.data_to_send() == b""
    assert driver.receiving.events() == []


def test_the_start_writes_the_101_and_tells_that_the_connection_is_open():
    driver = server(protocols=["irc"], headers=[("X-Room", "7")])
    driver.start()
    assert driver.sending.data_to_send() == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: irc\r\n"
        b"X-Room: 7\r\n"
        b"\r\n"
    )
    assert driver.receiving.events() == [OpenEvent()]
    assert (driver.version, driver.protocol) == ("hybi-13", "irc")


def test_a_message_queued_after_the_start_stands_behind_the_101():
    driver = server()
    driver.start()
    driver.sending.text("hi")
    assert driver.sending.data_to_send().endswith(b"\r\n\r\n\x81\x02hi")


def test_a_server_takes_masked_frames_and_writes_plain_ones():
    driver = server()
    driver.receiving.receive_data(from_client(TEXT, b"hi"))
    driver.sending.text("hi")
    assert driver.receiving.events() == ["hi"]
    assert driver.sending.data_to_send() == frame(TEXT, b"hi")


def test_masking_may_be_switched_off():
    driver = server(require_masking=False)
    driver.receiving.receive_data(frame(TEXT, b"hi"))
    assert driver.receiving.events() == ["hi"]


def test_the_limit_reaches_the_receiving_half():
    driver = server(max_length=1)
    driver.receiving.receive_data(from_client(TEXT, b"hi"))
    (event,) = driver.receiving.events()
    assert isinstance(event, ErrorEvent)
    assert event.message == "message of 2 octets exceeds max_length 1"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"protocols": ["a b"]}, id="a subprotocol that is no token"),
        pytest.param({"headers": [("X", "a\r\nY: b")]}, id="a header with CR and LF"),
    ],
)
def test_what_cannot_stand_in_the_101_is_refused_before_anything_is_written(options):
    with pytest.raises(ConfigurationError):
        server(**options)
