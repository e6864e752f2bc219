"""What both sides of permessage-deflate agree on: RFC 7692 7.1.

The tables restate the cases of the extension that faye-websocket uses."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, strategies as st

from faye_sync.driver.deflate import PerMessageDeflate
from faye_sync.driver.deflate_terms import Terms
from faye_sync.driver.extension import Message
from faye_sync.driver.extension_header import parse_extensions, serialize_params
from faye_sync.driver.negotiation import Offered, check_extensions, respond
from faye_sync.errors import ConfigurationError
from tests.support.deflating import LIMIT, sessions

NAME = "permessage-deflate"
LIMITS = {"max_length": LIMIT}

SERVER_FORGETS = {"server_no_context_takeover": True}
CLIENT_FORGETS = {"client_no_context_takeover": True}
ANY_WINDOW = {"client_max_window_bits": True}


def server_bits(bits: object) -> dict[str, object]:
    return {"server_max_window_bits": bits}


def client_bits(bits: object) -> dict[str, object]:
    return {"client_max_window_bits": bits}


FULL = Terms(15, own_takeover=True, peer_bits=15, peer_takeover=True)


def terms(own: int = 15, peer: int = 15, *, keeps: bool = True, peer_keeps: bool = True) -> Terms:
    return Terms(own, own_takeover=keeps, peer_bits=peer, peer_takeover=peer_keeps)


# A server's options, a client's offer, the answer and the terms; None for no answer.
ANSWERS = [
    ({}, {}, {}, FULL),
    ({}, SERVER_FORGETS, SERVER_FORGETS, terms(keeps=False)),
    ({}, CLIENT_FORGETS, CLIENT_FORGETS, terms(peer_keeps=False)),
    ({}, server_bits(13), server_bits(13), terms(own=13)),
    ({}, server_bits(8), server_bits(8), terms(own=8)),
    ({}, server_bits(15), {}, FULL),
    ({}, ANY_WINDOW, {}, FULL),
    ({}, client_bits(13), client_bits(13), terms(peer=13)),
    ({}, client_bits(8), client_bits(8), terms(peer=8)),
    ({}, client_bits(15), {}, FULL),
    ({"no_context_takeover": True}, {}, SERVER_FORGETS, terms(keeps=False)),
    ({"no_context_takeover": True}, SERVER_FORGETS, SERVER_FORGETS, terms(keeps=False)),
    ({"max_window_bits": 12}, {}, {}, terms(own=12)),
    ({"max_window_bits": 12}, server_bits(13), server_bits(12), terms(own=12)),
    ({"max_window_bits": 12}, server_bits(11), server_bits(11), terms(own=11)),
    ({"request_no_context_takeover": True}, {}, CLIENT_FORGETS, terms(peer_keeps=False)),
    ({"request_max_window_bits": 11}, {}, {}, FULL),
    ({"request_max_window_bits": 11}, ANY_WINDOW, client_bits(11), terms(peer=11)),
    ({"request_max_window_bits": 11}, client_bits(12), client_bits(11), terms(peer=11)),
    ({"request_max_window_bits": 11}, client_bits(10), client_bits(10), terms(peer=10)),
    ({"request_max_window_bits": 15}, ANY_WINDOW, {}, FULL),
    (
        {},
        {**SERVER_FORGETS, **CLIENT_FORGETS, **server_bits(9), **client_bits(9)},
        {**SERVER_FORGETS, **CLIENT_FORGETS, **server_bits(9), **client_bits(9)},
        terms(9, 9, keeps=False, peer_keeps=False),
    ),
    ({}, server_bits(20), None, None),
    ({}, client_bits(20), None, None),
    ({}, server_bits(7), None, None),
    ({}, server_bits(True), None, None),
    ({}, server_bits(9.0), None, None),
    ({}, server_bits("010"), None, None),
    ({}, server_bits(-9), None, None),
    ({}, server_bits([9, 9]), None, None),
    ({}, client_bits(7), None, None),
    ({}, client_bits([True, True]), None, None),
    ({}, {"server_no_context_takeover": 1}, None, None),
    ({}, {"server_no_context_takeover": "true"}, None, None),
    ({}, {"client_no_context_takeover": [True, True]}, None, None),
    ({}, {"max_window_bits": 9}, None, None),
    ({}, {"Server_No_Context_Takeover": True}, None, None),
]

# A client's options and its offer.
OFFERS = [
    ({}, ANY_WINDOW),
    ({"no_context_takeover": True}, {**CLIENT_FORGETS, **ANY_WINDOW}),
    ({"max_window_bits": 9}, client_bits(9)),
    ({"max_window_bits": 15}, ANY_WINDOW),
    ({"request_no_context_takeover": True}, {**ANY_WINDOW, **SERVER_FORGETS}),
    ({"request_max_window_bits": 12}, {**ANY_WINDOW, **server_bits(12)}),
    ({"request_max_window_bits": 15}, ANY_WINDOW),
]

# A client's options, a server's answer, and the terms; None for an answer that is refused.
JUDGED = [
    ({}, {}, FULL),
    ({}, SERVER_FORGETS, terms(peer_keeps=False)),
    ({}, CLIENT_FORGETS, terms(keeps=False)),
    ({}, server_bits(10), terms(peer=10)),
    ({}, server_bits(15), FULL),
    ({}, client_bits(10), terms(own=10)),
    ({}, client_bits(8), terms(own=8)),
    ({}, server_bits(20), None),
    ({}, client_bits(20), None),
    ({}, client_bits(True), None),
    ({}, server_bits(True), None),
    ({}, server_bits([10, 10]), None),
    ({}, {"server_no_context_takeover": 1}, None),
    ({}, {"client_no_context_takeover": [True, True]}, None),
    ({}, {"x": True}, None),
    ({"no_context_takeover": True}, {}, terms(keeps=False)),
    ({"no_context_takeover": True}, CLIENT_FORGETS, terms(keeps=False)),
    ({"max_window_bits": 9}, {}, terms(own=9)),
    ({"max_window_bits": 9}, client_bits(10), None),
    ({"max_window_bits": 9}, client_bits(9), terms(own=9)),
    ({"max_window_bits": 9}, client_bits(8), terms(own=8)),
    ({"request_no_context_takeover": True}, {}, None),
    ({"request_no_context_takeover": True}, SERVER_FORGETS, terms(peer_keeps=False)),
    ({"request_max_window_bits": 12}, {}, None),
    ({"request_max_window_bits": 12}, server_bits(13), None),
    ({"request_max_window_bits": 12}, server_bits(12), terms(peer=12)),
    ({"request_max_window_bits": 12}, server_bits(11), terms(peer=11)),
    ({"request_max_window_bits": 15}, {}, FULL),
]


def words(value: object) -> str:
    """An id for a row's options or parameters."""
    if isinstance(value, dict):
        return " ".join(f"{name}={part}" for name, part in value.items()) or "nothing"
    return "refused" if value is None else "agreed"


