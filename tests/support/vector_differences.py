"""Which cases of tests/driver/vectors are answered otherwise here, why, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.vector_player import Case
from tests.support.wire import CLOSE, frame


@dataclass(frozen=True)
class Difference:
    """What of a case is otherwise: of its steps, by their place, and of itself."""

    why: str
    steps: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    case: Mapping[str, Any] = field(default_factory=dict)

    def applied_to(self, case: Case) -> Case:
        changed = {**case, **self.case}
        if self.steps:
            steps = enumerate(case["steps"])
            changed["steps"] = [merged(step, self.steps.get(place, {})) for place, step in steps]
        return changed

    def lessened(self) -> Iterator[Difference]:
        """This without one of its parts, for each of them."""
        for place in self.steps:
            yield replace(self, steps=without(self.steps, place))
        for name in self.case:
            yield replace(self, case=without(self.case, name))


def without(mapping: Mapping[Any, Any], left_out: object) -> dict[Any, Any]:
    return {key: value for key, value in mapping.items() if key != left_out}


def merged(step: Mapping[str, Any], otherwise: Mapping[str, Any]) -> dict[str, Any]:
    """A step with other expectations; what leaves is either text or hex."""
    said = {"out", "out_text"}
    replaced = said if said & otherwise.keys() else set()
    return {**{name: step[name] for name in step if name not in replaced}, **otherwise}


def failing(code: int, text: str) -> dict[str, Any]:
    """What a step leads to that ends an open connection."""
    payload = code.to_bytes(2, "big") + text.encode()
    return {"out": frame(CLOSE, payload).hex(), **failed(code, text)}


def failed(code: int, text: str) -> dict[str, Any]:
    """What is told of it where nothing can be sent; a reason has 123 octets at most."""
    return {"events": [["error", text], ["close", code, text[:123]]]}


def refused(status: int, text: str) -> dict[str, Any]:
    """What the start of a request leads to that opens nothing."""
    told = {"returns": False, "state": "closed", "refusal": [status, text]}
    return {"out": "", **told, **failed(1002, text)}


def opening(head: str, then: str) -> dict[str, Any]:
    """What a command leads to that opens the connection first; then is what it sends, in hex."""
    return {"out": head.encode().hex() + then, "events": [["open"]]}


def no_text(version: str) -> dict[str, Any]:
    """What comes of sending a number."""
    cure = "send str, such as base64, to a client of this version"
    text = f"{version} carries text only, got int: {cure}"
    return {"out": "", "returns": None, "raises": text}


def swallowed(*steps: int) -> dict[int, dict[str, None]]:
    """No step raises what a listener raised."""
    return {step: {"raises": None} for step in steps}


HEAD = (
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: JdiiuafpBKRqD7eol0y4vJDTsTs=\r\n"
)
HEAD_75 = (
    "HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
    "Upgrade: WebSocket\r\n"
    "Connection: Upgrade\r\n"
    "WebSocket-Origin: http://www.example.com\r\n"
    "WebSocket-Location: ws://www.example.com/socket\r\n"
    "\r\n"
)
HEAD_76 = (
    "HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
    "Upgrade: WebSocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Origin: http://www.example.com\r\n"
    "Sec-WebSocket-Location: ws://www.example.com/socket\r\n"
    "\r\n"
)
PROOF = "b49c6e4053040426e51bbf6cb79f1df9"
REQUEST = (
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: 2vBVWg4Qyk3ZoM/5d3QD9Q==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "\r\n"
)
GET = "GET /socket HTTP/1.1\r\nHost: www.example.com\r\n"
CONNECT = "CONNECT www.example.com:80 HTTP/1.1\r\nHost: www.example.com:80\r\n"
LOGIN = "Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"

FORBIDDEN = (
    "the proxy http://proxy.example.com:80 answered 403 Forbidden to CONNECT www.example.com:80; "
    "many proxies allow CONNECT to port 443 only"
)
NO_PROOF = (
    "Sec-WebSocket-Accept must be QV3I5XUXU2CdhtjixE7QCkCcMZM=, but is "
    "'wrongI5XUXU2CdhtjixE7QCkCcMZM=': this is no WebSocket server"
)

KEY = (
    "Sec-WebSocket-Key1 is a number that its 4 spaces do not divide: it is "
    "'2 L785 8o% s9Sy9@V. 4<1P5'."
)
# 100 signs of a header as Python writes it.
SHOWN = "'foo; bar=\"fooa" + r"\\a" * 28 + "\\"

NOTHING = {"out": "", "events": [], "returns": False}
CLOSED = {"events": [["close", 1000, ""]]}
CLOSING = {"events": [], "state": "closing"}

WORDS = "the same end in other words, which say what was allowed"
MASKS = (
    "a peer breaks the protocol that does not mask, which is 1002 (RFC 6455 5.1), in other words"
)
EITHER = "require_masking says which frames are taken, and the other ones never are"
OPENS = "nothing is queued before the handshake: the first command opens the connection"
NUMBERS = "a number is no message: silent conversion hides mistakes"
RAISING = "what a listener raises is its connection's to log and to tell; a driver calls none"
FORWARDED = "X-Forwarded headers are believed where a middleware says so, by the scheme it sets"
HTTP = "the WSGI server writes the answer to a request that opens nothing"
OURS = "the code of a close that the peer has answered is the one it was begun with"
CODES = "where a version has no codes an end that was asked for reads as 1000"
WAITS = "hixie-76 has a closing handshake: the end comes with the peer's answer, or close_timeout"
ORDER = "headers of the handshake stand together; in what order they come means nothing"
TUNNEL = "Host is the target (RFC 9110 9.3.6), and the connection is the tunnel's, not to be kept"


def told(text: str) -> Difference:
    """A function that refuses in other words."""
    return Difference(WORDS, case={"error": text})


DIFFERENCES: dict[str, Difference] = {
    # --- requests -------------------------------------------------------------------------------------
    "detect-010": Difference(
        MASKS, {1: failing(1002, "frame has mask bit 0; the peer's frames must be masked")}
    ),
    "detect-013": Difference(FORWARDED, case={"final": {"url": "ws://www.example.com/a?b=c"}}),
    "detect-016": Difference(FORWARDED, case={"value": False}),
    # --- drafts ---------------------------------------------------------------------------------------
    "draft75-003": Difference(OPENS, {0: opening(HEAD_75, "004869ff"), 1: NOTHING}),
    "draft75-011": Difference(RAISING, swallowed(1)),
    "draft75-012": Difference(RAISING, swallowed(1, 2)),
    "draft75-015": Difference(NUMBERS, {1: no_text("hixie-75")}),
    "draft75-017": Difference(CODES, {1: CLOSED}),
    "draft75-018": Difference(CODES, {1: CLOSED}),
    "draft76-003": Difference(HTTP, {1: refused(400, KEY)}),
    "draft76-004": Difference(OPENS, {1: opening(HEAD_76, f"{PROOF}004869ff"), 2: NOTHING}),
    "draft76-015": Difference(RAISING, swallowed(2)),
    "draft76-016": Difference(RAISING, swallowed(2, 3)),
    "draft76-019": Difference(NUMBERS, {2: no_text("hixie-76")}),
    "draft76-021": Difference(WAITS, {2: CLOSING}),
    "draft76-022": Difference(WAITS, {2: CLOSING, 3: CLOSING}),
    "draft76-036": Difference(CODES, {2: CLOSED}),
    "draft76-037": Difference(WAITS, {2: CLOSING}),
    # --- hybi-13 --------------------------------------------------------------------------------------
    "hybi-004": Difference(
        HTTP, {0: refused(400, "Invalid Sec-WebSocket-Extensions header: 'x-webkit- -frame'.")}
    ),
    "hybi-005": Difference(ORDER, {1: {"out_text": f"{HEAD}Authorization: Bearer WAT\r\n\r\n"}}),
    "hybi-006": Difference(OPENS, {0: opening(f"{HEAD}\r\n", "81024869"), 1: NOTHING}),
    "hybi-007": Difference(OPENS, {0: opening(f"{HEAD}\r\n", "8900"), 1: NOTHING}),
    "hybi-008": Difference(OPENS, {0: opening(f"{HEAD}\r\n", "8a00"), 1: NOTHING}),
    "hybi-009": Difference(OPENS, {0: {**opening(f"{HEAD}\r\n", "880203e8"), "state": "closing"}}),
    **{
        f"hybi-{number:03}": Difference(EITHER, case={"options": {"require_masking": True}})
        for number in (14, 15, 16, 22, 23, 26)
    },
    "hybi-017": Difference(
        WORDS, {1: failing(1002, "opcode 3 is unknown; 0, 1, 2, 8, 9 and 10 are allowed")}
    ),
    "hybi-025": Difference(
        WORDS, {1: failing(1009, "message of 1073741824 octets exceeds max_length 67108863")}
    ),
    "hybi-028": Difference(RAISING, swallowed(1)),
    "hybi-029": Difference(RAISING, swallowed(1, 2)),
    "hybi-032": Difference(
        NUMBERS, {1: {"out": "", "raises": "text message must be a str, got int"}}
    ),
    "hybi-038": Difference(
        NUMBERS,
        {1: {"out": "", "raises": "data must be bytes, bytearray or memoryview, got int"}},
    ),
    "hybi-044": Difference(
        MASKS, {1: failing(1002, "frame has mask bit 0; the peer's frames must be masked")}
    ),
    "hybi-047": Difference(OURS, {2: {"events": [["close", 1000, ""]]}}),
    "hybi-048": Difference(
        "a failure is told as such also when it comes in place of the answer to a close",
        {2: failed(1002, "close frame has 1 octet; 0 or 2 to 125 are allowed")},
    ),
    "hybi-050": Difference(OURS, {2: {"events": [["close", 1000, ""]]}}),
    # --- clients --------------------------------------------------------------------------------------
    "client-005": Difference(
        ORDER, {0: {"out_text": f"{GET}Authorization: Basic dXNlcjpwYXNz\r\n{REQUEST}"}}
    ),
    "client-006": Difference(
        WORDS,
        case={"construct_error": "scheme must be ws or wss, got none in 'stream.wikimedia.org/rc'"},
    ),
    "client-007": Difference(ORDER, {1: {"out_text": f"{GET}User-Agent: Chrome\r\n{REQUEST}"}}),
    "client-008": Difference(TUNNEL, {0: {"out_text": f"{CONNECT}\r\n"}}),
    "client-009": Difference(TUNNEL, {0: {"out_text": f"{CONNECT}{LOGIN}\r\n"}}),
    "client-010": Difference(
        TUNNEL, {1: {"out_text": f"{CONNECT}User-Agent: Chrome\r\n{LOGIN}\r\n"}}
    ),
    "client-011": Difference(
        "a proxy's answer is kept where it led nowhere", case={"final": {"proxy_status": None}}
    ),
    "client-012": Difference(
        "what a proxy answered is told",
        {0: {"events": [["proxy_error", FORBIDDEN]]}},
    ),
    "client-015": Difference(
        WORDS,
        {
            1: failed(
                1002,
                "the answer of www.example.com is no HTTP/1.1: illegal status line: "
                "bytearray(b'HTTP/1.1 4 Switching Protocols')",
            )
        },
    ),
    "client-016": Difference(WORDS, {1: failed(1002, "Upgrade must be websocket, but is 'wrong'")}),
    "client-017": Difference(WORDS, {1: failed(1002, NO_PROOF)}),
    "client-019": Difference(
        f"{WORDS}; no subprotocol is an empty string",
        {1: failed(1002, "Sec-WebSocket-Protocol is 'irc', but offered was 'foo, xmpp'")},
        {"final": {"protocol": ""}},
    ),
    # --- extensions -----------------------------------------------------------------------------------
    "extensions-003": told("Invalid Sec-WebSocket-Extensions header: 'a,'"),
    "extensions-015": told(f"Invalid Sec-WebSocket-Extensions header: {SHOWN}..."),
    "extensions-016": told("Invalid Sec-WebSocket-Extensions header: 'x-webkit- -frame'"),
    "extensions-058": told("the server answered extension 'xml' unasked"),
    "extensions-063": told("the server answered two extensions that use RSV1: 'deflate' and 'tar'"),
    "extensions-064": told("the server answered with unacceptable parameters: 'deflate'"),
    "extensions-074": told("Invalid Sec-WebSocket-Extensions header: 'x-webkit- -frame'"),
    "extensions-079": told("extension.name must be a token (RFC 9110 5.6.2), got 42 of Fake"),
    "extensions-080": told("deflate: extension.type must be \"permessage\", got 'perframe'"),
    "extensions-081": told("deflate: extension.rsv1 must be True or False, got 42"),
    "extensions-082": told("deflate: extension.rsv2 must be True or False, got 42"),
    "extensions-083": told("deflate: extension.rsv3 must be True or False, got 42"),
    "extensions-137": told("max_window_bits must be a whole number from 8 to 15, got 20"),
    "extensions-144": told(
        "request_max_window_bits must be None or a whole number from 8 to 15, got 20"
    ),
    # --- EventSource ----------------------------------------------------------------------------------
    "detect-043": Difference("a quality is looked at (RFC 9110 12.4.2)", case={"value": True}),
    "detect-046": Difference("a blank before an item means nothing", case={"value": True}),
}
