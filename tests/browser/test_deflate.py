"""Compression with Chromium: what it agrees on, and that messages come back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver

from tests.interop.deflating import parameters, records
from tests.support.servers import Server, serve

pytestmark = pytest.mark.browser

APP = "tests.support.deflate_app:application"
PATIENCE = 20.0  # seconds until what never comes is a failure

# Called back with what it saw. Every message is sent at once, and compared where it comes back.
SCRIPT = """
const [url, records, done] = arguments;
const text = (size) => "aé€😀".repeat(size / 10) + "z".repeat(size % 10);
const octets = (size) => Uint8Array.from({ length: size }, (_, at) => (at * 7919) % 251);
const sizes = [0, 1, 125, 126, 65535, 65536, 1 << 20];
const messages = [...sizes.map(text), ...sizes.map(octets), ...records];
const seen = { extensions: null, wrong: [], code: null };
const socket = new WebSocket(url);
socket.binaryType = "arraybuffer";

function isSame(sent, came) {
  if (typeof sent === "string") return sent === came;
  const octets = new Uint8Array(came);
  return sent.length === octets.length && sent.every((octet, at) => octet === octets[at]);
}

let next = 0;
socket.onopen = () => {
  seen.extensions = socket.extensions;
  messages.forEach((message) => socket.send(message));
};
socket.onmessage = ({ data }) => {
  if (!isSame(messages[next], data)) seen.wrong.push(next);
  if (++next === messages.length) socket.close(1000);
};
socket.onclose = ({ code }) => done({ ...seen, code, missing: messages.length - next });
"""

BOTH_FORGET = {"server_no_context_takeover", "client_no_context_takeover"}
TERMS = {
    "default": set(),
    "forgetting": BOTH_FORGET,
    # It does not speak of the server's window, so neither does the server.
    "bits-9": {"client_max_window_bits=9"},
    "threshold-0": set(),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("werkzeug", APP, tmp_path_factory.mktemp("deflate")) as server:
        yield server


@pytest.fixture
def page(chromium: webdriver.Chrome, server: Server) -> Iterator[webdriver.Chrome]:
    """A tab with a page of the server, whose scripts may talk to it."""
    chromium.switch_to.new_window("tab")
    chromium.set_script_timeout(PATIENCE)
    yield chromium
    chromium.close()
    chromium.switch_to.window(chromium.window_handles[0])


@pytest.mark.parametrize(
    "style, terms",
    [("callbacks", "default"), ("attached", "default"), *(("start", terms) for terms in TERMS)],
)
def test_messages_come_back_compressed(page, server, style, terms):
    page.get(f"http://127.0.0.1:{server.port}/")
    seen = page.execute_async_script(SCRIPT, server.ws(f"/{style}/{terms}/echo"), records())
    assert parameters(seen.pop("extensions")) == TERMS[terms]
    assert seen == {"wrong": [], "code": 1000, "missing": 0}
