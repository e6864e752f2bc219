"""Bodies in chunks: what comes out is what went in, wherever the network cuts, or an error says why not."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import pytest

from faye_sync.errors import EventSourceError
from faye_sync.transport.chunked import without_chunks

LONG = bytes(range(256)) * 300


def taken_apart(pieces: Iterable[bytes]) -> list[bytes]:
    coming = chain(pieces, [b""])
    return list(without_chunks(lambda: next(coming)))


BODIES = [
    pytest.param(b"5\r\nhello\r\n0\r\n\r\n", b"hello", id="one"),
    pytest.param(b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", b"hello", id="two"),
    pytest.param(b"0\r\n\r\n", b"", id="none"),
    pytest.param(b"000\r\n\r\n", b"", id="many-zeros"),
    pytest.param(b"0A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", id="capital"),
    pytest.param(b"b\r\n\r\n0\r\n\r\n5\r\nx\r\n0\r\n\r\n", b"\r\n0\r\n\r\n5\r\nx", id="chunks-in-it"),
    pytest.param(b'5;a=b;c="d e"\r\nhello\r\n0;x\r\n\r\n', b"hello", id="extensions"),
    pytest.param(b"5  \t\r\nhello\r\n0  \r\n\r\n", b"hello", id="blanks-behind-the-size"),
    pytest.param(b"5\nhello\n0\n\n", b"hello", id="lf-alone"),
    pytest.param(b"5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", b"hello", id="trailers"),
    pytest.param(b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", b"hello", id="more-behind"),
]  # fmt: skip


@pytest.mark.parametrize("octets, body", BODIES)
def test_a_body_comes_out_the_same_at_any_cut(octets, body):
    assert b"".join(taken_apart([octets])) == body
    assert b"".join(taken_apart(octets[at : at + 1] for at in range(len(octets)))) == body
    for at in range(1, len(octets)):
        assert b"".join(taken_apart([octets[:at], octets[at:]])) == body


def test_what_came_of_a_chunk_is_given_before_the_rest_comes():
    coming = iter((b"40", b"0\r\n", b"one", b"two"))
    pieces = without_chunks(lambda: next(coming))
    assert [next(pieces), next(pieces)] == [b"one", b"two"]


def test_all_chunks_that_came_at_once_are_given_at_once():
    many = b"3\r\none\r\n" * 1000
    assert taken_apart([many, b"0\r\n\r\n"]) == [b"one" * 1000]


def test_a_long_chunk_goes_over_many_pieces():
    octets = b"%x\r\n%b\r\n0\r\n\r\n" % (len(LONG), LONG)
    pieces = [octets[at : at + 4096] for at in range(0, len(octets), 4096)]
    assert b"".join(taken_apart(pieces)) == LONG


FAULTY = [
    pytest.param(b"", "before its last chunk", id="nothing"),
    pytest.param(b"5\r\nhel", "before its last chunk", id="cut-in-a-chunk"),
    pytest.param(b"5\r\nhello", "before its last chunk", id="cut-behind-a-chunk"),
    pytest.param(b"5\r\nhello\r\n0", "before its last chunk", id="cut-in-the-last"),
    pytest.param(b"5\r\nhello!\r\n0\r\n\r\n", "between its chunks", id="longer-than-it-said"),
    pytest.param(b"-5\r\nhello\r\n", "between its chunks", id="minus"),
    pytest.param(b"0x5\r\nhello\r\n", "between its chunks", id="0x"),
    pytest.param(b"1_0\r\nhello\r\n", "between its chunks", id="underscore"),
    pytest.param(b"\r\nhello\r\n", "between its chunks", id="no-size"),
    pytest.param(b"data: x\n\n", "between its chunks", id="no-chunks"),
    pytest.param(b"1" * 17 + b"\r\n", "between its chunks", id="17-digits"),
    pytest.param(b"5;" + b"x" * 5000, "between its chunks", id="endless-extension"),
]


@pytest.mark.parametrize("octets, text", FAULTY)
def test_a_body_that_is_none_in_chunks_is_an_error_at_any_cut(octets, text):
    for pieces in ([octets], (octets[at : at + 1] for at in range(len(octets)))):
        with pytest.raises(EventSourceError, match=text):
            taken_apart(piece for piece in pieces if piece)


def test_what_the_source_raises_goes_on_as_it_is():
    def read() -> bytes:
        raise ConnectionResetError("on purpose")

    with pytest.raises(ConnectionResetError):
        list(without_chunks(read))
