"""A WebSocket and an event stream beside a Pyramid application.

gunicorn --worker-class gthread examples.with_pyramid:application
"""

import time

from pyramid.config import Configurator
from pyramid.response import Response

from faye_sync.contrib.wsgi import Router


def page(request):
    return Response("a page of Pyramid")


with Configurator() as config:
    config.add_route("page", "/")
    config.add_view(page, route_name="page")
    app = config.make_wsgi_app()

application = Router(app)


@application.route("/echo/<name>")
def echo(ws, name):
    for message in ws:
        ws.send(f"{name}: {message}")


@application.events("/clock")
def clock(es):
    while True:
        yield time.ctime()
        time.sleep(1)
