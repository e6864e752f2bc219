"""Certificates that are right and wrong in every way that a client has to tell, each in a file."""

from __future__ import annotations

import atexit
import shutil
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.support.parts import require

PASSWORD = "correct horse"  # of the encrypted key


@dataclass(frozen=True)
class Issued:
    """A certificate: its chain, its key, and both in one file; the key encrypted, too."""

    chain: str
    key: str
    both: str
    encrypted: str

    def server_context(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Make the context of a server that has it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context


@dataclass(frozen=True)
class Authority:
    """Who issues certificates: as PEM, and in a file."""

    issuer: trustme.CA
    pem: str
    file: str

    def issue(self, *names: str, **options: object) -> Issued:
        """Issue a certificate for names."""
        made = self.issuer.issue_cert(*names, **options)
        folder = Path(tempfile.mkdtemp(dir=root()))
        chain = b"".join(pem.bytes() for pem in made.cert_chain_pems)
        key = made.private_key_pem.bytes()
        encrypted = load_pem_private_key(key, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode())
        )
        parts = {"chain": chain, "key": key, "both": key + chain, "encrypted": encrypted}
        for name, octets in parts.items():
            (folder / name).write_bytes(octets)
        return Issued(**{name: str(folder / name) for name in parts})


@cache
def root() -> Path:
    """The folder of this process's certificates."""
    folder = Path(tempfile.mkdtemp(prefix="authorities-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def authority() -> Authority:
    """Make an authority."""
    issuer = trustme.CA()
    file = Path(tempfile.mkdtemp(dir=root())) / "ca.pem"
    issuer.cert_pem.write_to_path(str(file))
    return Authority(issuer, file.read_text(), str(file))


@cache
def trusted() -> Authority:
    """The authority that the tests' clients are told of."""
    return authority()


@cache
def folder() -> str:
    """A folder where OpenSSL looks that authority up."""
    require("openssl", None if shutil.which("openssl") else "not on the path")
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", trusted().file]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    made = tempfile.mkdtemp(dir=root())
    shutil.copy(trusted().file, Path(made, f"{name}.0"))
    return made


@cache
def localhost() -> Issued:
    """A server's certificate by it."""
    return trusted().issue("localhost", "127.0.0.1")


@cache
def someone() -> Issued:
    """A client's certificate by it."""
    return trusted().issue("someone@example.com")


@cache
def expired() -> Issued:
    """A server's certificate by it whose time is over."""
    now = datetime.now(timezone.utc)
    return trusted().issue(
        "localhost", not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)
    )


def demanding(issued: Issued, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """The context of a server that demands a client's certificate."""
    context = issued.server_context(version)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(trusted().file)
    return context