@pytest.mark.parametrize("options, offer, answer, agreed", ANSWERS, ids=words)
def test_a_server_answers_what_it_can_read(options, offer, answer, agreed):
    session = PerMessageDeflate(**options).create_server_session([offer], LIMITS)
    if answer is None:
        assert session is None
        return
    assert session is not None
    assert session.generate_response() == answer
    assert session.terms == agreed


@pytest.mark.parametrize("options, offer", OFFERS, ids=words)
def test_a_client_offers_what_it_wants(options, offer):
    session = PerMessageDeflate(**options).create_client_session(LIMITS)
    assert session.generate_offer() == offer
    assert session.terms is None
    session.close()


@pytest.mark.parametrize("options, answer, agreed", JUDGED, ids=words)
def test_a_client_takes_what_it_asked_for(options, answer, agreed):
    session = PerMessageDeflate(**options).create_client_session(LIMITS)
    session.generate_offer()
    assert session.activate(answer) is (agreed is not None)
    assert session.terms == agreed


@pytest.mark.parametrize(
    "offers, answer",
    [
        pytest.param(
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            "permessage-deflate; server_max_window_bits=10",
            id="the first",
        ),
        pytest.param(
            "permessage-deflate; server_max_window_bits=16, permessage-deflate; "
            "client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
            id="the first is illegal",
        ),
        pytest.param(
            "permessage-deflate; x, permessage-deflate; server_max_window_bits=9; "
            "server_max_window_bits=9, permessage-deflate",
            "permessage-deflate",
            id="unknown and repeated",
        ),
        pytest.param("x-webkit-deflate-frame, permessage-deflate; x=1", "", id="none is legal"),
        pytest.param(
            'permessage-deflate; client_max_window_bits="10"',
            "permessage-deflate; client_max_window_bits=10",
            id="a quoted number",
        ),
        pytest.param("permessage-deflate; server_max_window_bits=010", "", id="a leading zero"),
        pytest.param("permessage-deflate; server_max_window_bits=10.0", "", id="no whole number"),
    ],
)
def test_the_first_legal_offer_of_a_header_is_answered(offers, answer):
    value, pipeline = respond([PerMessageDeflate()], offers, LIMITS)
    assert value == answer
    assert (pipeline is None) is (answer == "")


def test_a_client_offers_itself_in_one_header_and_takes_the_answer():
    offered = Offered([PerMessageDeflate()], LIMITS)
    assert offered.value == "permessage-deflate; client_max_window_bits"
    pipeline = offered.activate("permessage-deflate; server_max_window_bits=10")
    assert pipeline is not None
    assert pipeline.names == (NAME,)
    assert (pipeline.rsv, pipeline.shows_all) == (4, False)


def test_an_unacceptable_answer_fails_the_handshake():
    offered = Offered([PerMessageDeflate(request_max_window_bits=9)], LIMITS)
    with pytest.raises(ValueError, match=r"unacceptable parameters: .*permessage-deflate"):
        offered.activate("permessage-deflate; server_max_window_bits=10")


