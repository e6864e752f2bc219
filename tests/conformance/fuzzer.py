"""Drive chosen Autobahn cases and write each result as soon as it is known.

Runs under CPython 2.7, inside the environment that setup_autobahn.py makes.
It replaces the suite's own `wstest`, whose report comes only after the last
case, whose server listens on every interface and whose case patterns are not
anchored. The verdicts are the suite's: only its factories judge a case.

The results file holds one JSON object a line. Every chosen case gets exactly
one line; a case cut off by the budget gets the behavior "NOT RUN".
"""

from __future__ import print_function

import argparse
import json
import os
import re
import socket
import sys
import time

# The folder of this script holds our autobahn.py, which would hide the package of that name.
del sys.path[0]

from autobahntestsuite.case import CaseBasename, Cases
from autobahntestsuite.fuzzing import FuzzingClientFactory, FuzzingServerFactory
from twisted.internet import reactor
from twisted.internet.error import ReactorNotRunning

LOOPBACK = "127.0.0.1"
GOOD = ("OK", "INFORMATIONAL")
REASON_LENGTH = 300

# The suite gives most cases one second, and an end of the connection another, which a busy machine
# exceeds now and then. We wait so many times longer; test_autobahn.py asks that most cases take
# less than that second all the same.
PATIENCE = 4
SERVER_TIMEOUTS = {
    "openHandshakeTimeout": 5 * PATIENCE,
    "closeHandshakeTimeout": 1 * PATIENCE,
}
TIMEOUTS = dict(SERVER_TIMEOUTS, serverConnectionDropTimeout=1 * PATIENCE)

# These wait by design, so they start first when several cases run at once.
WAITING = ("6.4.*", "5.19", "5.20")

SETS = {
    "fast": lambda case_id: case_id.split(".")[0] not in ("9", "12", "13"),
    "limits": lambda case_id: case_id.startswith("9."),
    "deflate": lambda case_id: case_id.startswith(("12.", "13.")),
}

# A section of 12.* or 13.* is one kind of data or one offer; its 18 cases are a
# thousand messages of 16 octets (1) to 128 KiB (10) each, then the same in fragments
# (11-18). Long messages and fragments take the suite itself seconds, so few have them.
SECTION_LENGTH = 18
LITE_ROWS = ((1, 2, 3, 4, 6), (1, 2, 3, 5, 7), (1, 2, 3, 4, 5), (1, 2, 4, 5, 11))


def all_case_ids():
    return [case.__name__[len(CaseBasename) :].replace("_", ".") for case in Cases]


def choose(spec):
    """Return the case ids of a named set, or of a comma list of anchored patterns."""
    if spec == "deflate-lite":
        return spread(choose("deflate"))
    if spec in SETS:
        return [case_id for case_id in all_case_ids() if SETS[spec](case_id)]
    return matching(spec.split(","))


def matching(patterns):
    """Return the ids that match a pattern from end to end; `*` stands for anything."""
    whole = [re.escape(pattern.strip()).replace("\\*", ".*") + "$" for pattern in patterns]
    expression = re.compile("|".join(whole))
    return [case_id for case_id in all_case_ids() if expression.match(case_id)]


