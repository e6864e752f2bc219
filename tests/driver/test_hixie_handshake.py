"""The handshakes of the drafts: what is refused, what is answered, what proves it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from faye_sync.driver.hixie_handshake import (
    challenge_of,
    head_75,
    head_76,
    proof_of,
    refusal_75,
    refusal_76,
)

GOOD_75 = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_UPGRADE": "WebSocket",
    "HTTP_ORIGIN": "http://example.com",
}
# They stand for 10 / 1 and 450 / 2.
GOOD_76 = {
    **GOOD_75,
    "HTTP_SEC_WEBSOCKET_KEY1": "1x 0",
    "HTTP_SEC_WEBSOCKET_KEY2": "4 5 0!",
}
URL = "ws://example.com/demo"


def request_75(**changes: str | None) -> dict[str, str]:
    """A good request with some of it changed, or taken away by None."""
    return {name: value for name, value in {**GOOD_75, **changes}.items() if value is not None}


def request_76(**changes: str | None) -> dict[str, str]:
    """Likewise, of hixie-76."""
    return {name: value for name, value in {**GOOD_76, **changes}.items() if value is not None}


def keyed(key: str | None) -> dict[str, str]:
    return request_76(HTTP_SEC_WEBSOCKET_KEY1=key)


VERSIONS = pytest.mark.parametrize(
    "request_of, refusal_of",
    [pytest.param(request_75, refusal_75, id="75"), pytest.param(request_76, refusal_76, id="76")],
)

ACCEPTED = [
    pytest.param({}, id="as the drafts have it"),
    pytest.param({"HTTP_UPGRADE": "websocket"}, id="Upgrade in lower case"),
    pytest.param({"HTTP_UPGRADE": "WEBSOCKET"}, id="Upgrade in upper case"),
    pytest.param({"HTTP_CONNECTION": "keep-alive, upgrade"}, id="Connection with keep-alive"),
    pytest.param({"HTTP_ORIGIN": None}, id="no origin"),
    pytest.param({"CONTENT_LENGTH": ""}, id="empty Content-Length"),
]

REFUSED = [
    pytest.param({"REQUEST_METHOD": "POST"}, 400, "not with 'POST'", id="POST"),
    pytest.param({"HTTP_UPGRADE": None}, 426, "open it with a WebSocket client", id="a page view"),
    pytest.param({"HTTP_UPGRADE": "h2c"}, 426, "Upgrade header is 'h2c'", id="another Upgrade"),
    pytest.param({"HTTP_CONNECTION": None}, 400, "must list Upgrade", id="no Connection"),
    pytest.param({"HTTP_CONNECTION": "close"}, 400, "must list Upgrade", id="Connection close"),
    pytest.param({"SERVER_PROTOCOL": "HTTP/1.0"}, 400, "needs HTTP/1.1", id="HTTP/1.0"),
    pytest.param({"CONTENT_LENGTH": "8"}, 400, "Content-Length '8'", id="a body of HTTP"),
]


@VERSIONS
@pytest.mark.parametrize("changes", ACCEPTED)
def test_a_good_request_is_not_refused(request_of, refusal_of, changes):
    assert refusal_of(request_of(**changes)) is None


@VERSIONS
@pytest.mark.parametrize("changes, status, text", REFUSED)
def test_a_bad_request_is_refused_with_what_is_wrong(request_of, refusal_of, changes, status, text):
    refused = refusal_of(request_of(**changes))
    assert refused.status == status
    assert text in refused.text


# --- the keys of hixie-76 -------------------------------------------------------------------------

BAD_KEYS = [
    pytest.param(None, "is missing: hixie-76 has two keys.", id="missing"),
    pytest.param("", "has no space: it is ''.", id="empty"),
    pytest.param("12", "has no space: it is '12'.", id="no space"),
    pytest.param("1\t2", "has no space: it is '1\\t2'.", id="a tab is no space"),
    pytest.param("a b", "has no digit: it is 'a b'.", id="no digit"),
    # Digits to Unicode, but not to the draft.
    pytest.param("\xb2 \xb3", "has no digit: it is '\\xb2 \\xb3'.", id="superscripts"),
    pytest.param("0 0", "is the number 0: it is '0 0'.", id="zero"),
    pytest.param(
        "1 2 3", "is a number that its 2 spaces do not divide: it is '1 2 3'.", id="indivisible"
    ),
    pytest.param(
        "4294967296 ", "is too large a number: it is '4294967296 '.", id="more than 32 bits"
    ),
    pytest.param("9" * 200 + " ", f"is too large a number: it is '{'9' * 99}....", id="200 digits"),
]


@pytest.mark.parametrize("name", ["Sec-WebSocket-Key1", "Sec-WebSocket-Key2"])
@pytest.mark.parametrize("key, text", BAD_KEYS)
def test_a_bad_key_is_named_with_its_fault(name, key, text):
    variable = f"HTTP_{name.upper().replace('-', '_')}"
    refused = refusal_76(request_76(**{variable: key}))
    assert (refused.status, refused.text) == (400, f"{name} {text}")


def test_a_key_that_takes_long_to_read_as_a_number_is_refused_unread():
    # Python refuses to convert so many digits, with a ValueError.
    assert refusal_76(keyed("1" * 60_000 + " ")).text.startswith("Sec-WebSocket-Key1 is too large")


GOOD_KEYS = [
    pytest.param("1 ", 1, id="the least"),
    pytest.param("4294967295 ", 2**32 - 1, id="the most"),
    pytest.param("8589934590  ", 2**32 - 1, id="the most, by two spaces"),
    pytest.param(" 1x2!~4 ", 62, id="other signs about the digits"),
    pytest.param("\xb2 7\xb3", 7, id="superscripts are no digits"),
    pytest.param("0007 ", 7, id="zeros in front"),
]


@pytest.mark.parametrize("key, number", GOOD_KEYS)
def test_a_key_stands_for_its_digits_by_its_spaces(key, number):
    assert refusal_76(keyed(key)) is None
    assert challenge_of(keyed(key)) == number.to_bytes(4, "big") + (225).to_bytes(4, "big")


@given(st.text(st.sampled_from("0123456789  ab\t\xb2"), max_size=24))
def test_any_key_is_either_refused_or_stands_for_32_bits_that_are_not_0(key):
    if refusal_76(keyed(key)) is None:
        number = int.from_bytes(challenge_of(keyed(key))[:4], "big")
        digits = int(re.sub("[^0-9]", "", key))
        assert number * key.count(" ") == digits > 0


@pytest.mark.parametrize(
    "first, second, body, proof",
    [
        # The two examples of the draft: 1.3 and 5.2.
        pytest.param(
            "18x 6]8vM;54 *(5:  {   U1]8  z [  8",
            "1_ tx7X d  <  nw  334J702) 7]o}` 0",
            b"Tm[K T2u",
            b"fQJ,fN/4F4!~K~MH",
            id="1.3",
        ),
        pytest.param(
            "4 @1  46546xW%0l 1 5",
            "12998 5 Y3 1  .P00",
            b"^n:ds[4U",
            b"8jKS'y:G*Co,Wxa-",
            id="5.2",
        ),
    ],
)
def test_the_examples_of_the_draft_are_proved(first, second, body, proof):
    asked = request_76(HTTP_SEC_WEBSOCKET_KEY1=first, HTTP_SEC_WEBSOCKET_KEY2=second)
    assert refusal_76(asked) is None
    assert proof_of(challenge_of(asked), body) == proof


# --- what is answered -----------------------------------------------------------------------------


def test_the_101_of_hixie_75_has_its_own_words_and_the_users_headers_last():
    assert head_75(GOOD_75, URL, [("X-Room", "7")]) == (
        b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
        b"Upgrade: WebSocket\r\n"
        b"Connection: Upgrade\r\n"
        b"WebSocket-Origin: http://example.com\r\n"
        b"WebSocket-Location: ws://example.com/demo\r\n"
        b"X-Room: 7\r\n"
        b"\r\n"
    )


def test_the_101_of_hixie_76_has_its_own_words_and_the_users_headers_last():
    assert head_76(GOOD_76, URL, [("X-Room", "7")]) == (
        b"HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
        b"Upgrade: WebSocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Origin: http://example.com\r\n"
        b"Sec-WebSocket-Location: ws://example.com/demo\r\n"
        b"X-Room: 7\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize("head", [head_75, head_76])
@pytest.mark.parametrize(
    "origin",
    [
        pytest.param(None, id="none"),
        pytest.param("http://a\r\nX: y", id="CR and LF"),
        pytest.param("http://a\0", id="NUL"),
        pytest.param("http://\u20ac", id="beyond latin-1"),
    ],
)
def test_an_origin_that_is_missing_or_cannot_stand_in_a_header_is_left_out(head, origin):
    answer = head(request_75(HTTP_ORIGIN=origin), URL, ())
    assert b"Origin" not in answer
    assert b"WebSocket-Location: ws://example.com/demo\r\n" in answer


@pytest.mark.parametrize("head", [head_75, head_76])
@pytest.mark.parametrize(
    "url, location",
    [
        pytest.param(
            "ws://b\xfccher.example/\xe4?q=\u20ac",
            b"ws://xn--bcher-kva.example/%C3%A4?q=%E2%82%AC",
            id="an IRI",
        ),
        pytest.param("ws://[::1]:8080/", b"ws://[::1]:8080/", id="IPv6"),
        pytest.param("ws:///a", b"ws:///a", id="no host"),
        pytest.param("ws://./", None, id="a host of empty labels"),
        pytest.param("ws://[/", None, id="half an IPv6 address"),
        pytest.param("ws://a:b/", None, id="a port that is no number"),
    ],
)
def test_the_location_is_in_ascii_and_left_out_where_the_host_is_none(head, url, location):
    found = re.search(rb"WebSocket-Location: (.*?)\r\n", head(GOOD_75, url, ()))
    assert (found and found[1]) == location


text = st.text(st.characters(max_codepoint=0xFF) | st.sampled_from("[]:/@%#?.\r\n"), max_size=12)


@pytest.mark.parametrize("head", [head_75, head_76])
@given(origin=text, url=text)
def test_no_request_can_put_a_line_of_its_own_into_the_101(head, origin, url):
    first, *lines = head({"HTTP_ORIGIN": origin}, f"ws://{url}", ()).split(b"\r\n")
    assert first.startswith(b"HTTP/1.1 101 ")
    names = [line.partition(b": ")[0].removeprefix(b"Sec-") for line in lines]
    told = [name for name in names if name.startswith(b"WebSocket-")]
    assert told in ALLOWED
    assert names == [b"Upgrade", b"Connection", *told, b"", b""]
    assert all(re.fullmatch(rb"[\t -~\x80-\xff]*", line) for line in lines)


ALLOWED = (
    [b"WebSocket-Origin", b"WebSocket-Location"],
    [b"WebSocket-Origin"],
    [b"WebSocket-Location"],
    [],
)
