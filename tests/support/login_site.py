"""A Flask site with a login, whose WebSockets know who is there.

POST /login         takes name and password, and sets the cookie "user"
/me                 says in JSON what came: cookies, headers, query
/ws                 says the same as the first message, then echoes; its 101 sets the cookie "met"
/basic/ws           the same behind Basic authentication (RFC 7617)
/digest/ws          the same behind Digest authentication, with SHA-256 or MD5 (RFC 7616)
/bearer/ws          the same behind a token (RFC 6750)
/moved              leads to /ws
/open               says how many WebSockets are open
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from hashlib import md5, sha256

from flask import Flask, redirect, request
from werkzeug.http import parse_dict_header

from faye_sync import WebSocket

NAME, PASSWORD, TOKEN = "Ada", "pass:wörd", "a-token"
REALM = "the site"

app = Flask(__name__)


# --- who is there -------------------------------------------------------------------------------------


@app.post("/login")
def login():
    if (request.form["name"], request.form["password"]) != (NAME, PASSWORD):
        return "who are you?", 401
    answer = redirect("/me", 303)
    answer.set_cookie("user", NAME, secure=True, httponly=True)
    return answer


@app.get("/me")
def me():
    return seen()


def seen() -> dict:
    return {
        "cookies": dict(request.cookies),
        "headers": [[name.lower(), value] for name, value in request.headers],
        "query": [list(pair) for pair in request.args.items(multi=True)],
    }


# --- WebSockets ---------------------------------------------------------------------------------------

met = set()
met_lock = threading.Lock()


@app.route("/ws", websocket=True)
def ws():
    if "user" in request.args and "user" not in request.cookies:
        return "log in first", 403
    return open_websocket()


def open_websocket() -> WebSocket:
    text = json.dumps(seen())
    ws = WebSocket(request, headers=[("Set-Cookie", "met=yes; Path=/; Secure; HttpOnly")])

    def talk(ws: WebSocket) -> None:
        ws.send(text)
        for message in ws:
            ws.send(message)

    @ws.on("open")
    def come(event):
        with met_lock:
            met.add(ws)

    @ws.on("close")
    def go(event):
        with met_lock:
            met.discard(ws)

    return ws.start(talk)


@app.get("/open")
def count_open():
    with met_lock:
        return {"open": len(met)}


@app.route("/moved", websocket=True)
def moved():
    return redirect("/ws", 302)


# --- authentication -----------------------------------------------------------------------------------


@app.route("/basic/ws", websocket=True)
def basic():
    given = request.authorization
    if given and given.type == "basic" and (given.username, given.password) == (NAME, PASSWORD):
        return open_websocket()
    return challenged(f'Basic realm="{REALM}", charset="UTF-8"')


@app.route("/bearer/ws", websocket=True)
def bearer():
    if request.headers.get("Authorization") == f"Bearer {TOKEN}":
        return open_websocket()
    return challenged(f'Bearer realm="{REALM}"')


@app.route("/digest/ws", websocket=True)
def digest():
    hash_name = request.args.get("algorithm", "SHA-256")
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "digest" and is_right(parse_dict_header(rest), HASHES[hash_name]):
        return open_websocket()
    nonce = secrets.token_hex(16)
    nonces[nonce] = 0
    return challenged(
        f'Digest realm="{REALM}", qop="auth", algorithm={hash_name}, nonce="{nonce}", opaque="o"'
    )


def challenged(challenge: str) -> tuple:
    return "who are you?", 401, {"WWW-Authenticate": challenge, "Set-Cookie": "asked=yes; Secure"}


HASHES = {"SHA-256": sha256, "MD5": md5}
nonces: dict[str, int] = {}
"""How often each was used: RFC 7616 3.4 has the client count."""


def is_right(given: dict, hash_function) -> bool:
    """Check the answer to a challenge: RFC 7616 3.4.1."""

    def digest_of(*parts: str) -> str:
        return hash_function(":".join(parts).encode()).hexdigest()

    nonce, count = given["nonce"], int(given["nc"], 16)
    target = request.full_path if request.query_string else request.path
    if nonce not in nonces or count != nonces[nonce] + 1 or given["uri"] != target:
        return False
    nonces[nonce] = count
    secret = digest_of(NAME, REALM, PASSWORD)
    what = digest_of(request.method, given["uri"])
    wanted = digest_of(secret, nonce, given["nc"], given["cnonce"], given["qop"], what)
    return given["username"] == NAME and hmac.compare_digest(wanted, given["response"])
