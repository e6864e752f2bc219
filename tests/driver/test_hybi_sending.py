"""Commands in, octets out: RFC 6455 5.1 to 5.6, and what the receiving half makes of them."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings, strategies as st

from faye_sync.driver.hybi_receiving import HybiReceiving
from faye_sync.driver.hybi_sending import HybiSending
from faye_sync.events import CloseEvent, Event, PingEvent, PongEvent
from tests.support.wire import masked

SIDES = pytest.mark.parametrize("masking", [False, True], ids=["server", "client"])


def read_back(masking: bool, octets: bytes) -> list[Event]:
    receiving = HybiReceiving(require_masking=masking, max_length=2**26)
    receiving.receive_data(octets)
    return receiving.events()


FRAMES = [
    pytest.param("text", ("Hello",), "81 05 48656c6c6f", id="text"),
    pytest.param("text", ("",), "81 00", id="empty text"),
    pytest.param("text", ("é€😀",), "81 09 c3a9 e282ac f09f9880", id="text in UTF-8"),
    pytest.param("binary", (b"\0\xff",), "82 02 00ff", id="bytes"),
    pytest.param("binary", (bytearray(b"ab"),), "82 02 6162", id="bytearray"),
    pytest.param("binary", (memoryview(b"abcd")[::2],), "82 02 6163", id="memoryview with steps"),
    pytest.param("binary", (memoryview(array("H", (0, 0))),), "82 04 00000000", id="of 2 octets"),
    pytest.param("ping", (b"",), "89 00", id="empty ping"),
    pytest.param("ping", (b"x",), "89 01 78", id="ping"),
    pytest.param("pong", (b"y",), "8a 01 79", id="pong"),
    pytest.param("close", (1000, ""), "88 02 03e8", id="close"),
    pytest.param("close", (1002, "é"), "88 04 03ea c3a9", id="close with a reason"),
    pytest.param("close", (None, ""), "88 00", id="close without a code"),
]


@pytest.mark.parametrize("command, arguments, octets", FRAMES)
def test_a_server_writes_plain_final_frames(command, arguments, octets):
    half = HybiSending(masking=False)
    getattr(half, command)(*arguments)
    assert half.data_to_send() == bytes.fromhex(octets)


@pytest.mark.parametrize("command, arguments, octets", FRAMES)
def test_a_client_masks_every_frame(command, arguments, octets):
    half = HybiSending(masking=True)
    getattr(half, command)(*arguments)
    written, plain = half.data_to_send(), bytes.fromhex(octets)
    assert written[:2] == bytes((plain[0], plain[1] | 0x80))
    assert masked(written[6:], written[2:6]) == plain[2:]


def test_a_client_masks_the_same_message_with_another_key_each_time():
    half = HybiSending(masking=True)
    keys = set()
    for _ in range(20):
        half.text("same")
        keys.add(half.data_to_send()[2:6])
    assert len(keys) == 20


@SIDES
def test_commands_leave_in_order_and_once(masking):
    half = HybiSending(masking=masking)
    half.text("a")
    half.ping(b"b")
    half.binary(b"c")
    half.pong(b"d")
    half.close(1001, "e")
    assert read_back(masking, half.data_to_send()) == [
        "a",
        PingEvent(b"b"),
        b"c",
        PongEvent(b"d"),
        CloseEvent(1001, "e", True, "peer"),
    ]
    assert half.data_to_send() == b""


def test_nothing_is_left_to_send_before_a_command():
    assert HybiSending(masking=False).data_to_send() == b""


@SIDES
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_message_is_one_frame_whatever_its_size(masking, size):
    half = HybiSending(masking=masking)
    half.binary(b"x" * size)
    octets = half.data_to_send()
    assert octets[0] == 0x82  # FIN, binary
    assert read_back(masking, octets) == [b"x" * size]


@SIDES
@pytest.mark.parametrize("command", ["ping", "pong"])
def test_a_control_frame_carries_125_octets_and_no_more(masking, command):
    half = HybiSending(masking=masking)
    getattr(half, command)(b"x" * 125)
    assert len(read_back(masking, half.data_to_send())) == 1
    with pytest.raises(ValueError, match=f"{command} has 126 octets; 125 are allowed"):
        getattr(half, command)(b"x" * 126)
    assert half.data_to_send() == b""


@pytest.mark.parametrize("command", ["ping", "pong"])
def test_a_control_frame_is_measured_in_octets_not_in_items(command):
    # 40 items of 4 octets.
    with pytest.raises(ValueError, match="160 octets"):
        getattr(HybiSending(masking=False), command)(memoryview(array("I", range(40))))


@SIDES
def test_a_close_reason_over_123_octets_is_cut(masking):
    half = HybiSending(masking=masking)
    half.close(1011, "é" * 100)
    assert read_back(masking, half.data_to_send()) == [CloseEvent(1011, "é" * 61, True, "peer")]


@pytest.mark.parametrize(
    "command, data, text",
    [
        pytest.param("text", b"a", "must be a str, got bytes", id="text of bytes"),
        pytest.param("text", None, "must be a str, got NoneType", id="text of None"),
        pytest.param("binary", "a", "got str", id="binary of str"),
        pytest.param("binary", 5, "got int", id="binary of int"),
        pytest.param("binary", [1, 2], "got list", id="binary of list"),
        pytest.param("frame", {}, "got dict", id="frame of dict"),
        pytest.param("ping", "a", "got str", id="ping of str"),
        pytest.param("ping", 5, "got int", id="ping of int"),
        pytest.param("pong", None, "got NoneType", id="pong of None"),
    ],
)
def test_what_is_no_message_is_named_and_nothing_is_queued(command, data, text):
    half = HybiSending(masking=False)
    with pytest.raises(TypeError, match=text):
        getattr(half, command)(data)
    assert half.data_to_send() == b""


@SIDES
def test_a_lone_surrogate_is_refused_and_nothing_is_queued(masking):
    half = HybiSending(masking=masking)
    with pytest.raises(ValueError, match="lone surrogate"):
        half.text("a\ud800")
    assert half.data_to_send() == b""


@SIDES
@pytest.mark.parametrize(
    "command, read", [("binary", b"before"), ("ping", PingEvent(b"before"))], ids=["binary", "ping"]
)
def test_what_the_caller_changes_afterwards_does_not_change_the_frame(masking, command, read):
    data = bytearray(b"before")
    half = HybiSending(masking=masking)
    getattr(half, command)(data)
    data[:] = b"after"
    assert read_back(masking, half.data_to_send()) == [read]


@pytest.mark.parametrize("data", ["é", b"\xff", bytearray(b"a"), memoryview(b"b")], ids=repr)
def test_a_server_frames_a_message_once_for_many(data):
    first, second = HybiSending(masking=False), HybiSending(masking=False)
    assert first.frame_kind == second.frame_kind == "hybi"
    second.framed(first.frame(data))
    (first.text if isinstance(data, str) else first.binary)(data)
    assert first.data_to_send() == second.data_to_send()


def test_a_client_shares_no_frame_because_each_has_its_own_key():
    half = HybiSending(masking=True)
    assert (half.frame_kind, half.frame("a"), half.frame(b"b")) == (None, None, None)


COMMANDS = st.one_of(
    st.text(max_size=200).map(lambda data: ("text", data, data)),
    st.binary(max_size=200).map(lambda data: ("binary", data, data)),
    st.sampled_from((699, 700, 65535, 65536)).map(
        lambda size: ("binary", b"x" * size, b"x" * size)
    ),
    st.binary(max_size=125).map(lambda data: ("ping", data, PingEvent(data))),
    st.binary(max_size=125).map(lambda data: ("pong", data, PongEvent(data))),
)


@settings(max_examples=60)
@given(commands=st.lists(COMMANDS, max_size=8), masking=st.booleans(), is_joined=st.booleans())
def test_what_one_half_writes_the_other_reads_back(commands, masking, is_joined):
    half = HybiSending(masking=masking)
    octets = b""
    for command, data, _ in commands:
        getattr(half, command)(data)
        octets += b"" if is_joined else half.data_to_send()
    octets += half.data_to_send()
    assert read_back(masking, octets) == [read for _, _, read in commands]
