"""Compare what both sides of a connection counted."""

from __future__ import annotations

from tests.stress.plan import Plan

LONGEST_END = 10.0  # seconds from the server's close frame to the end of TCP

# Endings after which all that was sent has to be there, in the direction named.
CLEAN = ("server-close", "server-return", "peer-close", "both-close")
ORDERLY = (*CLEAN, "peer-error")
WHOLE_TO_PEER = (*ORDERLY, "peer-fin")
WHOLE_TO_SERVER = ("peer-close", "peer-fin", "peer-error")


def faults_of(plan: Plan, server: dict | None, peer: dict) -> list[str]:
    """Say what was lost, doubled, overtaken, torn or stuck on one connection."""
    if server is None:
        return [f"the server knows nothing of {plan}", *peer["faults"]]
    faults = server["faults"] + peer["faults"] + close_faults(plan, server, peer)
    if not server["closes"]:
        return named(plan, faults)
    # A send that had no time may have torn its frame, and from there on nothing is promised.
    if not server["late"]:
        faults += to_peer(plan, server, peer) + to_server(plan, server, peer)
        faults += end_faults(plan, server, peer)
    return named(plan, faults)


def named(plan: Plan, faults: list[str]) -> list[str]:
    return [f"{plan.key} {plan.style} {plan.ending}: {fault}" for fault in faults]


def to_peer(plan: Plan, server: dict, peer: dict) -> list[str]:
    faults = []
    joined = plan.joins and plan.ending in ("server-close", "server-return")
    for sender, accepted in server["accepted"].items():
        arrived = peer["arrived"].get(int(sender), 0)
        sure = server["sure"][sender]
        doubtful = 0 if plan.ending in ORDERLY else server["doubtful"][sender]
        if arrived > accepted + doubtful:
            faults.append(f"sender {sender}: {accepted} were accepted, but {arrived} arrived")
        if plan.ending in WHOLE_TO_PEER and arrived < sure:
            faults.append(f"sender {sender}: {sure} were sent, but {arrived} arrived")
        # The answers of the receiving thread go on until the close.
        if joined and int(sender) < 99 and arrived != accepted:
            faults.append(
                f"sender {sender}: {accepted} were accepted, {arrived} arrived by the end"
            )
    return faults


def to_server(plan: Plan, server: dict, peer: dict) -> list[str]:
    faults = []
    for writer, sent in peer["sent"].items():
        received = server["received"].get(str(writer), 0)
        if received > sent + (writer in peer["unfinished"]):
            faults.append(f"writer {writer}: {sent} were sent, but {received} received")
        if plan.ending in WHOLE_TO_SERVER and plan.reads_all and received != sent:
            faults.append(f"writer {writer}: {sent} were sent, {received} received by the end")
    if plan.ending == "peer-close" and peer["last_pong"] != peer["pings"] - 1:
        faults.append(f"{peer['pings']} pings, but the last pong is of {peer['last_pong']}")
    return faults


def close_faults(plan: Plan, server: dict, peer: dict) -> list[str]:
    closes = server["closes"]
    if len(closes) != 1:
        return [f"the close listener was told {len(closes)} times: {closes}"]
    code, _, cause = closes[0]
    expected = {1000 if plan.ending == "server-return" else plan.code, plan.code}
    if plan.ending not in ORDERLY or (server["late"] and cause == "send timeout"):
        expected = {1006}
    elif plan.ending == "peer-error":
        expected = {1002}
    faults = [] if code in expected else [f"closed with {closes[0]}, expected {expected}"]
    if peer["closes"] not in ([], [code]):
        faults.append(f"the peer saw {peer['closes']}, the server {closes[0]}")
    return faults


def end_faults(plan: Plan, server: dict, peer: dict) -> list[str]:
    faults = []
    if plan.ending in ORDERLY:
        was_clean = server["closes"][0][1]
        if was_clean is not (plan.ending in CLEAN) or len(peer["closes"]) != 1:
            faults.append(f"no clean end: {server['closes']}, the peer saw {peer['closes']}")
        if peer["end"] != "eof":
            faults.append(f"TCP ended with {peer['end']}")
        if peer["lag"] > LONGEST_END:
            faults.append(f"TCP ended {peer['lag']:.1f} s after the close frame")
    return faults
