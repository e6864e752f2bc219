"""What is raised: of which kind, with which words, and whole after a journey between processes."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
import requests
from werkzeug.datastructures import Headers

from faye_sync import errors
from faye_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    FayeSyncError,
    HandshakeError,
    HijackError,
    MessageTooBig,
    ProtocolError,
    ProxyError,
)

ANSWER = (407, Headers([("X-A", "1"), ("X-A", "2")]), b"body")

KINDS = [
    pytest.param(ConfigurationError("bad"), ValueError, id="ConfigurationError"),
    pytest.param(HijackError("no socket"), RuntimeError, id="HijackError"),
    pytest.param(ProtocolError("bad frame"), FayeSyncError, id="ProtocolError"),
    pytest.param(ProtocolError("bad text", 1007), FayeSyncError, id="ProtocolError with a code"),
    pytest.param(MessageTooBig(70, 60), ProtocolError, id="MessageTooBig"),
    pytest.param(ConnectionClosed(), ConnectionError, id="ConnectionClosed"),
    pytest.param(
        ConnectionClosed(4001, "kicked", True, "peer"), OSError, id="ConnectionClosed with all"
    ),
    pytest.param(HandshakeError("no answer"), ConnectionError, id="HandshakeError"),
    pytest.param(HandshakeError("no", *ANSWER), OSError, id="HandshakeError with an answer"),
    pytest.param(ProxyError("no answer"), HandshakeError, id="ProxyError"),
    pytest.param(ProxyError("no", *ANSWER), ConnectionError, id="ProxyError with an answer"),
]


@pytest.mark.parametrize("error, kind", KINDS)
def test_an_error_is_caught_by_the_library_s_base_and_by_its_builtin_kind(error, kind):
    assert isinstance(error, FayeSyncError)
    assert isinstance(error, kind)


def test_every_error_of_the_module_has_the_base():
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    own = [each for each in classes if each.__module__ == errors.__name__]
    assert [each for each in own if not issubclass(each, FayeSyncError)] == []


@pytest.mark.parametrize("error, kind", KINDS)
@pytest.mark.parametrize(
    "journey",
    [
        *(
            pytest.param(lambda error, n=n: pickle.loads(pickle.dumps(error, n)), id=f"pickle {n}")
            for n in range(2, pickle.HIGHEST_PROTOCOL + 1)
        ),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
    ],
)
def test_an_error_is_the_same_after_pickle_or_copy(error, kind, journey):
    again = journey(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)


def test_what_was_added_to_an_error_travels_with_it():
    error = ConnectionClosed(1001)
    error.seen_by = "worker 3"
    assert pickle.loads(pickle.dumps(error)).seen_by == "worker 3"


def test_a_protocol_error_is_1002_unless_it_says_otherwise():
    assert ProtocolError("x").code == 1002
    assert ProtocolError("x", 1007).code == 1007


def test_a_message_too_big_tells_both_sizes():
    error = MessageTooBig(70_000_000, 67_108_863)
    assert str(error) == "message of 70000000 octets exceeds max_length 67108863"
    assert (error.code, error.size, error.limit) == (1009, 70_000_000, 67_108_863)


@pytest.mark.parametrize(
    "arguments, text",
    [
        pytest.param((), "connection closed with 1006 (eof)", id="nothing told"),
        pytest.param(
            (1000, "", True, "peer"), "connection closed with 1000 (peer)", id="no reason"
        ),
        pytest.param(
            (4001, "kicked", True, "peer"),
            "connection closed with 4001 (peer): kicked",
            id="with a reason",
        ),
    ],
)
def test_a_closed_connection_tells_code_cause_and_reason(arguments, text):
    assert str(ConnectionClosed(*arguments)) == text


def test_a_closed_connection_reads_as_no_errno():
    error = ConnectionClosed(1000, "bye", True, "peer")
    assert (error.errno, error.strerror, error.filename) == (None, None, None)
    assert (error.code, error.reason, error.was_clean, error.cause) == (1000, "bye", True, "peer")


@pytest.mark.parametrize("kind", [HandshakeError, ProxyError])
def test_a_handshake_without_an_answer_tells_of_none(kind):
    error = kind("there was no answer")
    assert str(error) == "there was no answer"
    assert (error.status_code, error.headers, error.body, error.history) == (None, None, b"", ())


@pytest.mark.parametrize("kind", [HandshakeError, ProxyError])
def test_a_handshake_with_an_answer_reads_as_no_errno(kind):
    error = kind("the server answered 407", *ANSWER)
    assert (error.errno, error.strerror, error.filename) == (None, None, None)
    assert (error.status_code, error.headers, error.body) == ANSWER
    assert str(error) == "the server answered 407"


@pytest.mark.parametrize("kind", [HandshakeError, ProxyError])
def test_the_answers_before_it_travel_with_an_error(kind):
    earlier = requests.Response()
    earlier.status_code, earlier.url, earlier._content = 302, "http://example.com/", b"moved"
    again = pickle.loads(pickle.dumps(kind("no", *ANSWER, (earlier,))))
    (travelled,) = again.history
    assert (travelled.status_code, travelled.url) == (302, "http://example.com/")
    assert travelled.content == b"moved"
