"""What a client's TLS goes by: the tls option, a pool of requests' adapters, and real handshakes."""

from __future__ import annotations

import shutil
import ssl
import tempfile
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
import requests
import truststore
from requests.adapters import HTTPAdapter
from urllib3.poolmanager import PoolKey

from faye_sync.concurrency import THREADS
from faye_sync.errors import ConfigurationError
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.pipe import SocketPipe
from faye_sync.transport.tls_client import TlsContexts, TlsSettings, bare_host
from faye_sync.transport.tls_memory import TlsPipe
from tests.support.authorities import (
    PASSWORD,
    authority,
    demanding,
    expired,
    folder,
    localhost,
    someone,
    trusted,
)
from tests.support.local import tcp_pair
from tests.support.tls_peer import PATIENCE, in_thread

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
BAD = ssl.SSLCertVerificationError


@dataclass
class Seen:
    """What a server saw of one handshake."""

    name: str | None = None
    subject: str = ""
    alpn: str | None = None
    version: str | None = None
    errors: list[OSError] = field(default_factory=list)


def shake_hands(settings: TlsSettings, context: ssl.SSLContext) -> Seen:
    """Shake hands with a real server, and exchange an octet; raises what the client meets."""
    theirs, ours = tcp_pair()
    theirs.settimeout(PATIENCE)
    ours.setblocking(False)
    seen = Seen()
    context.sni_callback = lambda tls, name, _: setattr(seen, "name", name)
    context.set_alpn_protocols(["http/1.1"])

    def serve() -> None:
        try:
            with context.wrap_socket(theirs, server_side=True) as sock:
                seen.alpn, seen.version = sock.selected_alpn_protocol(), sock.version()
                seen.subject = str((sock.getpeercert() or {}).get("subjectAltName"))
                sock.sendall(b"!")
                sock.recv(1)
        except OSError as error:
            seen.errors.append(error)

    thread, _ = in_thread(serve)
    try:
        with theirs, ours, Attempt(THREADS, PATIENCE) as attempt:
            assert TlsPipe(SocketPipe(ours, attempt), settings).recv() == b"!"
    finally:
        thread.join(PATIENCE)
    return seen


def by_option(tls: object = None, ca: object = None, host: str = "localhost") -> TlsSettings:
    return TlsContexts().of_option(tls, ca, host)


# --- the tls option: what is trusted -------------------------------------------------------------


def with_comments(pem: str) -> str:
    return f"# Subject: Größte Stelle der Welt\n{pem}\n# the end\n"


AUTHORITIES = {
    "a-path": lambda: trusted().file,
    "a-path-object": lambda: Path(trusted().file),
    "a-folder": folder,
    "pem": lambda: trusted().pem,
    "pem-in-octets": lambda: read(trusted().file),
    "pem-with-comments": lambda: with_comments(authority().pem + trusted().pem),
    "pem-with-comments-in-octets": lambda: with_comments(trusted().pem).encode(),
}


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("form", AUTHORITIES.values(), ids=AUTHORITIES)
def test_an_authority_of_ones_own_is_trusted_in_any_form(form, version):
    seen = shake_hands(by_option(ca=form()), localhost().server_context(version))
    assert seen.version == version.name.replace("_", ".")
    shake_hands(by_option({"ca": form()}), localhost().server_context(version))


