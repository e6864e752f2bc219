"""Compare what a client of the stress saw with what its servers noted of its connections."""

from __future__ import annotations

from collections.abc import Iterator

from tests.stress.client_sender import HELLO, ClientSender
from tests.stress.client_session import ClientSession

Reports = dict[int, dict]
"""What a server noted, by the attempt."""


def faults_of(session: ClientSession, reports: Reports) -> list[str]:
    """Say what was lost, doubled, overtaken, torn or stuck on the connections of one client."""
    faults = [*session.faults, *session.tally.faults]
    for attempt, report in reports.items():
        faults += [f"attempt {attempt}: {fault}" for fault in report["faults"]]
    for check in (to_servers, lost_to_servers, hello, to_client, lost_to_client, events):
        faults += check(session, reports)
    plan = session.plan
    return [f"{plan.key} {plan.style} {plan.ending}: {fault}" for fault in faults]


def to_servers(session: ClientSession, reports: Reports) -> Iterator[str]:
    """What arrived was sent, once, and in order."""
    senders = {sender.index: sender for sender in session.all_senders}
    seen: dict[tuple[int, int], int] = {}
    for attempt, report in reports.items():
        last: dict[int, int] = {}
        for index, number in map(tuple, report["received"]):
            sender = senders[index]
            where = f"message {number} of sender {index}"
            if (index, number) in seen:
                yield f"{where} arrived on attempts {seen[index, number]} and {attempt}"
            if number <= last.get(index, -1):
                yield f"{where} arrived on attempt {attempt} behind {last[index]}"
            if number in sender.failed or number >= sender.count:
                yield f"{where} arrived on attempt {attempt}, but was not sent"
            if sender.sure.get(number) not in (None, attempt):
                yield f"{where} was sent on {sender.sure[number]}, and arrived on {attempt}"
            seen[index, number] = attempt
            last[index] = number


def lost_to_servers(session: ClientSession, reports: Reports) -> Iterator[str]:
    """What was sent over a connection that the client closed, or answered, is all there."""
    arrived = {attempt: set(map(tuple, report["received"])) for attempt, report in reports.items()}
    for sender in session.all_senders:
        for number, attempt in sender.sure.items():
            if attempt is None or not is_clean(reports.get(attempt)):
                continue
            if (sender.index, number) not in arrived[attempt]:
                yield f"message {number} of sender {sender.index} is lost on attempt {attempt}"


def is_clean(report: dict | None) -> bool:
    return report is not None and report["client_code"] is not None


def hello(session: ClientSession, reports: Reports) -> Iterator[str]:
    """What an open listener sends arrives before all else."""
    sure = {attempt for attempt in find_hello(session).sure.values() if attempt is not None}
    for attempt in sure & reports.keys():
        received = reports[attempt]["received"]
        if received and received[0][0] != HELLO:
            yield f"attempt {attempt} began with {received[0]}"


def find_hello(session: ClientSession) -> ClientSender:
    return next(sender for sender in session.all_senders if sender.index == HELLO)


def to_client(session: ClientSession, reports: Reports) -> Iterator[str]:
    """What came was sent, and none came before what an earlier connection brought."""
    if session.arrived != sorted(session.arrived):
        yield f"messages came from attempts {session.arrived}"
    for attempt, count in session.tally.counts.items():
        sent = reports[attempt]["sent"] if attempt in reports else 0
        if count > sent:
            yield f"attempt {attempt} sent {sent}, but {count} came"


def lost_to_client(session: ClientSession, reports: Reports) -> Iterator[str]:
    """What came before a close that the client answered is handed out before later messages."""
    last = max(session.arrived, default=-1)
    for attempt, report in reports.items():
        count = session.tally.counts.get(attempt, 0)
        is_answered = report["code"] is not None and report["code"] == report["client_code"]
        if is_answered and attempt < last and count != report["sent"]:
            yield f"attempt {attempt} sent {report['sent']} before its close, but {count} came"


def events(session: ClientSession, reports: Reports) -> Iterator[str]:
    """Each connection is told of once, its end once for all."""
    del reports
    if session.events.count("close") != 1 or session.events[-1] != "close":
        yield f"it was told {session.events}, {session.closes}"
    if session.opens != sorted(set(session.opens)):
        yield f"connections were told of as {session.opens}"
