"""A block that runs in a child of this process too, and has to come to its end there."""

from __future__ import annotations

import os
import select
import signal
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 20.0  # seconds that the child may take


@contextmanager
def forked() -> Iterator[bool]:
    """Fork; the block is told whether it runs in the child, which ends with it."""
    with warnings.catch_warnings():
        # Python 3.12 warns of threads; what becomes of them is what the tests ask.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            yield True
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    try:
        yield False
    finally:
        status = _status_of(child)
    assert status == 0, f"the child ended with {status}"


def _status_of(child: int) -> int:
    """Wait for a child to end; one that does not is killed."""
    descriptor = os.pidfd_open(child)
    if not select.select([descriptor], [], [], PATIENCE)[0]:
        os.kill(child, signal.SIGKILL)
    os.close(descriptor)
    return os.waitpid(child, 0)[1]
