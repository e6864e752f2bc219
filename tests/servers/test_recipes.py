"""deploy/: each file in front of gunicorn's threads and of gevent, with TLS, below a prefix too."""

from __future__ import annotations

import configparser
import re
import signal
import sys
import time
from itertools import pairwise

import pytest

from faye_sync import Client, EventSourceClient
from faye_sync.cli.diagnosis import Question, diagnose
from faye_sync.cli.network import Network
from tests.support.certificates import certificate
from tests.support.daemons import spawn_until
from tests.support.kinds import ROOT
from tests.support.parts import require
from tests.support.peer import Peer
from tests.support.recipes import RECIPES, missing
from tests.support.servers import serve

APP = "tests.support.behaviours_app:application"
PATIENCE = 20.0  # seconds to wait for what should come at once
UPSTREAMS = ("gunicorn-gthread", "gevent")
PREFIXES = ("", "/app")


@pytest.fixture(scope="module", params=UPSTREAMS)
def upstream(request, tmp_path_factory):
    with serve(request.param, APP, tmp_path_factory.mktemp("upstream")) as server:
        yield server


@pytest.fixture(scope="module", params=RECIPES)
def proxy(request, upstream, tmp_path_factory):
    require(request.param, missing(request.param))
    with RECIPES[request.param](upstream, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.mark.parametrize("prefix", PREFIXES)
def test_messages_pass_both_ways_and_so_do_close_codes(proxy, prefix):
    url = f"wss://127.0.0.1:{proxy.port}{prefix}"
    with Client(f"{url}/echo", ca=certificate().authority) as ws:
        for message in ("text", b"octets", "", bytes(1_000_000)):
            ws.send(message)
            assert ws.receive(PATIENCE) == message
    with Client(f"{url}/leave", ca=certificate().authority) as ws:
        assert ws.receive(PATIENCE) == "before"
        assert ws.wait_closed(PATIENCE)
        assert (ws.close_code, ws.close_reason) == (4002, "enough")
    with Client(f"{url}/note-close", ca=certificate().authority) as ws:
        ws.close(4001, "bored")
        assert ws.wait_closed(PATIENCE)
    with Client(f"{url}/closes", ca=certificate().authority) as ws:
        assert ws.receive(PATIENCE) == "4001 bored"


@pytest.mark.parametrize("prefix", PREFIXES)
def test_events_come_one_by_one(proxy, prefix):
    with Network(ca=certificate().authority).session() as session:
        url = f"https://127.0.0.1:{proxy.port}{prefix}/ticks"
        began = time.monotonic()
        with EventSourceClient(url, session=session) as events:
            arrivals = []
            for event in events:
                arrivals.append(time.monotonic() - began)
                if event.data == "3":
                    break
    # Half a second between two of them; held back, they would come together.
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    assert min(gaps) > 0.2


@pytest.mark.parametrize("scheme, path", [("wss", "/echo"), ("https", "/slow-feed")])
def test_a_check_finds_nothing_wrong(proxy, scheme, path):
    url = f"{scheme}://127.0.0.1:{proxy.port}{path}"
    network = Network(ca=certificate().authority)
    found = list(diagnose(Question(url, idle=2.5, network=network)))
    assert [each for each in found if each.is_fine is False] == []
    assert found[-1].topic in ("silence", "other origins")


# --- gunicorn's settings and the unit -------------------------------------------------------------


def test_a_reload_with_these_settings_tells_clients_and_serves_on(tmp_path):
    settings = str(ROOT / "deploy" / "gunicorn.conf.py")
    command = [sys.executable, "-m", "gunicorn", "--config", settings]
    command += ["--bind", "127.0.0.1:0", APP]
    with spawn_until("Booting worker", command, tmp_path / "gunicorn.log") as server:
        port = int(re.search(r"Listening at: \S+:(\d+) ", server.log())[1])
        with Peer(("127.0.0.1", port), "/echo") as peer:
            peer.say("hello")
            assert peer.read() == "hello"
            server.process.send_signal(signal.SIGHUP)
            assert peer.answer_close()[0] == 1001
        with Peer(("127.0.0.1", port), "/echo") as peer:
            peer.say("again")
            assert peer.read() == "again"
            assert peer.close() == (1000, "")


def test_the_unit_waits_longer_than_gunicorn_does():
    settings: dict = {}
    exec((ROOT / "deploy" / "gunicorn.conf.py").read_text(), settings)
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str
    unit.read(ROOT / "deploy" / "chat.service")
    service = unit["Service"]
    assert int(service["TimeoutStopSec"]) > settings["graceful_timeout"]
    assert "--config gunicorn.conf.py" in service["ExecStart"]
    assert service["ExecReload"].endswith("-HUP $MAINPID")
