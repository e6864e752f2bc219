"""Somebody in the place of a link, for tests of its outgoing side alone."""

from __future__ import annotations


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def stalled(self) -> None:
        self.told.append("stalled")

    def drained(self) -> None:
        self.told.append("drained")

    def torn(self) -> None:
        self.told.append("torn")

    def broken(self, error: OSError) -> None:
        self.told.append(error)

    def unframed(self, error: Exception) -> None:
        self.told.append(error)
