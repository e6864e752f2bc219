"""Which pages may open a WebSocket here (RFC 6455 10.2)."""

from __future__ import annotations

import re

import pytest

from faye_sync.errors import ConfigurationError
from faye_sync.origin import refuse_origin

SAME_SITE = [
    pytest.param(None, "example.com", id="no Origin: not a browser"),
    pytest.param("http://example.com", "example.com", id="same host"),
    pytest.param("https://example.com", "example.com", id="a proxy ended TLS"),
    pytest.param("http://example.com:8000", "example.com:8000", id="same port"),
    pytest.param("http://example.com:80", "example.com", id="80 is http's own, in Origin"),
    pytest.param("http://example.com", "example.com:80", id="80 is http's own, in Host"),
    pytest.param("https://example.com", "example.com:443", id="443 is https's own"),
    pytest.param("ws://example.com", "example.com:80", id="80 is ws's own"),
    pytest.param("wss://example.com", "example.com:443", id="443 is wss's own"),
    pytest.param("HTTP://EXAMPLE.com", "example.COM", id="case does not count"),
    pytest.param("http://[::1]:8000", "[::1]:8000", id="IPv6"),
    pytest.param("http://127.0.0.1:5000", "127.0.0.1:5000", id="IPv4"),
]

OTHER_SITE = [
    pytest.param("http://evil.example", "example.com", id="another host"),
    pytest.param("http://sub.example.com", "example.com", id="a subdomain"),
    pytest.param("http://example.com.evil.example", "example.com", id="ours is its beginning"),
    pytest.param("http://evilexample.com", "example.com", id="ours is its end"),
    pytest.param("http://example.com:8000", "example.com", id="another port in Origin"),
    pytest.param("http://example.com", "example.com:8000", id="another port in Host"),
    pytest.param("https://example.com", "example.com:80", id="443 is not 80"),
    pytest.param("http://example.com:0", "example.com", id="port 0 is not 80"),
    pytest.param("http://example.com", "example.com:0", id="port 0 in Host"),
    pytest.param("http://localhost", "127.0.0.1", id="names are not resolved"),
    pytest.param("null", "example.com", id="null: a sandboxed frame or a file"),
    pytest.param("null", "null", id="null is no host"),
    pytest.param("", "example.com", id="empty"),
    pytest.param("example.com", "example.com", id="no scheme"),
    pytest.param("http://", "example.com", id="no host"),
    pytest.param("http://", "", id="no host on both sides"),
    pytest.param("http://example.com", "", id="empty Host"),
    pytest.param("http://example.com", None, id="no Host"),
    pytest.param("chrome-extension://abc", "abc", id="a scheme without a port"),
    pytest.param("http://[::1", "[::1", id="broken IPv6"),
    pytest.param("http://example.com:99999", "example.com:99999", id="a port that is none"),
    pytest.param("http://example.com:x", "example.com:x", id="a port of letters"),
    pytest.param("http://example.com@evil.example", "example.com", id="ours as a user name"),
    pytest.param("http://evil.example/example.com", "example.com", id="ours as a path"),
    pytest.param("http://evil.example#example.com", "example.com", id="ours as a fragment"),
]

LISTED = [
    pytest.param("https://a.example", ["https://a.example"], True, id="equal"),
    pytest.param("https://a.example", ("x", "https://a.example"), True, id="a tuple, second"),
    pytest.param("https://a.example", {"https://a.example"}, True, id="a set"),
    pytest.param("https://a.example", ["https://A.example/"], True, id="case and a last slash"),
    pytest.param("https://a.example", ["https://a.example:443"], True, id="the default port"),
    pytest.param("https://a.example", ["http://a.example"], False, id="the scheme counts"),
    pytest.param("https://a.example", ["https://a.example:8443"], False, id="the port counts"),
    pytest.param("https://a.example", ["https://b.example"], False, id="another host"),
    pytest.param("https://a.example", ["a.example"], False, id="a host is no origin"),
    pytest.param("https://a.example", [], False, id="an empty list"),
    pytest.param("https://a.example", [None], False, id="None alone"),
    pytest.param("http://example.com", ["https://a.example"], False, id="same site, not listed"),
    pytest.param("null", ["null"], True, id="null"),
    pytest.param("chrome-extension://abc", ["chrome-extension://abc"], True, id="an extension"),
    pytest.param("http://[::1", ["http://[::2"], False, id="two broken ones are not alike"),
    pytest.param(None, ["https://a.example"], False, id="no Origin"),
    pytest.param(None, ["https://a.example", None], True, id="no Origin, None in the list"),
]

