"""Which extensions a connection has: RFC 6455 9.1."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from faye_sync import ConfigurationError, Extension, PerMessageDeflate
from faye_sync.driver.negotiation import Offered, check_extensions, respond
from tests.support.reversal import Reverse, Seal

OPTIONS = {"max_length": 1000}


class BareSession:
    """The methods that a session must have, and no base class."""

    def __init__(self, said):
        self.said = said
        self.activated = None
        self.closed = 0

    def generate_offer(self):
        return self.told("offer")

    def activate(self, params):
        self.activated = params
        return self.told("activate", True)

    def generate_response(self):
        return self.told("response")

    def process_incoming_message(self, message):
        return message

    def process_outgoing_message(self, message):
        return message

    def close(self):
        self.closed += 1
        self.told("close", None)

    def told(self, name, otherwise=()):
        value = self.said.get(name, {} if otherwise == () else otherwise)
        if isinstance(value, Exception):
            raise value
        return value


class Bare:
    """The attributes and methods that an extension must have, and no base class."""

    type = "permessage"

    def __init__(self, name, bits="", **said):
        self.name = name
        self.rsv1, self.rsv2, self.rsv3 = (digit in bits for digit in "123")
        self.said = said
        self.seen = []
        self.sessions = []

    def create_client_session(self, options):
        self.seen.append(options)
        return self._made()

    def create_server_session(self, offers, options):
        self.seen.append((offers, options))
        return self._made()

    def _made(self):
        if self.said.get("session", True) is None:
            return None
        self.sessions.append(BareSession(self.said))
        return self.sessions[-1]

    @property
    def closed(self):
        return [session.closed for session in self.sessions]


class Broken(Exception):
    """What no code but an extension's raises."""


# --- what is an extension ---------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, (), [], iter(())], ids=repr)
def test_no_extensions_are_none(nothing):
    assert check_extensions(nothing) == ()


def test_extensions_keep_their_order():
    first, second = Bare("b"), Bare("a")
    assert check_extensions(one for one in (first, second)) == (first, second)


def test_a_class_stands_for_what_it_makes_without_arguments():
    [made] = check_extensions([PerMessageDeflate])
    assert made == PerMessageDeflate()


def test_an_extension_may_be_an_object_of_any_class():
    made = SimpleNamespace(**{name: getattr(Seal(), name) for name in dir(Seal())})
    assert check_extensions([made]) == (made,)


def changed(**attributes):
    extension = Bare("x-bare")
    for name, value in attributes.items():
        setattr(extension, name, value)
    return extension


@pytest.mark.parametrize(
    "extensions, text",
    [
        pytest.param(
            "permessage-deflate",
            "extensions must be a list of extensions, such as [PerMessageDeflate()], got "
            "'permessage-deflate'",
            id="a str",
        ),
        pytest.param(
            PerMessageDeflate,
            "extensions must be a list of extensions, such as [PerMessageDeflate()], got "
            "<class 'faye_sync.driver.deflate.PerMessageDeflate'>",
            id="a class alone",
        ),
        pytest.param(
            ["permessage-deflate"],
            "an extension is an object, such as PerMessageDeflate(), not a name: "
            "'permessage-deflate'",
            id="a name",
        ),
        pytest.param(
            [BareSession],
            "extension BareSession cannot be made without arguments: give BareSession(...) in "
            "place of the class (",
            id="a class that wants arguments",
        ),
        pytest.param(
            [None], "extension.name must be a token (RFC 9110 5.6.2), got missing", id="None"
        ),
        pytest.param(
            [Extension],
            "extension.name must be a token (RFC 9110 5.6.2), got '' of Extension",
            id="the base class",
        ),
        pytest.param(
            [changed(name=42)],
            "extension.name must be a token (RFC 9110 5.6.2), got 42 of Bare",
            id="a name that is no str",
        ),
        pytest.param(
            [changed(name="x bare")],
            "extension.name must be a token (RFC 9110 5.6.2), got 'x bare' of Bare",
            id="a name that is no token",
        ),
        pytest.param(
            [changed(type="perframe")],
            "x-bare: extension.type must be \"permessage\", got 'perframe'",
            id="another type",
        ),
        pytest.param(
            [changed(rsv1=1)],
            "x-bare: extension.rsv1 must be True or False, got 1",
            id="a bit that is a number",
        ),
        pytest.param(
            [changed(rsv3=None)],
            "x-bare: extension.rsv3 must be True or False, got missing",
            id="a bit that is None",
        ),
        pytest.param(
            [changed(create_server_session=None)],
            "x-bare: extension.create_server_session() is missing",
            id="a method too few",
        ),
        pytest.param(
            [Bare("a"), Bare("b"), Bare("a")], "extension a comes 2 times", id="one name twice"
        ),
    ],
)
def test_what_is_no_extension_is_refused_with_what_was_allowed(extensions, text):
    with pytest.raises(ConfigurationError, match=f"^{re.escape(text)}"):
        check_extensions(extensions)


