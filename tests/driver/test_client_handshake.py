"""The client's side of the opening handshake: RFC 6455 4.1."""

from __future__ import annotations

import re
from base64 import b64decode

import pytest
from hypothesis import given, strategies as st

from faye_sync.driver.client_handshake import Asked, ask, fault_of, protocol_of

# The key of RFC 6455 1.3, and what a server makes of it.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ASKED = Asked(KEY, ("chat", "superchat"))

GOOD = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ACCEPT}


def fields(**changes: str | list[str] | None) -> list[tuple[str, str]]:
    """The headers of a good 101; changes have _ for -, None for none, a list for several lines."""
    changed = {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return [
        (name, line)
        for name, value in changed.items()
        if value is not None
        for line in (value if isinstance(value, list) else [value])
    ]


# --- what is asked --------------------------------------------------------------------------------


def test_a_key_is_16_octets_in_base64_and_never_the_same():
    keys = {ask(()).key for _ in range(1000)}
    assert len(keys) == 1000
    assert {len(b64decode(key, validate=True)) for key in keys} == {16}


def test_a_request_asks_for_a_websocket_with_its_key():
    asked = ask(())
    assert asked.fields() == (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", asked.key),
        ("Sec-WebSocket-Version", "13"),
    )


@pytest.mark.parametrize(
    "protocols, line",
    [
        pytest.param(("chat",), "chat", id="one"),
        pytest.param(("superchat", "chat"), "superchat, chat", id="two, the liked one first"),
    ],
)
def test_subprotocols_are_offered_in_one_line_in_their_order(protocols, line):
    offered = [value for name, value in ask(protocols).fields() if name.endswith("Protocol")]
    assert offered == [line]


# --- a 101 that opens -----------------------------------------------------------------------------

FAULTLESS = [
    pytest.param({}, id="as the RFC has it"),
    pytest.param({"Upgrade": "WebSocket"}, id="Upgrade in another case"),
    pytest.param({"Upgrade": " \twebsocket\t "}, id="space about a value"),
    pytest.param({"Connection": "keep-alive, Upgrade"}, id="Connection with keep-alive"),
    pytest.param({"Connection": "UPGRADE,close"}, id="Connection in another case"),
    pytest.param({"Connection": ["keep-alive", "upgrade"]}, id="Connection in two lines"),
    pytest.param({"Connection": " , upgrade ,"}, id="Connection with empty items"),
    pytest.param({"Sec_WebSocket_Protocol": "chat"}, id="the first subprotocol"),
    pytest.param({"Sec_WebSocket_Protocol": "superchat"}, id="the second subprotocol"),
    pytest.param({"Content_Length": "0"}, id="Content-Length 0, as some servers write"),
    pytest.param({"Content_Length": ["0", "0"]}, id="Content-Length 0 twice"),
    pytest.param({"Sec_WebSocket_Version": "13"}, id="a header of refusals"),
    pytest.param({"Server": "any", "Set_Cookie": ["a=1", "b=2"]}, id="other headers"),
]


@pytest.mark.parametrize("changes", FAULTLESS)
def test_a_faultless_101_opens(changes):
    assert fault_of(ASKED, "1.1", fields(**changes)) is None


@pytest.mark.parametrize(
    "write", [str.lower, str.upper, str.title], ids=lambda write: write.__name__
)
def test_names_count_in_any_case(write):
    assert fault_of(ASKED, "1.1", [(write(name), value) for name, value in fields()]) is None


@pytest.mark.parametrize("protocols", [(), ("chat",), ("chat", "superchat")], ids=repr)
def test_a_server_need_not_choose_a_subprotocol(protocols):
    assert fault_of(Asked(KEY, protocols), "1.1", fields()) is None
    assert protocol_of(fields()) == ""


def test_the_subprotocol_agreed_on_is_the_servers_choice():
    assert protocol_of(fields(Sec_WebSocket_Protocol=" superchat ")) == "superchat"


# --- a 101 that does not --------------------------------------------------------------------------

LONG = "x" * 10_000

FAULTY = [
    pytest.param({"Upgrade": None}, "Upgrade must be websocket, but is missing", id="no Upgrade"),
    pytest.param({"Upgrade": ""}, "Upgrade must be websocket, but is ''", id="empty Upgrade"),
    pytest.param({"Upgrade": "h2c"}, "but is 'h2c'", id="another Upgrade"),
    pytest.param({"Upgrade": "websocket, h2c"}, "but is 'websocket, h2c'", id="two in a line"),
    pytest.param({"Upgrade": "websocket/13"}, "but is 'websocket/13'", id="Upgrade with version"),
    pytest.param(
        {"Upgrade": ["websocket", "websocket"]}, "but is 'websocket', 'websocket'", id="two Upgrade"
    ),
    pytest.param({"Connection": None}, "Connection must list upgrade, but is missing", id="none"),
    pytest.param({"Connection": "close"}, "upgrade, but is 'close'", id="Connection close"),
    pytest.param({"Connection": "upgrades"}, "but is 'upgrades'", id="almost Upgrade"),
    pytest.param({"Connection": "x-upgrade"}, "but is 'x-upgrade'", id="Upgrade within a word"),
    pytest.param(
        {"Sec_WebSocket_Accept": None},
        f"Sec-WebSocket-Accept must be {ACCEPT}, but is missing: this is no WebSocket server",
        id="no Accept",
    ),
    pytest.param({"Sec_WebSocket_Accept": ""}, "but is ''", id="empty Accept"),
    pytest.param({"Sec_WebSocket_Accept": KEY}, f"but is '{KEY}'", id="the key for an Accept"),
    pytest.param(
        {"Sec_WebSocket_Accept": ACCEPT.lower()}, "must be s3pPL", id="Accept in lower case"
    ),
    pytest.param({"Sec_WebSocket_Accept": ACCEPT[:-1]}, "must be s3pPL", id="Accept cut"),
    pytest.param({"Sec_WebSocket_Accept": f'"{ACCEPT}"'}, "must be s3pPL", id="Accept quoted"),
    pytest.param(
        {"Sec_WebSocket_Accept": [ACCEPT, ACCEPT]},
        f"but is '{ACCEPT}', '{ACCEPT}'",
        id="two Accept",
    ),
    pytest.param(
        {"Sec_WebSocket_Accept": [ACCEPT, "x"]}, f"but is '{ACCEPT}', 'x'", id="a second, wrong"
    ),
    pytest.param(
        {"Sec_WebSocket_Protocol": "irc"},
        "Sec-WebSocket-Protocol is 'irc', but offered was 'chat, superchat'",
        id="a subprotocol not offered",
    ),
    pytest.param({"Sec_WebSocket_Protocol": "Chat"}, "is 'Chat'", id="a subprotocol in other case"),
    pytest.param({"Sec_WebSocket_Protocol": ""}, "is ''", id="an empty subprotocol"),
    pytest.param(
        {"Sec_WebSocket_Protocol": "chat, superchat"}, "is 'chat, superchat'", id="two in a line"
    ),
    pytest.param(
        {"Sec_WebSocket_Protocol": ["chat", "superchat"]},
        "is 'chat', 'superchat'",
        id="in two lines",
    ),
    pytest.param(
        {"Sec_WebSocket_Extensions": "permessage-deflate"},
        "Sec-WebSocket-Extensions is 'permessage-deflate', but none was offered",
        id="an extension",
    ),
    pytest.param({"Sec_WebSocket_Extensions": ""}, "is '', but none", id="an empty extension"),
    pytest.param(
        {"Content_Length": "5"}, "no content, but this one has Content-Length '5'", id="5"
    ),
    pytest.param({"Content_Length": "00"}, "has Content-Length '00'", id="Content-Length 00"),
    pytest.param({"Content_Length": ["0", "5"]}, "Content-Length '0', '5'", id="0 and 5"),
    pytest.param({"Transfer_Encoding": "chunked"}, "has Transfer-Encoding 'chunked'", id="chunked"),
    pytest.param({"Transfer_Encoding": ""}, "has Transfer-Encoding ''", id="an empty coding"),
    pytest.param(
        {"Upgrade": None, "Connection": None, "Content_Length": "5"},
        "Upgrade must be websocket",
        id="of several the first",
    ),
]


@pytest.mark.parametrize("changes, told", FAULTY)
def test_a_faulty_101_is_told_of_with_what_it_has(changes, told):
    assert told in fault_of(ASKED, "1.1", fields(**changes))


def test_without_an_offer_any_subprotocol_is_one_too_many():
    fault = fault_of(Asked(KEY, ()), "1.1", fields(Sec_WebSocket_Protocol="chat"))
    assert fault == "Sec-WebSocket-Protocol is 'chat', but offered was none"


@pytest.mark.parametrize("version", ["1.0", "0.9", "2.0", "1.2", "", "1.10"], ids=repr)
def test_any_other_version_of_http_opens_nothing(version):
    assert f"the 101 is HTTP/{version}" in fault_of(ASKED, version, fields())


@pytest.mark.parametrize("name", ["Upgrade", "Connection", "Sec_WebSocket_Accept"])
def test_a_long_value_is_cut_in_the_text_and_a_strange_one_escaped(name):
    assert len(fault_of(ASKED, "1.1", fields(**{name: LONG}))) < 300
    assert fault_of(ASKED, "1.1", fields(**{name: "\x1b[31m\xe9\u2028"})).isascii()


# --- whatever comes -------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        *GOOD,
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "Transfer-Encoding",
        "X-Other",
    ]
)
VALUES = st.sampled_from([*GOOD.values(), "chat", "superchat", "0", "5", "chunked", ""])
LINES = st.lists(st.tuples(NAMES | st.text(), VALUES | st.text()), max_size=8)
# A good answer, with little taken away and little added.
NEARLY_GOOD = st.tuples(st.permutations(fields()), st.integers(2, 3), LINES).map(
    lambda parts: [*parts[0][: parts[1]], *parts[2][:3]]
)
VERSIONS = st.just("1.1") | st.from_regex(r"[0-9]\.[0-9]", fullmatch=True)


