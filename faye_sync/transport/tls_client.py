"""What a client's TLS goes by: the tls option, or a pool as requests' adapters set it up.

A context is made once for all that goes into it, files as they are on the disk
included: reading the usual authorities takes 17 ms, a handshake 2."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, cast

import requests.adapters
from urllib3.exceptions import HTTPError
from urllib3.util import (
    assert_fingerprint,
    create_urllib3_context,
    resolve_cert_reqs,
    resolve_ssl_version,
)
from urllib3.util.ssl_match_hostname import CertificateError, match_hostname

from faye_sync.errors import ConfigurationError

# All that a WebSocket's handshake speaks (RFC 6455 4.1); urllib3's own list may hold h2.
_ALPN = ("http/1.1",)

# Contexts of one client.
_LIMIT = 8

_PEM = "-----BEGIN "
_CERTIFICATES = re.compile("-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----.+?-----END \\1-----", re.DOTALL)

# What the tls option may hold, and of which types.
_MATERIAL = (str, bytes, os.PathLike)
_KEYS: dict[str, tuple[type, ...]] = {
    "ca": _MATERIAL,
    "cert": _MATERIAL,
    "key": _MATERIAL,
    "password": (str, bytes),
    "server_hostname": (str,),
    "verify": (bool,),
}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How to speak TLS to one host.

    Attributes:
        context: May be the user's own; it is only read.
        server_hostname: What to ask for (RFC 6066 3), and whose certificate to accept.
        check: Called after the handshake; raises an SSLError for what the context cannot refuse.
    """

    context: ssl.SSLContext
    server_hostname: str | None
    check: Callable[[ssl.SSLObject], None] | None = None


class TlsContexts:
    """The contexts of one client, made once each. Safe from any thread."""

    def __init__(self) -> None:
        self._contexts: dict[object, ssl.SSLContext] = {}

    def of_option(self, tls: Any, ca: Any, host: str) -> TlsSettings:
        """Read the tls option and its short form.

        Args:
            tls: An ssl.SSLContext, which is taken as it is; or a mapping of ca, cert, key,
                password, server_hostname and verify; or None.
            ca: Like tls["ca"]; or None.
            host: Of the server, with or without brackets.

        Returns:
            The settings.

        Raises:
            ConfigurationError: A key, a type or a value is wrong.
            OSError: A file cannot be read.
        """
        if _is_context(tls):
            if ca is not None:
                raise ConfigurationError(
                    "ca cannot be added to an ssl.SSLContext of yours: load it there"
                )
            return TlsSettings(tls, bare_host(host))
        option = _checked(tls, ca)
        name = option.get("server_hostname")
        files = tuple(_stamp(option.get(key)) for key in ("ca", "cert", "key"))
        key = (files, option.get("password"), option.get("verify", True))
        context = self._contexts.get(key)
        if context is None:
            context = self._keep(key, _context_of(option))
        return TlsSettings(context, bare_host(host if name is None else name))

    def of_pool(self, pool: Any, host: str) -> TlsSettings:
        """Read the TLS settings of a pool, as urllib3's own connections do.

        Args:
            pool: An HTTPSConnectionPool that requests' adapter has set up (cert_verify).
            host: Of the server, with or without brackets.

        Returns:
            The settings.

        Raises:
            ConfigurationError: What is set cannot be together.
            OSError: A file cannot be read.
        """
        options = _PoolOptions(pool)
        key = options.key()
        context = self._contexts.get(key)
        if context is None:
            context = options.own_context or options.new_context()
            options.load_into(context)
            self._keep(key, context)
        options.apply_to(context)
        name = bare_host(options["server_hostname"] or host)
        return TlsSettings(context, name, options.check(context, name))

    def _keep(self, key: object, context: ssl.SSLContext) -> ssl.SSLContext:
        # Certificates are renewed, and a context of the usual authorities has 1 MB.
        if len(self._contexts) >= _LIMIT:
            self._contexts.clear()
        self._contexts[key] = context
        return context


