"""The server's side of the opening handshake: RFC 6455 4.2 and 4.4."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given, strategies as st

from faye_sync.driver.handshake import (
    accept_token,
    check_headers,
    check_subprotocols,
    choose_subprotocol,
    is_websocket,
    refusal,
    response_head,
)
from faye_sync.errors import ConfigurationError

# The key of RFC 6455 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="

GOOD = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_UPGRADE": "websocket",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": KEY,
}

NGINX = 'proxy_set_header Connection "upgrade";'


def request(**changes: str | None) -> dict[str, str]:
    """A good request with some of it changed, or taken away by None."""
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


ACCEPTED = [
    pytest.param({}, id="as the RFC has it"),
    pytest.param({"HTTP_UPGRADE": "WebSocket"}, id="Upgrade in another case"),
    pytest.param({"HTTP_CONNECTION": "keep-alive, Upgrade"}, id="Connection with keep-alive"),
    pytest.param({"HTTP_CONNECTION": "UPGRADE,close"}, id="Connection in another case"),
    pytest.param({"HTTP_CONNECTION": " \tupgrade\t "}, id="Connection with space about it"),
    pytest.param({"SERVER_PROTOCOL": None}, id="a server that tells no HTTP version"),
    pytest.param(
        {"SERVER_PROTOCOL": "HTTP/1.0", "eventlet.input": "its input"}, id="eventlet says HTTP/1.0"
    ),
    pytest.param({"CONTENT_LENGTH": ""}, id="empty Content-Length"),
    pytest.param({"CONTENT_LENGTH": "0"}, id="Content-Length 0"),
    pytest.param({"HTTP_ORIGIN": "http://elsewhere"}, id="any origin: judged elsewhere"),
    pytest.param({"HTTP_SEC_WEBSOCKET_PROTOCOL": "irc"}, id="any subprotocol"),
    pytest.param({"HTTP_SEC_WEBSOCKET_EXTENSIONS": "x-unknown"}, id="any extension"),
    pytest.param({"HTTP_SEC_WEBSOCKET_KEY": "+/" * 11 + "=="}, id="a key of all signs"),
]

REFUSED = [
    pytest.param({"REQUEST_METHOD": "POST"}, 400, "with GET, not with 'POST'", id="POST"),
    pytest.param({"REQUEST_METHOD": "HEAD"}, 400, "not with 'HEAD'", id="HEAD"),
    pytest.param({"REQUEST_METHOD": "get"}, 400, "not with 'get'", id="get in lower case"),
    pytest.param({"REQUEST_METHOD": None}, 400, "not with missing", id="no method"),
    pytest.param(
        {"HTTP_UPGRADE": None, "HTTP_SEC_WEBSOCKET_KEY": None},
        426,
        "open it with a WebSocket client, not as a page",
        id="a page view",
    ),
    pytest.param({"HTTP_UPGRADE": None}, 426, NGINX, id="a proxy took Upgrade away"),
    pytest.param({"HTTP_UPGRADE": ""}, 426, "A proxy removed the Upgrade", id="empty Upgrade"),
    pytest.param({"HTTP_UPGRADE": "h2c"}, 426, "Upgrade header is 'h2c'", id="another Upgrade"),
    pytest.param({"HTTP_CONNECTION": None}, 400, "but is missing", id="no Connection"),
    pytest.param({"HTTP_CONNECTION": "close"}, 400, NGINX, id="Connection close"),
    pytest.param(
        {"HTTP_CONNECTION": "keep-alive, upgrades"}, 400, "must list Upgrade", id="almost Upgrade"
    ),
    pytest.param({"SERVER_PROTOCOL": "HTTP/1.0"}, 400, "proxy_http_version 1.1;", id="HTTP/1.0"),
    pytest.param(
        {"HTTP_SEC_WEBSOCKET_VERSION": None}, 426, "must be 13, but is missing", id="no version"
    ),
    pytest.param({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, 426, "but is '8'", id="version 8"),
    pytest.param({"HTTP_SEC_WEBSOCKET_VERSION": "13, 8"}, 426, "but is '13, 8'", id="a list"),
    pytest.param({"HTTP_SEC_WEBSOCKET_VERSION": "013"}, 426, "but is '013'", id="version 013"),
    pytest.param({"HTTP_SEC_WEBSOCKET_KEY": None}, 400, "but is missing", id="no key"),
    pytest.param({"HTTP_SEC_WEBSOCKET_KEY": ""}, 400, "but is ''", id="an empty key"),
    pytest.param(
        {"HTTP_SEC_WEBSOCKET_KEY": b64encode(bytes(15)).decode()},
        400,
        "16 octets in base64",
        id="a key of 15 octets",
    ),
    pytest.param(
        {"HTTP_SEC_WEBSOCKET_KEY": b64encode(bytes(17)).decode()},
        400,
        "16 octets in base64",
        id="a key of 17 octets",
    ),
    pytest.param(
        {"HTTP_SEC_WEBSOCKET_KEY": f"{KEY}\n"}, 400, r"==\n'", id="a key with a line end behind it"
    ),
    pytest.param(
        {"HTTP_SEC_WEBSOCKET_KEY": f"{KEY}, {KEY}"}, 400, "Sec-WebSocket-Key must", id="two keys"
    ),
    pytest.param(
        {"HTTP_SEC_WEBSOCKET_KEY": KEY.replace("G", "-")}, 400, "in base64", id="base64url"
    ),
    pytest.param(
        {"CONTENT_LENGTH": "5"}, 400, "no body, but this one has Content-Length '5'", id="a body"
    ),
    pytest.param(
        {"HTTP_TRANSFER_ENCODING": "chunked"}, 400, "Transfer-Encoding 'chunked'", id="chunked"
    ),
]


@pytest.mark.parametrize("changes", ACCEPTED)
def test_a_good_request_is_not_refused(changes):
    assert refusal(request(**changes)) is None


@pytest.mark.parametrize("changes, status, text", REFUSED)
def test_a_bad_request_is_refused_with_the_cure(changes, status, text):
    found = refusal(request(**changes))
    assert found is not None
    assert (found.status, text in found.text) == (status, True), found.text


@pytest.mark.parametrize("changes, status, text", REFUSED)
def test_a_refusal_of_426_names_the_version_and_none_has_a_hop_by_hop_header(changes, status, text):
    found = refusal(request(**changes))
    advice = (("Sec-WebSocket-Version", "13"),) if status == 426 else ()
    assert found is not None
    assert found.headers == advice


@pytest.mark.parametrize(
    "changes, text",
    [
        pytest.param({"REQUEST_METHOD": "PUT", "HTTP_UPGRADE": None}, "GET", id="method first"),
        pytest.param(
            {"HTTP_UPGRADE": "h2c", "HTTP_CONNECTION": None}, "h2c", id="Upgrade before Connection"
        ),
        pytest.param(
            {"HTTP_SEC_WEBSOCKET_VERSION": "8", "HTTP_SEC_WEBSOCKET_KEY": None},
            "Version",
            id="version before key, which it may define otherwise",
        ),
    ],
)
def test_the_first_thing_wrong_is_the_one_told(changes, text):
    found = refusal(request(**changes))
    assert found is not None
    assert text in found.text


@pytest.mark.parametrize(
    "name", ["REQUEST_METHOD", "HTTP_UPGRADE", "HTTP_SEC_WEBSOCKET_VERSION", "CONTENT_LENGTH"]
)
def test_what_the_peer_sent_is_told_short_and_in_ascii(name):
    found = refusal(request(**{name: "é\r\n<b>" * 1000}))
    assert found is not None
    assert found.text.isascii()
    assert found.text.isprintable()
    assert len(found.text) < 400


@pytest.mark.parametrize(
    "changes, expected",
    [
        pytest.param({}, True, id="as the RFC has it"),
        pytest.param({"HTTP_UPGRADE": "WEBSOCKET"}, True, id="upper case"),
        pytest.param({"HTTP_CONNECTION": "keep-alive, upgrade"}, True, id="a list"),
        pytest.param({"HTTP_SEC_WEBSOCKET_KEY": None}, True, id="no key: the constructor's"),
        pytest.param({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, True, id="version 8: the constructor's"),
        pytest.param({"REQUEST_METHOD": "POST"}, False, id="POST"),
        pytest.param({"REQUEST_METHOD": None}, False, id="no method"),
        pytest.param({"HTTP_CONNECTION": None}, False, id="no Connection"),
        pytest.param({"HTTP_CONNECTION": "close"}, False, id="Connection close"),
        pytest.param({"HTTP_UPGRADE": None}, False, id="no Upgrade"),
        pytest.param({"HTTP_UPGRADE": "h2c"}, False, id="another Upgrade"),
        pytest.param({"HTTP_UPGRADE": "websockets"}, False, id="almost websocket"),
    ],
)
def test_is_websocket_looks_at_method_connection_and_upgrade(changes, expected):
    assert is_websocket(request(**changes)) is expected


# --- subprotocols ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offered, supported, chosen",
    [
        pytest.param("irc", ("irc",), "irc", id="the only one"),
        pytest.param("foo, bar, xmpp", ("xmpp",), "xmpp", id="the last of the client's"),
        pytest.param("b, a", ("a", "b"), "b", id="the client's order decides"),
        pytest.param("b,a", ("a", "b"), "b", id="without spaces"),
        pytest.param(" \ta , b", ("a",), "a", id="space about it"),
        pytest.param("IRC", ("irc",), "", id="case counts"),
        pytest.param("irc", ("IRC",), "", id="case counts, other way"),
        pytest.param("irc", (), "", id="the server knows none"),
        pytest.param("irc", ("xmpp",), "", id="nothing in common"),
        pytest.param("", ("irc",), "", id="an empty header"),
        pytest.param(None, ("irc",), "", id="no header"),
        pytest.param(", ,", ("irc",), "", id="empty items"),
        pytest.param("ir", ("irc",), "", id="a part of a name"),
    ],
)
def test_the_first_of_the_clients_subprotocols_that_the_server_knows_is_chosen(
    offered, supported, chosen
):
    assert choose_subprotocol(request(HTTP_SEC_WEBSOCKET_PROTOCOL=offered), supported) == chosen


@pytest.mark.parametrize(
    "protocols, names",
    [
        pytest.param((), (), id="none"),
        pytest.param("", (), id="an empty string"),
        pytest.param("  ", (), id="a blank string"),
        pytest.param("irc", ("irc",), id="a string of one"),
        pytest.param("irc, xmpp ,v1.x", ("irc", "xmpp", "v1.x"), id="a string with commas"),
        pytest.param(["b", "a"], ("b", "a"), id="a list in its order"),
        pytest.param(iter(["a"]), ("a",), id="an iterator"),
        pytest.param(["irc", "IRC"], ("irc", "IRC"), id="two cases are two names"),
    ],
)
def test_subprotocols_may_be_given_as_names_or_one_string(protocols, names):
    assert check_subprotocols(protocols) == names


@pytest.mark.parametrize(
    "protocols, text",
    [
        pytest.param([""], "'' is no token", id="empty"),
        pytest.param("a,,b", "'' is no token", id="empty between commas"),
        pytest.param(["a b"], "'a b' is no token", id="space"),
        pytest.param(["a,b"], "'a,b' is no token", id="comma in a list"),
        pytest.param(["a\r\nX: y"], r"is no token", id="CR and LF"),
        pytest.param(["a\n"], r"is no token", id="LF at the end"),
        pytest.param(["a\0"], r"is no token", id="NUL"),
        pytest.param(["é"], r"'\\xe9' is no token", id="not ASCII"),
        pytest.param([b"irc"], "is no token", id="bytes"),
        pytest.param([7], "7 is no token", id="a number"),
        pytest.param(["a", "b", "a"], "a comes 2 times", id="twice"),
    ],
)
def test_a_subprotocol_that_cannot_stand_in_the_answer_is_refused(protocols, text):
    with pytest.raises(ConfigurationError, match=text):
        check_subprotocols(protocols)


# --- the answer -----------------------------------------------------------------------------------


def test_the_accept_token_of_the_rfc():
    assert accept_token(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_the_answer_has_what_the_rfc_asks_and_nothing_else():
    assert response_head(request(), "", "", ()) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"\r\n"
    )


def test_subprotocol_and_the_users_headers_stand_last_and_in_order():
    headers = (("Set-Cookie", "a=1"), ("Set-Cookie", "b=\xe9"), ("X-Empty", ""))
    assert response_head(request(), "irc", "", headers).endswith(
        b"\r\nSec-WebSocket-Protocol: irc\r\nSet-Cookie: a=1\r\nSet-Cookie: b=\xe9\r\nX-Empty: \r\n\r\n"
    )


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(("X-Room", "7"), id="plain"),
        pytest.param(("X", ""), id="an empty value"),
        pytest.param(("X", "a b\tc"), id="space and tab inside"),
        pytest.param(("X", "caf\xe9"), id="latin-1"),
        pytest.param(("!#$%&'*+-.^_`|~09azAZ", "x"), id="every sign of a token"),
        pytest.param(("Cookie2", "upgrade"), id="a value that is a name of ours"),
    ],
)
def test_a_good_header_passes(pair):
    assert check_headers([pair]) == (pair,)


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "\r\n", "\x1b", "\x7f", "\v", "\f"], ids=repr)
@pytest.mark.parametrize("place", ["{}ab", "a{}b", "ab{}"], ids=["first", "inside", "last"])
def test_control_characters_are_refused_in_names_and_values(bad, place):
    text = place.format(bad)
    with pytest.raises(ConfigurationError, match=r"header name .* is no token"):
        check_headers([(text, "x")])
    with pytest.raises(ConfigurationError, match="header X must be latin-1") as caught:
        check_headers([("X", text)])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "pair, text",
    [
        pytest.param(("", "x"), "is no token", id="empty name"),
        pytest.param(("X Y", "x"), "is no token", id="space in a name"),
        pytest.param(("X:", "x"), "is no token", id="colon in a name"),
        pytest.param(("caf\xe9", "x"), "is no token", id="name beyond ASCII"),
        pytest.param((b"X", "x"), "is no token", id="name of bytes"),
        pytest.param(("X", " x"), "space at an end", id="space before"),
        pytest.param(("X", "x "), "space at an end", id="space behind"),
        pytest.param(("X", "\tx"), "space at an end", id="tab before"),
        pytest.param(("X", " "), "space at an end", id="space alone"),
        pytest.param(("X", "€"), "must be latin-1", id="beyond latin-1"),
        pytest.param(("X", b"x"), "must be latin-1", id="value of bytes"),
        pytest.param(("X", 7), "must be latin-1.*got int", id="value of int"),
        pytest.param(("X", None), "must be latin-1", id="value of None"),
        *(
            pytest.param((name, "x"), f"header {name} is the handshake's own", id=name)
            for name in (
                "Upgrade",
                "CONNECTION",
                "Content-Length",
                "transfer-encoding",
                "Sec-WebSocket-Accept",
                "sec-websocket-protocol",
                "Sec-WebSocket-Extensions",
                "Sec-WebSocket-Anything",
            )
        ),
    ],
)
def test_a_header_that_cannot_stand_in_the_answer_is_refused(pair, text):
    with pytest.raises(ConfigurationError, match=text):
        check_headers([("X-Good", "good"), pair])


# Few signs, so that many names and values pass.
SIGNS = st.text("ab-:\r\n\xe9 ", max_size=4)


@given(st.lists(st.tuples(st.text("ab-:\n", max_size=3), SIGNS), max_size=3))
def test_no_header_that_passes_can_split_the_answer(pairs):
    try:
        headers = check_headers(pairs)
    except ConfigurationError:
        return
    head = response_head(request(), "", "", headers)
    assert head.count(b"\r\n") == 5 + len(pairs)
    assert head.count(b"\n") == head.count(b"\r") == 5 + len(pairs)
    assert head.index(b"\r\n\r\n") == len(head) - 4


def test_a_long_value_with_space_at_its_end_is_refused_in_linear_time():
    with pytest.raises(ConfigurationError, match="space at an end"):
        check_headers([("X", "a " * 100_000)])
