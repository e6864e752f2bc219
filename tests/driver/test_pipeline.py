"""How messages pass through extensions: RFC 6455 9 and 5.4."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st

from faye_sync import Extension, MessageTooBig, PingEvent, ProtocolError
from faye_sync.driver.extension import Message
from faye_sync.driver.frames import BINARY, TEXT
from faye_sync.driver.hybi import HybiClient, HybiServer
from faye_sync.driver.pipeline import Pipeline
from tests.support.reversal import Reverse, Seal
from tests.support.wire import cut

OPTIONS = {"max_length": 1000}


class Marking(Extension):
    """Adds its name to all that passes; a session may be told to do otherwise."""

    def __init__(self, name, bits="", **methods):
        self.name = name
        self.rsv1, self.rsv2, self.rsv3 = (digit in bits for digit in "123")
        self.session = MarkingSession(name)
        for method, function in methods.items():
            setattr(self.session, method, function)


class MarkingSession(Extension.Session):
    def __init__(self, name):
        self.mark = name.encode()
        self.closed = 0

    def process_incoming_message(self, message):
        message.data += b"<" + self.mark
        return message

    def process_outgoing_message(self, message):
        message.data += b">" + self.mark
        return message

    def close(self):
        self.closed += 1


class Interrupt(BaseException):
    """What a signal handler raises."""


def raising(error):
    def process(*_):
        raise error

    return process


def pipeline_of(*extensions, max_length=1000):
    return Pipeline([(one, one.session) for one in extensions], max_length)


def sealed(*, max_length=1000):
    """Both ends of a connection with the extension that can do streams."""
    ends = [Seal(), Seal()]
    return [Pipeline([(end, end.create_client_session(OPTIONS))], max_length) for end in ends]


def text(data=b"x", **more):
    return Message(TEXT, data, **more)


def packed(encoder, parts):
    """What a message in parts becomes: the fragments that have something, the last in any case."""
    return [*filter(None, map(encoder.feed, parts)), encoder.finish()]


def unpacked(decoder, pieces):
    """What pieces amount to, the last of them being final."""
    return b"".join(
        plain
        for index, piece in enumerate(pieces, 1)
        for plain in decoder.feed(piece, is_final=index == len(pieces))
    )


# --- whole messages ---------------------------------------------------------------------------------


def test_messages_leave_in_the_order_of_the_answer_and_come_in_reverse():
    pipeline = pipeline_of(Marking("a"), Marking("b"), Marking("c"))
    assert pipeline.outgoing(text()).data == b"x>a>b>c"
    assert pipeline.incoming(text()).data == b"x<c<b<a"
    assert pipeline.names == ("a", "b", "c")


@pytest.mark.parametrize(
    "bits, rsv",
    [(("",), 0), (("1",), 4), (("2",), 2), (("3",), 1), (("12", "3"), 7), (("3", "", "1"), 5)],
)
def test_the_reserved_bits_of_all_are_allowed(bits, rsv):
    assert pipeline_of(*(Marking(f"x{n}", each) for n, each in enumerate(bits))).rsv == rsv


@pytest.mark.parametrize(
    "wishes, shown",
    [
        pytest.param((True,), False, id="marked ones only"),
        pytest.param((True, True), False, id="both marked ones only"),
        pytest.param((False,), True, id="all"),
        pytest.param((True, False), True, id="one of them all"),
    ],
)
def test_messages_without_a_mark_are_asked_for_where_a_session_wants_them(wishes, shown):
    marking = (Marking(f"x{n}", only_marked=wish) for n, wish in enumerate(wishes))
    assert pipeline_of(*marking).shows_all is shown


@pytest.mark.parametrize(
    "marks, data",
    [
        ({}, b"x<c"),
        ({"rsv1": True}, b"x<c<a"),
        ({"rsv2": True}, b"x<c<b"),
        ({"rsv3": True}, b"x<c"),
        ({"rsv1": True, "rsv2": True}, b"x<c<b<a"),
    ],
)
def test_a_session_that_wants_only_what_it_marked_gets_no_other(marks, data):
    pipeline = pipeline_of(
        Marking("a", "1", only_marked=True), Marking("b", "2", only_marked=True), Marking("c")
    )
    assert pipeline.incoming(text(**marks)).data == data


def test_a_session_sees_what_the_user_said_of_compressing():
    seen = []
    pipeline = pipeline_of(
        Marking("a", process_outgoing_message=lambda message: seen.append(message) or message)
    )
    pipeline.outgoing(text(compress=False))
    assert [message.compress for message in seen] == [False]


def test_a_session_may_return_another_message_of_another_kind():
    pipeline = pipeline_of(
        Marking("a", process_outgoing_message=lambda _: Message(BINARY, bytearray(b"ab"))),
        Marking("b", process_outgoing_message=lambda message: replace(message, rsv1=True)),
        Marking("c", "1"),
    )
    assert pipeline.outgoing(text()) == Message(BINARY, b"ab>c", rsv1=True)


def test_a_session_needs_no_more_than_the_methods_for_whole_messages():
    marking = MarkingSession("a")
    bare = SimpleNamespace(
        process_incoming_message=marking.process_incoming_message,
        process_outgoing_message=marking.process_outgoing_message,
        close=marking.close,
    )
    pipeline = Pipeline([(Marking("a"), bare)], 1000)
    assert pipeline.shows_all is True
    assert packed(pipeline.outgoing_stream(text(b"")), [b"x", b"y"]) == [b"xy>a"]
    assert unpacked(pipeline.incoming_stream(text(b"")), [b"x", b"y"]) == b"xy<a"
    assert pipeline.outgoing_lost() is False
    assert pipeline.close() == []
    assert marking.closed == 1


# --- failures ---------------------------------------------------------------------------------------

FAILURES = [
    pytest.param(ProtocolError("no", 1008), "no", 1008, id="with a code of its own"),
    pytest.param(ProtocolError("no"), "no", 1002, id="a breach of the protocol"),
    pytest.param(MessageTooBig(9, 8), "message of 9 octets exceeds max_length 8", 1009, id="big"),
    pytest.param(ProtocolError("no", 1006), "a: no", 1010, id="a code that no frame may have"),
    pytest.param(ProtocolError("no", 99999), "a: no", 1010, id="a code that no frame can have"),
    pytest.param(KeyError("k"), "a: 'k'", 1010, id="a bug"),
    pytest.param(ZeroDivisionError(), "a: ZeroDivisionError", 1010, id="a bug without a text"),
]


@pytest.mark.parametrize("way", ["incoming", "outgoing"])
@pytest.mark.parametrize("error, told, code", FAILURES)
def test_what_a_session_raises_fails_the_connection(error, told, code, way):
    process = {f"process_{way}_message": raising(error)}
    pipeline = pipeline_of(Marking("z"), Marking("a", **process), Marking("y"))
    with pytest.raises(ProtocolError) as caught:
        getattr(pipeline, way)(text())
    assert (str(caught.value), caught.value.code) == (told, code)
    assert error in (caught.value, caught.value.__cause__)


@pytest.mark.parametrize("way, other", [("incoming", "outgoing"), ("outgoing", "incoming")])
def test_after_a_failure_one_way_refuses_and_the_other_goes_on(way, other):
    is_bad = [True, False]
    marking = Marking("a")
    process = getattr(marking.session, f"process_{way}_message")
    failing = raising(ProtocolError("no", 1008))
    setattr(
        marking.session,
        f"process_{way}_message",
        lambda message: failing() if is_bad.pop(0) else process(message),
    )
    pipeline = pipeline_of(marking)
    for _ in range(3):
        with pytest.raises(ProtocolError, match=r"^no$") as caught:
            getattr(pipeline, way)(text())
        assert caught.value.code == 1008
        with pytest.raises(ProtocolError, match=r"^no$"):
            getattr(pipeline, f"{way}_stream")(text(b""))
    assert is_bad == [False]
    assert getattr(pipeline, other)(text()).data in (b"x<a", b"x>a")


@pytest.mark.parametrize("way", ["incoming", "outgoing"])
@pytest.mark.parametrize(
    "made, told",
    [
        pytest.param(None, "process() must return a Message, got None", id="nothing"),
        pytest.param(b"x", "process() must return a Message, got b'x'", id="octets"),
        pytest.param(Message(TEXT, "x"), "process() must make octets, got str", id="text"),
        pytest.param(Message(TEXT, 5), "process() must make octets, got int", id="a number"),
    ],
)
def test_a_session_that_returns_no_message_fails_the_connection(made, told, way):
    def process(_):
        return made

    pipeline = pipeline_of(Marking("a", **{f"process_{way}_message": process}))
    with pytest.raises(ProtocolError) as caught:
        getattr(pipeline, way)(text())
    assert (str(caught.value), caught.value.code) == (f"a: {told}", 1010)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"opcode": 8}, "a: opcode of a message must be 1 or 2, got 8"),
        ({"rsv1": True}, "a: a reserved bit is set that no extension of this connection owns"),
    ],
)
def test_a_session_that_makes_what_the_peer_would_refuse_fails_the_connection(changes, told):
    def process(message):
        for name, value in changes.items():
            setattr(message, name, value)

    whole = pipeline_of(Marking("a", "2", process_outgoing_message=lambda m: process(m) or m))
    parts = pipeline_of(Marking("a", "2", outgoing_stream=lambda m: process(m) or object()))
    with pytest.raises(ProtocolError, match=f"^{told}$"):
        whole.outgoing(text())
    with pytest.raises(ProtocolError, match=f"^{told}$"):
        parts.outgoing_stream(text(b""))


def test_a_failure_keeps_no_message_alive():
    class Kept(Message):
        """Can be referred to weakly."""

    def process(_):
        raise ValueError("no")

    pipeline = pipeline_of(Marking("a", process_incoming_message=process))
    message = Kept(TEXT, b"x")
    there = weakref.ref(message)
    with pytest.raises(ProtocolError):
        pipeline.incoming(message)
    del message
    gc.collect()
    assert there() is None
    with pytest.raises(ProtocolError, match=r"^a: no$"):
        pipeline.incoming(text())


def test_an_interrupt_within_an_incoming_message_ends_that_way():
    pipeline = pipeline_of(Marking("a", process_incoming_message=raising(Interrupt())))
    with pytest.raises(Interrupt):
        pipeline.incoming(text())
    with pytest.raises(ProtocolError, match=r"^a: interrupted by Interrupt$") as caught:
        pipeline.incoming(text())
    assert caught.value.code == 1011


def test_an_interrupt_within_an_outgoing_message_is_for_the_sessions_to_mend():
    told = []
    marking = Marking("a", outgoing_lost=lambda: told.append("lost") or True)
    process, marking.session.process_outgoing_message = (
        marking.session.process_outgoing_message,
        raising(Interrupt()),
    )
    pipeline = pipeline_of(marking)
    with pytest.raises(Interrupt):
        pipeline.outgoing(text())
    assert pipeline.outgoing_lost() is True
    assert told == ["lost"]
    marking.session.process_outgoing_message = process
    assert pipeline.outgoing(text()).data == b"x>a"


# --- messages that never left -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers, can_go_on",
    [((True,), True), ((False,), False), ((True, True), True), ((False, True), False)],
)
def test_every_session_is_told_of_lost_messages_and_each_must_be_able_to_go_on(answers, can_go_on):
    told = []
    pipeline = pipeline_of(
        *(
            Marking(f"x{n}", outgoing_lost=lambda answer=answer: told.append(answer) or answer)
            for n, answer in enumerate(answers)
        )
    )
    assert pipeline.outgoing_lost() is can_go_on
    assert told == list(answers)


def test_after_a_failure_lost_messages_do_no_harm_because_no_other_leaves():
    pipeline = pipeline_of(
        Marking("a", process_outgoing_message=raising(ValueError("no"))),
        Marking("b", outgoing_lost=lambda: False),
    )
    with pytest.raises(ProtocolError):
        pipeline.outgoing(text())
    assert pipeline.outgoing_lost() is True


def test_a_session_that_fails_when_told_of_lost_messages_refuses_the_next():
    pipeline = pipeline_of(Marking("a", outgoing_lost=raising(ValueError("no"))))
    assert pipeline.outgoing_lost() is True
    with pytest.raises(ProtocolError, match=r"^a: no$"):
        pipeline.outgoing(text())


# --- the end ----------------------------------------------------------------------------------------


def test_every_session_ends_once_whatever_the_others_raise():
    error = ValueError("no")
    marking = [Marking("a"), Marking("b", close=raising(error)), Marking("c")]
    pipeline = pipeline_of(*marking)
    assert pipeline.close() == [error]
    assert pipeline.close() == []
    assert (marking[0].session.closed, marking[2].session.closed) == (1, 1)


def test_after_the_end_no_session_gets_an_incoming_message():
    pipeline = pipeline_of(Marking("a"))
    pipeline.close()
    with pytest.raises(ProtocolError, match=r"^a message came after its extensions had ended$"):
        pipeline.incoming(text())


# --- messages in parts ------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.lists(st.binary()), st.lists(st.integers(0, 50)))))
def test_messages_in_parts_come_as_they_left_wherever_they_are_cut(messages):
    client, server = sealed()
    for parts, places in messages:
        head = text(b"")
        octets = b"".join(packed(client.outgoing_stream(head), parts))
        assert head == text(b"", rsv3=True)
        assert unpacked(server.incoming_stream(head), cut(octets, places)) == b"".join(parts)


@given(st.lists(st.binary(min_size=1)), st.lists(st.integers(0, 50)))
def test_in_parts_or_whole_is_the_same_on_the_wire(parts, places):
    octets = b"".join(parts)
    (whole, to_whole), (client, to_client) = sealed(), sealed()
    sent = whole.outgoing(text(octets))
    assert sent.data == b"".join(packed(client.outgoing_stream(text(b"")), parts))
    assert to_client.incoming(replace(sent)).data == octets
    assert (
        unpacked(to_whole.incoming_stream(text(b"", rsv3=True)), cut(sent.data, places)) == octets
    )


def test_parts_leave_at_once_where_the_session_can():
    client, server = sealed()
    head = text(b"")
    encoder = client.outgoing_stream(head)
    assert head.rsv3 is True
    assert encoder.feed(b"abcdef") == b"abcdef"
    decoder = server.incoming_stream(head)
    assert list(decoder.feed(b"abcdef", is_final=False)) == [b"ab"]


def test_a_stream_has_no_limit_where_the_session_can():
    client, server = sealed(max_length=10)
    head = text(b"")
    octets = b"".join(packed(client.outgoing_stream(head), [b"x" * 100]))
    assert unpacked(server.incoming_stream(head), [octets]) == b"x" * 100


def test_where_a_session_wants_whole_messages_parts_wait():
    marking = Marking("a", "1")
    marking.session.process_outgoing_message = lambda message: replace(
        message, data=message.data[::-1], rsv1=True
    )
    pipeline = pipeline_of(marking)
    head = text(b"", compress=True)
    encoder = pipeline.outgoing_stream(head)
    assert [encoder.feed(b"ab"), encoder.feed(b"cd")] == [b"", b""]
    assert encoder.finish() == b"dcba"
    assert head == text(b"", rsv1=True, compress=True)
    decoder = pipeline.incoming_stream(head)
    assert list(decoder.feed(b"ab", is_final=False)) == []
    assert list(decoder.feed(b"", is_final=True)) == [b"ab<a"]


def test_where_there_are_several_sessions_parts_wait():
    ends = [
        [(one, one.create_client_session(OPTIONS)) for one in (Reverse(), Seal())] for _ in "12"
    ]
    client, server = (Pipeline(end, 1000) for end in ends)
    head = Message(BINARY, b"")
    encoder = client.outgoing_stream(head)
    assert encoder.feed(b"abc") == b""
    octets = encoder.finish()
    assert (octets[:3], head.rsv2, head.rsv3) == (b"cba", True, True)
    decoder = server.incoming_stream(head)
    assert list(decoder.feed(octets, is_final=False)) == []
    assert list(decoder.feed(b"", is_final=True)) == [b"abc"]


def test_of_several_sessions_one_alone_takes_pieces_that_concern_no_other():
    ends = [
        [(one, one.create_client_session(OPTIONS)) for one in (Reverse(), Seal())] for _ in "12"
    ]
    client, server = (Pipeline(end, 10) for end in ends)
    octets = client.outgoing(Message(BINARY, b"x" * 100, compress=False)).data
    decoder = server.incoming_stream(Message(BINARY, b"", rsv3=True))
    assert list(decoder.feed(octets, is_final=True)) == [b"x" * 100]


def test_pieces_that_concern_no_session_come_as_they_are():
    pipeline = pipeline_of(Marking("a", "1", only_marked=True), max_length=1)
    decoder = pipeline.incoming_stream(text(b""))
    assert unpacked(decoder, [b"ab", b"", b"cd"]) == b"abcd"


def test_pieces_wait_within_the_limit_of_a_message():
    pipeline = pipeline_of(Marking("a"), max_length=4)
    fitting, long = pipeline.incoming_stream(text(b"")), pipeline.incoming_stream(text(b""))
    assert unpacked(fitting, [b"ab", b"cd"]) == b"abcd<a"
    assert list(long.feed(b"abcd", is_final=False)) == []
    with pytest.raises(MessageTooBig) as caught:
        list(long.feed(b"e", is_final=False))
    assert (caught.value.size, caught.value.limit) == (5, 4)


def test_a_session_unpacks_no_further_than_it_is_asked():
    made = []

    def feed(_, *, is_final):
        for number in range(9):
            made.append(number)
            yield b"x"

    pipeline = pipeline_of(
        Marking("a", incoming_stream=lambda _: SimpleNamespace(feed=feed)), max_length=1
    )
    assert next(iter(pipeline.incoming_stream(text(b"")).feed(b"", is_final=True))) == b"x"
    assert made == [0]


@pytest.mark.parametrize("error, told, code", FAILURES)
@pytest.mark.parametrize("at", ["incoming_stream", "feed"])
def test_a_decoder_that_raises_fails_the_connection(at, error, told, code):
    decoders = {"feed": lambda _: SimpleNamespace(feed=lambda *_, **__: iterating(error))}
    begin = decoders.get(at, raising(error))
    pipeline = pipeline_of(Marking("a", incoming_stream=begin))
    with pytest.raises(ProtocolError) as caught:
        list(pipeline.incoming_stream(text(b"")).feed(b"x", is_final=False))
    assert (str(caught.value), caught.value.code) == (told, code)
    with pytest.raises(ProtocolError):
        pipeline.incoming(text())


def iterating(error):
    yield b"x"
    raise error


@pytest.mark.parametrize("error, told, code", FAILURES)
@pytest.mark.parametrize("at", ["outgoing_stream", "feed", "finish"])
def test_an_encoder_that_raises_fails_the_connection(at, error, told, code):
    encoder = SimpleNamespace(feed=lambda piece: piece, finish=lambda: b"")
    setattr(encoder, at, raising(error))
    begin = raising(error) if at == "outgoing_stream" else lambda _: encoder
    pipeline = pipeline_of(Marking("a", outgoing_stream=begin))
    with pytest.raises(ProtocolError) as caught:
        packed(pipeline.outgoing_stream(text(b"")), [b"x"])
    assert (str(caught.value), caught.value.code) == (told, code)
    with pytest.raises(ProtocolError):
        pipeline.outgoing(text())


@pytest.mark.parametrize(
    "coder, told",
    [
        pytest.param({"feed": lambda *_, **__: None}, "'NoneType' object is not", id="nothing"),
        pytest.param({"feed": lambda *_, **__: iter("x")}, "feed() must make octets", id="text"),
    ],
)
def test_a_decoder_that_makes_no_octets_fails_the_connection(coder, told):
    pipeline = pipeline_of(Marking("a", incoming_stream=lambda _: SimpleNamespace(**coder)))
    with pytest.raises(ProtocolError) as caught:
        list(pipeline.incoming_stream(text(b"")).feed(b"x", is_final=False))
    assert str(caught.value).startswith(f"a: {told}")


@pytest.mark.parametrize("at", ["feed", "finish"])
def test_an_encoder_that_makes_no_octets_fails_the_connection(at):
    encoder = SimpleNamespace(feed=lambda piece: piece, finish=lambda: b"")
    setattr(encoder, at, lambda *_: None)
    pipeline = pipeline_of(Marking("a", outgoing_stream=lambda _: encoder))
    with pytest.raises(ProtocolError) as caught:
        packed(pipeline.outgoing_stream(text(b"")), [b"x"])
    assert str(caught.value) == f"a: {at}() must make octets, got NoneType"


def test_an_interrupt_within_a_stream_ends_the_way_in():
    decoder = SimpleNamespace(feed=lambda *_, **__: iterating(Interrupt()))
    pipeline = pipeline_of(Marking("a", incoming_stream=lambda _: decoder))
    pieces = pipeline.incoming_stream(text(b"")).feed(b"x", is_final=True)
    assert next(pieces) == b"x"
    with pytest.raises(Interrupt):
        next(pieces)
    with pytest.raises(ProtocolError, match=r"^a: interrupted by Interrupt$"):
        pipeline.incoming(text())


# --- through both drivers ---------------------------------------------------------------------------


def connected(ours, theirs):
    """A client and a server that have agreed."""
    client = HybiClient(protocols=(), max_length=1000, extensions=ours)
    environ = {
        f"HTTP_{name.upper().replace('-', '_')}": value for name, value in client.request_fields()
    }
    server = HybiServer(environ, protocols=(), headers=(), max_length=1000, extensions=theirs)
    server.start()
    lines = server.sending.data_to_send().decode().split("\r\n")[1:-2]
    assert client.fault_of("1.1", [tuple(line.split(": ", 1)) for line in lines]) is None
    client.start()
    for half in (client.receiving, server.receiving):
        half.events()
    return client, server


def delivered(source, target):
    target.receiving.receive_data(source.sending.data_to_send())
    return [
        target.unpacking.unpack(event) if isinstance(event, Message) else event
        for event in target.receiving.events()
    ]


EXTENSIONS = [
    pytest.param((), id="none"),
    pytest.param((Reverse,), id="whole messages"),
    pytest.param((Seal,), id="streams"),
    pytest.param((Reverse, Seal), id="both"),
]


@pytest.mark.parametrize("extensions", EXTENSIONS)
def test_extensions_as_users_write_them_work_from_end_to_end(extensions):
    client, server = connected(extensions, extensions)
    assert client.extensions == server.extensions == tuple(one.name for one in extensions)
    for source, target in ((client, server), (server, client)) * 2:
        for send, data in (
            (source.sending.text, "caf\xe9, \u20ac"),
            (source.sending.binary, b"\0ab"),
        ):
            for compress in (None, False, True):
                send(data, compress)
                assert delivered(source, target) == [data]
        source.sending.ping(b"seen by no extension")
        assert delivered(source, target) == [PingEvent(b"seen by no extension")]
        for number, part in enumerate(("caf", "\xe9", "")):
            source.sending.fragment(part, is_first=not number, is_final=not part)
        assert delivered(source, target) == ["caf\xe9"]


def test_what_an_extension_makes_is_what_the_wire_has():
    client, server = connected([Reverse(1)], [Reverse()])
    server.sending.text("Hal, Zz!")
    server.sending.binary(b"abc")
    assert server.sending.data_to_send() == b"\xa1\x08Ibm, Aa!\xa2\x03cba"
    assert client.extensions == ("x-reverse",)


@pytest.mark.parametrize("extensions", EXTENSIONS)
def test_sessions_end_once_with_their_connection(extensions):
    ours, theirs = [one() for one in extensions], [one() for one in extensions]
    for end in connected(ours, theirs):
        assert end.close_sessions() == []
        assert end.close_sessions() == []
    assert [session.closed for one in (*ours, *theirs) for session in one.sessions] == [1] * (
        2 * len(extensions)
    )
