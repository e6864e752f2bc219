"""WSGI servers as real processes: those of the table in tests/support/kinds.py.

Most inherit a listening socket that this process made, so the address is known at once, and whoever
connects early waits in the kernel's queue. The others bind by themselves and are waited for by the
line of their log that says where. Nothing here polls."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from pathlib import Path
from typing import IO, Any

from tests.support.kinds import ROOT, SERVERS, Kind
from tests.support.output import Output
from tests.support.peer import Address, TlsAddress, connect

__all__ = ["ROOT", "SERVERS", "Kind", "Page", "Server", "serve"]

START = 60.0  # seconds until a server that binds by itself says where
END = 20.0  # seconds that a server may take to end when it is told to
REQUEST = 20.0  # seconds that an ordinary request may take


@dataclass(frozen=True)
class Page:
    """An answer of HTTP; its names are those of requests.Response."""

    status_code: int
    headers: Message
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Server:
    """A server's process. Use it in a with statement."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log_path: Path
    kind: Kind | None = None
    output: Output | None = None

    @property
    def address(self) -> Address:
        """Where a Peer connects: host and port, with TLS where it is, or the path of a socket."""
        if self.kind and self.kind.unix:
            return str(self.log_path.with_suffix(".sock"))
        return TlsAddress("127.0.0.1", self.port) if self.tls else ("127.0.0.1", self.port)

    @property
    def tls(self) -> bool:
        return bool(self.kind and self.kind.tls)

    def ws(self, path: str) -> str:
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}{path}"

    def get(self, path: str, timeout: float = REQUEST) -> Page:
        """Ask for a page, on a connection of its own."""
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n\r\n"
        with connect(self.address, timeout) as sock, HTTPResponse(sock, method="GET") as answer:
            sock.sendall(head.encode())
            answer.begin()
            page = Page(answer.status, answer.headers, answer.read())
            while sock.recv(65536):
                # To the end, for then the call is over too.
                continue
            return page

    def ask(self, path: str, timeout: float = REQUEST) -> Any:
        """Ask the application for something it answers in JSON."""
        answer = self.get(path, timeout)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def log(self) -> str:
        """What the process wrote so far, on both of its outputs."""
        if self.output:
            self.output.copy()
        return self.log_path.read_text(errors="replace")

    def send_signal(self, how: int) -> None:
        """Send a signal to the process, or to all of an interactive server's, as a terminal does."""
        if self.kind and self.kind.interactive:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)

    def stop(self, how: int | None = None) -> str:
        """End the process, with all that it started; returns the whole log."""
        usual = signal.SIGINT if self.kind and self.kind.interactive else signal.SIGTERM
        try:
            if self.process.poll() is None:
                self._tell(how or usual)
            self.process.wait(END)
        finally:
            self._kill_the_rest()
        return self.log()

    def _tell(self, how: int) -> None:
        self.send_signal(how)
        if self.kind and self.kind.deaf:
            try:
                self.process.wait(END / 2)
            except subprocess.TimeoutExpired:
                self.send_signal(how)

    def _kill_the_rest(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            # It ended with all of its own.
            return
        finally:
            self.process.wait()
            if self.output:
                self.output.close()

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
        app: "module:name" of a WSGI application, importable from the repository's root. Django's
            servers call `respond` of that module instead (tests/support/django_site.py).
        folder: Where its log goes.
        send_buffer: SO_SNDBUF of every connection, in octets; not where the server binds by itself.
        environ: Variables for the process.
    """
    kind = SERVERS[name] if isinstance(SERVERS[name], Kind) else Kind(SERVERS[name])
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "tests.support.django_site",
        "TEST_SERVER": name,
        "TEST_APP": app,
        **environ,
    }
    if kind.bound:
        assert send_buffer is None, f"{name} binds by itself"
        return _binding(name, kind, app, folder, variables)
    return _inheriting(name, kind, app, folder, variables, send_buffer)


def _inheriting(
    name: str, kind: Kind, app: str, folder: Path, environ: dict[str, str], send_buffer: int | None
) -> Server:
    with socket.socket(socket.AF_UNIX if kind.unix else socket.AF_INET) as listener:
        if send_buffer is not None:
            # What the listening socket has, those of its connections inherit.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        listener.bind(str(folder / f"{name}-80.sock") if kind.unix else ("127.0.0.1", 0))
        listener.listen(1024)
        # The Host of a Unix socket's requests has no port.
        port = 80 if kind.unix else listener.getsockname()[1]
        log_path = folder / f"{name}-{port}.log"
        fd = listener.fileno()
        with log_path.open("wb") as log:
            process = _start(kind.command(app, fd), environ, log, fd)
    return Server(name, port, process, log_path, kind)


def _binding(name: str, kind: Kind, app: str, folder: Path, environ: dict[str, str]) -> Server:
    log_path = folder / f"{name}.log"
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as log:
        process = _start(kind.command(app, -1), environ, log)
    server = Server(name, 0, process, log_path, kind, Output(reading, log_path, kind.bound))
    try:
        server.port = int(server.output.wait_for_match(START)[1])
    except BaseException:
        server.stop()
        raise
    return server


def _start(
    command: list[str], environ: dict[str, str], log: IO[bytes], *descriptors: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=descriptors,
        start_new_session=True,
    )
