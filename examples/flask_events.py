"""The load of this server as a live chart, drawn from an EventSource that loses nothing.

Run it, open the address it prints, and drop the connection as often as you like:

    python examples/flask_events.py

Any WSGI server that runs one process will do, for example:

    gunicorn --worker-class gthread --threads 4 examples.flask_events:app
"""

import argparse
import json
import os
import platform
import re
import secrets
import threading
import time
from collections import deque
from pathlib import Path

from flask import Flask, request

from faye_sync import EventSource

PERIOD = 0.25  # seconds between two samples
SHOWN = 240  # samples that whoever comes for the first time gets at once
KEPT = 2400  # samples that are there for whoever comes again: ten minutes

app = Flask(__name__)


@app.route("/")
def page():
    return app.send_static_file("flask_events.html")


@app.route("/load")
def load():
    es = EventSource(request, retry=1)
    es.send(json.dumps(MACHINE), event="machine")
    monitor.join(es)
    return es


@app.route("/drop", methods=["POST"])
def drop():
    return {"dropped": monitor.drop()}


class Monitor:
    """Measures this process and its machine for all who look; safe to use from any thread.

    Each sample is a numbered event. The last ones are kept, and whoever comes again gets those
    that it missed: its Last-Event-ID says after which one."""

    def __init__(self):
        # Numbers mean nothing to another run of the server, which begins at 1 again.
        self._run = secrets.token_hex(4)
        self._log = deque(maxlen=KEPT)
        self._streams = set()
        self._sampler = None
        self._lock = threading.Lock()

    def join(self, es):
        """Send a stream what it missed, and all that is to come."""
        self._start()
        seen = self._seen(es.last_event_id)
        while missed := self._missed(es, seen):
            for number, data in missed:
                self._send(es, number, data)
            seen = missed[-1][0]
        # After it has joined: were it closed before, it would be told now.
        es.on("close", lambda event: self._leave(es))

    def drop(self):
        """End all streams, and return how many there were: their clients will be back."""
        with self._lock:
            streams = tuple(self._streams)
        for es in streams:
            es.close()
        return len(streams)

    def _seen(self, last_event_id):
        """Return the number of the last sample that a client has, or None."""
        found = re.fullmatch(rf"{self._run}\.([0-9]{{1,15}})", last_event_id)
        return int(found[1]) if found else None

    def _missed(self, es, seen):
        """Return the samples behind the one seen; where there is none, the stream has joined."""
        with self._lock:
            if seen is None:
                missed = list(self._log)[-SHOWN:]
            else:
                missed = [sample for sample in self._log if sample[0] > seen]
            if not missed:
                self._streams.add(es)
            return missed

    def _leave(self, es):
        with self._lock:
            self._streams.discard(es)

    def _send(self, es, number, data):
        es.send(data, id=f"{self._run}.{number}")

    def _start(self):
        # Not before it is needed, so that a server may fork its workers first. It never ends: a
        # stream that dropped is to find what happened meanwhile.
        with self._lock:
            if self._sampler is None:
                self._sampler = threading.Thread(target=self._sample, name="sampler", daemon=True)
                self._sampler.start()

    def _sample(self):
        for number, data in enumerate(samples(), 1):
            with self._lock:
                self._log.append((number, data))
                streams = tuple(self._streams)
            # Outside the lock, so that nobody ever waits for it. A send waits for no client.
            for es in streams:
                self._send(es, number, data)


def samples():
    """Yield, once a PERIOD: the time, the load average, this process's CPU in % and its MiB."""
    pages = os.sysconf("SC_PAGE_SIZE") / 2**20
    then, used = time.monotonic(), time.process_time()
    while True:
        time.sleep(PERIOD)
        before, then = then, time.monotonic()
        used_before, used = used, time.process_time()
        cpu = 100 * (used - used_before) / (then - before)
        memory = pages * int(Path("/proc/self/statm").read_text().split()[1])
        values = (time.time(), os.getloadavg()[0], cpu, memory)
        yield json.dumps([round(value, 2) for value in values])


MACHINE = {"cores": os.cpu_count(), "python": platform.python_version(), "period": PERIOD}
monitor = Monitor()

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    app.run("127.0.0.1", parser.parse_args().port, threaded=True)
