"""Resources of Falcon: /style/what as in tests/support/app.py, answered with a status and nothing else."""

from __future__ import annotations

import falcon

from faye_sync import WebSocket
from tests.support.app import MISTAKES, STYLES


class Hello:
    def on_get(self, req, resp):
        resp.text = "hello"


class Start:
    def on_get(self, req, resp, what):
        ws = WebSocket(req.env)
        STYLES["start"](ws, what)
        resp.status = ws.status_code


class Callbacks:
    def on_get(self, req, resp, what):
        ws = WebSocket(req.env)
        STYLES["callbacks"](ws, what)
        ws.start()
        resp.status = ws.status_code


class Attached:
    def on_get(self, req, resp, what):
        with WebSocket(req.env) as ws:
            STYLES["attached"](ws, what)
        resp.status = ws.status_code


class Forbidden:
    def on_get(self, req, resp):
        raise falcon.HTTPForbidden(description="members only")


class Mistake:
    def on_get(self, req, resp, name):
        MISTAKES[name](WebSocket(req.env))


class RequestPassed:
    def on_get(self, req, resp):
        WebSocket(req)


application = falcon.App()
application.add_route("/hello", Hello())
application.add_route("/start/{what}", Start())
application.add_route("/callbacks/{what}", Callbacks())
application.add_route("/attached/{what}", Attached())
application.add_route("/forbidden", Forbidden())
application.add_route("/mistakes/{name}", Mistake())
application.add_route("/mistakes/request", RequestPassed())
