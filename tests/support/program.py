"""A Python program as a user starts it: lines go in, lines come out."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from tests.support.kinds import ROOT

PATIENCE = 20.0  # seconds to wait for what should come at once


class Program:
    """A process with pipes. Use it in a with statement, which ends it."""

    def __init__(self, *arguments: str | Path, **environ: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[str] = []
        self._readers = [
            self._start(self._read_lines, self._process.stdout),
            self._start(self._read_errors, self._process.stderr),
        ]

    def _start(self, function, stream: IO[str]) -> threading.Thread:
        thread = threading.Thread(target=function, args=(stream,), daemon=True)
        thread.name = f"output of {self._process.pid}"
        thread.start()
        return thread

    def _read_lines(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_errors(self, stream: IO[str]) -> None:
        self._errors.extend(stream)

    def say(self, line: str) -> None:
        """Type a line."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def end_input(self) -> None:
        """Do what Ctrl-D does."""
        self._process.stdin.close()

    def read(self, timeout: float = PATIENCE) -> str:
        """Read the next line of its standard output."""
        line = self._lines.get(timeout=timeout)
        assert line is not None, f"the program has ended:\n{self.errors()}"
        return line

    def read_until(self, wanted: str, timeout: float = PATIENCE) -> list[str]:
        """Read lines to the wanted one; returns those before it."""
        deadline = time.monotonic() + timeout
        before = []
        while (line := self.read(deadline - time.monotonic())) != wanted:
            before.append(line)
        return before

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; returns its status."""
        status = self._process.wait(timeout)
        for reader in self._readers:
            reader.join(PATIENCE)
        return status

    def rest(self) -> list[str]:
        """The lines that were not read, once it has ended."""
        lines = [self._lines.get_nowait() for _ in range(self._lines.qsize())]
        return [line for line in lines if line is not None]

    def errors(self) -> str:
        """What it wrote to its standard error, once it has ended."""
        return "".join(self._errors)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            stream.close()
        # pytest shows it with a failure.
        sys.stderr.write(self.errors())