class _PoolOptions:
    """The TLS attributes of a urllib3 pool; some versions keep some among conn_kw."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._more: Mapping[str, Any] = getattr(pool, "conn_kw", None) or {}
        self.own_context = self["ssl_context"]
        if self.own_context is getattr(requests.adapters, "_preloaded_ssl_context", None):
            # Before 2.32.5 requests has one for all sessions, and shows each server what
            # certificate is loaded there. The authorities are in the pool's attributes too.
            self.own_context = None
        if self.own_context is not None and not _is_context(self.own_context):
            raise ConfigurationError(
                f"the session's TLS must be an ssl.SSLContext, got {type(self.own_context).__name__}"
            )
        self._mode = self._verify_mode()

    def __getitem__(self, name: str) -> Any:
        value = getattr(self._pool, name, None)
        return self._more.get(name) if value is None else value

    def key(self) -> tuple[object, ...]:
        """Name all that goes into the context."""
        names = ("ssl_version", "ssl_minimum_version", "ssl_maximum_version", "ca_cert_data")
        files = ("ca_certs", "ca_cert_dir", "cert_file", "key_file")
        return (
            self.own_context,
            self._mode,
            self._leaves_host_to_context(),
            self["key_password"],
            *(self[name] for name in names),
            *(_stamp(_expanded(self[name])) for name in files),
        )

    def new_context(self) -> ssl.SSLContext:
        """Make a context as urllib3 does where none is given."""
        context = create_urllib3_context(
            ssl_version=resolve_ssl_version(self["ssl_version"]),
            ssl_minimum_version=self["ssl_minimum_version"],
            ssl_maximum_version=self["ssl_maximum_version"],
            cert_reqs=self._mode,
        )
        if not _is_context(context):
            raise ConfigurationError("urllib3 uses pyOpenSSL here; a WebSocket needs Python's ssl")
        if not any(self[name] for name in ("ca_certs", "ca_cert_dir", "ca_cert_data")):
            context.load_default_certs()
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Read the files; into the user's own context too, as urllib3 does."""
        file, folder = _expanded(self["ca_certs"]), _expanded(self["ca_cert_dir"])
        data = self["ca_cert_data"]
        if file or folder or data:
            context.load_verify_locations(file, folder, data)
        if self["cert_file"]:
            _load_chain(context, self["cert_file"], self["key_file"], self["key_password"])
        context.set_alpn_protocols(_ALPN)

    def apply_to(self, context: ssl.SSLContext) -> None:
        """Set what costs nothing, each time: the user may share the context with others."""
        if not self._leaves_host_to_context():
            context.check_hostname = False
        try:
            context.verify_mode = self._mode
        except ValueError as error:
            raise ConfigurationError(f"the session's TLS contradicts itself: {error}") from error

    def check(
        self, context: ssl.SSLContext, name: str | None
    ) -> Callable[[ssl.SSLObject], None] | None:
        """Return what the context cannot check."""
        fingerprint, hostname = self["assert_fingerprint"], self["assert_hostname"]
        if fingerprint:
            return lambda tls: _refine(assert_fingerprint, tls.getpeercert(True), fingerprint)
        if context.verify_mode == ssl.CERT_NONE or context.check_hostname or hostname is False:
            return None
        expected = bare_host(hostname) if hostname else name
        by_common_name = self.own_context is not None and context.hostname_checks_common_name
        return lambda tls: _refine(match_hostname, tls.getpeercert(), expected, by_common_name)

    def _leaves_host_to_context(self) -> bool:
        return not (
            self["assert_fingerprint"]
            or self["assert_hostname"]
            or self["assert_hostname"] is False
        )

    def _verify_mode(self) -> ssl.VerifyMode:
        wanted = self["cert_reqs"]
        if wanted is None and self.own_context is not None:
            return ssl.VerifyMode(self.own_context.verify_mode)
        return resolve_cert_reqs(wanted)


def bare_host(host: str) -> str:
    """Say a host as certificates and SNI know it: no brackets, no zone, no dot at the end.

    Args:
        host: A name or an address.

    Returns:
        The name or address alone.

    Raises:
        ConfigurationError: Nothing is left of it, or TLS cannot ask for it.
    """
    bare = host.strip("[]").partition("%")[0].rstrip(".")
    try:
        # As ssl does it; empty labels and those above 63 octets (RFC 1035 2.3.4) are none.
        is_host = bool(bare.encode("idna")) and "\0" not in bare
    except UnicodeError:
        is_host = False
    if not is_host:
        raise ConfigurationError(f"a server's name for TLS must be a host, got {host!a}")
    return bare


def _is_context(value: object) -> bool:
    # Not by its type: truststore.inject_into_ssl() leaves another one under that name.
    return hasattr(value, "wrap_bio")