def test_the_system_s_authorities_count_where_none_is_given(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", trusted().file)
    shake_hands(by_option({}), localhost().server_context())


STRANGERS = {
    "another-name": ("not valid for 'example.com'", "example.com", localhost),
    "another-address": ("not valid for '127.0.0.2'", "127.0.0.2", localhost),
    "another-authority": (
        "unable to get local issuer|self.signed",
        "localhost",
        lambda: authority().issue("localhost"),
    ),
    "expired": ("certificate has expired", "localhost", expired),
}


@pytest.mark.parametrize("text, host, server", STRANGERS.values(), ids=STRANGERS)
def test_a_certificate_that_proves_nothing_is_refused(text, host, server):
    with pytest.raises(BAD, match=text):
        shake_hands(by_option(ca=trusted().pem, host=host), server().server_context())


@pytest.mark.parametrize("text, host, server", STRANGERS.values(), ids=STRANGERS)
def test_without_verification_every_certificate_will_do(text, host, server):
    shake_hands(by_option({"verify": False}, host=host), server().server_context())


def test_another_authority_replaces_the_system_s(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", trusted().file)
    with pytest.raises(BAD):
        shake_hands(by_option(ca=authority().pem), localhost().server_context())


# --- the tls option: names -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "host, name",
    [
        ("localhost", "localhost"),
        ("localhost.", "localhost"),
        # RFC 6066 3: no literal addresses.
        ("127.0.0.1", None),
    ],
)
def test_a_server_is_asked_for_by_its_name(host, name):
    settings = by_option(ca=trusted().file, host=host)
    assert shake_hands(settings, localhost().server_context()).name == name


def test_a_server_is_asked_for_by_the_name_that_is_given():
    tls = {"ca": trusted().file, "server_hostname": "localhost"}
    settings = by_option(tls, host="203.0.113.9")
    assert shake_hands(settings, localhost().server_context()).name == "localhost"


@pytest.mark.parametrize(
    "host, name",
    [
        ("example.com.", "example.com"),
        ("[::1]", "::1"),
        ("[fe80::1%eth0]", "fe80::1"),
        ("fe80::1%25eth0", "fe80::1"),
        ("bücher.example", "bücher.example"),
    ],
)
def test_a_name_for_tls_has_no_brackets_zone_or_last_dot(host, name):
    assert bare_host(host) == name


@pytest.mark.parametrize("host", ["", ".", "[]", ".example.com", "a..b", "a" * 64, "a\0b"])
def test_what_is_no_name_is_refused(host):
    with pytest.raises(ConfigurationError, match="must be a host"):
        by_option({"server_hostname": host})


def test_http_1_1_is_agreed_on():
    seen = shake_hands(by_option(ca=trusted().file), localhost().server_context())
    assert seen.alpn == "http/1.1"


def test_nothing_older_than_tls_1_2_is_spoken():
    assert by_option({}).context.minimum_version >= ssl.TLSVersion.TLSv1_2


# --- the tls option: a client's certificate --------------------------------------------------------


def read(path: str) -> bytes:
    return Path(path).read_bytes()


CERTIFICATES = {
    "two-paths": lambda: {"cert": someone().chain, "key": someone().key},
    "two-path-objects": lambda: {"cert": Path(someone().chain), "key": Path(someone().key)},
    "one-path": lambda: {"cert": someone().both},
    "pem": lambda: {"cert": read(someone().chain).decode(), "key": read(someone().key).decode()},
    "pem-in-octets": lambda: {"cert": read(someone().chain), "key": read(someone().key)},
    "one-pem": lambda: {"cert": read(someone().both)},
    "a-path-and-pem": lambda: {"cert": someone().chain, "key": read(someone().key)},
    "an-encrypted-key": lambda: {
        "cert": someone().chain,
        "key": someone().encrypted,
        "password": PASSWORD,
    },
    "an-encrypted-key-in-pem": lambda: {
        "cert": read(someone().chain),
        "key": read(someone().encrypted),
        "password": PASSWORD.encode(),
    },
}


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("form", CERTIFICATES.values(), ids=CERTIFICATES)
def test_a_certificate_of_the_client_is_shown_in_any_form(form, version):
    settings = by_option({"ca": trusted().file, **form()})
    seen = shake_hands(settings, demanding(localhost(), version))
    assert "someone@example.com" in seen.subject


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_server_that_demands_a_certificate_says_so(version):
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        shake_hands(by_option(ca=trusted().file), demanding(localhost(), version))


def test_a_key_in_pem_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    by_option({"cert": read(someone().chain), "key": read(someone().key)})
    assert list(tmp_path.iterdir()) == []


# --- the tls option: what is refused ---------------------------------------------------------------

WRONG = {
    "no-mapping": (lambda: 7, "tls must be an ssl.SSLContext or a mapping of ca, cert.*got int"),
    "unknown-key": (lambda: {"cafile": "x"}, "tls has no 'cafile'; there are ca, cert, key"),
    "odd-key": (lambda: {7: "x"}, "tls has no 7"),
    "type-of-ca": (lambda: {"ca": 7}, r"tls\['ca'\] must be str or bytes or PathLike, got int"),
    "type-of-verify": (lambda: {"verify": "no"}, r"tls\['verify'\] must be bool, got str"),
    "type-of-name": (lambda: {"server_hostname": b"x"}, "must be str, got bytes"),
    "octets-that-are-no-pem": (lambda: {"ca": b"\x30\x82"}, "as bytes must be PEM"),
    "pem-without-certificate": (
        lambda: {"ca": read(someone().key)},
        r"no certificate in the PEM in tls\['ca'\]",
    ),
    "file-without-certificate": (
        lambda: {"ca": someone().key},
        r"OpenSSL cannot use .*key' \(tls\['ca'\]\)",
    ),
    "key-alone": (lambda: {"key": someone().key}, r"needs the certificate.*tls\['cert'\]"),
    "key-of-another": (
        lambda: {"cert": someone().chain, "key": localhost().key},
        "(?i)OpenSSL cannot use .*mismatch",
    ),
    "no-key": (lambda: {"cert": someone().chain}, "OpenSSL cannot use .*chain"),
    "no-password": (
        lambda: {"cert": someone().chain, "key": someone().encrypted},
        "the private key is encrypted, and no password was given",
    ),
    "wrong-password": (
        lambda: {"cert": someone().chain, "key": someone().encrypted, "password": "?"},
        "OpenSSL cannot use .*encrypted",
    ),
}


@pytest.mark.parametrize("tls, text", WRONG.values(), ids=WRONG)
def test_what_the_option_cannot_be_is_refused_with_what_it_can(tls, text):
    with pytest.raises(ConfigurationError, match=text):
        by_option(tls())


def test_no_error_shows_a_key_or_a_password():
    key = read(localhost().key)
    with pytest.raises(ConfigurationError) as caught:
        by_option({"cert": read(someone().chain), "key": key, "password": "secret"})
    assert "secret" not in str(caught.value)
    assert key.decode().splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize("key", ["ca", "cert"])
def test_a_file_that_is_not_there_is_named(key, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.pem"):
        by_option({key: str(tmp_path / "missing.pem")})


def test_an_authority_is_given_in_one_place():
    with pytest.raises(ConfigurationError, match="one of the two"):
        by_option({"ca": trusted().file}, ca=trusted().file)
    with pytest.raises(ConfigurationError, match="load it there"):
        by_option(ssl.create_default_context(), ca=trusted().file)


# --- contexts of the user's own ----------------------------------------------------------------------


def state(context: ssl.SSLContext) -> tuple:
    names = ("verify_mode", "check_hostname", "options", "minimum_version", "maximum_version")
    return (*(getattr(context, name) for name in names), context.cert_store_stats())


def test_a_context_is_taken_as_it_is():
    context = ssl.create_default_context(cadata=trusted().pem)
    before = state(context)
    settings = by_option(context)
    assert settings.context is context
    shake_hands(settings, localhost().server_context())
    assert state(context) == before
    with pytest.raises(BAD):
        shake_hands(by_option(context, host="example.com"), localhost().server_context())


def test_a_context_that_offers_only_http_2_is_told_why_that_cannot_be():
    context = ssl.create_default_context(cadata=trusted().pem)
    context.set_alpn_protocols(["h2"])
    server = localhost().server_context()
    server.set_alpn_protocols = lambda _: ssl.SSLContext.set_alpn_protocols(server, ["h2"])
    with pytest.raises(ConfigurationError, match="offers h2"):
        shake_hands(by_option(context), server)


def test_a_context_of_truststore_trusts_what_the_system_trusts(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", trusted().file)
    settings = by_option(truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    shake_hands(settings, localhost().server_context())
    with pytest.raises(BAD):
        shake_hands(settings, authority().issue("localhost").server_context())


def test_truststore_may_replace_ssl_s_contexts(monkeypatch):
    before = ssl.create_default_context(cadata=trusted().pem)
    truststore.inject_into_ssl()
    try:
        shake_hands(by_option(before), localhost().server_context())
        monkeypatch.setenv("SSL_CERT_FILE", trusted().file)
        shake_hands(by_option({}), localhost().server_context())
        shake_hands(by_pool(), localhost().server_context())
    finally:
        truststore.extract_from_ssl()


# --- pools of requests' adapters ---------------------------------------------------------------------


asks_adapters = pytest.mark.skipif(
    requests.__version__ == "2.32.2", reason="this requests puts its own context into their place"
)


class Adapter(HTTPAdapter):
    """An adapter as its users write them, with options for urllib3's pools."""

    def __init__(self, **options: object) -> None:
        self._options = options
        super().__init__()

    def init_poolmanager(self, *arguments: object, **options: object) -> None:
        super().init_poolmanager(*arguments, **options, **self._options)


def by_pool(
    verify: object = True,
    cert: object = None,
    host: str = "localhost",
    contexts: TlsContexts | None = None,
    adapter: HTTPAdapter | None = None,
    **options: object,
) -> TlsSettings:
    """Settings of a pool that requests' adapter has set up."""
    adapter = adapter or Adapter(**options)
    request = requests.Request("GET", f"https://{host}/").prepare()
    pool = adapter.get_connection_with_tls_context(request, verify, proxies={}, cert=cert)
    adapter.cert_verify(pool, request.url, verify, cert)
    return (contexts or TlsContexts()).of_pool(pool, host)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("form", [lambda: trusted().file, folder], ids=["file", "folder"])
def test_verify_names_the_authority(form, version):
    seen = shake_hands(by_pool(form()), localhost().server_context(version))
    assert (seen.alpn, seen.name) == ("http/1.1", "localhost")


@pytest.mark.parametrize("text, host, server", STRANGERS.values(), ids=STRANGERS)
def test_verify_refuses_a_certificate_that_proves_nothing(text, host, server):
    with pytest.raises(BAD, match=text):
        shake_hands(by_pool(trusted().file, host=host), server().server_context())


@pytest.mark.parametrize("text, host, server", STRANGERS.values(), ids=STRANGERS)
def test_verify_false_takes_every_certificate(text, host, server):
    shake_hands(by_pool(False, host=host), server().server_context())


def test_verify_true_trusts_what_requests_trusts():
    with pytest.raises(BAD):
        shake_hands(by_pool(True), localhost().server_context())
    assert by_pool(True).context.cert_store_stats()["x509_ca"] > 10


@pytest.mark.parametrize("form", ["two-paths", "one-path"])
def test_cert_is_shown_to_a_server_that_demands_one(form):
    cert = (someone().chain, someone().key) if form == "two-paths" else someone().both
    seen = shake_hands(by_pool(trusted().file, cert), demanding(localhost()))
    assert "someone@example.com" in seen.subject


def test_cert_is_shown_by_no_other_session():
    shown = by_pool(True, someone().both)
    # requests before 2.32.5 has one context for all that verify is True for.
    assert by_pool(True).context is not shown.context
    assert shown.context not in vars(requests.adapters).values()


def test_an_encrypted_key_wants_its_password():
    cert = (someone().chain, someone().encrypted)
    with pytest.raises(ConfigurationError, match="no password was given"):
        by_pool(trusted().file, cert)
    settings = by_pool(trusted().file, cert, key_password=PASSWORD)
    assert shake_hands(settings, demanding(localhost())).subject != "None"


@asks_adapters
def test_a_context_of_an_adapter_is_used_and_told_of_verify():
    context = ssl.create_default_context(cadata=trusted().pem)
    context.load_cert_chain(someone().both)
    settings = by_pool(True, ssl_context=context)
    assert settings.context is context
    assert "someone@example.com" in shake_hands(settings, demanding(localhost())).subject


@asks_adapters
def test_a_context_of_an_adapter_that_does_not_look_at_names_has_it_done():
    context = ssl.create_default_context(cadata=trusted().pem)
    context.check_hostname = False
    shake_hands(by_pool(True, ssl_context=context), localhost().server_context())
    settings = by_pool(True, host="example.com", ssl_context=context)
    with pytest.raises(BAD, match=r"certificate verify failed: .*example\.com"):
        shake_hands(settings, localhost().server_context())


def test_a_context_of_an_adapter_that_looks_at_names_cannot_be_told_not_to_verify():
    with pytest.raises(ConfigurationError, match="contradicts itself"):
        by_pool(False, ssl_context=ssl.create_default_context())


@asks_adapters
def test_what_is_no_context_is_refused():
    with pytest.raises(ConfigurationError, match=r"must be an ssl\.SSLContext, got object"):
        by_pool(True, ssl_context=object())


def test_a_context_of_truststore_in_an_adapter_works(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", trusted().file)
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    shake_hands(by_pool(True, ssl_context=context), localhost().server_context())


def fingerprint() -> str:
    pem = Path(localhost().chain).read_text()
    return sha256(ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END") + 25])).hexdigest()


def test_a_fingerprint_stands_for_the_name():
    settings = by_pool(trusted().file, host="example.com", assert_fingerprint=fingerprint())
    shake_hands(settings, localhost().server_context())
    with pytest.raises(BAD, match="certificate verify failed: Fingerprints did not match"):
        shake_hands(settings, trusted().issue("example.com").server_context())


def test_a_fingerprint_can_do_without_an_authority():
    settings = by_pool(False, host="example.com", assert_fingerprint=fingerprint())
    shake_hands(settings, localhost().server_context())


@pytest.mark.parametrize("hostname", ["localhost", False])
def test_another_name_may_be_asserted_or_none(hostname):
    settings = by_pool(trusted().file, host="example.com", assert_hostname=hostname)
    assert shake_hands(settings, localhost().server_context()).name == "example.com"


def test_a_name_that_is_asserted_has_to_be_there():
    settings = by_pool(trusted().file, assert_hostname="example.com")
    with pytest.raises(BAD, match=r"certificate verify failed: .*example\.com"):
        shake_hands(settings, localhost().server_context())


def test_a_pool_may_ask_for_another_name():
    settings = by_pool(trusted().file, host="example.com", server_hostname="localhost")
    assert shake_hands(settings, localhost().server_context()).name == "localhost"


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_pool_may_choose_the_version(version):
    options = {"ssl_minimum_version": version, "ssl_maximum_version": version}
    seen = shake_hands(by_pool(trusted().file, **options), localhost().server_context())
    assert seen.version == version.name.replace("_", ".")
    assert by_pool(True).context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.skipif(
    "key_ca_cert_data" not in PoolKey._fields, reason="this urllib3 knows none of a pool's"
)
def test_a_pool_may_have_authorities_as_data():
    settings = by_pool(True, ca_cert_data=trusted().pem)
    shake_hands(settings, localhost().server_context())


# --- contexts are made once --------------------------------------------------------------------------


def test_what_is_equal_has_one_context():
    contexts = TlsContexts()
    first = contexts.of_option({"ca": trusted().file}, None, "localhost")
    assert contexts.of_option(None, trusted().file, "example.com").context is first.context
    other = contexts.of_option({"ca": trusted().file, "verify": False}, None, "localhost")
    assert other.context is not first.context
    adapter = Adapter()
    pooled = [by_pool(trusted().file, contexts=contexts, adapter=adapter) for _ in range(2)]
    assert pooled[0].context is pooled[1].context


def test_a_file_that_is_renewed_is_read_again(tmp_path):
    contexts, file = TlsContexts(), tmp_path / "ca.pem"
    shutil.copy(authority().file, file)
    for make in (
        lambda: contexts.of_option(None, str(file), "localhost"),
        lambda: by_pool(str(file), contexts=contexts),
    ):
        with pytest.raises(BAD):
            shake_hands(make(), localhost().server_context())
    shutil.copy(trusted().file, file)
    shake_hands(contexts.of_option(None, str(file), "localhost"), localhost().server_context())
    shake_hands(by_pool(str(file), contexts=contexts), localhost().server_context())


def test_contexts_of_files_that_were_renewed_do_not_pile_up():
    contexts = TlsContexts()
    for _ in range(20):
        contexts.of_option(None, authority().pem, "localhost")
    assert len(contexts._contexts) <= 8
