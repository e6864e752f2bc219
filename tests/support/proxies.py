"""Proxies of other projects, as real processes: squid, proxy.py, dante and tiny-proxy.

Each binds by itself to ports that were free, and is waited for by the line of its log that says so.
Those that want a login want USER and PASSWORD."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.support.certificates import certificate
from tests.support.daemons import daemon, hold_a_port, spawn_until, unprivileged
from tests.support.kinds import ROOT

USER, PASSWORD = "user", "s3cret:@/"
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"
"""As it stands in a URL."""
TOKEN = "t0ken"

# What `openssl passwd -apr1` made of PASSWORD.
SQUID_USERS = f"{USER}:$apr1$8charsal$kIGOb2gCZjHU9M8hYvRd6/\n"

SQUID = """
pid_filename none
pinger_enable off
cache deny all
sslproxy_session_cache_size 0
access_log none
cache_log {folder}/cache.log
shutdown_lifetime 0 seconds
http_port 127.0.0.1:{open} name=open
http_port 127.0.0.1:{login} name=login
http_port 127.0.0.1:{token} name=token
http_port 127.0.0.1:{strict} name=strict
https_port 127.0.0.1:{tls} name=tls tls-cert={chain} tls-key={key}
https_port 127.0.0.1:{mutual} name=mutual tls-cert={chain} tls-key={key} clientca={authority}
auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/users
auth_param basic realm squid
acl logged_in proxy_auth REQUIRED
acl has_token req_header X-Token ^{TOKEN}$
acl to_https port 443
acl at_login myportname login
acl at_token myportname token
acl at_strict myportname strict
http_access deny at_login !logged_in
http_access deny at_token !has_token
http_access deny at_strict !to_https
http_access allow all
"""
"""Its ports: for all; with a login; with a header of ours; to port 443 alone, as its default has it;
with TLS, without and with a client's certificate."""

DANTE = """
logoutput: stderr
internal: 127.0.0.1 port = {port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: {user}
user.unprivileged: {user}
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
"""


@dataclass(frozen=True)
class Proxy:
    """Where a proxy listens. Its login, if it has one, is not in its URL."""

    port: int
    scheme: str = "http"

    def url(self, login: str = "", scheme: str = "") -> str:
        return f"{scheme or self.scheme}://{login}127.0.0.1:{self.port}"


def missing_squid() -> str | None:
    return None if daemon("squid") else "no squid on the path"


def missing_dante() -> str | None:
    return None if daemon("danted") else "no danted on the path"


@contextmanager
def squid(folder: Path) -> Iterator[dict[str, Proxy]]:
    """Run squid with TLS; gives its ports by name."""
    names = ("open", "login", "token", "strict", "tls", "mutual")
    files = certificate()
    with ExitStack() as stack:
        ports = {name: stack.enter_context(held_port()) for name in names}
        (folder / "users").write_text(SQUID_USERS)
        places = {"chain": files.chain, "key": files.key, "authority": files.authority}
        configuration = folder / "squid.conf"
        configuration.write_text(SQUID.format(folder=folder, TOKEN=TOKEN, **places, **ports))
        # The name of a service is that of its shared memory.
        service = f"test{ports['open']}"
        command = [daemon("squid"), "-N", "-d1", "-n", service, "-f", str(configuration)]
        # A second late: of "Accepting HTTP Socket connections" it tells before it listens.
        ready = "storeLateRelease: released"
        stack.enter_context(spawn_until(ready, unprivileged(command), folder / "squid.log"))
        schemes = {"tls": "https", "mutual": "https"}
        yield {name: Proxy(port, schemes.get(name, "http")) for name, port in ports.items()}


@contextmanager
def proxy_py(folder: Path, *options: str, scheme: str = "http") -> Iterator[Proxy]:
    """Run proxy.py."""
    with held_port() as port:
        fixed = ("--hostname", "127.0.0.1", "--num-workers", "1", "--num-acceptors", "1")
        own = ("--data-dir", str(folder / "data"), "--log-level", "DEBUG", "--port", str(port))
        command = [sys.executable, "-m", "proxy", *fixed, *own, *options]
        ready = f"Listening on 127.0.0.1:{port}"
        with spawn_until(ready, command, folder / "proxy.py.log") as server:
            yield Proxy(port, scheme)
            # Any other end takes it a second.
            server.stop(signal.SIGKILL)


@contextmanager
def dante(folder: Path) -> Iterator[Proxy]:
    """Run dante, for SOCKS 4 and 5 without a login."""
    with held_port() as port:
        configuration = folder / "danted.conf"
        configuration.write_text(DANTE.format(port=port, user="nobody"))
        command = unprivileged([daemon("danted"), "-N", "1", "-f", str(configuration)])
        with spawn_until(r"Dante/server.* running", command, folder / "dante.log"):
            yield Proxy(port, "socks5")


@contextmanager
def tiny_proxy(folder: Path, *options: str) -> Iterator[Proxy]:
    """Run tiny-proxy, for SOCKS 4, 4a and 5, the last with a login."""
    script = str(ROOT / "tests" / "support" / "serve_socks.py")
    with held_port() as port:
        command = [sys.executable, script, str(port), *options]
        with spawn_until("serving", command, folder / "tiny-proxy.log"):
            yield Proxy(port, "socks5")


@contextmanager
def held_port() -> Iterator[int]:
    with socket.socket() as holder:
        yield hold_a_port(holder)
