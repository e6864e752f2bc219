"""A client before, while and after it has a connection: its options, what it says, what it shows."""

from __future__ import annotations

import inspect
import logging
import math
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import requests

import faye_sync
from faye_sync import (
    Client,
    ConfigurationError,
    HandshakeError,
    ReadyState,
    Reconnect,
)
from faye_sync.concurrency import THREADS
from faye_sync.event_target import NAMES
from faye_sync.transport.stream import CHUNK
from tests.client.conftest import _plain_environment  # noqa: F401  # a fixture
from tests.support.clients import log_events, planned_servers, quick, refused_port  # noqa: F401
from tests.support.endings import sockets
from tests.support.planned_server import accept, cut, drop, echo, greet, hold, refuse
from tests.test_concurrency import BOTH, PATCHED_OR_NOT, WORLDS, run_script

ROOT = Path(__file__).parents[1]
PATIENCE = 20.0  # seconds to wait for what should come at once
NOWHERE = "ws://server.invalid/"
SECRET = "s3cret"


# --- the door -------------------------------------------------------------------------------------


def run(script: str) -> list[str]:
    """Run a script in a process of its own; returns its lines."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_servers_process_is_spared_what_only_clients_need():
    script = """
        import sys
        import faye_sync
        clients = {"requests", "urllib3", "h11", "faye_sync.client", "faye_sync.transport.upgrade"}
        print(sorted(clients & set(sys.modules)))
        assert faye_sync.Reconnect and faye_sync.HandshakeError and "Client" in dir(faye_sync)
        print(sorted(clients & set(sys.modules)))
        from faye_sync import Client
        print(sorted(clients - set(sys.modules)))
        print(faye_sync.Client is Client is faye_sync.client.Client)
        """
    assert run(script) == ["[]", "[]", "[]", "True"]


def test_a_star_brings_the_client_too():
    script = """
        import sys
        from faye_sync import *
        import faye_sync
        print([name for name in faye_sync.__all__ if name not in globals()], "requests" in sys.modules)
        """
    assert run(script) == ["[] True"]


def test_every_public_name_is_listed_and_there():
    assert set(faye_sync.__all__) <= set(dir(faye_sync))
    assert [name for name in faye_sync.__all__ if not hasattr(faye_sync, name)] == []
    assert list(faye_sync.__all__) == sorted(set(faye_sync.__all__))


def test_a_name_that_there_is_not_is_missed_as_in_any_module():
    with pytest.raises(AttributeError, match="module 'faye_sync' has no attribute 'Clients'"):
        faye_sync.Clients  # noqa: B018  # it raises
    with pytest.raises(ImportError, match="cannot import name 'Clients'"):
        from faye_sync import Clients  # noqa: F401


# --- options --------------------------------------------------------------------------------------

DEFAULTS = {
    "protocols": (),
    "extensions": (),
    "headers": None,
    "max_length": 2**26 - 1,
    "session": None,
    "auth": None,
    "proxy": None,
    "tls": None,
    "ca": None,
    "net": None,
    "ping": 20.0,
    "pong_timeout": 20.0,
    "open_timeout": 10.0,
    "send_timeout": 30.0,
    "close_timeout": 10.0,
    "max_queue": 2**24,
    "reconnect": None,
    "park": True,
}


def test_without_a_word_its_options_are_as_documented():
    parameters = inspect.signature(Client).parameters.values()
    options = {each.name: each for each in parameters if each.default is not each.empty}
    assert {name: each.default for name, each in options.items()} == DEFAULTS
    positional = [name for name, each in options.items() if each.kind is not each.KEYWORD_ONLY]
    assert positional == ["protocols"]


SECONDS = ("ping", "pong_timeout", "open_timeout", "send_timeout", "close_timeout")
OCTETS = ("max_length", "max_queue")
MAY_BE_ZERO = ("send_timeout", "close_timeout")
WRONG_SECONDS = (-1, -0.001, math.inf, -math.inf, math.nan, True, "1", b"1", [1])
WRONG_OCTETS = (0, -1, 1.0, math.inf, None, True, "1")


@pytest.mark.parametrize("value", WRONG_SECONDS, ids=repr)
@pytest.mark.parametrize("name", SECONDS)
def test_seconds_that_are_none_are_refused_with_their_name_and_value(name, value):
    with pytest.raises(ConfigurationError, match=rf"^{name} must be seconds, ") as caught:
        Client(NOWHERE, **{name: value})
    assert str(caught.value).endswith(f"got {value!r}")


@pytest.mark.parametrize("name", SECONDS)
def test_no_time_at_all_is_enough_for_a_send_and_a_close_only(name):
    if name in MAY_BE_ZERO:
        Client(NOWHERE, **{name: 0})
        return
    with pytest.raises(ConfigurationError, match=rf"^{name} must be seconds, above 0"):
        Client(NOWHERE, **{name: 0})


@pytest.mark.parametrize("value", WRONG_OCTETS, ids=repr)
@pytest.mark.parametrize("name", OCTETS)
def test_octets_that_are_none_are_refused_with_their_name_and_value(name, value):
    with pytest.raises(ConfigurationError, match=rf"^{name} must be a positive int") as caught:
        Client(NOWHERE, **{name: value})
    assert str(caught.value).endswith(f"got {value!r}")


WRONG = {
    "url": ({"url": "http://server.invalid/"}, "scheme must be ws or wss, got http"),
    "url-of-bytes": ({"url": b"ws://server.invalid/"}, "a URL must be a str, got bytes"),
    "no-url": ({"url": None}, "a URL must be a str, got NoneType"),
    "protocols": ({"protocols": 5}, "protocols must be names, got 5"),
    "protocol-of-bytes": ({"protocols": [b"chat"]}, "subprotocol b'chat' is no token"),
    "protocol-with-a-blank": ({"protocols": "a b"}, "subprotocol 'a b' is no token"),
    "protocol-twice": ({"protocols": ["a", "b", "a"]}, "subprotocol a comes 2 times"),
    "headers": ({"headers": 5}, "headers must be a mapping or pairs, got int"),
    "headers-of-text": ({"headers": "X-A: 1"}, "a mapping or pairs, got str"),
    "headers-that-are-no-pairs": ({"headers": [("X-A",)]}, "a mapping or pairs, got list"),
    "header-name": ({"headers": {"X A": "1"}}, "header name 'X A' is no token"),
    "header-value": ({"headers": {"X-A": 1}}, "header X-A must be latin-1 .*got int"),
    "header-of-the-handshake": ({"headers": {"Upgrade": "x"}}, "Upgrade is the handshake's own"),
    "header-for-the-proxy": (
        {"headers": {"Proxy-Authorization": "x"}},
        "Proxy-Authorization is for the proxy",
    ),
    "session": ({"session": 5}, r"session must be a requests\.Session or None, got int"),
    "session-class": ({"session": requests.Session}, r"requests\.Session or None, got type"),
    "auth": ({"auth": 5}, "auth must be a callable .* got int"),
    "auth-of-one": ({"auth": ("user",)}, "auth must be a callable .* got tuple"),
    "proxy": ({"proxy": 5}, "proxy must be an origin, .* got int"),
    "proxy-scheme": ({"proxy": "ftp://proxy.example"}, "got 'ftp'"),
    "tls": ({"tls": 5}, r"tls must be an ssl\.SSLContext or a mapping of .* got int"),
    "tls-key": ({"tls": {"cafile": "x"}}, "tls has no 'cafile'; there are ca, cert"),
    "tls-and-ca": ({"tls": ssl.create_default_context(), "ca": "x"}, "ca cannot be added"),
    "ca": ({"ca": 5}, r"tls\['ca'\] must be str or bytes or PathLike, got int"),
    "net": ({"net": 5}, "net must be a mapping, got 5"),
    "net-key": ({"net": {"source": "x"}}, r"net has \['source'\], allowed are source_address"),
    "reconnect": ({"reconnect": 5}, "reconnect must be a Reconnect or None, got 5"),
    "reconnect-yes": ({"reconnect": True}, "a Reconnect or None, got True"),
    "reconnect-class": ({"reconnect": Reconnect}, "a Reconnect or None, got <class"),
}


@pytest.mark.parametrize("options, told", WRONG.values(), ids=WRONG)
def test_an_option_that_cannot_work_is_refused_by_the_constructor(options, told):
    with pytest.raises(ConfigurationError, match=told):
        Client(**{"url": NOWHERE, **options})


def test_an_option_that_there_is_not_is_refused_as_python_does():
    with pytest.raises(TypeError, match="unexpected keyword argument 'origins'"):
        Client(NOWHERE, origins="*")


def test_a_constructor_opens_no_socket():
    before = sockets()
    Client("wss://127.0.0.1/", reconnect=Reconnect(), proxy="https://127.0.0.1/")
    with pytest.raises(ConfigurationError):
        Client("wss://127.0.0.1/", max_length=0)
    assert sockets() == before


SECRETIVE = {
    "url": {"url": f"http://user:{SECRET}@server.invalid/"},
    "url-with-a-bad-port": {"url": f"ws://user:{SECRET}@server.invalid:port/"},
    "url-with-a-blank": {"url": f"ws://user:{SECRET} @server.invalid/"},
    "header": {"headers": {"Authorization": f"Bearer {SECRET}\n"}},
    "header-name": {"headers": [("X A", SECRET)]},
    "header-of-bytes": {"headers": {"Authorization": SECRET.encode()}},
    "headers": {"headers": [SECRET]},
    "header-of-the-handshake": {"headers": {"Sec-WebSocket-Key": SECRET}},
    "header-for-the-proxy": {"headers": {"Proxy-Authorization": SECRET}},
    "auth": {"auth": SECRET},
    "auth-list": {"auth": ["user", SECRET]},
    "session": {"session": SECRET},
    "proxy": {"proxy": f"ftp://user:{SECRET}@proxy.example"},
    "proxy-header": {"proxy": {"origin": "http://p", "headers": {"X-A": f"{SECRET}\0"}}},
    "tls": {"tls": SECRET},
    "tls-password": {"tls": {"password": [SECRET]}},
}


@pytest.mark.parametrize("options", SECRETIVE.values(), ids=SECRETIVE)
def test_no_refusal_of_an_option_shows_a_secret(options):
    with pytest.raises(ConfigurationError) as caught:
        Client(**{"url": NOWHERE, **options})
    assert SECRET not in str(caught.value)


def test_a_client_shows_nothing_secret():
    ws = Client(
        f"ws://user:{SECRET}@server.invalid/",
        headers={"Authorization": f"Bearer {SECRET}"},
        auth=("user", SECRET),
        proxy=f"http://user:{SECRET}@proxy.example",
    )
    assert SECRET not in f"{ws!r} {ws}"


def test_the_idle_time_of_a_policy_is_one_of_the_connections_terms(planned):
    ws = Client(planned(echo).url, reconnect=Reconnect(idle=77), ping=None, max_queue=1000)
    with ws:
        terms = ws._link.terms
    assert (terms.idle, terms.ping, terms.max_queue) == (77, None, 1000)


# --- what url and headers are asked for -----------------------------------------------------------

GIVEN = {
    "url-of-bytes": {"url": lambda: b"ws://server.invalid/"},
    "url-none": {"url": lambda: None},
    "url-http": {"url": lambda: f"http://user:{SECRET}@server.invalid/"},
    "url-callable-twice": {"url": lambda: lambda: NOWHERE},
    "headers-number": {"headers": lambda: 5},
    "headers-name": {"headers": lambda: {"X A": SECRET}},
    "headers-value": {"headers": lambda: {"X-A": f"{SECRET}\r\n"}},
    "headers-of-the-handshake": {"headers": lambda: [("Upgrade", SECRET)]},
}


@pytest.mark.parametrize("options", GIVEN.values(), ids=GIVEN)
def test_what_a_callable_gives_is_checked_as_the_option_is_and_not_asked_for_again(options):
    ws = Client(**{"url": NOWHERE, "reconnect": quick(), **options})
    events = log_events(ws, "reconnect")
    with pytest.raises(ConfigurationError) as caught:
        ws.connect()
    assert SECRET not in str(caught.value)
    assert events == []
    assert ws.ready_state is ReadyState.CONNECTING


def test_in_callback_style_it_is_an_error_and_a_close():
    ws = Client(lambda: "http://server.invalid/")
    events = log_events(ws)
    ws.start()
    assert ws.join(PATIENCE)
    assert [event.type for event in events] == ["error", "close"]
    assert isinstance(events[0].error, ConfigurationError)
    assert (events[1].code, events[1].was_clean, events[1].cause) == (1006, False, "connect")


def test_a_callable_may_do_better_the_next_time(planned):
    server = planned(echo)
    urls = iter(["not yet", server.url, server.url])
    headers = iter([5, {"X-A": "1"}])
    ws = Client(lambda: next(urls), headers=lambda: next(headers))
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            ws.connect()
    with ws:
        assert server.visit().request.headers["X-A"] == "1"


def test_the_url_is_the_last_one_asked_for_without_its_fragment(planned):
    server = planned(echo)
    ws = Client(lambda: f"{server.url}path#fragment")
    assert ws.url == ""
    with ws:
        assert ws.url == f"{server.url}path"
    assert Client(f"{NOWHERE}a").url == f"{NOWHERE}a"


# --- what can be asked ----------------------------------------------------------------------------

ALWAYS = {"version": "hybi-13", "extensions": (), "environ": None}
BEFORE = {
    **ALWAYS,
    "protocol": "",
    "ready_state": ReadyState.CONNECTING,
    "closed": False,
    "status_code": None,
    "close_code": None,
    "close_reason": None,
    "remote_address": None,
    "opened_at": None,
    "latency": None,
    "buffered_amount": 0,
}
OPEN = {
    **BEFORE,
    "protocol": "b",
    "ready_state": ReadyState.OPEN,
    "status_code": 101,
}


def seen(ws: Client, *names: str) -> dict:
    return {name: getattr(ws, name) for name in names}


def accept_b(visit) -> None:
    """Agree on the second subprotocol."""
    visit._protocol.available_subprotocols = ["b"]
    visit.accept()


def test_before_the_first_connection_nothing_is_known():
    ws = Client(NOWHERE, ["a", "b"])
    assert seen(ws, *BEFORE) == BEFORE
    assert list(ws.headers) == []


def test_while_it_is_open_all_is_known_and_the_answer_stays_known_after_it(planned):
    server = planned(accept_b)
    ws = Client(server.url, ["a", "b"]).connect()
    address = ("127.0.0.1", server.port)
    expected = {**OPEN, "remote_address": address, "opened_at": ws.opened_at}
    assert seen(ws, *OPEN) == expected
    assert ws.opened_at > 1e9
    assert ws.headers["upgrade"] == "websocket"
    server.visit().close(4001, "so long")
    assert ws.wait_closed(PATIENCE)
    closed = {"closed": True, "close_code": 4001, "close_reason": "so long"}
    assert seen(ws, *OPEN) == {**expected, "ready_state": ReadyState.CLOSED, **closed}
    assert ws.headers["upgrade"] == "websocket"


def test_the_headers_are_a_copy(planned):
    with Client(planned(accept).url) as ws:
        ws.headers["Upgrade"] = "changed"
        assert ws.headers["Upgrade"] == "websocket"


def test_an_open_listener_knows_the_answer_already(planned):
    server = planned(accept_b)
    ws = Client(server.url, ["a", "b"])
    known: list[dict] = []
    names = ("url", "protocol", "status_code", "remote_address", "version", "ready_state")
    ws.on("open", lambda event: known.append({**seen(ws, *names), **ws.headers}))
    with ws:
        (told,) = known
        assert {name: told[name] for name in names} == seen(ws, *names)
        assert told["Upgrade"] == "websocket"
        assert told["ready_state"] is ReadyState.OPEN


def test_what_an_open_listener_tells_it_holds_for_that_connection(planned):
    server = planned(accept)
    ws = Client(server.url)
    opened_at: list = []
    ws.on("open", lambda event: (opened_at.append(ws.opened_at), ws.discard()))
    with ws:
        assert opened_at == [ws.opened_at]
        server.visit().say("dropped")
        with pytest.raises(TimeoutError):
            ws.receive(0.2)


def test_an_open_listener_may_have_it_connect_again(planned):
    server = planned(accept)
    ws = Client(server.url)
    ws.once("open", lambda event: ws.reconnect())
    ws.connect()
    for _ in range(2):
        server.visit()
    assert server.count == 2
    ws.close()
    assert ws.wait_closed(PATIENCE)


def test_a_refusal_leaves_a_client_in_blocking_style_as_it_was(planned):
    ws = Client(planned(refuse(403)).url)
    with pytest.raises(HandshakeError):
        ws.connect()
    assert seen(ws, *BEFORE) == BEFORE


def test_a_refusal_closes_a_client_in_callback_style(planned):
    ws = Client(planned(refuse(403)).url).start()
    assert ws.join(PATIENCE)
    reason = "the server answered 403 Forbidden instead of 101"
    closed = {"closed": True, "close_code": 1002, "close_reason": reason}
    told = {"ready_state": ReadyState.CLOSED, "status_code": 403, **closed}
    assert seen(ws, *BEFORE) == {**BEFORE, **told}


def test_of_several_connections_the_last_is_told_of(planned):
    server = planned(drop("one"), accept_b)
    ws = Client(server.url, ["b"], reconnect=quick()).connect()
    first = ws.opened_at
    assert (ws.protocol, ws.receive(PATIENCE)) == ("", "one")
    for _ in range(2):
        server.visit()
    # It waits for the second connection, which has been accepted already.
    assert ws.connect() is ws
    assert (ws.protocol, ws.ready_state, ws.close_code) == ("b", ReadyState.OPEN, None)
    assert ws.opened_at >= first
    ws.close()
    assert ws.wait_closed(PATIENCE)


def test_between_two_connections_it_is_connecting(planned):
    server = planned(drop(), hold)
    ws = Client(server.url, reconnect=quick())
    states: list[tuple] = []
    ws.on("reconnect", lambda event: states.append((ws.ready_state, ws.closed, ws.close_code)))
    ws.connect()
    for _ in range(2):
        server.visit()
    states.append((ws.ready_state, ws.closed, ws.close_code))
    assert states == [(ReadyState.CONNECTING, False, None)] * 2
    ws.close()
    assert ws.wait_closed(PATIENCE)


def test_each_has_an_id_of_its_own():
    ids = {Client(NOWHERE).id for _ in range(100)}
    assert len(ids) == 100


# --- events ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES, "reconnect"])
def test_a_client_has_the_events_of_a_connection_and_reconnect(name):
    ws = Client(NOWHERE)
    for add in (ws.on, ws.once):
        assert add(name, print) is print
    ws.off(name, print)


def test_a_servers_end_has_no_reconnect(local):
    with pytest.raises(ConfigurationError, match=r"'reconnect'; there are open, [a-z, ]*, close$"):
        local.open().on("reconnect", print)


def test_an_unknown_event_is_refused_with_those_there_are():
    with pytest.raises(ConfigurationError, match=r"'opened'; there are open, .*close, reconnect$"):
        Client(NOWHERE).on("opened", print)


def test_onreconnect_is_an_attribute_like_the_others(planned):
    ws = Client(planned(cut, accept).url, reconnect=quick())
    seen: list = []
    assert ws.onreconnect is None
    ws.onreconnect = seen.append
    ws.on("reconnect", lambda event: seen.append("on"))
    with ws:
        assert ws.onreconnect == seen.append
    assert [getattr(event, "type", event) for event in seen] == ["reconnect", "on"]
    ws.onreconnect = None
    assert ws.onreconnect is None


def test_attempts_that_nobody_heard_of_are_not_kept(planned):
    ws = Client(planned(cut, cut, accept).url, reconnect=quick())
    with ws:
        assert log_events(ws, "reconnect") == []


# --- what is logged -------------------------------------------------------------------------------

FAILURES = {
    "nobody-listens": lambda planned: f"ws://user:{SECRET}@127.0.0.1:{refused_port()}/",
    "a-refusal": lambda planned: with_userinfo(planned(refuse(403)).url),
    "no-answer": lambda planned: with_userinfo(planned(cut).url),
    "no-tls": lambda planned: with_userinfo(planned(hold).url.replace("ws:", "wss:")),
    "a-redirect-to-nowhere": lambda planned: with_userinfo(
        planned(refuse(302, ("Location", "http://[::1"))).url
    ),
}


def with_userinfo(url: str) -> str:
    return url.replace("://", f"://user:{SECRET}@")


@pytest.mark.parametrize("make", FAILURES.values(), ids=FAILURES)
def test_a_failure_that_nobody_hears_is_logged_without_the_password(planned, caplog, make):
    ws = Client(make(planned), open_timeout=1.0)
    ws.start()
    assert ws.join(PATIENCE)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("faye_sync", logging.WARNING)
    assert record.getMessage().startswith(f"Client {ws.id}: no connection to ws")
    assert "://...@127.0.0.1" in record.getMessage()
    assert SECRET not in caplog.text


@pytest.mark.parametrize("make", FAILURES.values(), ids=FAILURES)
def test_a_failure_that_is_heard_is_not_logged_and_shows_no_password(planned, caplog, make):
    ws = Client(make(planned), open_timeout=1.0)
    events = log_events(ws, "error", "close")
    ws.start()
    assert ws.join(PATIENCE)
    assert caplog.records == []
    assert [event.type for event in events] == ["error", "close"]
    assert SECRET not in f"{events}"


def test_what_is_wrong_with_a_proxy_shows_no_password_either(caplog, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://user:{SECRET}@127.0.0.1:{refused_port()}")
    for option in (None, f"http://user:{SECRET}@127.0.0.1:{refused_port()}"):
        ws = Client(NOWHERE, proxy=option).start()
        assert ws.join(PATIENCE)
    assert len(caplog.records) == 2
    assert SECRET not in caplog.text


# --- what earlier connections left ----------------------------------------------------------------

SIZE, COUNT, CONNECTIONS = 1000, 60, 6
MAX_QUEUE = 100_000  # octets, so less than two connections bring


def test_what_earlier_connections_left_is_handed_out_whole_and_bounded_together(planned):
    messages = [f"{number:04}".ljust(SIZE) for number in range(CONNECTIONS * COUNT)]
    parts = [messages[start : start + COUNT] for start in range(0, len(messages), COUNT)]
    server = planned(*(drop(*part) for part in parts), greet("the end"))
    ws = Client(server.url, max_queue=MAX_QUEUE, reconnect=quick(initial=0))
    left: list[int] = []

    def note(event) -> None:
        links = tuple(ws._sources._links)
        left.append(sum(link.incoming.cost() for link in links))

    ws.on("reconnect", note)
    ws.connect()
    for _ in range(2):
        server.visit()
    assert [ws.receive(PATIENCE) for _ in messages] == messages
    assert ws.receive(PATIENCE) == "the end"
    assert len(left) == CONNECTIONS
    assert max(left) < MAX_QUEUE + 2 * CHUNK
    ws.close()
    assert ws.wait_closed(PATIENCE)


# --- where it lives -------------------------------------------------------------------------------


def test_without_a_hub_it_lives_on_threads():
    assert Client(NOWHERE)._world() is THREADS


WORLD = """
from faye_sync import Client

def kind(ws):
    return type(ws._world()).__name__

hub.sleep(0)
made_here = Client("ws://server.invalid/")
print(kind(Client("ws://server.invalid/")), hub.in_a_thread(lambda: kind(made_here)))
print(kind(made_here))
"""


@BOTH
@PATCHED_OR_NOT
def test_it_lives_where_it_is_first_used(under, patched):
    first, again = run_script(WORLD, under=under, patched=patched).splitlines()
    assert first == f"{WORLDS[under]} Threads"
    assert again == "Threads"
