"""HAProxy as a process of its own in front of one server: its own configuration, nothing of the system's."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.support.daemons import daemon, spawn, unprivileged
from tests.support.servers import Server

DOCUMENTED = """
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
"""
"""What the documentation says to set."""

CONFIGURATION = """
global
    maxconn 256
defaults
    mode http
    timeout connect 5s
    {directives}
frontend public
    bind fd@{fd}
    default_backend application
backend application
    {more}
    server one 127.0.0.1:{upstream}
"""


def missing_haproxy() -> str | None:
    return None if daemon("haproxy") else "no haproxy on the path"


def serve_haproxy(
    upstream: Server, folder: Path, directives: str = DOCUMENTED, more: str = ""
) -> Server:
    """Start HAProxy in front of a server.

    Args:
        upstream: Where everything goes.
        folder: For its files and its log.
        directives: Of its defaults.
        more: Of the backend.
    """
    configuration, log_path = folder / "haproxy.cfg", folder / "haproxy.log"
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()
        places = {"directives": directives, "more": more, "fd": fd, "upstream": upstream.port}
        configuration.write_text(CONFIGURATION.format(**places))
        command = [daemon("haproxy"), "-db", "-f", str(configuration)]
        with log_path.open("wb") as log:
            process = spawn(unprivileged(command), log, fd)
    return Server("haproxy", port, process, log_path)
