"""The documentation builds without a warning, and what its pages show runs."""

from __future__ import annotations

import subprocess
import sys
from queue import Queue
from types import SimpleNamespace

import pytest

from faye_sync import WebSocket
from faye_sync.testing import connect, events
from tests.support import states_page
from tests.support.kinds import ROOT
from tests.support.pages import programs

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.rst"))
PATIENCE = 20.0  # seconds to wait for what should come at once
BUILD = 110.0  # seconds for a build


def blocks(page: str) -> list[str]:
    """The programs of a page, in order."""
    return programs(DOCS / f"{page}.rst")


def run(block: str, names: dict) -> dict:
    exec(compile(block, "docs", "exec"), names)
    return names


def test_sphinx_builds_all_pages_without_a_warning(tmp_path):
    build = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", DOCS, tmp_path],
        capture_output=True,
        text=True,
        timeout=BUILD,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    assert (tmp_path / "index.html").exists()
    assert "faye_sync.WebSocket" in (tmp_path / "reference.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_python_block_is_python(page):
    for block in blocks(page.stem):
        compile(block, page.name, "exec")


def test_the_first_page_is_a_program():
    (program,) = blocks("index")
    app = run(program, {"__name__": "index"})["app"]
    with connect(app, "/echo") as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "hello"


def test_the_picture_of_the_states_is_that_of_the_table():
    assert states_page.PICTURE.read_text(encoding="utf-8") == states_page.picture(), (
        "run: make pictures"
    )
    steps = {(before.name, after.name) for before, after in states_page.steps()}
    assert steps == states_page.WORDS.keys()


# --- Flask --------------------------------------------------------------------------------------------


def test_flasks_page():
    first, database, native, listening = blocks("flask")
    names = run(first, {"__name__": "flask"})
    released = []
    names["db"] = SimpleNamespace(session=SimpleNamespace(remove=lambda: released.append(1)))
    names["rooms"] = {"a"}
    app = names["app"]
    # On an application of its own, so that both may route what they like.
    run(database, names)
    run(native, names)
    app.before_request(lambda: setattr(sys.modules["flask"].g, "user", "ann"))
    run(listening, names)
    with connect(app, "/echo") as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "hello"
    with connect(app, "/chat") as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "hello"
    assert released
    with connect(app, "/rooms/a") as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "ann: hello"
    with pytest.raises(Exception, match="404"):
        connect(app, "/rooms/b").connect()
    with events(app, "/clock") as stream:
        assert next(iter(stream)).data


# --- other frameworks ---------------------------------------------------------------------------------


def test_the_page_on_other_frameworks():
    (program,) = blocks("wsgi")
    application = run(program, {"__name__": "wsgi"})["application"]
    with connect(application, "/rooms/a") as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "a: hello"
    with events(application, "/clock") as stream:
        assert next(iter(stream)).data


DJANGO = """
from types import SimpleNamespace
from django.conf import settings
settings.configure(
    ROOT_URLCONF="__main__", ALLOWED_HOSTS=["localhost"], SECRET_KEY="x", LOGIN_URL="/login",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
)
import django
django.setup()
articles_about = lambda topic: [SimpleNamespace(title=topic, id=7)]
{program}
from django.core.wsgi import get_wsgi_application
from faye_sync import HandshakeError
from faye_sync.testing import connect, events
app = get_wsgi_application()
with events(app, "/news/cats") as stream:
    print([(event.data, event.last_event_id) for event in stream])
try:
    connect(app, "/chat/a").connect()
except HandshakeError as error:
    print(error.history[0].status_code, error.history[0].headers["Location"])
"""


def test_djangos_page():
    (program,) = blocks("django")
    done = subprocess.run(
        [sys.executable, "-c", DJANGO.format(program=program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert done.stdout == "[('cats', '7')]\n302 /login?next=/chat/a\n", done.stderr


# --- how to -------------------------------------------------------------------------------------------


def test_the_page_on_authentication():
    import flask

    _, members, by_token, by_header = blocks("authentication")
    app = flask.Flask(__name__)
    app.secret_key = "x"
    run(members, {"__name__": "auth", "app": app})
    with pytest.raises(Exception, match="401"):
        connect(app, "/members/chat").connect()
    client = app.test_client()
    with client.session_transaction() as session:
        session["user"] = "ann"
    with connect(app, "/members/chat", client=client) as ws:
        assert ws.receive(PATIENCE) == "welcome, ann"
    talk = run(by_token, {"user_of": {"secret": "ann"}.get})["talk"]

    def application(environ, start_response):
        return WebSocket(environ).start(talk)(environ, start_response)

    with connect(application) as ws:
        ws.send("secret")
        assert ws.receive(PATIENCE) == "welcome, ann"
    with connect(application) as ws:
        ws.send("another")
        assert ws.wait_closed(PATIENCE)
        assert (ws.close_code, ws.close_reason) == (1008, "unknown token")
    assert run(by_header, {"new_token": lambda: "t"})["ws"]


def test_the_page_on_scaling():
    room, relay = blocks("scaling")
    talk = run(room, {})["talk"]

    def application(environ, start_response):
        return WebSocket(environ).start(talk)(environ, start_response)

    with connect(application) as first, connect(application) as second:
        second.send("hello")
        assert first.receive(PATIENCE) == second.receive(PATIENCE) == "hello"
    sent = Queue()
    names = {"subscribe": lambda _: iter(["news"]), "__name__": "scaling"}
    run(relay.replace("broadcast(room, message)", "sent.put(message)"), {**names, "sent": sent})
    assert sent.get(timeout=PATIENCE) == "news"


def test_the_page_on_porting():
    server, client = blocks("porting")
    application = run(server, {})["application"]
    with connect(application) as ws:
        ws.send("hello")
        assert ws.receive(PATIENCE) == "hello"
    assert run(client, {"__name__": "porting"})["ws"]


def test_the_page_on_testing(pytester, monkeypatch):
    """Its tests pass, by an application that does what they say."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(
        chat="""
        from flask import Flask, request, session
        from faye_sync.contrib.flask import Sock
        from faye_sync import broadcast

        app = Flask(__name__)
        app.secret_key = "x"
        sock = Sock(app)
        room = set()

        @app.post("/login")
        def login():
            session["name"] = request.form["name"]
            return ""

        @sock.events("/news")
        def news():
            yield {"data": "more", "id": int(request.headers["Last-Event-ID"]) + 1}

        @sock.route("/chat", native=True)
        def chat(ws):
            if "name" in session:
                ws.send(f"welcome, {session['name']}")
            room.add(ws)
            try:
                while True:
                    try:
                        broadcast(room, ws.receive(timeout=60))
                    except TimeoutError:
                        ws.send("are you there?")
            finally:
                room.discard(ws)
        """
    )
    first, *rest = blocks("testing")
    *others, with_fixtures = rest
    head = "from chat import app\n"
    pages = {"test_first": first, "test_fixtures": head + with_fixtures.replace("3600", "30")}
    names = {f"test_{place}": head + connecting(block) for place, block in enumerate(others)}
    pytester.makepyfile(**pages, **names)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q")
    result.assert_outcomes(passed=5)


def connecting(block: str) -> str:
    return f"from faye_sync.testing import connect\n{block}"