def test_an_error_of_an_extension_s_own_class_is_told_as_it_is():
    class Loud(Bare):
        def __init__(self):
            raise Broken

    with pytest.raises(Broken):
        check_extensions([Loud])


# --- a server ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header, answer, names",
    [
        pytest.param(None, "", None, id="no header"),
        pytest.param("", "", None, id="an empty header"),
        pytest.param("unknown", "", None, id="another extension"),
        pytest.param("one", "one; mode=x", ("one",), id="one of them"),
        pytest.param("three, one", "one; mode=x, three", ("one", "three"), id="in our order"),
        pytest.param("one, two", "one; mode=x", ("one",), id="two of one bit: our first"),
        pytest.param("two, one", "one; mode=x", ("one",), id="likewise, whatever theirs is"),
        pytest.param("two", "two", ("two",), id="the second one alone"),
        pytest.param("zero, two", "two", ("two",), id="no session takes no bit"),
    ],
)
def test_a_server_answers_what_it_knows_in_its_own_order(header, answer, names):
    known = (
        Bare("zero", "1", session=None),
        Bare("one", "1", response={"mode": "x"}),
        Bare("two", "12"),
        Bare("three", "3"),
    )
    written, pipeline = respond(known, header, OPTIONS)
    assert written == answer
    assert (pipeline and pipeline.names) == names


def test_an_extension_sees_all_of_its_offers_and_the_options():
    known = Bare("a"), Bare("c")
    respond(known, "a; x=1, b; y, a, a; x=2; x=3", OPTIONS)
    assert known[0].seen == [([{"x": 1}, {}, {"x": [2, 3]}], OPTIONS)]
    assert known[1].seen == []


def test_an_extension_whose_bit_is_taken_is_not_asked():
    known = Bare("a", "2"), Bare("b", "2")
    respond(known, "a, b", OPTIONS)
    assert known[1].seen == []


def test_a_header_without_grammar_is_no_offer():
    with pytest.raises(ValueError, match=r"^Invalid Sec-WebSocket-Extensions header: 'a,'$"):
        respond((Bare("a"),), "a,", OPTIONS)


@pytest.mark.parametrize(
    "said, error",
    [
        pytest.param({"response": Broken()}, Broken, id="an error of its own"),
        pytest.param({"response": {"x": None}}, ValueError, id="no parameter"),
        pytest.param({"response": {"x": None}, "close": Broken()}, ValueError, id="twice wrong"),
    ],
)
def test_what_an_extension_of_a_server_raises_ends_the_sessions_before_it(said, error):
    known = Bare("a", close=Broken()), Bare("b", **said), Bare("c")
    with pytest.raises(error):
        respond(known, "a, b, c", OPTIONS)
    assert [one.closed for one in known] == [[1], [1], []]


# --- a client ---------------------------------------------------------------------------------------


def test_a_client_offers_all_even_those_of_one_bit():
    known = (
        Bare("a", "1", offer={"x": 1}),
        Bare("b", "1"),
        Bare("c", offer=[{"y": True}, {}]),
        Bare("d", offer=None),
        Bare("e", offer=[]),
        Bare("f", session=None),
    )
    assert Offered(known, OPTIONS).value == "a; x=1, b, c; y, c"
    assert known[0].seen == [OPTIONS]


def test_nothing_to_offer_is_an_empty_header():
    offered = Offered((), OPTIONS)
    assert offered.value == ""
    assert offered.activate(None) is None


@pytest.mark.parametrize(
    "header, names, bits",
    [
        pytest.param("a", ("a",), 4, id="one"),
        pytest.param("c, a", ("c", "a"), 5, id="two, in the order of the answer"),
        pytest.param("a;x;y=1,c", ("a", "c"), 5, id="with parameters"),
    ],
)
def test_what_the_server_answered_is_agreed_on(header, names, bits):
    known = Bare("a", "1"), Bare("b", "1"), Bare("c", "3")
    pipeline = Offered(known, OPTIONS).activate(header)
    assert (pipeline.names, pipeline.rsv) == (names, bits)
    assert {one.name for one in known if one.closed == [0]} == set(names)