def _checked(tls: Any, ca: Any) -> dict[str, Any]:
    """Refuse unknown keys and wrong types; None is as good as absent."""
    if tls is not None and not isinstance(tls, Mapping):
        raise ConfigurationError(
            f"tls must be an ssl.SSLContext or a mapping of {', '.join(_KEYS)}, "
            f"got {type(tls).__name__}"
        )
    option = dict(tls or {})
    if unknown := [key for key in option if key not in _KEYS]:
        raise ConfigurationError(f"tls has no {unknown[0]!a}; there are {', '.join(_KEYS)}")
    if ca is not None:
        if option.get("ca") is not None:
            raise ConfigurationError("ca is short for tls['ca']: give one of the two")
        option["ca"] = ca
    option = {key: value for key, value in option.items() if value is not None}
    for key, value in option.items():
        if not isinstance(value, _KEYS[key]):
            allowed = " or ".join(kind.__name__ for kind in _KEYS[key])
            raise ConfigurationError(f"tls[{key!r}] must be {allowed}, got {type(value).__name__}")
        if isinstance(value, bytes) and key != "password" and _PEM.encode() not in value:
            raise ConfigurationError(f"tls[{key!r}] as bytes must be PEM, got something else")
    if "key" in option and "cert" not in option:
        raise ConfigurationError("tls['key'] needs the certificate that belongs to it: tls['cert']")
    return option


def _context_of(option: Mapping[str, Any]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(**_authorities(option.get("ca")))
        if "cert" in option:
            _load_chain(context, option["cert"], option.get("key"), option.get("password"))
    except ssl.SSLError as error:
        places = ", ".join(
            _said(key, option[key]) for key in ("ca", "cert", "key") if key in option
        )
        raise ConfigurationError(f"OpenSSL cannot use {places}: {error}") from error
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    context.set_alpn_protocols(_ALPN)
    if not option.get("verify", True):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _authorities(ca: Any) -> dict[str, Any]:
    """Arguments of create_default_context() for the ca option; none mean the system's own."""
    if ca is None:
        return {}
    if not _is_pem(ca):
        return {"capath" if Path(ca).is_dir() else "cafile": ca}
    text = ca.decode("latin-1") if isinstance(ca, bytes) else ca
    # OpenSSL wants ASCII, and bundles have comments.
    blocks = [match[0] for match in _CERTIFICATES.finditer(text)]
    if not blocks:
        raise ConfigurationError(f"there is no certificate in {_said('ca', ca)}")
    return {"cadata": "\n".join(blocks)}


def _load_chain(context: ssl.SSLContext, cert: Any, key: Any, password: Any) -> None:
    """Load a client's certificate; ssl reads files only, so PEM gets one that none else can read."""
    with ExitStack() as files:
        chain = files.enter_context(_as_file(cert))
        private = None if key is None else files.enter_context(_as_file(key))
        context.load_cert_chain(chain, private, _no_password if password is None else password)


def _no_password() -> str:
    # Else OpenSSL asks for it on the terminal.
    raise ConfigurationError("the private key is encrypted, and no password was given")


def _stamp(value: Any) -> object:
    """Tell a file or folder from what it was before; PEM stands for itself."""
    if value is None or _is_pem(value):
        return value
    status = Path(cast("str", value)).stat()
    return os.fspath(value), status.st_mtime_ns, status.st_size, status.st_ino


def _is_pem(value: str | bytes | os.PathLike[str]) -> bool:
    return (isinstance(value, str) and _PEM in value) or isinstance(value, bytes)


@contextmanager
def _as_file(value: str | bytes | os.PathLike[str]) -> Iterator[str]:
    if not _is_pem(value):
        yield os.fspath(cast("str", value))
        return
    # Only its owner can read it, and it is gone at once.
    with NamedTemporaryFile(prefix="faye-sync-") as file:
        file.write(value if isinstance(value, bytes) else str(value).encode())
        file.flush()
        yield file.name


def _said(key: str, value: str | bytes | os.PathLike[str]) -> str:
    """Name a piece of the tls option in an error, without showing a key."""
    return f"the PEM in tls[{key!r}]" if _is_pem(value) else f"{os.fspath(value)!a} (tls[{key!r}])"


def _expanded(path: str | None) -> str | None:
    return os.path.expanduser(path) if path else None  # noqa: PTH111  # leaves an unknown user as it is


def _refine(check: Callable[..., object], *arguments: Any) -> None:
    """Have one of urllib3's checks fail as ssl's own do."""
    try:
        check(*arguments)
    except (CertificateError, ValueError, HTTPError) as error:
        raise ssl.SSLCertVerificationError(f"certificate verify failed: {error}") from error
