"""A certificate for 127.0.0.1, made anew for each run, and the context of clients that trust it."""

from __future__ import annotations

import atexit
import shutil
import ssl
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """What a server needs, in PEM files: its chain and its key. authority is who signed it."""

    chain: str
    key: str
    authority: str


@cache
def certificate() -> Certificate:
    """Make the certificate of this process's servers, once."""
    folder = Path(tempfile.mkdtemp(prefix="certificate-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    made = Certificate(*(str(folder / name) for name in ("chain.pem", "key.pem", "ca.pem")))
    for pem in issued.cert_chain_pems:
        pem.write_to_path(made.chain, append=True)
    issued.private_key_pem.write_to_path(made.key)
    authority.cert_pem.write_to_path(made.authority)
    return made


@cache
def client_context() -> ssl.SSLContext:
    """Give a context that trusts only that certificate."""
    return ssl.create_default_context(cafile=certificate().authority)
