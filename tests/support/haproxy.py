"""HAProxy as a process of its own in front of one server: its own configuration, nothing of the system's."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.support.daemons import daemon, spawn, unprivileged
from tests.support.kinds import Kind
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


def serve_configuration(text: str, folder: Path, listener: socket.socket, kind: Kind) -> Server:
    """Start it with a whole configuration, whose bind is fd@ of a socket that listens."""
    configuration, log_path = folder / "haproxy.cfg", folder / "haproxy.log"
    configuration.write_text(text)
    command = [daemon("haproxy"), "-db", "-f", str(configuration)]
    with log_path.open("wb") as log:
        process = spawn(unprivileged(command), log, listener.fileno())
    return Server("haproxy", listener.getsockname()[1], process, log_path, kind)


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
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        places = {"directives": directives, "more": more, "upstream": upstream.port}
        text = CONFIGURATION.format(fd=listener.fileno(), **places)
        return serve_configuration(text, folder, listener, Kind(lambda *_: []))