def test_a_session_is_told_the_parameters_that_were_answered():
    known = (Bare("a"),)
    Offered(known, OPTIONS).activate("a; x; y=1")
    assert known[0].sessions[0].activated == {"x": True, "y": 1}


@pytest.mark.parametrize("header", [None, ""])
def test_without_an_answer_every_session_ends(header):
    known = Bare("a"), Bare("b", offer=None)
    assert Offered(known, OPTIONS).activate(header) is None
    assert [one.closed for one in known] == [[1], [1]]


@pytest.mark.parametrize(
    "header, text",
    [
        pytest.param("x", "the server answered extension 'x' unasked", id="unknown"),
        pytest.param("a, silent", "the server answered extension 'silent' unasked", id="no offer"),
        pytest.param("a, none", "the server answered extension 'none' unasked", id="no offers"),
        pytest.param("a, a", "the server answered extension 'a' a second time", id="twice"),
        pytest.param(
            "a, c, b",
            "the server answered two extensions that use RSV1: 'a' and 'b'",
            id="two of one bit",
        ),
        pytest.param(
            "a, picky; x; y=1",
            "the server answered with unacceptable parameters: 'picky; x; y=1'",
            id="parameters that the session refuses",
        ),
        pytest.param("a,", "Invalid Sec-WebSocket-Extensions header: 'a,'", id="no grammar"),
    ],
)
def test_an_answer_that_cannot_be_agreed_to_is_refused_and_ends_every_session(header, text):
    known = (
        Bare("a", "1"),
        Bare("b", "1"),
        Bare("c", "3"),
        Bare("picky", activate=1),  # not True
        Bare("silent", offer=None),
        Bare("none", offer=[]),
    )
    offered = Offered(known, OPTIONS)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        offered.activate(header)
    assert [one.closed for one in known] == [[1]] * 6


def test_a_session_that_is_given_up_ends_once():
    known = (Bare("a"),)
    offered = Offered(known, OPTIONS)
    assert offered.withdraw() == []
    assert offered.withdraw() == []
    assert known[0].closed == [1]
    with pytest.raises(ValueError, match="'a' unasked"):
        offered.activate("a")


def test_what_sessions_raise_as_they_are_given_up_is_handed_over():
    first, last = Broken(), Broken()
    known = Bare("a", close=first), Bare("b"), Bare("c", close=last)
    assert Offered(known, OPTIONS).withdraw() == [first, last]
    assert known[1].closed == [1]


@pytest.mark.parametrize(
    "said, error",
    [
        pytest.param({"offer": Broken()}, Broken, id="an error of its own"),
        pytest.param({"offer": {"x": None}}, ValueError, id="no parameter"),
        pytest.param({"offer": {"x": None}, "close": Broken()}, ValueError, id="twice wrong"),
    ],
)
def test_what_an_extension_of_a_client_raises_ends_the_sessions_before_it(said, error):
    known = Bare("a"), Bare("b", **said), Bare("c")
    with pytest.raises(error):
        Offered(known, OPTIONS)
    assert [one.closed for one in known] == [[1], [1], []]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"activate": Broken()}, id="as it judges the answer"),
        pytest.param({"offer": None, "close": Broken()}, id="as it ends unanswered"),
    ],
)
def test_an_error_of_an_extension_within_the_answer_is_told_as_it_is(said):
    known = Bare("a"), Bare("b", **said)
    with pytest.raises(Broken):
        Offered(known, OPTIONS).activate("a, b" if "activate" in said else "a")
    assert [one.closed for one in known] == [[1], [1]]


# --- both -------------------------------------------------------------------------------------------


def test_extensions_as_users_write_them_agree():
    ours, theirs = (Reverse(7), Seal()), (Seal(), Reverse())
    offered = Offered(check_extensions(ours), OPTIONS)
    answer, server = respond(check_extensions(theirs), offered.value, OPTIONS)
    client = offered.activate(answer)
    assert (offered.value, answer) == (
        "x-reverse; letters=7, x-seal",
        "x-seal, x-reverse; letters=7",
    )
    assert client.names == server.names == ("x-seal", "x-reverse")
    assert client.rsv == server.rsv == 3


def test_an_extension_may_decline_what_is_offered():
    offered = Offered((Reverse(99),), OPTIONS)
    assert respond((Reverse(),), offered.value, OPTIONS) == ("", None)
