"""npm's ws against the library's servers: one run of ws_client.js for each server and style."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interop.messages import SIZES
from tests.interop.served import PAIRS, Served
from tests.support.parts import require

pytestmark = pytest.mark.node

SCRIPT = Path(__file__).with_name("ws_client.js")
PACKAGE = Path(__file__).parents[2] / "node_modules" / "ws"
PATIENCE = 10.0  # seconds that each trial may take

require("node", None if shutil.which("node") else "not on the path")
require("ws", None if PACKAGE.exists() else "not installed, see `make setup`")


@pytest.fixture(scope="module", params=PAIRS)
def pair(request, started) -> Served:
    name, style = request.param
    return Served(started(name), style)


@pytest.fixture(scope="module")
def seen(pair) -> dict:
    """What the client saw, by the trial's name."""
    base = pair.server.ws(f"/{pair.style}")
    done = subprocess.run(
        ["node", str(SCRIPT), base, f"node-{pair.style}", str(PATIENCE)],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_messages_come_back_as_they_were_sent(seen):
    assert seen["messages"] == {
        f"{kind}-{size}": True for size in SIZES for kind in ("text", "octets")
    }


def test_fragments_come_back_as_one_message_and_a_ping_within_is_answered(seen):
    assert seen["fragments"] == {"pong": "within", "message": "one two three"}


def test_a_ping_is_answered_with_its_own_payload(seen):
    assert seen["ping"] == "p" * 125


def test_a_close_of_the_client_is_learned_by_both(seen, pair):
    assert seen["clientCloses"] == 4001
    assert pair.closed(f"node-{pair.style}-clientCloses") == [4001, "bis später", True, "peer"]


def test_a_close_of_the_server_is_learned_by_both(seen, pair):
    assert seen["serverCloses"] == [4003, "bis später"]
    code, _, was_clean, cause = pair.closed(f"node-{pair.style}-serverCloses")
    assert (code, was_clean, cause) == (4003, True, "local")


def test_a_subprotocol_is_agreed_on(seen):
    assert seen["subprotocol"] == "chat"


def test_compression_is_offered_and_not_taken_up(seen):
    assert seen["compression"] == {
        "offered": "permessage-deflate; client_max_window_bits",
        "answered": None,
        "comesBack": True,
    }
