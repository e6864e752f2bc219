"""The accelerator in C, where it was compiled and is wanted.

Each of its functions has a namesake in Python, in the module that offers both;
the environment variable FAYE_SYNC_PURE, set to anything but nothing, leaves the
work to those."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType


def _load() -> ModuleType | None:
    if os.environ.get("FAYE_SYNC_PURE"):
        return None
    try:
        return import_module("faye_sync._speedups")
    except ImportError:
        # It is optional: there was no compiler, maybe.
        return None


speedups = _load()
