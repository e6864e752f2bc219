"""Echo and chat over WebSocket, in one Flask application.

Run it and open the address it prints in two tabs:

    python examples/flask_echo.py

Any threaded WSGI server will do, for example:

    gunicorn --worker-class gthread --threads 4 examples.flask_echo:app
"""

import argparse
import itertools
import json
import threading

from flask import Flask, request

from faye_sync import WebSocket, broadcast

app = Flask(__name__)


@app.route("/")
def page():
    return app.send_static_file("flask_echo.html")


# Each address has two rules: Flask gives WebSocket requests to the first and all others to the
# second, where WebSocket answers with a hint instead of Flask's bare 400.


@app.route("/echo", websocket=True)
@app.route("/echo")
def echo():
    return WebSocket(request).start(repeat)


def repeat(ws):
    for message in ws:
        ws.send(message)


@app.route("/chat", websocket=True)
@app.route("/chat")
def chat():
    name = request.args.get("name", "").strip()[:30] or "Somebody"
    ws = WebSocket(request, max_length=4096)

    @ws.on("open")
    def join(event):
        room.add(ws)
        room.tell("join", name)

    @ws.on("message")
    def say(event):
        if isinstance(event.data, str):
            room.tell("say", name, event.data)
        else:
            ws.close(1003, "this room takes text only")

    @ws.on("close")
    def leave(event):
        if room.remove(ws):
            room.tell("leave", name)

    return ws


class Room:
    """The connections that share a conversation; safe to use from any thread."""

    def __init__(self):
        self._members = set()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, ws):
        with self._lock:
            self._members.add(ws)

    def remove(self, ws):
        """Return whether ws was here: a refused request closes without ever having joined."""
        with self._lock:
            was_here = ws in self._members
            self._members.discard(ws)
            return was_here

    def tell(self, kind, name, text=""):
        with self._lock:
            members, number = tuple(self._members), next(self._numbers)
        # Sent outside the lock, so that nobody ever waits for it. The number lets the page see
        # which of two counts is the newer one.
        news = {"number": number, "present": len(members), "kind": kind, "name": name, "text": text}
        broadcast(members, json.dumps(news))


room = Room()

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    app.run("127.0.0.1", parser.parse_args().port, threaded=True)
