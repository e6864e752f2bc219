"""permessage-deflate on a connection: which messages are packed, whole or in parts; RFC 7692 6."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings, strategies as st

from faye_sync.driver.deflate import DeflateSession, PerMessageDeflate
from faye_sync.driver.extension import Message
from faye_sync.driver.pipeline import Pipeline
from faye_sync.errors import MessageTooBig, ProtocolError
from tests.support.deflating import EACH_ENGINE, ENGINES, LIMIT, deflate_on, rows, sessions
from tests.support.inflating import Inflating

EACH = pytest.mark.parametrize("name", EACH_ENGINE)
TEXT, BINARY = 1, 2
LONG = rows(4096)
NOISE = random.Random(4).randbytes(4096)
TAIL = bytes.fromhex("0000ffff")


def sent(session: DeflateSession, data: bytes, compress: bool | None = None) -> Message:
    return session.process_outgoing_message(Message(TEXT, data, compress=compress))


def arrived(session: DeflateSession, message: Message) -> bytes:
    """What the other side makes of it, which knows no more than octets, opcode and bits."""
    bare = Message(message.opcode, message.data, message.rsv1, message.rsv2, message.rsv3)
    return session.process_incoming_message(bare).data


def streamed(
    session: DeflateSession, parts: list[bytes], compress: bool | None = None
) -> tuple[Message, list[bytes]]:
    """The head of a message that is sent in parts, and its fragments."""
    head = Message(BINARY, b"", compress=compress)
    encoder = session.outgoing_stream(head)
    return head, [*map(encoder.feed, parts), encoder.finish()]


def gathered(session: DeflateSession, head: Message, fragments: list[bytes]) -> bytes:
    decoder = session.incoming_stream(Message(head.opcode, b"", head.rsv1))
    last = len(fragments) - 1
    return b"".join(
        octets
        for index, fragment in enumerate(fragments)
        for octets in decoder.feed(fragment, is_final=index == last)
    )


# Threshold, octets, what send(compress=) said, and whether the message is packed.
PACKED = [
    pytest.param(256, 255, None, False, id="below the threshold"),
    pytest.param(256, 256, None, True, id="at the threshold"),
    pytest.param(256, 4096, None, True, id="above the threshold"),
    pytest.param(256, 255, True, True, id="below, and asked for"),
    pytest.param(256, 1, True, True, id="one octet, and asked for"),
    pytest.param(256, 0, True, True, id="empty, and asked for"),
    pytest.param(256, 0, None, False, id="empty"),
    pytest.param(256, 4096, False, False, id="above, and not wanted"),
    pytest.param(0, 0, None, True, id="empty, without a threshold"),
    pytest.param(0, 1, None, True, id="one octet, without a threshold"),
    pytest.param(0, 4096, False, False, id="not wanted, without a threshold"),
    pytest.param(10**9, 4096, None, False, id="a threshold that nothing reaches"),
    pytest.param(10**9, 4096, True, True, id="asked for whatever the threshold"),
]


@EACH
@pytest.mark.parametrize("threshold, size, compress, is_packed", PACKED)
def test_the_threshold_counts_unless_the_call_says_otherwise(
    threshold, size, compress, is_packed, name
):
    client, server = sessions(deflate_on(name, threshold=threshold))
    message = sent(client, LONG[:size], compress)
    assert message.rsv1 is is_packed
    assert (message.rsv2, message.rsv3, message.opcode) == (False, False, TEXT)
    assert is_packed or message.data == LONG[:size]
    assert arrived(server, message) == LONG[:size]


@EACH
def test_what_does_not_shrink_is_sent_packed_where_windows_are_kept(name):
    client, server = sessions(deflate_on(name))
    first, second = sent(client, NOISE), sent(client, NOISE)
    assert (first.rsv1, second.rsv1) == (True, True)
    assert len(first.data) > len(NOISE) > 20 * len(second.data)
    assert arrived(server, first) == arrived(server, second) == NOISE


@EACH
@pytest.mark.parametrize("compress", [None, True])
def test_what_does_not_shrink_is_sent_plain_where_windows_are_not_kept(compress, name):
    client, server = sessions(deflate_on(name, no_context_takeover=True))
    for data, is_packed in ((NOISE, False), (LONG, True), (NOISE, False), (LONG, True)):
        message = sent(client, data, compress)
        assert message.rsv1 is is_packed
        assert arrived(server, message) == data


@EACH
def test_a_message_without_the_mark_passes_as_it_is(name):
    client, _ = sessions(deflate_on(name))
    message = Message(BINARY, NOISE, rsv2=True)
    assert client.process_incoming_message(message) is message
    assert message == Message(BINARY, NOISE, rsv2=True)


@EACH
def test_plain_messages_between_packed_ones_leave_the_windows_alone(name):
    client, server = sessions(deflate_on(name))
    for data, compress in ((LONG, None), (NOISE, False), (b"x", None), (LONG, None), (b"", True)):
        assert arrived(server, sent(client, data, compress)) == data
    assert len(sent(client, LONG).data) < 200


@EACH
def test_max_length_counts_octets_that_come_out(name):
    client, server = sessions(deflate_on(name), limit=1000)
    assert arrived(server, sent(client, bytes(1000))) == bytes(1000)
    with pytest.raises(MessageTooBig, match="1001 octets exceeds max_length 1000"):
        arrived(server, sent(client, bytes(1_000_000)))


@EACH
@pytest.mark.parametrize("bits", range(8, 16))
def test_a_session_packs_within_the_window_that_was_agreed_on(bits, name):
    client, server = sessions(deflate_on(name, max_window_bits=bits), deflate_on(name))
    octets = random.Random(bits).randbytes(2**bits)
    messages = [octets, octets, octets[: 2 ** (bits - 1)] * 3]
    packed = [sent(client, data) for data in messages]
    inflating = Inflating(b"".join(message.data + TAIL for message in packed))
    assert inflating.plain == b"".join(messages)
    assert inflating.farthest <= 2**bits
    assert [arrived(server, message) for message in packed] == messages


PARTS = st.lists(
    st.binary(max_size=50) | st.builds(rows, st.integers(0, 900), st.integers(0, 2)), max_size=4
)
INSTALLED = st.sampled_from(sorted(ENGINES))
# Parts, whether they leave one by one, and what the call said of compressing.
MIXED = st.lists(st.tuples(PARTS, st.booleans(), st.sampled_from([None, True, False])), max_size=5)


@EACH
@settings(max_examples=80)
@given(
    messages=MIXED,
    other=INSTALLED,
    forgets=st.booleans(),
    bits=st.integers(8, 15),
    low=st.booleans(),
)
def test_whole_messages_and_parts_follow_each_other(name, messages, other, forgets, bits, low):
    client, server = sessions(
        deflate_on(
            name,
            threshold=0 if low else 256,
            no_context_takeover=forgets,
            max_window_bits=bits,
        ),
        deflate_on(other),
    )
    for parts, in_parts, compress in messages:
        whole = b"".join(parts)
        if in_parts:
            head, fragments = streamed(client, parts, compress)
            assert head.rsv1 is (compress is not False)
            assert arrived(server, Message(BINARY, b"".join(fragments), head.rsv1)) == whole
        else:
            message = sent(client, whole, compress)
            # However the peer cuts it into frames.
            fragments = [message.data[:3], b"", message.data[3:]]
            assert gathered(server, message, fragments) == whole


@EACH
def test_each_part_can_be_read_before_the_next_is_sent(name):
    client, server = sessions(deflate_on(name))
    head = Message(BINARY, b"")
    encoder = client.outgoing_stream(head)
    decoder = server.incoming_stream(Message(BINARY, b"", head.rsv1))
    for part in (LONG, b"x", NOISE, LONG):
        assert b"".join(decoder.feed(encoder.feed(part), is_final=False)) == part
    assert list(decoder.feed(encoder.finish(), is_final=True)) == []
    assert arrived(server, sent(client, LONG)) == LONG


@EACH
def test_a_part_without_octets_makes_no_fragment(name):
    client, _ = sessions(deflate_on(name))
    head, fragments = streamed(client, [b"", b""])
    assert head.rsv1
    assert fragments == [b"", b"", b"\0"]


@EACH
def test_a_stream_that_is_not_to_be_packed_passes_as_it_is(name):
    client, server = sessions(deflate_on(name))
    head, fragments = streamed(client, [b"one", b"", b"two"], compress=False)
    assert not head.rsv1
    assert b"".join(fragments) == b"onetwo"
    assert gathered(server, head, fragments) == b"onetwo"


@EACH
@pytest.mark.parametrize("forgets", [False, True], ids=["takeover", "no takeover"])
def test_a_stream_has_no_limit_and_comes_64_kib_at_a_time(forgets, name):
    client, server = sessions(deflate_on(name, no_context_takeover=forgets), limit=10)
    head, fragments = streamed(client, [bytes(2**20)] * 3)
    decoder = server.incoming_stream(Message(BINARY, b"", head.rsv1))
    sizes = [
        len(octets)
        for index, fragment in enumerate(fragments)
        for octets in decoder.feed(fragment, is_final=index == 3)
    ]
    assert sum(sizes) == 3 * 2**20
    assert max(sizes) == 2**16


@EACH
def test_a_stream_is_unpacked_as_it_is_asked_for_and_no_sooner(name):
    client, server = sessions(deflate_on(name))
    head, fragments = streamed(client, [bytes(2**20)])
    decoder = server.incoming_stream(Message(BINARY, b"", head.rsv1))
    pieces = decoder.feed(b"\7" + fragments[0], is_final=False)
    with pytest.raises(ProtocolError, match="corrupt") as error:
        next(pieces)
    assert error.value.code == 1007


@EACH
def test_a_stream_that_ends_within_a_block_is_refused_at_its_end(name):
    _, server = sessions(deflate_on(name))
    decoder = server.incoming_stream(Message(BINARY, b"", rsv1=True))
    pieces = decoder.feed(bytes.fromhex("000500faff48656c"), is_final=True)
    assert next(pieces) == b"Hel"
    with pytest.raises(ProtocolError, match="ends within a block"):
        next(pieces)


@EACH
def test_what_was_packed_and_lost_is_not_looked_back_at(name):
    client, server = sessions(deflate_on(name))
    assert arrived(server, sent(client, LONG)) == LONG
    sent(client, NOISE)
    assert client.outgoing_lost() is True
    assert arrived(server, sent(client, NOISE)) == NOISE
    assert arrived(server, sent(client, LONG)) == LONG


@EACH
def test_a_stream_that_was_lost_in_its_middle_is_not_looked_back_at(name):
    client, server = sessions(deflate_on(name))
    head = Message(BINARY, b"")
    client.outgoing_stream(head).feed(NOISE)
    assert client.outgoing_lost() is True
    assert arrived(server, sent(client, NOISE)) == NOISE


def test_close_may_come_at_any_time_and_twice():
    client, server = sessions(PerMessageDeflate())
    for session in (client, server):
        session.close()
        arrived(session, sent(session, LONG))
        session.close()
        session.close()


@EACH
def test_both_ways_may_be_used_at_the_same_time(name):
    client, server = sessions(deflate_on(name))
    messages = [rows(2000 + seed, seed) for seed in range(100)]
    # All packed before: each thread below has one way of one session, and shares it with none.
    there, back = ([sent(one, data) for data in messages] for one in (client, server))

    def receive(session: DeflateSession, packed: list[Message]) -> list[bytes]:
        return [arrived(session, message) for message in packed]

    def send(session: DeflateSession) -> list[Message]:
        return [sent(session, data) for data in messages]

    with ThreadPoolExecutor(4) as pool:
        received = [pool.submit(receive, server, there), pool.submit(receive, client, back)]
        more = [pool.submit(send, client), pool.submit(send, server)]
    assert [future.result() for future in received] == [messages, messages]
    assert receive(server, more[0].result()) == receive(client, more[1].result()) == messages


def test_one_extension_serves_connections_that_share_nothing():
    extension = PerMessageDeflate()
    one, other = sessions(extension), sessions(extension)
    first = sent(one[0], LONG)
    assert sent(other[0], LONG).data == first.data
    assert arrived(one[1], first) == arrived(other[1], first) == LONG


def test_options_cannot_be_changed_once_they_were_checked():
    with pytest.raises(FrozenInstanceError):
        PerMessageDeflate().level = 99


@pytest.mark.skipif(len(ENGINES) < 3, reason="isal or zlib-ng is not installed")
@pytest.mark.parametrize(
    "options, engine",
    [
        pytest.param({}, "isal", id="defaults"),
        pytest.param({"level": 3}, "isal", id="level 3"),
        pytest.param({"level": 4}, "zlib-ng", id="level 4"),
        pytest.param({"strategy": 1}, "zlib-ng", id="a strategy"),
        pytest.param({"max_window_bits": 8}, "zlib-ng", id="8 bits"),
    ],
)
def test_an_extension_tells_what_packs(options, engine):
    assert PerMessageDeflate(**options).engine == engine


@pytest.mark.parametrize("name", EACH_ENGINE)
def test_the_tests_can_choose_an_engine(name):
    assert deflate_on(name).engine == name


@EACH
def test_a_pipeline_hands_only_marked_messages_to_it(name):
    extension = deflate_on(name)
    client, server = sessions(extension)
    pipeline = Pipeline([(extension, server)], LIMIT)
    assert (pipeline.rsv, pipeline.shows_all, pipeline.names) == (4, False, ("permessage-deflate",))
    packed = Pipeline([(extension, client)], LIMIT).outgoing(Message(TEXT, LONG))
    assert packed.rsv1
    assert pipeline.incoming(packed).data == LONG
    with pytest.raises(ProtocolError, match="corrupt") as error:
        pipeline.incoming(Message(TEXT, b"\7", rsv1=True))
    assert error.value.code == 1007
    assert pipeline.close() == []