def test_the_class_stands_for_its_defaults():
    (extension,) = check_extensions([PerMessageDeflate])
    assert extension == PerMessageDeflate()
    assert (extension.name, extension.type) == (NAME, "permessage")
    assert (extension.rsv1, extension.rsv2, extension.rsv3) == (True, False, False)


BITS = st.integers(8, 15)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "no_context_takeover": st.booleans(),
        "max_window_bits": BITS,
        "request_no_context_takeover": st.booleans(),
        "request_max_window_bits": st.none() | BITS,
    },
)


@given(ours=OPTIONS, theirs=OPTIONS)
def test_whatever_both_want_each_side_sees_the_others_terms(ours, theirs):
    client, server = PerMessageDeflate(**ours), PerMessageDeflate(**theirs)
    # By the header, so that its grammar has a say.
    offer = serialize_params(NAME, client.create_client_session(LIMITS).generate_offer())
    assert len(parse_extensions(offer)) == 1
    mine, other = sessions(client, server)
    assert mine.terms.own_takeover is other.terms.peer_takeover
    assert mine.terms.peer_takeover is other.terms.own_takeover
    assert mine.terms.own_bits <= other.terms.peer_bits
    assert other.terms.own_bits <= mine.terms.peer_bits
    assert mine.terms.own_bits <= client.max_window_bits
    assert other.terms.own_bits <= min(server.max_window_bits, client.request_max_window_bits or 15)


def test_a_small_window_of_a_servers_own_is_kept_without_a_word():
    client, server = sessions(PerMessageDeflate(), PerMessageDeflate(max_window_bits=9))
    assert server.generate_response() == {}
    assert (client.terms.peer_bits, server.terms.own_bits) == (15, 9)


VALUES = st.none() | st.booleans() | st.integers(-9, 20) | st.floats() | st.text(max_size=3)
NAMES = st.sampled_from([*SERVER_FORGETS, *CLIENT_FORGETS, *ANY_WINDOW, *server_bits(9), "x"])
PARAMS = st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=2), max_size=4)


@given(params=PARAMS, options=OPTIONS)
def test_no_offer_and_no_answer_raises(params, options):
    extension = PerMessageDeflate(**options)
    session = extension.create_server_session([params], LIMITS)
    assert session is None or session.terms is not None
    client = extension.create_client_session(LIMITS)
    assert client.activate(params) is (client.terms is not None)


REFUSED = [
    ("level", 10, "None or a whole number from -1 to 9"),
    ("level", -2, "None or a whole number from -1 to 9"),
    ("level", True, "None or a whole number from -1 to 9"),
    ("level", "6", "None or a whole number from -1 to 9"),
    ("mem_level", 0, "a whole number from 1 to 9"),
    ("mem_level", 10, "a whole number from 1 to 9"),
    ("mem_level", None, "a whole number from 1 to 9"),
    ("strategy", 5, "a whole number from 0 to 4"),
    ("strategy", -1, "a whole number from 0 to 4"),
    ("max_window_bits", 7, "a whole number from 8 to 15"),
    ("max_window_bits", 20, "a whole number from 8 to 15"),
    ("max_window_bits", 12.0, "a whole number from 8 to 15"),
    ("max_window_bits", None, "a whole number from 8 to 15"),
    ("request_max_window_bits", 20, "None or a whole number from 8 to 15"),
    ("request_max_window_bits", False, "None or a whole number from 8 to 15"),
    ("no_context_takeover", 1, "True or False"),
    ("request_no_context_takeover", None, "True or False"),
    ("threshold", -1, "a whole number of octets from 0 on"),
    ("threshold", 1.5, "a whole number of octets from 0 on"),
    ("threshold", None, "a whole number of octets from 0 on"),
]


@pytest.mark.parametrize("name, value, allowed", REFUSED)
def test_an_option_that_is_not_allowed_is_named_with_what_is(name, value, allowed):
    with pytest.raises(ConfigurationError) as error:
        PerMessageDeflate(**{name: value})
    assert str(error.value) == f"{name} must be {allowed}, got {value!r}"


@pytest.mark.parametrize(
    "options",
    [
        *({"level": level} for level in (None, *range(-1, 10))),
        *({"mem_level": mem, "strategy": way} for mem, way in product((1, 9), range(5))),
        *({"max_window_bits": bits, "request_max_window_bits": bits} for bits in range(8, 16)),
        {"request_max_window_bits": None, "threshold": 0},
    ],
    ids=words,
)
def test_every_option_that_is_allowed_works(options):
    client, server = sessions(PerMessageDeflate(**options))
    message = bytes(2000) + bytes(range(256)) * 3
    packed = client.process_outgoing_message(Message(2, message))
    assert packed.rsv1
    assert server.process_incoming_message(packed).data == message
