"""Values by name, for which other requests of a server may wait."""

from __future__ import annotations

import time
from typing import Any

from tests.support.parallel import Event

PATIENCE = 30.0  # seconds to wait for what should come soon


class Ledger:
    """Values by name, for which other requests may wait."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._changed = Event()

    def put(self, name: str, value: Any) -> None:
        self._values[name] = value
        changed, self._changed = self._changed, Event()
        changed.set()

    def get(self, name: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while name not in self._values:
            changed = self._changed
            if name not in self._values and not changed.wait(deadline - time.monotonic()):
                raise TimeoutError(f"nothing came under the name {name!r}")
        return self._values[name]