@given(LINES, VERSIONS)
def test_no_set_of_headers_raises_and_a_fault_is_a_line_of_text(lines, version):
    fault = fault_of(ASKED, version, lines)
    assert fault is None or (fault and "\n" not in fault)
    protocol_of(lines)


@given(NEARLY_GOOD)
def test_what_is_faultless_has_the_right_accept_and_all_else_it_needs(lines):
    if fault_of(ASKED, "1.1", lines) is not None:
        return
    lowered = [(name.lower(), value.strip(" \t")) for name, value in lines]
    assert [value for name, value in lowered if name == "sec-websocket-accept"] == [ACCEPT]
    assert [value.lower() for name, value in lowered if name == "upgrade"] == ["websocket"]
    assert protocol_of(lines) in {"", *ASKED.protocols}


@given(st.permutations(fields(Sec_WebSocket_Protocol="chat", Server="any")))
def test_the_order_of_the_headers_does_not_matter(lines):
    assert fault_of(ASKED, "1.1", lines) is None


@given(st.integers(0, len(ACCEPT) - 1), st.characters(codec="latin-1"))
def test_one_octet_of_the_accept_makes_the_difference(place, sign):
    value = f"{ACCEPT[:place]}{sign}{ACCEPT[place + 1 :]}"
    fault = fault_of(ASKED, "1.1", fields(Sec_WebSocket_Accept=value))
    assert (fault is None) is (value == ACCEPT)


def test_every_key_has_an_accept_of_its_own():
    first, second = ask(()), ask(())
    accept = re.search(r"must be (\S+),", fault_of(first, "1.1", fields()))[1]
    assert fault_of(first, "1.1", fields(Sec_WebSocket_Accept=accept)) is None
    assert fault_of(second, "1.1", fields(Sec_WebSocket_Accept=accept)) is not None
