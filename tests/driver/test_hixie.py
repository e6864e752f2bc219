"""The drafts' drivers: the 101 first, then the two halves."""

from __future__ import annotations

import pytest

from faye_sync.driver.base import Reply
from faye_sync.driver.hixie import HixieServer75, HixieServer76
from faye_sync.errors import ConfigurationError
from faye_sync.events import CloseEvent, ErrorEvent, OpenEvent

# The example of the draft, 1.3.
REQUEST = {
    "REQUEST_METHOD": "GET",
    "HTTP_ORIGIN": "http://example.com",
    "HTTP_SEC_WEBSOCKET_PROTOCOL": "sample",
    "HTTP_SEC_WEBSOCKET_KEY1": "18x 6]8vM;54 *(5:  {   U1]8  z [  8",
    "HTTP_SEC_WEBSOCKET_KEY2": "1_ tx7X d  <  nw  334J702) 7]o}` 0",
}
BODY = b"Tm[K T2u"
PROOF = b"fQJ,fN/4F4!~K~MH"

HEAD_75 = (
    b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
    b"Upgrade: WebSocket\r\n"
    b"Connection: Upgrade\r\n"
    b"WebSocket-Origin: http://example.com\r\n"
    b"WebSocket-Location: ws://example.com/demo\r\n"
    b"X-Room: 7\r\n"
    b"\r\n"
)
HEAD_76 = (
    b"HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
    b"Upgrade: WebSocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Origin: http://example.com\r\n"
    b"Sec-WebSocket-Location: ws://example.com/demo\r\n"
    b"X-Room: 7\r\n"
    b"\r\n"
)

OPTIONS = {
    "url": "ws://example.com/demo",
    "protocols": ["sample"],
    "headers": [("X-Room", "7")],
    "max_length": 100,
}


def server_75(**options: object) -> HixieServer75:
    return HixieServer75(REQUEST, **{**OPTIONS, **options})


def server_76(**options: object) -> HixieServer76:
    return HixieServer76(REQUEST, **{**OPTIONS, **options})


BOTH = pytest.mark.parametrize(
    "server", [pytest.param(server_75, id="75"), pytest.param(server_76, id="76")]
)


@BOTH
def test_nothing_is_written_or_told_before_the_start(server):
    driver = server()
    assert driver.sending.data_to_send() == b""
    assert driver.receiving.events() == []


def test_the_start_of_hixie_75_writes_the_101_and_opens():
    driver = server_75()
    driver.start()
    assert driver.sending.data_to_send() == HEAD_75
    assert driver.receiving.events() == [OpenEvent()]
    assert driver.version == "hixie-75"


def test_the_start_of_hixie_76_writes_the_101_and_its_body_opens():
    driver = server_76()
    driver.start()
    assert driver.sending.data_to_send() == HEAD_76
    assert driver.receiving.events() == []
    driver.receiving.receive_data(BODY)
    assert driver.receiving.events() == [Reply(PROOF), OpenEvent()]
    driver.sending.reply(PROOF)
    assert driver.sending.data_to_send() == PROOF
    assert driver.version == "hixie-76"


@BOTH
def test_no_subprotocol_and_no_extension_is_agreed_on(server):
    driver = server()
    assert (driver.protocol, driver.extensions, driver.close_sessions()) == ("", (), [])


@BOTH
def test_the_limit_reaches_the_receiving_half(server):
    driver = server(max_length=1)
    driver.start()
    driver.receiving.receive_data(BODY if server is server_76 else b"")
    driver.receiving.receive_data(b"\0a\xff\0ab")
    *_, message, error = driver.receiving.events()
    assert message == "a"
    assert isinstance(error, ErrorEvent)
    assert error.message == "message of 2 octets exceeds max_length 1"


def test_only_hixie_76_has_a_closing_handshake():
    assert not server_75().sending.has_close
    driver = server_76()
    assert driver.sending.has_close
    driver.receiving.receive_data(BODY + b"\xff\0")
    assert driver.receiving.events()[-1] == CloseEvent(1000, "", True, "peer")


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"protocols": ["a b"]}, id="a subprotocol that is no token"),
        pytest.param({"headers": [("X", "a\r\nY: b")]}, id="a header with CR and LF"),
        pytest.param({"headers": [("Upgrade", "x")]}, id="a header of the handshake's own"),
    ],
)
def test_what_cannot_stand_in_an_answer_is_refused_before_anything_is_written(server, options):
    with pytest.raises(ConfigurationError):
        server(**options)
