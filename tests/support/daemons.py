"""Processes beside the table of tests/support/kinds.py: how they are found, started, waited for."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import IO

from tests.support.kinds import ROOT, Kind
from tests.support.output import Output
from tests.support.servers import START, Server


def daemon(name: str) -> str | None:
    """Find one of Debian's daemons, also for users whose path leaves them out."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def unprivileged(command: list[str]) -> list[str]:
    """Have a command run as another user than root, whom Apache refuses and nginx leaves.

    As nobody it may still read what root may: the repository and the test's folder, wherever those
    are.
    """
    user = ("--reuid", "nobody", "--regid", "nogroup", "--clear-groups")
    capability = ("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override")
    return ["setpriv", *user, *capability, *command] if os.geteuid() == 0 else command


def spawn(
    command: list[str], log: IO[bytes], *descriptors: int, **environ: str
) -> subprocess.Popen[bytes]:
    """Start a process that inherits descriptors, and leads a group of its own."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environ},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=descriptors,
        start_new_session=True,
    )


def spawn_until(
    pattern: str, command: list[str], log_path: Path, *, port: int = 0, kind: Kind | None = None
) -> Server:
    """Start what binds by itself; returns once its log matches the pattern."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as log:
        process = spawn(command, log)
    output = Output(reading, log_path, pattern)
    server = Server(log_path.stem, port, process, log_path, kind, output)
    try:
        output.wait_for_match(START)
    except BaseException:
        server.stop()
        raise
    return server


def hold_a_port(holder: socket.socket) -> int:
    """Choose a free port for a server that binds by itself.

    Bound but not listening, holder keeps the port from every other process that asks for a free
    one, while a server that sets SO_REUSEADDR, as they all do, may bind and listen.
    """
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder.getsockname()[1]
