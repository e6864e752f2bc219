"""nginx as a process of its own in front of one server: its own configuration, nothing of the system's.

It inherits its listening sockets, as it does from itself when it is upgraded in place."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import certificate
from tests.support.daemons import daemon, spawn, unprivileged
from tests.support.kinds import Kind
from tests.support.servers import Server

DOCUMENTED = """
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_buffering off;
    proxy_read_timeout 3600s;
    proxy_send_timeout 3600s;
"""
"""What the documentation says to set, beside MAP outside of the server."""

MAP = """
map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      '';
}
"""

OUTER = """
daemon off;
worker_processes 1;
pid "{folder}/nginx.pid";
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    {http}
}}
"""
"""Around whatever stands within "http"."""

SERVER = """
    {map}
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate "{chain}";
        ssl_certificate_key "{key}";
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            {directives}
        }}
    }}
"""


@dataclass
class Proxy:
    """nginx, reached in two ways, in front of a server. Use plain in a with statement."""

    plain: Server
    tls: Server
    upstream: Server


def missing_nginx() -> str | None:
    return None if daemon("nginx") else "no nginx on the path"


def serve_nginx(upstream: Server, folder: Path, directives: str = DOCUMENTED) -> Proxy:
    """Start nginx in front of a server.

    Args:
        upstream: Where everything goes.
        folder: For its files and its log.
        directives: What stands beside proxy_pass.
    """
    configuration, log_path = folder / "nginx.conf", folder / "nginx.log"
    with ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
            for _ in range(2)
        ]
        port, tls_port = (listener.getsockname()[1] for listener in listeners)
        places = {"chain": certificate().chain, "key": certificate().key}
        ports = {"port": port, "tls_port": tls_port, "upstream": upstream.port}
        text = SERVER.format(map=MAP, directives=directives, **places, **ports)
        configuration.write_text(OUTER.format(folder=folder, http=text))
        descriptors = [listener.fileno() for listener in listeners]
        inherited = "".join(f"{fd};" for fd in descriptors)
        command = [daemon("nginx"), "-p", str(folder), "-c", str(configuration)]
        with log_path.open("wb") as log:
            process = spawn(unprivileged(command), log, *descriptors, NGINX=inherited)
    plain = Server("nginx", port, process, log_path)
    tls = Server("nginx", tls_port, process, log_path, Kind(lambda *_: [], tls=True))
    return Proxy(plain, tls, upstream)
