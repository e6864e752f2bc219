"""The files of deploy/, each run as it stands but for names, ports and certificates."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from tests.support import haproxy
from tests.support.apache import BASE, MODULES, READY
from tests.support.certificates import certificate
from tests.support.daemons import daemon, hold_a_port, spawn, spawn_until, unprivileged
from tests.support.kinds import ROOT, Kind
from tests.support.nginx import OUTER
from tests.support.servers import Server

TLS = Kind(lambda *_: [], tls=True)

APACHE = """
LoadModule proxy_module "{modules}/mod_proxy.so"
LoadModule proxy_http_module "{modules}/mod_proxy_http.so"
LoadModule headers_module "{modules}/mod_headers.so"
LoadModule ssl_module "{modules}/mod_ssl.so"
LoadModule socache_shmcb_module "{modules}/mod_socache_shmcb.so"
"""


def recipe(name: str, *changes: tuple[str, str]) -> str:
    """A file of deploy/ with some texts changed, each of which has to be there."""
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text, f"{name} has no {before!r} any more"
        text = text.replace(before, after)
    return text


def in_front(upstream: Server) -> tuple[str, str]:
    return "127.0.0.1:8000", f"127.0.0.1:{upstream.port}"


def certificates() -> tuple[tuple[str, str], ...]:
    return (
        ("/etc/ssl/certs/example.com.pem", certificate().chain),
        ("/etc/ssl/private/example.com.key", certificate().key),
    )


def serve_nginx(upstream: Server, folder: Path) -> Server:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()
        text = recipe(
            "nginx.conf",
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            in_front(upstream),
            *certificates(),
        )
        (folder / "nginx.conf").write_text(OUTER.format(folder=folder, http=text))
        command = [daemon("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        with (folder / "nginx.log").open("wb") as log:
            process = spawn(unprivileged(command), log, fd, NGINX=f"{fd};")
    return Server("nginx", port, process, folder / "nginx.log", TLS)


def serve_haproxy(upstream: Server, folder: Path) -> Server:
    pem = folder / "example.com.pem"
    pem.write_text(Path(certificate().chain).read_text() + Path(certificate().key).read_text())
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        text = recipe(
            "haproxy.cfg",
            ("bind :443", f"bind fd@{listener.fileno()}"),
            ("/etc/haproxy/example.com.pem", str(pem)),
            in_front(upstream),
        )
        return haproxy.serve_configuration(text, folder, listener, TLS)


def serve_apache(upstream: Server, folder: Path) -> Server:
    with socket.socket() as holder:
        port = hold_a_port(holder)
        text = recipe(
            "apache.conf", ("*:443", f"127.0.0.1:{port}"), in_front(upstream), *certificates()
        )
        base = (BASE + APACHE).format(port=port, folder=folder, modules=MODULES)
        (folder / "apache.conf").write_text(base + text)
        command = [daemon("apache2"), "-f", str(folder / "apache.conf"), "-D", "FOREGROUND"]
        return spawn_until(READY, unprivileged(command), folder / "apache.log", port=port, kind=TLS)


def serve_caddy(upstream: Server, folder: Path) -> Server:
    with socket.socket() as holder:
        port = hold_a_port(holder)
        made = f"tls {certificate().chain} {certificate().key}"
        text = recipe(
            "Caddyfile",
            ("example.com {", f"https://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n\t{made}"),
            in_front(upstream),
        )
        options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
        (folder / "Caddyfile").write_text(options + text)
        command = [daemon("caddy"), "run", "--config", str(folder / "Caddyfile")]
        command += ["--adapter", "caddyfile"]
        return spawn_until(
            "serving initial configuration", command, folder / "caddy.log", port=port, kind=TLS
        )


RECIPES: dict[str, Callable[[Server, Path], Server]] = {
    "nginx": serve_nginx,
    "haproxy": serve_haproxy,
    "apache2": serve_apache,
    "caddy": serve_caddy,
}


def missing(name: str) -> str | None:
    return None if daemon(name) else f"no {name} on the path"
