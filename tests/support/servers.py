"""WSGI servers as real processes, each on a listening socket that this process made.

The socket is bound to a free loopback port before the server starts, so its address is known at
once, and whoever connects early waits in the kernel's queue: nothing here polls."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
END = 20.0  # seconds that a server may take to end when it is told to
REQUEST = 20.0  # seconds that an ordinary request may take

Command = Callable[[str, int], list[str]]


def _gunicorn(*options: str) -> Command:
    def command(app: str, fd: int) -> list[str]:
        # As a real deployment has it: GUNICORN's own heartbeat files, its own signals, one worker.
        fixed = ("--bind", f"fd://{fd}", "--no-control-socket", "--graceful-timeout", "3")
        return [sys.executable, "-m", "gunicorn", *fixed, *options, app]

    return command


def _script(name: str) -> Command:
    def command(app: str, fd: int) -> list[str]:
        return [sys.executable, str(ROOT / "tests" / "support" / "serve.py"), name, app, str(fd)]

    return command


SERVERS: dict[str, Command] = {
    "werkzeug": _script("werkzeug"),
    "werkzeug-single": _script("werkzeug-single"),
    "gunicorn-gthread": _gunicorn("--worker-class", "gthread", "--threads", "4"),
    "gunicorn-gthread-2": _gunicorn("--worker-class", "gthread", "--threads", "2"),
    "gunicorn-gevent": _gunicorn("--worker-class", "gevent"),
    "gevent": _script("gevent"),
    "gevent-unpatched": _script("gevent-unpatched"),
}
"""By name: the command that serves an application, "module:name", on an inherited descriptor."""

GREENLETS = ("gunicorn-gevent", "gevent", "gevent-unpatched")


@dataclass
class Server:
    """A server's process. Use it in a with statement."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def ws(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def get(self, path: str, timeout: float = REQUEST) -> requests.Response:
        """Ask for a page, on a connection of its own."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return requests.get(url, timeout=timeout, headers={"Connection": "close"})

    def ask(self, path: str, timeout: float = REQUEST) -> Any:
        """Ask the application for something it answers in JSON."""
        answer = self.get(path, timeout)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def log(self) -> str:
        """What the process wrote so far, on both of its outputs."""
        return self.log_path.read_text(errors="replace")

    def stop(self, how: int = signal.SIGTERM) -> str:
        """End the process, with all that it started; returns the whole log."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(how)
            self.process.wait(END)
        finally:
            self._kill_the_rest()
        return self.log()

    def _kill_the_rest(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            # It ended with all of its own.
            return
        finally:
            self.process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        log = self.stop()
        # pytest shows it with a failure.
        sys.stderr.write(f"--- log of {self.name} ---\n{log}\n")


def serve(
    name: str, app: str, folder: Path, *, send_buffer: int | None = None, **environ: str
) -> Server:
    """Start a server of the table in a process of its own.

    Args:
        name: A key of SERVERS.
        app: "module:name" of a WSGI application, importable from the repository's root.
        folder: Where its log goes.
        send_buffer: SO_SNDBUF of every connection, in octets.
        environ: Variables for the process.
    """
    with socket.socket() as listener:
        if send_buffer is not None:
            # What the listening socket has, those of its connections inherit.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        port = listener.getsockname()[1]
        return Server(name, port, *_start(name, app, listener.fileno(), folder, port, environ))


def _start(
    name: str, app: str, fd: int, folder: Path, port: int, environ: dict[str, str]
) -> tuple[subprocess.Popen[bytes], Path]:
    log_path = folder / f"{name}-{port}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            SERVERS[name](app, fd),
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                "TEST_SERVER": name,
                **environ,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(fd,),
            start_new_session=True,
        )
    return process, log_path
