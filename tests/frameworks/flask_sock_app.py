"""Views of a Flask application that Sock serves, as users of flask-sock write them, and newer ones."""

from __future__ import annotations

import os

from flask import (
    Blueprint,
    Flask,
    after_this_request,
    g,
    got_request_exception,
    make_response,
    request,
    session,
)
from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker
from sqlalchemy.pool import QueuePool

from faye_sync.contrib.flask import ConnectionClosed, Sock, WebSocket

app = Flask(__name__)
app.secret_key = "not a secret"
app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 25, "subprotocols": ["chat"]}
early = Sock()
bp = Blueprint("rooms", __name__, url_prefix="/rooms")


def tell(text):
    """Say in the server's log what happened."""
    # In one piece: threads print their lines and the ends of them one by one.
    os.write(2, f"told: {g.get('path')} {text}\n".encode())


@early.route("/early")
def routed_before_there_is_an_app(ws):
    ws.send("early")


early.init_app(app)
sock = Sock(app)


@app.before_request
def who():
    g.path = request.path
    g.user = request.args.get("user", "nobody")
    if request.path.startswith("/private") and g.user == "nobody":
        return "who are you?", 401
    return None


@app.after_request
def mark(response):
    response.headers["X-After"] = "yes"
    return response


@app.teardown_request
def leave(error):
    tell(f"request {g.user} {error!r}")


@app.teardown_appcontext
def leave_app(error):
    if "noted" in g:
        tell(f"app {g.noted} {error!r}")


@got_request_exception.connect_via(app)
def failed(sender, exception, **_):
    tell(f"failed {exception!r}")


@app.route("/page")
def page():
    return "a page"


# --- as for flask-sock --------------------------------------------------------------------------------


@sock.route("/echo")
def echo(ws):
    while True:
        ws.send(ws.receive())


@sock.route("/members")
def members(ws):
    ws.send(ws.receive(timeout=0) is None)
    ws.send(5)
    ws.send({"a": 1})
    ws.send(b"octets")
    ws.send(f"{ws.connected} {ws.subprotocol}")
    ws.close(reason=1008, message="x")
    ws.close()
    tell(f"connected {ws.connected}")


@sock.route("/closed")
def closed(ws):
    try:
        ws.receive()
    except ConnectionClosed as error:
        tell(f"closed {error.reason} {error.message!r} {ws.close_reason} {ws.close_message!r}")
        try:
            ws.send("too late")
        except ConnectionClosed as late:
            tell(f"unsent {late.reason}")


@sock.route("/<room>", bp=bp)
def join(ws, room):
    ws.send(room)


app.register_blueprint(bp)


@sock.route("/private/<int:number>")
def private(ws, number):
    g.noted = f"{g.user}'s"
    ws.send(f"{number + 1} {request.path} {g.user} {session.get('name', 'no name')}")
    ws.receive()


@sock.route("/broken")
def broken(ws):
    raise LookupError("of the view")


@sock.route("/coroutine")
async def coroutine(ws):
    ws.send(request.path)


engine = create_engine(
    "sqlite://",
    connect_args={"check_same_thread": False},
    poolclass=QueuePool,
    pool_size=5,
    max_overflow=0,
    pool_timeout=20,
)
db = scoped_session(sessionmaker(engine))


@sock.route("/pooled", release=db.remove)
def pooled(ws):
    ws.send(str(db.scalar(text("select 1"))))
    ws.send(str(db.scalar(text("select :value"), {"value": int(ws.receive())})))
    ws.receive()


@app.route("/pool")
def pool():
    try:
        return str(db.scalar(text("select 3")))
    finally:
        db.remove()


# --- cookies, and other answers ---------------------------------------------------------------------


@sock.route("/session")
def with_session(ws):
    ws.send(session["seen"])


@app.before_request
def see():
    if request.path == "/session":
        session["seen"] = "yes"


@app.route("/replaced", websocket=True)
def replaced():
    after_this_request(lambda _: make_response("instead", 409))
    return WebSocket(request).start(lambda ws: ws.send("never"))


@app.route("/fails-after", websocket=True)
def fails_after():
    failures = iter([LookupError("after the request")])

    @after_this_request
    def fail(response):
        for failure in failures:
            raise failure
        return response

    return WebSocket(request).start(lambda ws: ws.send("never"))


@app.route("/rejected", websocket=True)
def rejected():
    ws = WebSocket(request)
    ws.reject(403, "not you")
    return ws


# --- the native WebSocket -----------------------------------------------------------------------------


@sock.route("/native", native=True)
def native(ws):
    try:
        ws.receive(timeout=0)
    except TimeoutError:
        ws.send("TimeoutError")
    for message in ws:
        ws.send(message)


@app.route("/callbacks", websocket=True)
def callbacks():
    g.noted = "callbacks"
    ws = WebSocket(request)

    @ws.on("message")
    def answer(event):
        if event.data == "fail":
            raise LookupError("of a listener")
        g.count = g.get("count", 0) + 1
        ws.send(f"{request.path} {g.user} {g.count}")

    @ws.on("close")
    def end(event):
        tell(f"close {event.code}")

    return ws


@app.route("/started", websocket=True)
def started():
    ws = WebSocket(request)
    ws.on("message", lambda event: ws.send(f"{event.data} {g.user}"))
    return ws.start()


@sock.route("/said-twice", websocket=True)
def said_twice(ws):
    ws.send("once")


@app.route("/attached", websocket=True)
def attached():
    ws = WebSocket(request, detach=False)
    ws.send("before")
    for message in ws:
        ws.send(f"{message} {g.user}")
    return ws


@app.route("/welcome", websocket=True)
def welcome():
    session["late"] = "yes"
    ws = WebSocket(request)
    ws.send("welcome")
    return ws.start(lambda ws: ws.send(g.user))


# --- event streams ------------------------------------------------------------------------------------


@sock.events("/feed")
def feed():
    g.noted = "feed"
    try:
        yield f"{request.path} {g.user}"
        yield {"data": "named", "event": "name"}
    finally:
        tell(f"end {g.user}")


@sock.events("/feed/broken", stream_options={"retry": None})
def broken_feed():
    yield "one"
    raise LookupError("of the feed")


@sock.events("/feed/none")
def no_feed():
    return "not you", 403


@app.after_request
def replace(response):
    if request.path == "/feed" and g.user == "refused":
        return make_response("instead", 409)
    return response


application = app
