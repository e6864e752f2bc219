"""The grammar of Sec-WebSocket-Extensions: RFC 6455 9.1."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from string import ascii_letters, digits

import pytest
from hypothesis import given, strategies as st

from faye_sync.driver.extension_header import parse_extensions, serialize_params

TOKEN_SIGNS = "!#$%&'*+-.^_`|~" + digits + ascii_letters
# Of the grammar, so that chance finds its corners.
SIGNS = 'a1-.;,="\\ \t\xe9\0'

tokens = st.text(TOKEN_SIGNS, min_size=1)


def looks_like_a_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal()


# What a quoted string may hold; text that looks like a number comes back as one.
texts = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]) | st.just("\t")).filter(
    lambda text: not looks_like_a_number(text)
)
numbers = st.integers(-(10**16) + 1, 10**17 - 1) | st.decimals(-(10**7), 10**7, places=7).map(float)
values = st.just(True) | numbers | texts
params = st.dictionaries(tokens, values | st.lists(values, min_size=2))


# --- reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header, found",
    [
        pytest.param(None, [], id="no header"),
        pytest.param("", [], id="empty"),
        pytest.param("deflate-stream", [("deflate-stream", {})], id="a name"),
        pytest.param(
            "mux; max-channels=4; flow-control, deflate-stream",
            [("mux", {"max-channels": 4, "flow-control": True}), ("deflate-stream", {})],
            id="the example of section 9.1",
        ),
        pytest.param("a, a; b", [("a", {}), ("a", {"b": True})], id="one name twice"),
        pytest.param("a;b;b=1;b=x", [("a", {"b": [True, 1, "x"]})], id="one parameter thrice"),
        pytest.param(
            "a \t; \tb\t = \t1 \t, \tc", [("a", {"b": 1}), ("c", {})], id="blanks around signs"
        ),
        pytest.param("a;b=1,c", [("a", {"b": 1}), ("c", {})], id="no blanks"),
        pytest.param(f"{TOKEN_SIGNS}", [(TOKEN_SIGNS, {})], id="every sign of a token"),
        pytest.param("__proto__; __class__", [("__proto__", {"__class__": True})], id="names"),
    ],
)
def test_a_header_is_read_as_names_and_parameters(header, found):
    assert parse_extensions(header) == found


@pytest.mark.parametrize(
    "quoted, value",
    [
        pytest.param('"x"', "x", id="a token"),
        pytest.param('""', "", id="nothing"),
        pytest.param('"hi, there; a=b"', "hi, there; a=b", id="signs of the grammar"),
        pytest.param('"10"', 10, id="a number"),
        pytest.param(r'"\1\0"', 10, id="a number, escaped"),
        pytest.param(r'"\x"', "x", id="a backslash before a letter"),
        pytest.param(r'"\""', '"', id="a quote"),
        pytest.param(r'"\\"', "\\", id="a backslash"),
        pytest.param(r'"\\\\"', r"\\", id="two backslashes"),
        pytest.param(r'"\\\""', '\\"', id="a backslash and a quote"),
        pytest.param('"\t"', "\t", id="a tab"),
        pytest.param('"\xe9"', "\xe9", id="latin-1"),
    ],
)
def test_a_quoted_value_is_what_its_escapes_stand_for(quoted, value):
    assert parse_extensions(f"a; b={quoted}, c") == [("a", {"b": value}), ("c", {})]


@pytest.mark.parametrize(
    "text, value",
    [
        pytest.param("0", 0, id="nought"),
        pytest.param("15", 15, id="whole"),
        pytest.param("-15", -15, id="negative"),
        pytest.param("0.5", 0.5, id="a fraction"),
        pytest.param("-0.50", -0.5, id="a fraction that ends in nought"),
        pytest.param("1.0", 1.0, id="a whole fraction"),
        pytest.param("9" * 17, 10**17 - 1, id="as long as a number may be"),
        pytest.param("9" * 18, "9" * 18, id="longer"),
        pytest.param("0." + "1" * 16, "0." + "1" * 16, id="a longer fraction"),
        pytest.param("7" * 5000, "7" * 5000, id="more digits than int() takes"),
        pytest.param("01", "01", id="a leading nought"),
        pytest.param("+1", "+1", id="a plus"),
        pytest.param("1e3", "1e3", id="an exponent"),
        pytest.param("1.", "1.", id="no fraction"),
        pytest.param(".5", ".5", id="only a fraction"),
        pytest.param("-", "-", id="a minus"),
        pytest.param("1_0", "1_0", id="a number of Python's"),
        pytest.param("nan", "nan", id="no number"),
    ],
)
def test_what_looks_like_a_number_is_one(text, value):
    [(_, params)] = parse_extensions(f"a; b={text}")
    assert params == {"b": value}
    assert type(params["b"]) is type(value)


def test_digits_of_other_scripts_are_no_number():
    assert parse_extensions('a; b="\xb2"') == [("a", {"b": "\xb2"})]


@pytest.mark.parametrize(
    "header",
    [
        "a,",
        ",a",
        "a,,b",
        "a, , b",
        "a;",
        "a;;b",
        "a; b=",
        "a; =1",
        "a=1",
        "a b",
        "a; b c",
        "a; b=1 2",
        " a",
        "a ",
        "a\n, b",
        'a; b="',
        'a; b="x',
        'a; b="x\\',
        'a; b="x\\"',
        'a; b="x"y',
        'a; b="x" "y"',
        'a; b="\n"',
        'a; b="\\\n"',
        'a; b="\x7f"',
        'a; b="\0"',
        "a; b=\xe9",
        '"a"',
        "caf\xe9",
    ],
    ids=ascii,
)
def test_a_header_that_breaks_the_grammar_is_refused_and_shown(header):
    with pytest.raises(ValueError, match=r"^Invalid Sec-WebSocket-Extensions header: ") as caught:
        parse_extensions(header)
    assert str(caught.value).endswith(ascii(header))


def test_a_long_header_is_shown_in_part():
    with pytest.raises(ValueError, match=r"header: 'a; b=aaa") as caught:
        parse_extensions("a; b=" + "a" * 10_000 + ";")
    assert len(str(caught.value)) < 200


# On the likes of them parsers of this header took exponential time (CVE-2020-7662).
@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "header",
    [
        pytest.param('a; b="' + "\\a" * 20_000, id="escapes without an end"),
        pytest.param('a; b="' + "\\a" * 1_000_000, id="a million of them"),
        pytest.param('a; b="' + "\\" * 99_999, id="backslashes without an end"),
        pytest.param('a; b="' + 'x"; b="' * 16_000, id="quotes without an end"),
        pytest.param("a" + " " * 1_000_000, id="blanks at the end"),
        pytest.param("a; b" + " " * 1_000_000 + "= ", id="blanks before a sign"),
        pytest.param("a; b =" + " " * 1_000_000, id="blanks behind a sign"),
        pytest.param("a" * 1_000_000 + ";", id="a long name"),
        pytest.param("a, " * 16_000, id="items, and then none"),
    ],
)
def test_what_never_ends_well_is_refused_in_linear_time(header):
    with pytest.raises(ValueError, match="Invalid"):
        parse_extensions(header)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "header, count",
    [
        pytest.param(", ".join(["a"] * 16_000), 16_000, id="names"),
        pytest.param("a" + "; b=1" * 16_000, 1, id="a parameter again and again"),
        pytest.param("a; " + "; ".join(f"p{n}" for n in range(16_000)), 1, id="parameters"),
        pytest.param('a; b="' + "\\a" * 1_000_000 + '"', 1, id="escapes"),
        pytest.param("a; b=" + "1" * 1_000_000, 1, id="digits"),
    ],
)
def test_what_is_long_is_read_in_linear_time(header, count):
    assert len(parse_extensions(header)) == count


@given(st.text(st.characters(codec="latin-1")) | st.text(SIGNS) | st.text())
def test_reading_raises_nothing_but_a_value_error(header):
    try:
        found = parse_extensions(header)
    except ValueError:
        return
    assert bool(found) is bool(header)


# --- writing ----------------------------------------------------------------------------------------


class Bits(IntEnum):
    NINE = 9


@pytest.mark.parametrize(
    "params, written",
    [
        pytest.param({}, "a", id="none"),
        pytest.param({"b": True}, "a; b", id="a flag"),
        pytest.param({"b": 1, "c": -2.5}, "a; b=1; c=-2.5", id="numbers"),
        pytest.param({"b": 1e-7}, "a; b=0.0000001", id="a small number"),
        pytest.param({"b": 1e20}, "a; b=100000000000000000000", id="a large number"),
        pytest.param({"b": Bits.NINE}, "a; b=9", id="a number with a name"),
        pytest.param({"b": "42"}, "a; b=42", id="a token"),
        pytest.param({"b": ""}, 'a; b=""', id="empty text"),
        pytest.param({"b": "hi, there"}, 'a; b="hi, there"', id="text"),
        pytest.param({"b": '"\\'}, 'a; b="\\"\\\\"', id="a quote and a backslash"),
        pytest.param({"b": [True, "x", 1]}, "a; b; b=x; b=1", id="one that comes thrice"),
    ],
)
def test_parameters_are_written_in_their_order(params, written):
    assert serialize_params("a", params) == written


@pytest.mark.parametrize("name", ["", "a b", "a;", "a\n", "caf\xe9", None, 1])
def test_a_name_that_is_no_token_is_not_written(name):
    with pytest.raises(ValueError, match="is no token"):
        serialize_params(name, {})
    with pytest.raises(ValueError, match="is no token"):
        serialize_params("a", {name: True})


@pytest.mark.parametrize(
    "value, text",
    [
        pytest.param(False, "True, a finite number or a str, got False", id="False"),
        pytest.param(None, "True, a finite number or a str, got None", id="None"),
        pytest.param(b"x", "True, a finite number or a str, got b'x'", id="octets"),
        pytest.param(float("nan"), "True, a finite number or a str, got nan", id="nan"),
        pytest.param(float("inf"), "True, a finite number or a str, got inf", id="inf"),
        pytest.param([[1]], "True, a finite number or a str, got \\[1\\]", id="a list"),
        pytest.param("x\r\nb: c", "latin-1 without control characters, got 'x", id="a line's end"),
        pytest.param("\0", "latin-1 without control characters, got '.x00'", id="NUL"),
        pytest.param("\u20ac", "latin-1 without control characters, got '.u20ac'", id="no latin-1"),
    ],
)
def test_a_value_that_cannot_stand_in_a_header_is_not_written(value, text):
    with pytest.raises(ValueError, match=f"^extension parameter b must be {text}"):
        serialize_params("a", {"b": value})


# --- both -------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(tokens, params), min_size=1))
def test_what_was_written_is_read_again(extensions):
    assert parse_extensions(joined(extensions)) == extensions


@given(st.lists(st.tuples(tokens, st.dictionaries(tokens, st.text(digits + "-.", min_size=1)))))
def test_what_was_read_is_written_so_that_it_is_read_again(extensions):
    found = parse_extensions(joined(extensions))
    assert parse_extensions(joined(found)) == found


def joined(extensions: Iterable[tuple[str, dict]]) -> str:
    return ", ".join(serialize_params(*one) for one in extensions)
