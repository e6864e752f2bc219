"""Echo in plain WSGI, once in each of the three styles.

Run it and connect with any WebSocket client, for example to ws://127.0.0.1:8000/start:

    python examples/wsgi_echo.py
"""

import argparse

from werkzeug.exceptions import NotFound
from werkzeug.serving import run_simple
from werkzeug.wrappers import Response

from faye_sync import WebSocket

INDEX = """\
Three WebSocket echoes:

/callbacks  listeners; the call ends at once, the connection lives on
/start      blocking code on a thread of the library's own; the worker is free at once
/blocking   blocking code in the server's own thread
"""


def callbacks(environ, start_response):
    ws = WebSocket(environ)
    ws.on("message", lambda event: ws.send(event.data))
    return ws(environ, start_response)


def start(environ, start_response):
    return WebSocket(environ).start(repeat)(environ, start_response)


def repeat(ws):
    for message in ws:
        ws.send(message)


def blocking(environ, start_response):
    ws = WebSocket(environ)
    for message in ws:
        ws.send(message)
    return ws(environ, start_response)


ROUTES = {
    "/": Response(INDEX, mimetype="text/plain"),
    "/callbacks": callbacks,
    "/start": start,
    "/blocking": blocking,
}


def application(environ, start_response):
    return ROUTES.get(environ["PATH_INFO"], NotFound())(environ, start_response)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    run_simple("127.0.0.1", parser.parse_args().port, application, threaded=True)
