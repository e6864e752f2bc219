"""A WebSocket and an event stream beside a Falcon application.

gunicorn --worker-class gthread examples.with_falcon:application
"""

import time

import falcon

from faye_sync.contrib.wsgi import Router


class Page:
    def on_get(self, request, response):
        response.text = "a page of Falcon"


app = falcon.App()
app.add_route("/", Page())
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
