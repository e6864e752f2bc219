"""A WebSocket and an event stream beside a Bottle application.

gunicorn --worker-class gthread examples.with_bottle:application
"""

import time

from bottle import Bottle

from faye_sync.contrib.wsgi import Router

app = Bottle()
application = Router(app)


@app.route("/")
def page():
    return "a page of Bottle"


@application.route("/echo/<name>")
def echo(ws, name):
    for message in ws:
        ws.send(f"{name}: {message}")


@application.events("/clock")
def clock(es):
    while True:
        yield time.ctime()
        time.sleep(1)
