"""Parts that a machine may lack: Chromium, Node.js, Autobahn, a server.

Without one its tests skip and say why. With CI=true they fail: `make test` fetches every part, so
there a missing one is a fault."""

from __future__ import annotations

import os

import pytest


def require(part: str, missing: str | None) -> None:
    """Go on where missing is None; else skip with that reason, or fail under CI=true.

    For tests, fixtures and the top of a test module:

        require("chromium", None if shutil.which("chromium") else "not on the path")
    """
    if missing is None:
        return
    reason = f"{part}: {missing}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (with CI=true nothing may be missing)", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