PATTERN = re.compile(r"https://[a-z]+\.example")
MATCHED = [
    pytest.param("https://a.example", True, id="matches"),
    pytest.param("https://a.example.evil", False, id="matches its beginning only"),
    pytest.param("x https://a.example", False, id="matches its end only"),
    pytest.param("https://a.example\n", False, id="a line end behind it"),
    pytest.param(None, False, id="no Origin"),
]


def request(origin: str | None, host: str | None = "example.com") -> dict[str, str]:
    headers = {"HTTP_ORIGIN": origin, "HTTP_HOST": host}
    return {name: value for name, value in headers.items() if value is not None}


@pytest.mark.parametrize("origin, host", SAME_SITE)
def test_without_a_setting_the_same_host_and_port_may_connect(origin, host):
    assert refuse_origin(request(origin, host), None) is None


@pytest.mark.parametrize("origin, host", OTHER_SITE)
def test_without_a_setting_no_other_site_may_connect(origin, host):
    found = refuse_origin(request(origin, host), None)
    assert found is not None
    assert found.status == 403


def test_a_forwarded_host_is_never_trusted():
    forged = request("http://evil.example") | {
        "HTTP_X_FORWARDED_HOST": "evil.example",
        "HTTP_FORWARDED": "host=evil.example",
        "SERVER_NAME": "evil.example",
    }
    assert refuse_origin(forged, None) is not None


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "http://[", ""])
def test_a_star_lets_all_connect(origin):
    assert refuse_origin(request(origin), "*") is None


@pytest.mark.parametrize("origin, origins, is_allowed", LISTED)
def test_a_list_is_compared_by_scheme_host_and_port(origin, origins, is_allowed):
    assert (refuse_origin(request(origin), origins) is None) is is_allowed


@pytest.mark.parametrize("origin, is_allowed", MATCHED)
def test_a_pattern_must_match_the_whole_origin(origin, is_allowed):
    assert (refuse_origin(request(origin), PATTERN) is None) is is_allowed


@pytest.mark.parametrize("answer", [True, False, 1, None, ""])
@pytest.mark.parametrize("origin", ["http://a.example", None])
def test_a_callable_decides_by_origin_and_environ(origin, answer):
    asked = []

    def decide(*arguments: object) -> object:
        asked.append(arguments)
        return answer

    environ = request(origin)
    assert (refuse_origin(environ, decide) is None) is bool(answer)
    assert asked == [(origin, environ)]


def test_what_a_callable_raises_comes_through():
    with pytest.raises(KeyError):
        refuse_origin(request("http://a.example"), lambda origin, environ: environ["missing"])


@pytest.mark.parametrize(
    "origins",
    [
        pytest.param("https://a.example", id="one origin as a string"),
        pytest.param("", id="an empty string"),
        pytest.param(7, id="a number"),
        pytest.param(True, id="a bool"),
        pytest.param(iter(["https://a.example"]), id="an iterator, which one request would empty"),
        pytest.param(b"*", id="bytes"),
        pytest.param([b"https://a.example"], id="a list of bytes"),
        pytest.param([PATTERN], id="a list of patterns"),
    ],
)
@pytest.mark.parametrize("origin", ["https://a.example", None])
def test_a_setting_of_another_kind_is_refused_for_every_request(origin, origins):
    with pytest.raises(ConfigurationError, match="origins must be None"):
        refuse_origin(request(origin), origins)


def test_one_origin_as_a_string_is_told_to_stand_in_a_list():
    with pytest.raises(ConfigurationError, match=re.escape("pass ['https://a.example']")):
        refuse_origin(request(None), "https://a.example")


def test_the_refusal_names_both_sides_and_the_cures():
    found = refuse_origin(request("http://evil.example", "example.com:8000"), None)
    assert found is not None
    for part in (
        "'http://evil.example'",
        "'example.com:8000'",
        "origins=[...]",
        'origins="*"',
        "proxy_set_header Host $http_host",
    ):
        assert part in found.text


def test_the_refusal_names_what_is_missing():
    found = refuse_origin({}, [])
    assert found is not None
    assert found.text.startswith("Origin (none) may not open a WebSocket on Host (none).")


def test_the_refusal_is_short_and_ascii_whatever_the_peer_sent():
    found = refuse_origin(request("é\r\n" * 5000, "\x1b[2Jé" * 5000), None)
    assert found is not None
    assert found.text.isascii()
    assert "\r" not in found.text
    assert "\x1b" not in found.text
    assert len(found.text) < 4000
