"""Views of Pyramid: /style/what as in tests/support/app.py, answered in the two ways there are."""

from __future__ import annotations

from pyramid.config import Configurator
from pyramid.response import Response

from faye_sync import WebSocket
from tests.support.app import MISTAKES, STYLES


def hello(request):
    return Response("hello")


def start(request):
    """Answer with a status and nothing else."""
    ws = WebSocket(request)
    STYLES["start"](ws, request.matchdict["what"])
    return Response(status=ws.status_code)


def callbacks(request):
    ws = WebSocket(request)
    STYLES["callbacks"](ws, request.matchdict["what"])
    ws.start()
    return Response(status=ws.status_code)


def attached(request):
    with WebSocket(request) as ws:
        STYLES["attached"](ws, request.matchdict["what"])
    return Response(status=ws.status_code)


def whole(request):
    """Let the connection answer as the WSGI application that it is."""
    ws = WebSocket(request)
    STYLES["start"](ws, request.matchdict["what"])
    return request.get_response(ws)


def forget(request):
    MISTAKES[request.matchdict["name"]](WebSocket(request))
    return Response()


def return_it(request):
    return WebSocket(request)


with Configurator() as config:
    for view, path in (
        (hello, "/hello"),
        (start, "/start/{what}"),
        (callbacks, "/callbacks/{what}"),
        (attached, "/attached/{what}"),
        (whole, "/whole/{what}"),
        (return_it, "/mistakes/returned"),
        (forget, "/mistakes/{name}"),
    ):
        config.add_route(path, path)
        config.add_view(view, route_name=path)
    application = config.make_wsgi_app()
