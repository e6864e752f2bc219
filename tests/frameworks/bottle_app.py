"""Views of Bottle: /style/what as in tests/support/app.py, answered with a status and nothing else."""

from __future__ import annotations

from bottle import Bottle, request, response

from faye_sync import WebSocket
from tests.support.app import MISTAKES, STYLES

application = Bottle()


@application.route("/hello")
def hello():
    return "hello"


@application.route("/start/<what>")
def start(what):
    ws = WebSocket(request)
    STYLES["start"](ws, what)
    response.status = ws.status_code


@application.route("/callbacks/<what>")
def callbacks(what):
    ws = WebSocket(request)
    STYLES["callbacks"](ws, what)
    ws.start()
    response.status = ws.status_code


@application.route("/attached/<what>")
def attached(what):
    with WebSocket(request) as ws:
        STYLES["attached"](ws, what)
    response.status = ws.status_code


@application.route("/mistakes/<name>")
def forget(name):
    MISTAKES[name](WebSocket(request))


def mounted(environ, start_response):
    ws = WebSocket(environ)
    what = environ["PATH_INFO"].strip("/")
    STYLES["start"](ws, what)
    return ws(environ, start_response)


application.mount("/mounted", mounted)
