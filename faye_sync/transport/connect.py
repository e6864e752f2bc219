"""A tunnel through an HTTP proxy, by CONNECT (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import h11

from faye_sync.driver.handshake import Pairs
from faye_sync.errors import HandshakeError, ProxyError
from faye_sync.transport.answer import AnswerReader, Head, new_exchange, request_octets
from faye_sync.transport.pipe import Pipe

_ADVICE = {
    403: "; many proxies allow CONNECT to port 443 only",
    405: "; it may allow no CONNECT at all",
    407: "; it wants a user name and a password, as in http://user:password@proxy",
}


def connect_by_http(pipe: Pipe, who: str, headers: Pairs, host: str, port: int) -> None:
    """Have an HTTP proxy connect to a server.

    Args:
        pipe: To the proxy; leads to the server afterwards.
        who: The proxy, for the texts of errors.
        headers: More headers for the proxy.
        host: Of the server, without brackets.
        port: Of the server.

    Raises:
        ProxyError: It did not; with its answer, if it gave one.
        ConfigurationError: The host cannot stand in a request.
        OSError: As the pipe raises it, TimeoutError too.
    """
    target = _authority(host, port)
    fields = (("Host", target), *headers)
    pipe.send_all(request_octets(new_exchange(), "CONNECT", target, fields))
    reader = AnswerReader(_expecting_any(), pipe, who)
    head = _head(reader)
    if not 200 <= head.status < 300:
        text = f"{who} answered {head.said} to CONNECT {target}"
        advice = "" if port == 443 and head.status == 403 else _ADVICE.get(head.status, "")
        raise _refusal(text + advice, head, reader.body())
    if reader.trailing:
        # The server speaks second in TLS and HTTP alike, so these are nobody's.
        raise _refusal(f"{who} sent octets behind its answer to CONNECT {target}", head)


def _expecting_any() -> h11.Connection:
    """Make a reader of answers that leaves the judging of the status to its caller."""
    exchange = new_exchange()
    # Of a 101 that no Upgrade asked for, h11 would tell nothing but that.
    asking = (("Host", "proxy"), ("Connection", "upgrade"), ("Upgrade", "any"))
    request_octets(exchange, "GET", "/", asking)
    return exchange


def _head(reader: AnswerReader) -> Head:
    try:
        return reader.head()
    except HandshakeError as error:
        raise ProxyError(str(error)) from error


def _refusal(text: str, head: Head, body: bytes = b"") -> ProxyError:
    return ProxyError(text, head.status, head.headers(), body)


def _authority(host: str, port: int) -> str:
    # The zone of an address means something on this machine only (RFC 6874 section 1).
    host = host.partition("%")[0]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
