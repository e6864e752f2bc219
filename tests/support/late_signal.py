"""A signal that comes when Python has just looked for signals, and is about to wait."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import partial


def just_after(number: int, call: Callable[[], int]) -> int:
    """Send this process a signal, and call a function of C's before Python looks for it.

    Args:
        number: Of the signal.
        call: A partial of a function that is none of Python's.

    Returns:
        What the call does.
    """
    signalled = partial(ctypes.CDLL(None).kill, os.getpid(), number)
    # In C from the first step to the last: nothing looks for signals in between.
    return sum(map(partial.__call__, (signalled, call)))
