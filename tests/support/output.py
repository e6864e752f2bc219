"""The output of a process, copied into a file as it comes, and watched for one line."""

from __future__ import annotations

import os
import re
import select
import threading
from pathlib import Path


class Output:
    """Copies a pipe into a file, on a thread of its own, and finds what a pattern matches.

    Whoever reads the file calls copy() first: then it holds all that was written until now."""

    def __init__(self, pipe: int, path: Path, pattern: str) -> None:
        self._pipe = pipe
        os.set_blocking(pipe, False)
        self._path = path
        self._pattern = re.compile(pattern)
        self._text = ""
        self._match: re.Match[str] | None = None
        self._decided = threading.Event()  # found, or nothing more comes
        self._ended = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"output of {path.stem}")
        self._thread.daemon = True
        self._thread.start()

    def _run(self) -> None:
        while not self._ended:
            select.select([self._pipe], [], [])
            self.copy()

    def copy(self) -> None:
        """Copy what is there; wait for nothing."""
        with self._lock, self._path.open("ab") as file:
            while not self._ended:
                try:
                    piece = os.read(self._pipe, 65536)
                except BlockingIOError:
                    return
                file.write(piece)
                self._look(piece)

    def _look(self, piece: bytes) -> None:
        self._ended = not piece
        if not self._decided.is_set():
            self._text += piece.decode(errors="replace")
            self._match = self._pattern.search(self._text)
            if self._match or self._ended:
                self._decided.set()

    def wait_for_match(self, timeout: float) -> re.Match[str]:
        """Wait until the pattern matches; fails at the deadline, or when the process has ended."""
        self._decided.wait(timeout)
        assert self._match, f"no {self._pattern.pattern!r} in {timeout:.0f} s in {self._text!r}"
        return self._match

    def close(self) -> None:
        """Copy the rest, of a process that has ended; may be called again."""
        self._thread.join(10)
        assert not self._thread.is_alive(), f"something still holds the output {self._path}"
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
