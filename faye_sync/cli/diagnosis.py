"""What is wrong with a deployment, found out from outside: as a client would meet it.

A finding is told as soon as it is there. Nothing is sent that an application
could act on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from faye_sync.cli import advice
from faye_sync.cli.network import Network
from faye_sync.client import Client
from faye_sync.driver.deflate import PerMessageDeflate
from faye_sync.errors import HandshakeError
from faye_sync.sse import CONTENT_TYPE
from faye_sync.transport.chunks import chunks_of

STRANGER = "https://faye-sync-check.invalid"

# Seconds that a stream may take for its first octets before it counts as held back.
FIRST = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: In a word or two.
        text: What was found.
        is_fine: Whether that is as it should be; None for what depends.
        cures: What to change, for each proxy that it may be.
    """

    topic: str
    text: str
    is_fine: bool | None = True
    cures: tuple[str, ...] = ()


@dataclass
class Question:
    """What is asked about.

    Attributes:
        url: With ws, wss, http or https.
        idle: Seconds of silence that have to pass without an end.
        open_timeout: Seconds for each connection to open.
        headers: More headers for each request.
        network: How the server is reached.
    """

    url: str
    idle: float = 65.0
    open_timeout: float = 10.0
    headers: list[tuple[str, str]] = field(default_factory=list)
    network: Network = field(default_factory=Network)


def diagnose(question: Question) -> Iterator[Finding]:
    """Look at a WebSocket, or with http or https at an event stream; what is wrong ends it early."""
    is_stream = urlsplit(question.url).scheme.lower() in ("http", "https")
    return look_at_stream(question) if is_stream else look_at_websocket(question)


# --- WebSockets ---------------------------------------------------------------------------------------


def look_at_websocket(question: Question) -> Iterator[Finding]:
    """Open a WebSocket in several ways, and let it be silent."""
    client = _client(question)
    began = time.monotonic()
    try:
        client.connect()
    except HandshakeError as error:
        yield explain(error)
        return
    except (OSError, TimeoutError) as error:
        yield unreachable(error)
        return
    took = 1000 * (time.monotonic() - began)
    server = client.headers.get("Server", "")
    with client:
        yield Finding("handshake", f"answered with 101 within {took:.0f} ms")
        yield _compression(client)
        yield from _origins(question, server)
        yield _silence(client, question.idle, server)


def explain(error: HandshakeError) -> Finding:
    """Say why a server did not open a WebSocket, by the answer it gave instead."""
    body = error.body.decode("utf-8", "replace").strip()
    first = body.splitlines()[0][:300] if body else ""
    server = "" if error.headers is None else error.headers.get("Server", "")
    if error.status_code is None:
        return Finding("handshake", f"{error}", False)
    if "needs HTTP/1.1" in body:
        cures = advice.lines_for(advice.HTTP_VERSION, server)
        return Finding("HTTP version", "the proxy asks the server by HTTP/1.0", False, cures)
    if error.status_code == 403:
        return Finding("refusal", f"403: {first or 'no reason given'}", False)
    if error.status_code in _MEANINGS:
        return Finding("handshake", f"{error.status_code}: {_MEANINGS[error.status_code]}", False)
    if error.status_code in (200, 400, 426):
        text = (
            f"the Upgrade header did not reach the application, which answered {error.status_code}"
        )
        text = f"{text}: {first}" if first and "<" not in first else text
        return Finding("Upgrade", text, False, advice.lines_for(advice.UPGRADE, server))
    return Finding("handshake", f"answered with {error.status_code} {first}".rstrip(), False)


_MEANINGS = {
    401: "credentials are wanted; give them with --header or in the URL",
    404: "there is no such path; a proxy may strip a prefix, or lead elsewhere",
    502: "the proxy reaches no server; is it running, and where the proxy looks for it?",
    503: "the server is overloaded, or the proxy knows none that is well",
    504: "the server behind the proxy did not answer in time",
}


def unreachable(error: OSError) -> Finding:
    """Say why there was no connection at all."""
    verdict = getattr(error, "verify_message", "")
    if verdict:
        return Finding("TLS", f"the certificate is not to be trusted: {verdict}", False)
    topic = "TLS" if type(error).__module__ == "ssl" else "connection"
    return Finding(topic, str(error) or type(error).__name__, False)


def _client(question: Question, *more: tuple[str, str]) -> Client:
    return Client(
        question.url,
        headers=[*question.headers, *more],
        extensions=[PerMessageDeflate],
        ping=None,
        open_timeout=question.open_timeout,
        **question.network.client_options(),
    )


def _compression(client: Client) -> Finding:
    if "permessage-deflate" in client.extensions:
        return Finding("compression", "permessage-deflate was agreed on")
    return Finding("compression", "none was agreed on; the application has to ask for it", None)


