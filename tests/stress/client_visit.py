"""What a server of the stress notes of one connection, for the client to compare with its own."""

from __future__ import annotations

import json
import threading
import time
from random import Random

from tests.stress.client_plan import VisitPlan, visit_plan_of
from tests.stress.messages import check, make

PATIENCE = 20.0  # seconds until a connection whose client has ended has to be over


def read_message(data: str | bytes) -> tuple[int, int]:
    """Take a message apart: sender and number.

    Raises:
        ValueError: It is torn, or changed its kind.
    """
    octets = data.encode() if isinstance(data, str) else data
    kind, sender, number, checksum, body = octets.split(b" ", 4)
    if check(int(sender), int(number), body) != int(checksum):
        raise ValueError(f"message {int(number)} of sender {int(sender)} is torn")
    if (kind == b"t") is not isinstance(data, str):
        raise ValueError(f"message {int(number)} of sender {int(sender)} changed its kind")
    return int(sender), int(number)


class VisitRecord:
    """One connection. For one thread, until it is over.

    Attributes:
        plan: What becomes of it.
        received: Sender and number of each message of the client, as they came.
        sent: How many messages were given to the kernel, or to the library.
        client_code: Of the client's close frame.
        code: Of ours, if it was the first.
        faults: What no client may do.
    """

    def __init__(self, key: str, attempt: int) -> None:
        self.key = key
        self.attempt = attempt
        self.plan: VisitPlan = visit_plan_of(key, attempt)
        self.random = Random(f"{key} server {attempt}")
        self.received: list[tuple[int, int]] = []
        self.sent = 0
        self.client_code: int | None = None
        self.code: int | None = None
        self.faults: list[str] = []

    def next_message(self) -> str | bytes:
        """Make the next message, and count it as sent; its sender is the attempt."""
        message = make(self.attempt, self.sent, self.random)
        self.sent += 1
        return message

    def take(self, data: str | bytes) -> None:
        try:
            self.received.append(read_message(data))
        except ValueError as error:
            self.faults.append(str(error))

    def report(self) -> dict:
        return {
            "received": self.received,
            "sent": self.sent,
            "client_code": self.client_code,
            "code": self.code,
            "ending": self.plan.ending,
            "faults": self.faults,
        }


class Visits:
    """All connections of a server, by the key of their client. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, list[VisitRecord]] = {}
        self._running: dict[str, int] = {}

    def begin(self, key: str, attempt: int) -> VisitRecord:
        record = VisitRecord(key, attempt)
        with self._lock:
            self._records.setdefault(key, []).append(record)
            self._running[key] = self._running.get(key, 0) + 1
        return record

    def end(self, record: VisitRecord) -> None:
        with self._lock:
            self._running[record.key] -= 1

    def report(self, key: str) -> str:
        """Tell of a client whose end has come, and forget it."""
        deadline = time.monotonic() + PATIENCE
        while self._running.get(key) and time.monotonic() < deadline:
            threading.Event().wait(0.02)
        with self._lock:
            records = self._records.pop(key, [])
            running = self._running.pop(key, 0)
        if running:
            records[0].faults.append(f"stuck: {running} connections of it have not ended")
        return json.dumps({record.attempt: record.report() for record in records})
