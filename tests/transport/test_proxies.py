"""The URL of a proxy, read strictly, and its password in no text."""

from __future__ import annotations

import sys
import traceback
from base64 import b64encode

import pytest

from faye_sync import ConfigurationError
from faye_sync.transport.proxies import Proxy, proxy_of


def basic(octets: bytes) -> tuple[tuple[str, str], ...]:
    return (("Proxy-Authorization", f"Basic {b64encode(octets).decode()}"),)


READ = {
    "http": ("http://proxy.example:3128", Proxy("http", "proxy.example", 3128)),
    "https": ("https://proxy.example:3129", Proxy("https", "proxy.example", 3129)),
    "http-port": ("http://proxy.example", Proxy("http", "proxy.example", 80)),
    "https-port": ("https://proxy.example", Proxy("https", "proxy.example", 443)),
    "socks4": ("socks4://10.0.0.1", Proxy("socks4", "10.0.0.1", 1080)),
    "socks4a": ("socks4a://user@proxy", Proxy("socks4a", "proxy", 1080, "user")),
    "socks5": ("socks5://u:p@proxy:9", Proxy("socks5", "proxy", 9, "u", "p")),
    "socks5h": ("socks5h://proxy", Proxy("socks5h", "proxy", 1080)),
    "no-scheme": ("proxy.example:3128", Proxy("http", "proxy.example", 3128)),
    "no-scheme-and-a-path": ("proxy.example:3128/", Proxy("http", "proxy.example", 3128)),
    "other-case": ("HTTP://Proxy.Example:1/", Proxy("http", "proxy.example", 1)),
    "ipv6": ("http://[::1]:3128", Proxy("http", "::1", 3128)),
    "zone": ("http://[fe80::1%25eth0]:3128", Proxy("http", "fe80::1%eth0", 3128)),
    "login": ("http://u:p@proxy", Proxy("http", "proxy", 80, "u", "p", basic(b"u:p"))),
    "no-scheme-and-a-login": ("u:p@proxy", Proxy("http", "proxy", 80, "u", "p", basic(b"u:p"))),
    "no-password": ("http://u@proxy", Proxy("http", "proxy", 80, "u", None, basic(b"u:"))),
    "empty-password": ("http://u:@proxy", Proxy("http", "proxy", 80, "u", "", basic(b"u:"))),
    "percent": (
        "http://%C3%BC%3A:p%40%2F@proxy",
        Proxy("http", "proxy", 80, "ü:", "p@/", basic("ü::p@/".encode())),
    ),
}


@pytest.mark.parametrize("url, proxy", READ.values(), ids=READ)
def test_a_url_is_read(url, proxy):
    assert proxy_of(url) == proxy


REFUSED = {
    "another-scheme": ("ftp://proxy", "one of http, https, socks4, socks4a, socks5, socks5h"),
    "websocket": ("ws://proxy", "got 'ws'"),
    "no-host": ("http://", "needs a host"),
    "port-alone": ("http://:3128", "needs a host"),
    "empty": ("", "needs a host"),
    "blank-in-host": ("http://a b", "needs a host"),
    "percent-slash-in-host": ("http://a%2Fb", "needs a host"),
    "open-bracket": ("http://[::1", "host that is none"),
    "port-0": ("http://proxy:0", "from 1 to 65535"),
    "port-65536": ("http://proxy:65536", "from 1 to 65535"),
    "port-a-word": ("http://proxy:port", "from 1 to 65535"),
    "crlf": ("http://proxy\r\nX: y", "control characters"),
    "nul": ("http://proxy\0", "control characters"),
    "bytes": (b"http://proxy", "must be a str"),
    "percent-crlf-in-host": ("http://a%0D%0Ab", "needs a host"),
    "socks5-user-alone": ("socks5://user@proxy", "go together"),
    "socks5-long-user": (f"socks5://{'u' * 128}:p@proxy", "127 octets"),
    "socks5-long-password": (f"socks5h://u:{'%C3%BC' * 64}@proxy", "127 octets"),
    "socks4-nul-in-user": ("socks4://u%00@proxy", "NUL"),
}


@pytest.mark.parametrize("url, text", REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused(url, text):
    with pytest.raises(ConfigurationError, match=text):
        proxy_of(url)


# A word that may only be the password's.
SECRETIVE = {
    "hash-in-password": "http://user:s3cret#word@proxy:3128",
    "slash-in-password": "http://user:s3cret/word@proxy:3128",
    "question-mark-in-password": "http://user:s3cret?word@proxy:3128",
    "digits-before-a-hash": "http://user:12#s3cret@proxy:3128",
    "another-scheme": "ftp://user:s3cret@proxy",
    "bad-port": "http://user:s3cret@proxy:port",
    "no-host": "http://user:s3cret@",
    "bracket": "http://user:s3cret@[::1",
    "odd-sign": "http://user:s3cret@proxy\u2100",
    "socks": "socks5://:s3cret@proxy",
}


@pytest.mark.parametrize("url", SECRETIVE.values(), ids=SECRETIVE)
def test_no_error_shows_the_password(url):
    with pytest.raises(ConfigurationError) as caught:
        proxy_of(url)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", ["http://user:s3cret@proxy", "socks5h://user:s3cret@[::1]"])
def test_a_proxy_can_be_shown(url):
    proxy = proxy_of(url, (("X-Token", "s3cret"),))
    assert "s3cret" not in f"{proxy!r} {proxy}"
    assert str(proxy) in {"http://proxy:80", "socks5h://[::1]:1080"}


def test_headers_of_ones_own_come_first_and_authorization_only_once():
    headers = (("X-A", "1"), ("X-A", "2"), ("proxy-authorization", "Bearer x"))
    assert proxy_of("http://u:p@proxy", headers).headers == headers
    assert proxy_of("http://u:p@proxy", headers[:2]).headers == (*headers[:2], *basic(b"u:p"))


SMUGGLING = {
    "crlf-in-value": ("X-A", "b\r\nX-C: d"),
    "lf-in-value": ("X-A", "b\nX-C: d"),
    "nul-in-value": ("X-A", "b\0"),
    "crlf-in-name": ("X-A: b\r\nX-C", "d"),
    "blank-in-name": ("X A", "b"),
    "colon-in-name": ("X-A:", "b"),
    "empty-name": ("", "b"),
    "sign-above-latin-1": ("X-A", "\u2603"),
    "no-str": ("X-A", 5),
    "host": ("hOST", "elsewhere"),
    "content-length": ("Content-Length", "5"),
    "transfer-encoding": ("Transfer-Encoding", "chunked"),
    "upgrade": ("Upgrade", "websocket"),
}


@pytest.mark.parametrize("header", SMUGGLING.values(), ids=SMUGGLING)
def test_a_header_that_is_more_than_one_is_refused(header):
    with pytest.raises(ConfigurationError):
        proxy_of("http://proxy", (header,))


def test_an_authorization_that_cannot_be_sent_is_not_shown():
    with pytest.raises(ConfigurationError, match="Proxy-Authorization") as caught:
        proxy_of("http://proxy", (("Proxy-Authorization", "s3cret\r\n"),))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
def test_without_pysocks_the_cure_is_told(monkeypatch, scheme):
    monkeypatch.setitem(sys.modules, "socks", None)
    with pytest.raises(ConfigurationError, match=r"pip install faye_sync\[socks\]"):
        proxy_of(f"{scheme}://proxy")
