"""Views of Flask: /style/what as in tests/support/app.py, a blueprint, and what users get wrong."""

from __future__ import annotations

from io import BytesIO

from flask import Blueprint, Flask, abort, copy_current_request_context, request, session
from flask.views import MethodView

from faye_sync import HijackError, WebSocket
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
