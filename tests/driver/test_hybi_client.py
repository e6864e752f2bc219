"""The client's driver: it asks, judges the answer, and from then on masks what it sends."""

from __future__ import annotations

import pytest

from faye_sync.driver.hybi import HybiClient
from faye_sync.errors import ConfigurationError
from faye_sync.events import CloseEvent, ErrorEvent, OpenEvent
from tests.support.heads import accept_of
from tests.support.wire import BINARY, CLOSE, PING, PONG, TEXT, frame, from_client, masked


def client(**options: object) -> HybiClient:
    return HybiClient(**{"protocols": (), "max_length": 100, **options})


def key_of(driver: HybiClient) -> str:
    return dict(driver.request_fields())["Sec-WebSocket-Key"]


def answer(key: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    """The headers of a 101."""
    return [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_of(key).decode()),
        *more,
    ]


def sent(driver: HybiClient) -> tuple[int, bytes, bytes]:
    """Take the one short frame that was queued: its first octet, masking key, and payload."""
    octets = driver.sending.data_to_send()
    first, second = octets[:2]
    assert second & 0x80, "not masked"
    assert second & 0x7F == len(octets) - 6, "not one short frame"
    return first, octets[2:6], masked(octets[6:], octets[2:6])


# --- the handshake --------------------------------------------------------------------------------


def test_every_request_has_a_key_of_its_own():
    driver = client()
    assert len({key_of(driver) for _ in range(100)}) == 100


def test_the_101_to_the_last_request_opens():
    driver = client(protocols=["chat"])
    key_of(driver)
    fields = answer(key_of(driver), ("Sec-WebSocket-Protocol", "chat"))
    assert driver.fault_of("1.1", iter(fields)) is None
    assert (driver.version, driver.protocol) == ("hybi-13", "chat")


def test_a_101_to_an_earlier_request_does_not():
    driver = client()
    earlier = answer(key_of(driver))
    key_of(driver)
    assert "Sec-WebSocket-Accept must be" in driver.fault_of("1.1", earlier)


def test_a_101_before_any_request_does_not():
    assert client().fault_of("1.1", answer("")) == "it answers no request"


def test_a_faulty_101_agrees_on_no_subprotocol():
    driver = client(protocols=["chat"])
    fields = answer(key_of(driver), ("Sec-WebSocket-Protocol", "chat"))
    assert driver.fault_of("1.0", fields) is not None
    assert driver.protocol == ""


def test_subprotocols_are_offered_with_every_request():
    driver = client(protocols="chat, superchat")
    for _ in range(2):
        assert ("Sec-WebSocket-Protocol", "chat, superchat") in driver.request_fields()


@pytest.mark.parametrize("protocols", [["a b"], ["a\r\nX: b"], [""], ["a", "a"], [5]], ids=repr)
def test_a_subprotocol_that_cannot_be_offered_is_refused(protocols):
    with pytest.raises(ConfigurationError, match="subprotocol"):
        client(protocols=protocols)


def test_nothing_is_sent_or_told_before_the_start_and_then_that_it_is_open():
    driver = client()
    assert (driver.sending.data_to_send(), driver.receiving.events()) == (b"", [])
    driver.start()
    assert (driver.sending.data_to_send(), driver.receiving.events()) == (b"", [OpenEvent()])


# --- what is sent ---------------------------------------------------------------------------------

# RFC 6455 5.2: FIN and the opcode.
SENT = [
    pytest.param(lambda half: half.text("h\u00e9"), 0x81, b"h\xc3\xa9", id="text"),
    pytest.param(lambda half: half.binary(b"\0\xff"), 0x82, b"\0\xff", id="binary"),
    pytest.param(lambda half: half.text(""), 0x81, b"", id="an empty message"),
    pytest.param(lambda half: half.ping(b"p"), 0x89, b"p", id="ping"),
    pytest.param(lambda half: half.pong(b"p"), 0x8A, b"p", id="pong"),
    pytest.param(lambda half: half.close(1000, "bye"), 0x88, b"\x03\xe8bye", id="close"),
]


@pytest.mark.parametrize("command, first, payload", SENT)
def test_every_frame_of_a_client_is_masked(command, first, payload):
    driver = client()
    command(driver.sending)
    opcode, _, plain = sent(driver)
    assert (opcode, plain) == (first, payload)


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 200_000])
def test_a_message_of_any_size_is_one_masked_frame(size):
    driver, data = client(), bytes(range(256)) * (size // 256 + 1)
    driver.sending.binary(data[:size])
    octets = driver.sending.data_to_send()
    head = frame(BINARY, data[:size], mask=bytes(4))[:-size]
    key = octets[len(head) - 4 : len(head)]
    assert octets == frame(BINARY, data[:size], mask=key)


def test_no_two_frames_share_a_masking_key():
    driver, keys = client(), set()
    for _ in range(1000):
        driver.sending.text("the same")
        keys.add(sent(driver)[1])
    # Of 32 bits, so that one pair of a thousand may be alike once in 8,600 runs.
    assert len(keys) >= 998


def test_two_clients_mask_the_same_message_differently():
    frames = []
    for driver in (client(), client()):
        driver.sending.text("x" * 100)
        frames.append(driver.sending.data_to_send())
    assert frames[0] != frames[1]


# --- what is received -----------------------------------------------------------------------------


def test_the_plain_frames_of_a_server_are_taken():
    driver = client()
    driver.receiving.receive_data(frame(TEXT, b"hi") + frame(BINARY, b"\0"))
    assert driver.receiving.events() == ["hi", b"\0"]


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_a_masked_frame_of_a_server_is_a_violation(opcode):
    driver = client()
    driver.receiving.receive_data(from_client(opcode, b"\x03\xe8"))
    (event,) = driver.receiving.events()
    assert isinstance(event, ErrorEvent)
    assert event.error.code == 1002


def test_the_mask_bit_is_judged_before_the_payload_is_there():
    driver = client()
    # A frame of 2**63 - 1 octets that is masked.
    driver.receiving.receive_data(bytes.fromhex("82 ff"))
    assert isinstance(driver.receiving.events()[0], ErrorEvent)


def test_the_limit_reaches_the_receiving_half():
    driver = client(max_length=1)
    driver.receiving.receive_data(frame(TEXT, b"hi"))
    (event,) = driver.receiving.events()
    assert event.message == "message of 2 octets exceeds max_length 1"


def test_the_end_without_a_close_frame_is_1006():
    driver = client()
    driver.receiving.receive_eof()
    assert driver.receiving.events() == [CloseEvent(1006, "", False, "eof")]
