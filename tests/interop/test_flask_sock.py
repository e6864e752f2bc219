"""Programs written for flask-sock run on Sock, with another import and no other change.

The first is the one that the package itself publishes; the others do what its further examples
do: routes before there is an application, and a thread that sends to all who are connected."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import textwrap
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.parts import require
from tests.support.peer import Peer
from tests.support.servers import Server, serve

SERVERS = ("werkzeug", "gunicorn-gthread", "gunicorn-gevent")
RELEASE = "flask-sock==0.0.5"  # the last whose description has a program in it

FACTORY = """
from flask import Blueprint, Flask
from flask_sock import Sock

sock = Sock()
pages = Blueprint("pages", __name__)


@pages.route("/")
def page():
    return "a page"


@sock.route("/echo")
def repeat(ws):
    while (text := ws.receive()) != "close":
        ws.send(text)


def make():
    app = Flask(__name__)
    app.register_blueprint(pages)
    sock.init_app(app)
    return app


app = make()
"""

CLOCK = """
import threading

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 25}
sock = Sock(app)
listeners = {}
strike = threading.Event()


def tell_the_time():
    while True:
        strike.wait()
        strike.clear()
        for key in list(listeners):
            try:
                listeners[key].send("noon")
            except Exception:
                del listeners[key]


@sock.route("/echo")
def listen(ws):
    listeners[id(ws)] = ws
    while True:
        text = ws.receive()
        if text == "strike":
            strike.set()
        else:
            ws.send(text)


threading.Thread(target=tell_the_time, daemon=True).start()
"""


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program in the description of flask-sock's package."""
    folder = tmp_path_factory.mktemp("flask-sock")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:")
    got = subprocess.run(
        [*pip, "--dest", folder, RELEASE], capture_output=True, text=True, timeout=120, check=False
    )
    archives = [*folder.glob("*.tar.gz")]
    require(RELEASE, None if archives else got.stderr.strip()[-200:] or "pip downloads none")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    (described,) = folder.glob("*/README.md")
    text = described.read_text(encoding="utf-8")
    return textwrap.dedent(text.partition("```python")[2].partition("```")[0])


@pytest.fixture(params=SERVERS)
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a program on a server."""
    with ExitStack() as stack:

        def start(program: str) -> Server:
            path = tmp_path / "program.py"
            path.write_text(program, encoding="utf-8")
            monkeypatch.setenv("FLASK_SOCK_PROGRAM", str(path))
            app = "tests.interop.flask_sock_app:application"
            return stack.enter_context(serve(request.param, app, tmp_path))

        yield start


def test_the_published_program_echoes(run, published):
    server = run(published)
    with Peer(server.address, "/echo") as peer, Peer(server.address, "/echo") as other:
        for number in range(3):
            peer.say(f"text {number}")
            other.say(b"octets")
            assert peer.read() == f"text {number}"
            assert other.read() == b"octets"
        assert peer.close() == (1000, "")
        assert other.close() == (1000, "")


def test_routes_that_were_made_before_the_application_are_served_beside_a_blueprint(run):
    server = run(FACTORY)
    assert server.get("/").text == "a page"
    with Peer(server.address, "/echo") as peer:
        peer.say("hello")
        assert peer.read() == "hello"
        peer.say("close")
        assert peer.answer_close() == (1000, "")


def test_a_thread_may_send_to_all_and_forgets_who_has_left(run):
    server = run(CLOCK)
    with Peer(server.address, "/echo") as first, Peer(server.address, "/echo") as second:
        for peer in (first, second):
            peer.say("here")
            assert peer.read() == "here"
        first.say("strike")
        assert first.read() == second.read() == "noon"
        assert second.close() == (1000, "")
        first.say("strike")
        assert first.read() == "noon"
        assert first.close() == (1000, "")
