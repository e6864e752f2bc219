"""Random clients that send, receive, drop and close, against servers that refuse, break and stall.

STRESS_SEED=123 plays that seed's epochs again, though threads meet otherwise each time;
STRESS_SECONDS=600 plays as long, STRESS_CLIENTS=2 has so many at once, STRESS_STYLE=function and
STRESS_VISIT_ENDING=torn have all clients and connections do the same of client_plan.py."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stress.client_plan import client_plan_of
from tests.stress.client_sender import HELLO
from tests.stress.client_session import ClientSession
from tests.stress.client_verdict import faults_of
from tests.stress.client_visit import VisitRecord
from tests.support.servers import ROOT, serve

APP = "tests.stress.client_app:application"
SPARE = 150.0  # seconds that the last epoch may take, stuck clients included

CLIENTS = ["-m", "tests.stress.client_run"]
WORLDS = {"threads": CLIENTS, "gevent": ["-m", "gevent.monkey", "--module", *CLIENTS[1:]]}


@contextmanager
def raw_server() -> Iterator[int]:
    """Run the server that misbehaves; gives its port."""
    command = [sys.executable, "-m", "tests.stress.client_raw"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(SPARE)


def play(world: str, seed: str, seconds: float, ports: list[int], log: Path) -> dict:
    """Run the clients' process to its end; returns what it printed."""
    command = [sys.executable, *WORLDS[world], seed, str(seconds), *map(str, ports)]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors)
    try:
        answer, _ = process.communicate(timeout=seconds + SPARE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        sys.stderr.write(f"--- log of the clients, STRESS_SEED={seed} ---\n{log.read_text()}\n")
    assert process.returncode == 0, "the clients' process failed or hangs; its log follows"
    return json.loads(answer)


def stress(world: str, server: str, seconds: float, folder: Path) -> None:
    seed = os.environ.get("STRESS_SEED") or secrets.token_hex(4)
    seconds = float(os.environ.get("STRESS_SECONDS") or seconds)
    log = folder / "clients.log"
    with serve(server, APP, folder) as library, raw_server() as raw:
        result = play(world, seed, seconds, [raw, library.port], log)
        server_log = library.stop()
    print(f"{world}: {json.dumps(result['figures'])}", *result["faults"], sep="\n")
    assert result["faults"] == [], f"play it again with STRESS_SEED={seed}"
    for text in (server_log, log.read_text()):
        assert "Traceback" not in text
        assert "bug in faye_sync" not in text


@pytest.mark.stress
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "world, server", [("threads", "gunicorn-gthread"), ("gevent", "gunicorn-gevent")]
)
def test_no_message_or_thread_of_a_client_is_lost_doubled_or_stuck(world, server, tmp_path):
    stress(world, server, 5, tmp_path)


@pytest.mark.stress
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "world, server", [("threads", "gunicorn-gthread"), ("gevent", "gunicorn-gevent")]
)
def test_for_a_minute_no_message_or_thread_of_a_client_is_lost_or_stuck(world, server, tmp_path):
    stress(world, server, 60, tmp_path)


# --- what it is there to find is noticed ------------------------------------------------------------------


def played() -> tuple[ClientSession, dict[int, VisitRecord]]:
    """A client of one sender over two connections, each closed by the server, without a fault."""
    session = ClientSession(client_plan_of("seed-0-0"), {})
    records = {attempt: VisitRecord("seed-0-0", attempt) for attempt in (1, 2)}
    hello = next(sender for sender in session.all_senders if sender.index == HELLO)
    sender = session.senders[0]
    for attempt, record in records.items():
        session.opens.append(attempt)
        session.events.append("open")
        for who in (hello, sender):
            who.sure[who.count] = attempt
            record.received.append((who.index, who.count))
            who.count += 1
        for _ in range(2):
            session.tally.take(record.next_message())
            session.arrived.append(attempt)
        record.client_code = record.code = 4000
    session.events.append("close")
    return session, records


def judged(session: ClientSession, records: dict[int, VisitRecord]) -> list[str]:
    return faults_of(session, {attempt: record.report() for attempt, record in records.items()})


def test_two_connections_in_order_are_no_fault():
    assert judged(*played()) == []


@pytest.mark.parametrize(
    "spoil, fault",
    [
        pytest.param(
            lambda session, records: records[2].received.append((0, 0)),
            "message 0 of sender 0 arrived on attempts 1 and 2",
            id="doubled",
        ),
        pytest.param(
            lambda session, records: records[1].received.pop(),
            "message 0 of sender 0 is lost on attempt 1",
            id="lost",
        ),
        pytest.param(
            lambda session, records: session.senders[0].failed.add(1),
            "message 1 of sender 0 arrived on attempt 2, but was not sent",
            id="sent-after-all",
        ),
        pytest.param(
            lambda session, records: records[1].received.reverse(),
            "attempt 1 began with (0, 0)",
            id="before-the-open-listener",
        ),
        pytest.param(
            lambda session, records: session.arrived.reverse(),
            "messages came from attempts [2, 2, 1, 1]",
            id="later-connection-first",
        ),
        pytest.param(
            lambda session, records: records[1].next_message(),
            "attempt 1 sent 3 before its close, but 2 came",
            id="not-handed-out",
        ),
        pytest.param(
            lambda session, records: session.events.insert(1, "close"),
            "it was told ['open', 'close', 'open', 'close'], []",
            id="closed-before-the-end",
        ),
    ],
)
def test_a_fault_of_a_client_is_noticed(spoil, fault):
    session, records = played()
    spoil(session, records)
    assert [text.partition(": ")[2] for text in judged(session, records)][:1] == [fault]
