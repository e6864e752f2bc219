"""TLS of a client as its users have it: what is trusted, who is asked for, and who we are."""

from __future__ import annotations

import os
import re
import shutil
import ssl
from pathlib import Path

import pytest
import requests
import truststore

from faye_sync import Client, ConfigurationError, Reconnect
from tests.support.authorities import (
    PASSWORD,
    Issued,
    authority,
    demanding,
    expired,
    folder,
    localhost,
    someone,
    trusted,
)
from tests.support.clients import (  # noqa: F401  # planned_servers is a fixture
    PATIENCE,
    both_styles,
    log_events,
    planned_servers,
)
from tests.support.endings import failed_dial
from tests.support.planned_server import PlannedServer, accept, echo, greet, part

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
BAD = ssl.SSLCertVerificationError


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def assert_echoes(url: str, **options: object) -> None:
    with Client(url, **options) as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "hello"


# --- what is trusted ---------------------------------------------------------------------------------


TRUST = {
    "ca-path": lambda: {"ca": trusted().file},
    "ca-path-object": lambda: {"ca": Path(trusted().file)},
    "ca-folder": lambda: {"ca": folder()},
    "ca-pem": lambda: {"ca": trusted().pem},
    "ca-pem-in-octets": lambda: {"ca": trusted().pem.encode()},
    "tls-ca": lambda: {"tls": {"ca": trusted().file}},
    "tls-and-ca": lambda: {"tls": {"verify": True}, "ca": trusted().file},
    "tls-context": lambda: {"tls": ssl.create_default_context(cafile=trusted().file)},
    "verify-false": lambda: {"tls": {"verify": False}},
}


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("options", TRUST.values(), ids=TRUST)
def test_a_server_is_trusted_as_the_options_have_it(planned, options, version):
    server = planned(echo, tls=localhost().server_context(version))
    assert_echoes(server.url, **options())


STRANGERS = {
    "an-authority-that-nobody-knows": ("unable to get local issuer|self.signed", localhost, dict),
    "another-authority": (
        "unable to get local issuer|self.signed",
        lambda: authority().issue("127.0.0.1"),
        lambda: {"ca": trusted().pem},
    ),
    "another-name": (
        "not valid for '127.0.0.1'",
        lambda: trusted().issue("example.com"),
        lambda: {"ca": trusted().pem},
    ),
    "another-name-in-a-context": (
        "not valid for '127.0.0.1'",
        lambda: trusted().issue("example.com"),
        lambda: {"tls": ssl.create_default_context(cadata=trusted().pem)},
    ),
}


@pytest.mark.parametrize("text, issued, options", STRANGERS.values(), ids=STRANGERS)
def test_a_server_that_proves_nothing_gets_no_request(planned, text, issued, options):
    server = planned(accept, tls=issued().server_context())
    error = failed_dial(server.url, BAD, **options())
    assert re.search(text, str(error))
    assert server.count == 0


def test_a_certificate_whose_time_is_over_is_refused(planned):
    server = planned(accept, tls=expired().server_context())
    error = failed_dial(f"wss://localhost:{server.port}/", BAD, ca=trusted().file)
    assert "expired" in str(error)


def test_what_the_client_was_given_counts_more_than_what_its_session_has(planned):
    server = planned(accept, tls=localhost().server_context())
    with requests.Session() as session:
        session.verify = False
        failed_dial(server.url, BAD, session=session, ca=authority().file)
        session.verify = authority().file
        with Client(server.url, session=session, ca=trusted().file):
            pass


def test_what_the_client_was_given_counts_more_than_the_environment(planned, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority().file)
    server = planned(accept, tls=localhost().server_context())
    failed_dial(server.url, BAD)
    with Client(server.url, ca=trusted().file):
        pass


