"""Views of Flask: /style/what as in tests/support/app.py, a blueprint, and what users get wrong."""

from __future__ import annotations

from io import BytesIO

from flask import (
    Blueprint,
    Flask,
    abort,
    after_this_request,
    copy_current_request_context,
    make_response,
    request,
    session,
    stream_with_context,
)
from flask.views import MethodView

from faye_sync import EventSource, HijackError, WebSocket
from tests.support.app import MISTAKES, STYLES, echo

app = Flask(__name__)
app.secret_key = "not a secret"
blueprint = Blueprint("rooms", __name__, url_prefix="/rooms")


@app.route("/hello")
def hello():
    return "hello"


@app.route("/<style>/<what>", websocket=True)
@app.route("/<style>/<what>")
def view(style, what):
    ws = WebSocket(request)
    STYLES[style](ws, what)
    return ws


@blueprint.route("/<room>", websocket=True)
@blueprint.route("/<room>")
def join(room):
    def talk(ws):
        for message in ws:
            ws.send(f"{room}: {message}")

    return WebSocket(request).start(talk)


app.register_blueprint(blueprint)


@app.route("/session", websocket=True)
@app.route("/session")
def in_session():
    session["seen"] = "yes"
    ws = WebSocket(request, headers={"Set-Cookie": "own=yes; Path=/"})
    return ws.start(lambda ws: ws.send("seen"))


@app.route("/aborted", websocket=True)
def aborted():
    abort(418)


@app.route("/slash/", websocket=True)
def with_slash():
    return WebSocket(request).start(echo)


@app.route("/coroutine", websocket=True)
async def coroutine():
    return WebSocket(request).start(echo)


class Chat(MethodView):
    def get(self):
        return WebSocket(request).start(echo)


app.add_url_rule("/class", view_func=Chat.as_view("chat"), websocket=True)


# --- contexts -----------------------------------------------------------------------------------------


@app.route("/context/none", websocket=True)
def without_context():
    return WebSocket(request).start(lambda ws: ws.send(request.path))


@app.route("/context/copied", websocket=True)
def with_context():
    @copy_current_request_context
    def talk(ws):
        for _ in ws:
            ws.send(f"{request.path}, asked by {session.get('name', 'nobody')}")

    return WebSocket(request).start(talk)


# --- event streams ------------------------------------------------------------------------------------


def welcoming():
    es = EventSource(request)
    es.send("welcome")
    return es


@app.route("/events/session")
def events_in_session():
    session["seen"] = "yes"
    return welcoming()


@app.route("/events/replaced")
def events_replaced():
    after_this_request(lambda _: make_response("instead", 409))
    return welcoming()


@app.route("/events/broken")
def events_broken():
    # Once: Flask calls it again for the page that tells of it.
    failures = iter([LookupError("after the request")])

    @after_this_request
    def fail(response):
        for failure in failures:
            raise failure
        return response

    return welcoming()


@app.route("/events/context")
def events_in_context():
    def paths():
        yield request.path
        yield session.get("name", "nobody")

    return EventSource.stream(request, stream_with_context(paths()), detach=False)


# --- mistakes -----------------------------------------------------------------------------------------


@app.route("/mistakes/<name>", websocket=True)
def forget(name):
    MISTAKES[name](WebSocket(request))


@app.route("/without-websocket")
def without_websocket():
    return WebSocket(request).start(echo)


@app.route("/hidden/socket", websocket=True)
def hidden():
    return WebSocket(request).start(echo)


@app.errorhandler(HijackError)
def explain(error):
    return str(error), 501


def application(environ, start_response):
    if environ["PATH_INFO"].startswith("/hidden/"):
        # As a middleware that makes an environ of its own does.
        environ = {name: value for name, value in environ.items() if "socket" not in name}
        environ["wsgi.input"] = BytesIO()
    return app(environ, start_response)
