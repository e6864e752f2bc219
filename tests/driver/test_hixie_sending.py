"""Commands in, frames of the drafts out."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from faye_sync.driver.hixie_receiving import HixieReceiving
from faye_sync.driver.hixie_sending import HixieSending

PROOF = b"fQJ,fN/4F4!~K~MH"


def half_75() -> HixieSending:
    return HixieSending("hixie-75", has_close=False)


def half_76() -> HixieSending:
    """One that has proved itself."""
    half = HixieSending("hixie-76", has_close=True)
    half.reply(PROOF)
    half.data_to_send()
    return half


BOTH = pytest.mark.parametrize(
    "make, version",
    [pytest.param(half_75, "hixie-75", id="75"), pytest.param(half_76, "hixie-76", id="76")],
)


@BOTH
@pytest.mark.parametrize(
    "text, octets",
    [
        pytest.param("Hello", "00 48656c6c6f ff", id="text"),
        pytest.param("", "00 ff", id="empty"),
        pytest.param("é€😀", "00 c3a9 e282ac f09f9880 ff", id="in UTF-8"),
        pytest.param("\0", "00 00 ff", id="NUL"),
    ],
)
@pytest.mark.parametrize("compress", [None, True, False])
def test_a_text_stands_between_00_and_ff(make, version, text, octets, compress):
    half = make()
    half.text(text, compress)
    half.framed(half.frame(text))
    assert half.data_to_send() == bytes.fromhex(octets) * 2
    assert half.data_to_send() == b""


@BOTH
@given(texts=st.lists(st.text(), max_size=5))
def test_every_text_is_read_back(make, version, texts):
    half = make()
    for text in texts:
        half.text(text)
    receiving = HixieReceiving(max_length=2**20)
    receiving.receive_data(half.data_to_send())
    assert receiving.events() == texts


@BOTH
def test_a_text_may_be_sent_in_parts(make, version):
    half = make()
    half.fragment("a", is_first=True, is_final=False)
    assert half.data_to_send() == b"\0a"
    half.fragment("", is_first=False, is_final=False, compress=True)
    half.fragment("é", is_first=False, is_final=False)
    half.fragment("", is_first=False, is_final=True)
    half.fragment("one", is_first=True, is_final=True)
    assert half.data_to_send() == "é".encode() + b"\xff\0one\xff"


NO_TEXT = [
    pytest.param(b"a", "bytes", id="bytes"),
    pytest.param(bytearray(b"a"), "bytearray", id="bytearray"),
    pytest.param(memoryview(b"a"), "memoryview", id="memoryview"),
]


@BOTH
@pytest.mark.parametrize("data, name", NO_TEXT)
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(HixieSending.binary, id="binary"),
        pytest.param(HixieSending.frame, id="frame"),
        pytest.param(
            lambda half, data: half.fragment(data, is_first=True, is_final=False), id="fragment"
        ),
    ],
)
def test_binary_is_refused_with_the_cure_and_nothing_is_queued(make, version, command, data, name):
    half = make()
    with pytest.raises(TypeError) as refused:
        command(half, data)
    assert str(refused.value) == (
        f"{version} carries text only, got {name}: send str, such as base64, to a client of this "
        "version"
    )
    assert half.data_to_send() == b""


@BOTH
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(HixieSending.text, id="text"),
        pytest.param(HixieSending.frame, id="frame"),
        pytest.param(
            lambda half, data: half.fragment(data, is_first=True, is_final=False), id="fragment"
        ),
    ],
)
def test_a_lone_surrogate_is_refused_and_nothing_is_queued(make, version, command):
    half = make()
    with pytest.raises(ValueError, match="lone surrogate"):
        command(half, "a\ud800")
    assert half.data_to_send() == b""


@BOTH
@pytest.mark.parametrize("command", ["ping", "pong"])
def test_there_are_no_pings_and_pongs(make, version, command):
    half = make()
    assert not half.has_ping
    with pytest.raises(ValueError, match=f"{version} has no {command}, got 2 octets for one"):
        getattr(half, command)(b"ab")
    assert half.data_to_send() == b""


@BOTH
def test_frames_of_both_versions_are_the_same_and_of_text_alone(make, version):
    half = make()
    assert half.frame_kind == "hixie"
    assert not half.has_binary
    assert half.lost()


# --- what only one of them has ------------------------------------------------------------------------


def test_hixie_75_is_ready_from_the_start_and_has_no_close_frame():
    half = half_75()
    assert half.is_ready
    assert not half.has_close
    half.close(1000, "bye")
    assert half.data_to_send() == b""


def test_hixie_76_is_ready_once_its_proof_was_queued():
    half = HixieSending("hixie-76", has_close=True)
    half.framed(b"head")
    assert not half.is_ready
    half.reply(PROOF)
    assert half.is_ready
    half.text("a")
    assert half.data_to_send() == b"head" + PROOF + b"\0a\xff"


def test_hixie_76_closes_with_ff_00_which_has_no_room_for_code_or_reason():
    half = half_76()
    assert half.has_close
    half.close(4000, "bye")
    assert half.data_to_send() == b"\xff\0"


def test_hixie_76_has_no_close_frame_before_its_proof():
    half = HixieSending("hixie-76", has_close=True)
    half.close(1000, "")
    assert half.data_to_send() == b""
