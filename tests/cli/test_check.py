"""faye-sync check: eight deployments made wrong on purpose, and the line to change for each."""

from __future__ import annotations

import pytest

from tests.cli.conftest import faye_sync
from tests.support.certificates import certificate
from tests.support.haproxy import DOCUMENTED as HAPROXY, missing_haproxy, serve_haproxy
from tests.support.nginx import DOCUMENTED as NGINX, missing_nginx, serve_nginx
from tests.support.parts import require

require("nginx", missing_nginx())
require("haproxy", missing_haproxy())

SOCKET, STREAM = "ws://127.0.0.1:{port}/echo", "http://127.0.0.1:{port}/slow-feed"


def nginx_without(*directives: str) -> str:
    """The documented configuration of nginx without some of its lines."""
    lines = [line for line in NGINX.splitlines() if not any(each in line for each in directives)]
    assert len(lines) < len(NGINX.splitlines())
    return "\n".join(lines)


# What is wrong, on which proxy, which URL shows it; the topic that is told, and the line to change.
WRONG = [
    pytest.param(
        "nginx",
        nginx_without("Upgrade", "Connection", "proxy_http_version"),
        SOCKET,
        "Upgrade: the Upgrade header did not reach the application",
        "nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;",
        id="nginx-without-upgrade",
    ),
    pytest.param(
        "nginx",
        nginx_without("proxy_http_version") + "\nproxy_http_version 1.0;",
        SOCKET,
        "HTTP version: the proxy asks the server by HTTP/1.0",
        "nginx: proxy_http_version 1.1;",
        id="nginx-by-http-1.0",
    ),
    pytest.param(
        "nginx",
        nginx_without("Host"),
        SOCKET,
        "itself are refused: the server is told another Host",
        "nginx: proxy_set_header Host $http_host;",
        id="nginx-without-host",
    ),
    pytest.param(
        "nginx",
        nginx_without("proxy_read_timeout") + "\nproxy_read_timeout 1s;",
        SOCKET,
        "silence: the connection was cut after 1.",
        "nginx: proxy_read_timeout 3600s;",
        id="nginx-cuts-silence",
    ),
    pytest.param(
        "nginx",
        nginx_without("proxy_buffering")
        + "\nproxy_buffering on; proxy_ignore_headers X-Accel-Buffering;",
        STREAM,
        "buffering: no answer came within 3 s: a proxy holds events back",
        "nginx: proxy_buffering off; and no proxy_ignore_headers X-Accel-Buffering",
        id="nginx-holds-events-back",
    ),
    pytest.param(
        "haproxy",
        (HAPROXY, "http-request del-header Upgrade"),
        SOCKET,
        "Upgrade: the Upgrade header did not reach the application",
        "HAProxy: take out what removes it: http-request del-header Upgrade",
        id="haproxy-without-upgrade",
    ),
    pytest.param(
        "haproxy",
        (HAPROXY, "http-request set-header Host internal.example"),
        SOCKET,
        "itself are refused: the server is told another Host",
        "HAProxy: take out what changes it: http-request set-header Host",
        id="haproxy-changes-host",
    ),
    pytest.param(
        "haproxy",
        (HAPROXY.replace("timeout tunnel 1h", "timeout tunnel 1s"), ""),
        SOCKET,
        "silence: the connection was cut after 1.",
        "HAProxy: timeout tunnel 1h",
        id="haproxy-cuts-silence",
    ),
    pytest.param(
        "haproxy",
        ("timeout client 1s\ntimeout server 1s", ""),
        STREAM,
        "silence: the stream ended after",
        "HAProxy: timeout server 1h",
        id="haproxy-cuts-streams",
    ),
]


def behind(proxy, configuration, upstream, folder, in_front):
    if proxy == "nginx":
        return in_front(serve_nginx(upstream, folder, configuration).plain)
    return in_front(serve_haproxy(upstream, folder, *configuration))


@pytest.mark.parametrize("proxy, configuration, url, said, change", WRONG)
def test_what_is_wrong_is_said_with_the_line_to_change(
    upstream, in_front, tmp_path_factory, proxy, configuration, url, said, change
):
    server = behind(proxy, configuration, upstream, tmp_path_factory.mktemp(proxy), in_front)
    run = faye_sync("check", url.format(port=server.port), "--idle", "4", "--timeout", "3")
    assert run.status == 1, run.out
    (wrong,) = [line for line in run.out.splitlines() if line.startswith("WRONG")]
    assert said in wrong
    assert f"change {change}" in run.out


def test_there_are_at_least_eight():
    assert len(WRONG) >= 8


@pytest.mark.parametrize("url", [SOCKET, STREAM], ids=["websocket", "stream"])
@pytest.mark.parametrize(
    "proxy, configuration",
    [("nginx", NGINX), ("haproxy", (HAPROXY, "")), ("none", None)],
    ids=["nginx", "haproxy", "none"],
)
def test_with_what_the_documentation_says_nothing_is_wrong(
    upstream, in_front, tmp_path_factory, proxy, configuration, url
):
    server = upstream
    if proxy != "none":
        server = behind(proxy, configuration, upstream, tmp_path_factory.mktemp(proxy), in_front)
    run = faye_sync("check", url.format(port=server.port), "--idle", "3")
    assert run.status == 0, run.out
    assert "WRONG" not in run.out
    assert "silence: nothing ended the" in run.out


def test_a_certificate_that_nobody_knows_is_told_of(upstream, in_front, tmp_path_factory):
    proxy = serve_nginx(upstream, tmp_path_factory.mktemp("nginx"))
    in_front(proxy.plain)
    url = f"wss://127.0.0.1:{proxy.tls.port}/echo"
    run = faye_sync("check", url, "--idle", "1")
    assert run.status == 1
    assert "WRONG TLS: the certificate is not to be trusted" in run.out
    stream = f"https://127.0.0.1:{proxy.tls.port}/slow-feed"
    feed = f"https://127.0.0.1:{proxy.tls.port}/feed"
    for each in (url, stream):
        for trust in (("--insecure",), ("--ca", certificate().authority)):
            run = faye_sync("check", each, "--idle", "1", *trust)
            assert run.status == 0, run.out
            assert run.err == ""
    run = faye_sync("listen", feed, "-n", "1", "--ca", certificate().authority)
    assert run.out.startswith("[1] event 1\n")


@pytest.mark.parametrize(
    "url, said",
    [
        ("ws://127.0.0.1:1/", "connection: "),
        ("http://127.0.0.1:1/", "connection: "),
        ("ws://127.0.0.1:{port}/missing", "404: there is no such path"),
        ("http://127.0.0.1:{port}/missing", "404: there is no such path"),
        ("ws://127.0.0.1:{port}/guarded", "401: credentials are wanted"),
        ("ws://127.0.0.1:{port}/refuse", "403: not you"),
        ("http://127.0.0.1:{port}/page", "it is no event stream"),
    ],
)
def test_other_failures_are_told_in_plain_words(upstream, url, said):
    run = faye_sync("check", url.format(port=upstream.port), "--idle", "1")
    assert run.status == 1, run.out
    assert said in run.out


def test_a_url_of_another_scheme_is_a_wrong_call():
    run = faye_sync("check", "ftp://127.0.0.1/")
    assert run.status == 2
    assert "scheme must be" in run.err
