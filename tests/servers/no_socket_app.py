"""What servers without a socket serve: every path makes a WebSocket of its request, but /streams/.

HijackError becomes a 501 that says the error's text, except under /uncaught. GET /hello and
/environ answer questions, and so does any request with an X-Environ header, a handshake too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from faye_sync import HijackError, WebSocket
from tests.servers import stream_app


def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/hello":
        return answer("200 OK", "hello", start_response)
    if path == "/environ" or "HTTP_X_ENVIRON" in environ:
        return answer("200 OK", json.dumps(described(environ)), start_response)
    try:
        if path.startswith("/streams/"):
            return stream_app.application(environ, start_response)
        ws = WebSocket(environ)
    except HijackError as error:
        if path == "/uncaught":
            raise
        return answer("501 Not Implemented", str(error), start_response)
    ws.on("message", lambda event: ws.send(event.data))
    return ws(environ, start_response)


def answer(status: str, text: str, start_response: Callable) -> list[bytes]:
    body = text.encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def described(environ: dict) -> dict[str, str]:
    """The environ, other than what the request and the process's own environment put there."""
    return {
        name: value
        if isinstance(value, str)
        else f"{type(value).__module__}.{type(value).__qualname__}"
        for name, value in environ.items()
        if not name.startswith("HTTP_")
    }