def test_a_context_of_truststore_trusts_what_the_system_trusts(planned, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", trusted().file)
    server = planned(echo, tls=localhost().server_context())
    assert_echoes(server.url, tls=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    stranger = planned(echo, tls=authority().issue("127.0.0.1").server_context())
    failed_dial(stranger.url, BAD, tls=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def test_a_server_that_speaks_no_tls_is_found_out(planned):
    server = planned(accept)
    url = f"wss://127.0.0.1:{server.port}/"
    error = failed_dial(url, ssl.SSLError, ssl.SSLEOFError, ca=trusted().file)
    assert "SSL" in str(error) or "TLS handshake" in str(error)


@both_styles
def test_a_failure_is_told_in_the_way_of_the_style(planned, begin):
    server = planned(accept, tls=localhost().server_context())
    ws = Client(server.url)
    if begin.__name__ == "connect":
        with pytest.raises(BAD):
            ws.connect()
        return
    events = log_events(ws)
    ws.start()
    assert ws.join(PATIENCE)
    assert [event.type for event in events] == ["error", "close"]
    assert isinstance(events[0].error, BAD)
    assert (events[1].code, events[1].cause) == (1006, "connect")


# --- who is asked for ----------------------------------------------------------------------------------


def asked_for(issued: Issued) -> tuple[ssl.SSLContext, list]:
    """A server's context, and the names it was asked for (RFC 6066 3)."""
    names: list[str | None] = []
    context = issued.server_context()
    context.sni_callback = lambda tls, name, _: names.append(name)
    return context, names


@pytest.mark.parametrize(
    "host, name", [("localhost", "localhost"), ("LOCALHOST", "localhost"), ("127.0.0.1", None)]
)
def test_a_server_is_asked_for_by_the_name_in_the_url(planned, host, name):
    context, names = asked_for(localhost())
    server = planned(echo, tls=context)
    assert_echoes(f"wss://{host}:{server.port}/", ca=trusted().file)
    assert names == [name]


def test_a_server_is_asked_for_by_the_name_that_is_given(planned):
    context, names = asked_for(trusted().issue("example.com"))
    server = planned(echo, tls=context)
    assert_echoes(server.url, tls={"ca": trusted().file, "server_hostname": "example.com"})
    assert names == ["example.com"]
    assert server.visit().request.headers["Host"] == f"127.0.0.1:{server.port}"


# --- who we are ----------------------------------------------------------------------------------------


IDENTITIES = {
    "paths": lambda: {"cert": someone().chain, "key": someone().key},
    "one-path": lambda: {"cert": someone().both},
    "pem": lambda: {"cert": read(someone().chain).decode(), "key": read(someone().key).decode()},
    "pem-in-octets": lambda: {"cert": read(someone().chain), "key": read(someone().key)},
    "encrypted": lambda: {
        "cert": someone().chain,
        "key": someone().encrypted,
        "password": PASSWORD,
    },
}


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("identity", IDENTITIES.values(), ids=IDENTITIES)
def test_our_certificate_is_shown_to_a_server_that_demands_one(planned, identity, version):
    server = planned(echo, tls=demanding(localhost(), version))
    assert_echoes(server.url, tls={"ca": trusted().file, **identity()})
    names = server.visit().certificate["subjectAltName"]
    assert names == (("email", "someone@example.com"),)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_server_that_misses_our_certificate_is_heard(planned, version):
    server = planned(accept, tls=demanding(localhost(), version))
    error = failed_dial(server.url, ssl.SSLError, ca=trusted().file)
    assert "alert" in str(error).lower()


# --- what is refused before a socket is opened -----------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"tls": 7}, id="no-mapping"),
        pytest.param({"tls": {"cafile": "x"}}, id="unknown-key"),
        pytest.param({"tls": {"verify": "no"}}, id="wrong-type"),
        pytest.param({"ca": 7}, id="no-ca"),
        pytest.param({"ca": b"\x30\x82"}, id="no-pem"),
        pytest.param({"tls": {"key": "key.pem"}}, id="key-without-certificate"),
    ],
)
def test_an_option_that_cannot_be_is_refused_at_once(options):
    with pytest.raises(ConfigurationError, match=r"tls|ca"):
        Client("wss://127.0.0.1:1/", **options)


def test_a_file_that_is_not_there_is_told_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.pem"):
        Client("wss://127.0.0.1:1/", ca=tmp_path / "missing.pem")


# --- once it is open -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, 2**22])
def test_messages_of_any_size_go_both_ways(planned, size, version):
    server = planned(echo, tls=localhost().server_context(version))
    message = os.urandom(size)
    with Client(server.url, ca=trusted().file) as ws:
        ws.send(message)
        assert ws.receive(PATIENCE) == message


def test_messages_in_the_segment_of_the_101_are_delivered(planned):
    server = planned(
        lambda visit: visit.accept(b"first", b"second"), tls=localhost().server_context()
    )
    with Client(server.url, ca=trusted().file) as ws:
        assert [ws.receive(PATIENCE) for _ in range(2)] == [b"first", b"second"]


def test_either_end_leaves_with_its_close_code(planned):
    server = planned(accept, part(4000, "enough", "last"), tls=localhost().server_context())
    with Client(server.url, ca=trusted().file):
        visit = server.visit()
    assert visit.parting() == (1000, "")
    ws = Client(server.url, ca=trusted().file)
    assert ws.receive(PATIENCE) == "last"
    assert ws.wait_closed(PATIENCE)
    assert (ws.close_code, ws.close_reason) == (4000, "enough")


def test_a_connection_is_dialed_anew_with_the_authority_that_is_there_by_then(planned, tmp_path):
    file = tmp_path / "ca.pem"
    shutil.copy(trusted().file, file)
    other = authority()
    context = localhost().server_context()

    def renew(visit) -> None:
        issued = other.issue("127.0.0.1")
        context.load_cert_chain(issued.chain, issued.key)
        shutil.copy(other.file, file)
        part(1012)(visit)

    server: PlannedServer = planned(renew, greet("again"), tls=context)
    with Client(server.url, ca=str(file), reconnect=Reconnect(initial=0.01)) as ws:
        assert ws.receive(PATIENCE) == "again"