def spread(case_ids):
    """Take five of the 18 cases of each section, row after row of LITE_ROWS."""
    chosen = []
    for i, case_id in enumerate(case_ids):
        row = LITE_ROWS[i // SECTION_LENGTH % len(LITE_ROWS)]
        if i % SECTION_LENGTH + 1 in row:
            chosen.append(case_id)
    return chosen


def waiting_first(case_ids):
    first = set(matching(WAITING))
    return sorted(case_ids, key=lambda case_id: case_id not in first)


class Results(object):
    """The results file: one line a case, written at once, the first verdict kept."""

    def __init__(self, path, case_ids):
        self._file = open(path, "w")
        self._missing = list(case_ids)

    def add(self, result):
        if result["id"] not in self._missing:
            return
        self._missing.remove(result["id"])
        self._file.write(json.dumps(result, sort_keys=True) + "\n")
        self._file.flush()

    def is_complete(self):
        return not self._missing

    def close(self, reason):
        """Write the cases still missing as not run, for the given reason."""
        for case_id in list(self._missing):
            self.add(failure(case_id, "NOT RUN", reason, 0.0))
        self._file.close()


def failure(case_id, behavior, reason, duration):
    """Build the result of a case on which the suite could not give a verdict."""
    return {
        "id": case_id,
        "behavior": behavior,
        "behaviorClose": behavior,
        "duration": round(duration, 3),
        "remoteCloseCode": None,
        "reason": reason,
    }


def summary(verdict, duration):
    """Cut the suite's long case report down to the fields of a result."""
    return {
        "id": verdict["id"],
        "behavior": verdict["behavior"],
        "behaviorClose": verdict["behaviorClose"],
        "duration": round(duration, 3),
        "remoteCloseCode": verdict["remoteCloseCode"],
        "reason": reason_of(verdict),
    }


def reason_of(verdict):
    """Say in short why a case is not OK; empty when it is."""
    parts = []
    if verdict["behavior"] not in GOOD:
        parts.append(behavior_reason(verdict))
    if verdict["behaviorClose"] not in GOOD:
        parts.append("Close: %s." % verdict["resultClose"].rstrip(".!"))
        if verdict["wasNotCleanReason"]:
            parts.append("(%s)" % verdict["wasNotCleanReason"])
    return " ".join(parts)[:REASON_LENGTH]


def behavior_reason(verdict):
    """Prefer the events to the suite's sentence, which may only say that they differ."""
    wanted = verdict["expected"].get("OK")
    if wanted is None or wanted == verdict["received"]:
        return verdict["result"].rstrip(".") + "."
    return "Expected %s, received %s." % (json.dumps(wanted), json.dumps(verdict["received"]))


def patient(act_after):
    return lambda delay: act_after(delay * PATIENCE)


def with_patience(protocol):
    """Have a case wait longer before it ends a connection that is still open then."""
    protocol.killAfter = patient(protocol.killAfter)
    protocol.closeAfter = patient(protocol.closeAfter)
    return protocol


class Text(str):
    """Octets that are decoded once, to save half a second in each of 162 cases.

    The cases of sections 12 and 13 decode all of a file for each message that they take from it.
    """

    _decoded = None

    def decode(self, *how):
        if self._decoded is None:
            self._decoded = str.decode(self, *how)
        return self._decoded


def decode_once(case):
    """Have a case of sections 12 and 13 with text keep what it has decoded."""
    init = case.init

    def init_with_text(self):
        init(self)
        self.testData = Text(self.testData)

    case.init = init_with_text


class OneCase(FuzzingClientFactory):
    """Run one case on one connection, then hand its result to on_result.

    The suite's factory connects in its constructor.
    """

    def __init__(self, url, case_id, cap, on_result):
        self._case_id = case_id
        self._cap = cap
        self._on_result = on_result
        self._result = None
        self._started = time.time()
        servers = [{"url": url, "agent": "peer"}]
        spec = {"cases": [case_id], "servers": servers, "options": TIMEOUTS}
        FuzzingClientFactory.__init__(self, spec)

    def buildProtocol(self, address):
        protocol = with_patience(FuzzingClientFactory.buildProtocol(self, address))
        self._timer = reactor.callLater(self._cap, self._cut_off, protocol)
        return protocol

    def _cut_off(self, protocol):
        # The suite would judge our own abort, in some cases as OK.
        self._result = self._failed("Still open after %g seconds." % self._cap)
        protocol.transport.abortConnection()

    def logCase(self, verdict):
        if self._result is None:
            self._result = summary(verdict, self._elapsed())

    def clientConnectionLost(self, connector, reason):
        if self._timer.active():
            self._timer.cancel()
        self._on_result(self._result or self._failed("The suite raised an error."))

    def clientConnectionFailed(self, connector, reason):
        self._on_result(self._failed("Cannot connect: %s" % reason.getErrorMessage()))

    def _failed(self, reason):
        return failure(self._case_id, "FAILED", reason, self._elapsed())

    def _elapsed(self):
        return time.time() - self._started


class ClientRun(object):
    """Take cases from one queue, so many at a time, until none is left."""

    def __init__(self, url, case_ids, results, jobs, cap):
        self._url = url
        self._queue = waiting_first(case_ids) if jobs > 1 else list(case_ids)
        self._results = results
        self._jobs = jobs
        self._cap = cap

    def start(self):
        for _ in range(self._jobs):
            self._next()

    def _next(self):
        if self._results.is_complete():
            stop()
        elif self._queue:
            OneCase(self._url, self._queue.pop(0), self._cap, self._ended)

    def _ended(self, result):
        self._results.add(result)
        self._next()


class Server(FuzzingServerFactory):
    """The suite as a server; ends the process after the last chosen case."""

    def __init__(self, url, case_ids, results):
        self._results = results
        spec = {"url": url, "cases": case_ids, "options": SERVER_TIMEOUTS}
        FuzzingServerFactory.__init__(self, spec)

    def buildProtocol(self, address):
        return with_patience(FuzzingServerFactory.buildProtocol(self, address))

    def logCase(self, verdict):
        duration = verdict["duration"] / 1000.0 if verdict["duration"] < 1e9 else 0.0
        self._results.add(summary(verdict, duration))
        if self._results.is_complete():
            stop()

    def createReports(self, produceHtml=True, produceJson=True):
        """Write nothing: a client under test may ask for reports as it would of wstest."""


def stop():
    try:
        reactor.stop()
    except ReactorNotRunning:
        # Stopping drops the connections that are open, whose ends lead here again.
        pass


def end_at_budget(results, budget):
    """Write what did not run before stopping: connections dropped by us prove nothing."""
    results.close("The budget of %g seconds was spent." % budget)
    stop()


def listen(case_ids, results):
    """Serve the cases on a free loopback port and return that port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((LOOPBACK, 0))
    listener.listen(50)
    listener.setblocking(0)
    port = listener.getsockname()[1]
    # The suite checks the Host header against this URL, so the port comes first.
    factory = Server("ws://%s:%d" % (LOOPBACK, port), case_ids, results)
    reactor.adoptStreamPort(listener.fileno(), socket.AF_INET, factory)
    listener.close()
    return port


def loopback_url(text):
    if not re.match(r"ws://127\.0\.0\.1:\d+(/|$)", text):
        raise argparse.ArgumentTypeError("%r is not of the form ws://127.0.0.1:PORT/path" % text)
    return text


def cases(text):
    chosen = choose(text)
    if not chosen:
        raise argparse.ArgumentTypeError("no case matches %r" % text)
    return chosen


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    modes = parser.add_subparsers(dest="mode")
    client = modes.add_parser("client", help="fuzz the server at a URL")
    client.add_argument("--url", required=True, type=loopback_url)
    client.add_argument("--jobs", type=int, default=1, help="cases to run at once")
    client.add_argument("--cap", type=float, default=60.0, help="seconds for one case")
    server = modes.add_parser("server", help="fuzz the clients that connect")
    for mode in (client, server):
        mode.add_argument("--cases", default="fast", type=cases)
        mode.add_argument("--out", required=True, help="results file, one JSON object a line")
        mode.add_argument("--budget", type=float, default=120.0, help="seconds for the whole run")
    return parser.parse_args()


def silence_suite():
    """Keep standard output for ourselves: the suite prints on it freely."""
    ours, sys.stdout = sys.stdout, open(os.devnull, "w")
    return ours


def main():
    arguments = parse_arguments()
    results = Results(arguments.out, arguments.cases)
    out = silence_suite()
    for case in Cases:
        if not getattr(case, "TESTDATA", {"binary": True})["binary"]:
            decode_once(case)
    if arguments.mode == "client":
        run = ClientRun(arguments.url, arguments.cases, results, arguments.jobs, arguments.cap)
        reactor.callWhenRunning(run.start)
    else:
        print("listening %d" % listen(arguments.cases, results), file=out)
        out.flush()
    reactor.callLater(arguments.budget, end_at_budget, results, arguments.budget)
    reactor.run()
    results.close("The run was stopped.")


if __name__ == "__main__":
    main()