def _origins(question: Question, server: str) -> Iterator[Finding]:
    scheme = "https" if question.url.lower().startswith("wss") else "http"
    own = f"{scheme}://{urlsplit(question.url).netloc.rpartition('@')[2]}"
    if _opens(question, own):
        yield Finding("origin", f"pages of {own} may connect")
    else:
        text = f"pages of {own} itself are refused: the server is told another Host"
        yield Finding("origin", text, False, advice.lines_for(advice.HOST, server))
    if _opens(question, STRANGER):
        text = "pages of any origin may connect, with their visitors' cookies"
        yield Finding("other origins", text, None)
    else:
        yield Finding("other origins", "are refused")


def _opens(question: Question, origin: str) -> bool:
    try:
        with _client(question, ("Origin", origin)):
            return True
    except HandshakeError:
        return False


def _silence(client: Client, seconds: float, server: str) -> Finding:
    client.discard()
    began = time.monotonic()
    if not client.wait_closed(seconds):
        return Finding("silence", f"nothing ended the connection within {seconds:g} s")
    took = time.monotonic() - began
    if client.close_code not in (1005, 1006):
        text = f"the application closed with {client.close_code} after {took:.1f} s"
        return Finding("silence", text, None)
    text = f"the connection was cut after {took:.1f} s of silence"
    return Finding("silence", text, False, advice.lines_for(advice.SILENCE, server))


# --- event streams ------------------------------------------------------------------------------------


def look_at_stream(question: Question) -> Iterator[Finding]:
    """Ask for an event stream, and see whether its octets come as they are sent."""
    headers = {"Accept": CONTENT_TYPE, "Cache-Control": "no-cache", **dict(question.headers)}
    seconds = question.open_timeout
    with question.network.session() as session:
        try:
            answer = session.get(question.url, headers=headers, stream=True, timeout=seconds)
        except requests.exceptions.ReadTimeout:
            yield _held_back(f"no answer came within {seconds:g} s", "")
        except requests.exceptions.RequestException as error:
            yield Finding("connection", _plain(error), False)
        else:
            yield from _of_answer(answer, question)


def _of_answer(answer: requests.Response, question: Question) -> Iterator[Finding]:
    with answer:
        found = _of_head(answer)
        yield from found
        if all(each.is_fine is not False for each in found):
            yield from _of_octets(answer, question)


def _of_head(answer: requests.Response) -> list[Finding]:
    server = answer.headers.get("Server", "")
    kind = answer.headers.get("Content-Type", "none")
    if answer.status_code != 200:
        meaning = _MEANINGS.get(answer.status_code, answer.reason)
        return [Finding("answer", f"{answer.status_code}: {meaning}", False)]
    if not kind.lower().startswith(CONTENT_TYPE):
        return [Finding("answer", f"it is no event stream, its Content-Type is {kind}", False)]
    found = [Finding("answer", f"200, {CONTENT_TYPE}")]
    coding = answer.headers.get("Content-Encoding", "identity")
    if coding != "identity":
        text = f"it is compressed ({coding}), which holds events back until there are enough"
        cures = advice.lines_for(advice.COMPRESSION, server)
        found.append(Finding("compression", text, False, cures))
    if "no-cache" not in answer.headers.get("Cache-Control", ""):
        found.append(Finding("cache", "Cache-Control has no no-cache; a cache may keep it", None))
    return found


def _of_octets(answer: requests.Response, question: Question) -> Iterator[Finding]:
    server = answer.headers.get("Server", "")
    began = time.monotonic()
    arrivals = _arrivals(answer, began)
    _wait_at_most(answer, min(FIRST, question.idle))
    first = next(arrivals, None)
    if first is None:
        yield _held_back("no octet came behind the head", server)
        return
    yield Finding("buffering", f"the first octets came after {1000 * first:.0f} ms")
    last = first
    left = question.idle
    while left > 0:
        _wait_at_most(answer, left)
        came = next(arrivals, None)
        if came is None:
            break
        last, left = came, question.idle - came
    took = time.monotonic() - began
    if took >= question.idle or left <= 0:
        yield Finding("silence", f"nothing ended the stream within {question.idle:g} s")
        return
    text = f"the stream ended after {took:.1f} s, {took - last:.1f} s behind its last octets"
    yield Finding("silence", text, False, advice.lines_for(advice.STREAM_SILENCE, server))


def _held_back(what: str, server: str) -> Finding:
    text = f"{what}: a proxy holds events back, or the application says nothing at first"
    return Finding("buffering", text, False, advice.lines_for(advice.BUFFERING, server))


def _arrivals(answer: requests.Response, began: float) -> Iterator[float]:
    """Yield when octets came, in seconds; ends with the stream, or a wait."""
    try:
        for _ in chunks_of(answer):
            yield time.monotonic() - began
    except (OSError, requests.exceptions.RequestException, HTTPError):
        return


def _wait_at_most(answer: requests.Response, seconds: float) -> None:
    """Have the next read end after so long; the socket is below three layers."""
    connection: Any = getattr(answer.raw, "_connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        sock.settimeout(seconds)


def _plain(error: requests.exceptions.RequestException) -> str:
    """Take the reason out of what requests wraps it in."""
    cause: Any = error.args[0] if error.args else error
    return str(getattr(cause, "reason", cause))
