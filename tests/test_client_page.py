"""docs/client.rst says what is so: tables are those of the code, errors happen, programs run."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from inspect import signature
from pathlib import Path

import pytest
import requests
import trustme
import websocket
from requests.auth import AuthBase
from websocket._cookiejar import SimpleCookieJar

import faye_sync
from faye_sync import (
    Client,
    ConfigurationError,
    ConnectionClosed,
    HandshakeError,
    ProxyError,
    Reconnect,
    events,
)
from faye_sync.transport.dial import Net
from faye_sync.transport.proxies import proxy_of
from tests.support.certificates import certificate
from tests.support.clients import refused_port
from tests.support.heads import CONNECTION, UPGRADE, head, switching
from tests.support.hostile import (
    HostileServer,
    Step,
    Visit,
    answered,
    closing as close_frame,
    opened,
    send,
    server_context,
)
from tests.support.login_site import NAME, PASSWORD
from tests.support.planned_server import (
    PlannedServer,
    accept,
    cut,
    drop,
    echo,
    greet,
    hold,
    part,
    refuse,
)
from tests.support.program import Program
from tests.support.servers import ROOT, serve
from tests.support.wire import TEXT
from tests.test_readme import blocks, exists, rows, section

PAGE = (ROOT / "docs" / "client.rst").read_text(encoding="utf-8")
TITLES = re.findall(r"^(.+)\n---+$", PAGE, re.MULTILINE)
PATIENCE = 20.0  # seconds to wait for what should come at once
SHORT = 0.3  # seconds that are to pass
URL = re.compile(r"wss?://example\.com/\w*")

# What shows that a section is true, beside the tests of this file: files, and tests in them.
PROOFS = {
    "Connecting": {
        "client/test_styles.py": (
            "test_nothing_is_dialed_before_it_is_asked_for",
            "test_the_first_call_dials_in_the_callers_thread",
            "test_a_send_that_never_waits_does_not_dial",
            "test_a_connect_that_failed_may_be_repeated_and_changes_nothing",
            "test_url_and_headers_may_be_callables_which_are_asked_before_every_attempt",
            "test_what_a_callable_raises_leaves_connect_as_it_is",
            "test_a_connect_past_its_deadline_names_it_and_what_was_being_done",
        ),
        "client/test_hostile_injection.py": (
            "test_a_break_of_a_line_is_refused_before_a_socket_is_opened",
            "test_the_handshakes_own_headers_are_not_the_callers",
            "test_what_percent_encoding_makes_harmless_is_sent_so",
        ),
        "client/test_hostile_heads.py": (
            "test_a_subprotocol_is_one_of_those_offered_or_the_connection_is_refused",
        ),
    },
    "Three ways to use it": {
        "client/test_styles.py": (
            "test_an_iteration_ends_with_an_ordinary_close",
            "test_an_iteration_raises_on_any_other_end",
            "test_the_end_of_a_with_tells_the_server_how_it_ended",
            "test_a_close_during_the_dial_ends_it_at_once",
        ),
        "client/test_callbacks.py": (
            "test_start_returns_at_once_and_dials_on_its_own_thread",
            "test_run_dials_and_dispatches_on_the_calling_thread_until_the_end",
            "test_a_started_function_is_not_called_where_dialing_fails",
            "test_an_exception_in_a_started_function_is_logged_and_closes_with_1011",
            "test_the_call_that_mixes_the_styles_is_refused_and_the_other_goes_on",
            "test_a_second_thread_that_receives_is_refused",
            "test_what_would_wait_for_itself_is_refused_in_a_listener",
        ),
    },
    "Events": {
        "client/test_styles.py": (
            "test_listeners_in_blocking_style_run_on_the_thread_that_receives",
        ),
        "client/test_callbacks.py": (
            "test_open_error_and_close_are_kept_for_listeners_that_come_late",
            "test_a_message_listener_that_comes_late_gets_what_came_before",
        ),
    },
    "Errors": {
        "client/test_styles.py": ("test_an_error_survives_pickling_with_all_it_says",),
        "client/test_callbacks.py": (
            "test_a_failure_to_open_comes_as_error_and_close_in_callback_style",
            "test_a_send_while_a_dial_fails_gives_false_in_callback_style",
        ),
        "client/test_hostile_refusals.py": (
            "test_64_kib_of_a_body_are_kept_and_no_more_is_waited_for",
            "test_a_gzip_bomb_is_kept_as_it_came",
        ),
    },
    "Sessions": {
        "client/test_session.py": (
            "test_the_sessions_own_adapters_and_connections_are_left_alone",
            "test_headers_and_params_of_the_session_are_sent_with_the_clients_own",
            "test_digest_takes_a_second_request_with_a_key_of_its_own_and_the_cookie_of_the_first_answer",
            "test_a_hook_of_the_session_is_called_with_the_101",
            "test_a_hook_that_raises_ends_the_connection",
            "test_an_adapter_that_the_session_has_for_the_site_brings_its_context",
            "test_the_ca_variable_of_requests_counts_as_it_does_for_pages",
            "test_a_session_that_trusts_no_environment_does_not_look_at_netrc",
        ),
    },
    "Redirects": {
        "client/test_hostile_redirects.py": (
            "test_a_redirect_is_followed",
            "test_a_location_may_be_relative_or_of_websocket",
            "test_a_loop_ends_after_ten_redirects",
            "test_one_deadline_counts_for_all_hops",
            "test_every_hop_has_a_connection_and_a_key_of_its_own",
            "test_another_origin_sees_nothing_that_was_for_the_first",
            "test_a_challenge_of_another_origin_is_not_answered",
            "test_cookies_of_another_host_stay_at_home",
            "test_tls_is_never_given_up",
        ),
    },
    "Proxies": {
        "client/test_proxies.py": (
            "test_every_proxy_leads_to_the_server",
            "test_headers_of_ones_own_go_to_the_proxy",
            "test_a_proxy_that_leads_to_port_443_alone_is_told_of",
            "test_a_proxy_that_wants_a_certificate_refuses_who_has_none",
            "test_no_proxy_leads_around_it",
            "test_false_leads_around_the_proxies_of_environment_and_session",
        ),
        "client/test_hostile_proxies.py": (
            "test_what_is_no_http_is_a_proxy_error",
            "test_a_proxy_that_falls_silent_is_given_up_at_the_deadline",
            "test_octets_glued_to_the_200_are_refused_at_once",
            "test_an_https_proxy_is_verified",
        ),
        "transport/test_proxies.py": (
            "test_no_error_shows_the_password",
            "test_without_pysocks_the_cure_is_told",
        ),
    },
    "TLS": {
        "client/test_session.py": (
            "test_a_session_that_does_not_know_the_authority_refuses_the_site",
        ),
    },
    "Sockets": {
        "client/test_peers.py": (
            "test_a_source_address_is_what_the_server_sees",
            "test_socket_options_are_set",
            "test_gunicorn_on_a_unix_socket_is_reached",
        ),
        "transport/test_dial.py": (
            "test_each_silent_address_costs_a_stagger_and_one_that_refuses_nothing",
            "test_the_losers_are_closed",
            "test_a_family_leaves_the_others_out",
        ),
    },
    "Reconnecting": {
        "client/test_reconnect.py": (
            "test_failures_of_the_network_and_refusals_that_may_pass_are_tried_again_after_longer_waits",
            "test_a_longer_retry_after_is_honoured",
            "test_any_other_refusal_ends_it",
            "test_a_certificate_that_is_not_trusted_ends_it",
            "test_a_refusal_after_a_connection_ends_it_too",
            "test_max_attempts_counts_those_in_a_row",
            "test_the_waits_begin_anew_after_a_connection_that_was_stable",
            "test_the_deadline_to_open_counts_for_each_attempt",
        ),
        "client/test_reconnect_across.py": (
            "test_receive_goes_on_with_the_next_connection_however_the_last_one_ended",
            "test_messages_of_the_old_connection_are_handed_out_before_those_of_the_new",
            "test_open_comes_with_each_connection_and_close_with_the_last_alone",
            "test_what_the_open_listener_sends_reaches_the_server_before_anything_else",
            "test_a_send_between_two_connections_waits_for_the_next_and_arrives_once",
            "test_what_waits_for_the_next_connection_ends_at_its_deadline",
            "test_a_connection_without_messages_counts_as_dead_though_pongs_come",
            "test_a_started_function_goes_on_across_connections",
            "test_a_close_during_a_wait_ends_it_at_once",
            "test_reconnect_without_a_policy_dials_once",
            "test_reconnect_during_a_wait_ends_the_wait",
        ),
    },
    "Threads": {
        "client/test_styles.py": ("test_a_blocking_client_has_no_thread_of_its_own",),
        "client/test_reconnect_across.py": (
            "test_the_thread_that_dials_is_there_only_while_there_is_no_connection",
        ),
        "transport/test_addresses.py": (
            "test_a_name_is_looked_up_on_a_thread_beside",
            "test_a_resolver_that_hangs_is_left_alone",
        ),
    },
    "gevent and eventlet": {
        "client/test_gevent.py": (
            "test_what_holds_on_threads_holds_on_a_patched_hub_and_never_holds_it_up",
            "test_the_hub_ticks_while_a_client_waits",
            "test_gevents_timeout_cuts_a_dial_which_leaves_nothing_behind",
        ),
        "client/test_proxies.py": ("test_under_a_hub_every_kind_of_proxy_leads_on",),
        "transport/test_addresses.py": (
            "test_on_a_hub_the_patched_resolver_is_asked_if_there_is_one",
        ),
    },
    "Ctrl-C and the end of the process": {
        "client/test_interrupts.py": (
            "test_ctrl_c_while_it_is_open_ends_the_script_with_1001",
            "test_ctrl_c_while_it_dials_ends_the_script",
            "test_ctrl_c_while_it_waits_for_the_next_attempt_ends_the_script",
        ),
        "test_shutdown.py": ("test_a_worker_that_is_no_longer_alive_says_goodbye",),
    },
    "Forks": {
        "client/test_leaks.py": (
            "test_a_client_reads_as_closed_in_a_forked_child_and_goes_on_in_the_parent",
            "test_a_client_with_a_policy_does_not_dial_in_a_forked_child",
            "test_a_forked_child_may_open_connections_of_its_own",
        ),
    },
    # Each row has a test here.
    "Differences from websocket-client": {},
    "Differences from faye-websocket": {
        "client/test_styles.py": ("test_nothing_is_dialed_before_it_is_asked_for",),
        "client/test_callbacks.py": ("test_a_send_while_start_dials_waits_for_the_outcome",),
        "client/test_session.py": (
            "test_userinfo_of_the_url_is_basic_authentication",
            "test_netrc_is_looked_up",
        ),
        "client/test_hostile_slow.py": (
            "test_a_server_that_falls_silent_is_given_up_at_the_deadline",
        ),
        "client/test_hostile_proxies.py": (
            "test_a_407_keeps_its_challenge_and_is_asked_once",
            "test_a_2xx_leads_to_the_server",
        ),
        "client/test_hostile_heads.py": ("test_a_101_opens_the_connection",),
        "client/test_hostile_refusals.py": ("test_a_body_is_read_to_its_end_and_no_further",),
        "driver/test_hybi_client.py": ("test_a_masked_frame_of_a_server_is_a_violation",),
    },
}
PROVEN = sorted(
    f"tests/{path}::{name}"
    for proofs in PROOFS.values()
    for path, names in proofs.items()
    for name in names
)


def table(title: str, number: int = 0) -> list[list[str]]:
    """The rows of a section's table, counted from 0, without the marks of code."""
    lines = r"(?:.+\n)+"
    edge = r"===[= ]+\n"
    found = re.findall(f"^{edge}{lines}?{edge}{lines}?{edge}", section(PAGE, title), re.MULTILINE)
    return [[cell.replace("``", "") for cell in row] for row in rows(found[number])]


def column(rows_of_it: list[list[str]], number: int = 0) -> list[str]:
    return [row[number] for row in rows_of_it]


def listed(error: BaseException, mark: str) -> list[str]:
    """The names that the text of an error lists behind a mark."""
    return re.findall(r"\w+", str(error).partition(mark)[2].partition(", got")[0])


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in column(table("Sessions")):
        for variable in (name, name.upper()):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NETRC", os.devnull)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_every_section_has_its_proofs():
    assert list(PROOFS) == TITLES


@pytest.mark.parametrize("proof", PROVEN)
def test_what_shows_a_section_is_there(proof):
    assert exists(proof)


# --- tables ---------------------------------------------------------------------------------------------


def test_the_events_are_those_of_the_code_with_their_attributes():
    with pytest.raises(ConfigurationError) as caught:
        Client("ws://example.com/").on("none", print)
    assert column(table("Events")) == listed(caught.value, "there are ")
    kinds = {kind.type: kind for kind in vars(events).values() if hasattr(kind, "type")}
    for name, _, attributes in table("Events"):
        told = [part.strip() for part in attributes.split(",") if part and "(" not in part]
        assert told == [field.name for field in fields(kinds[name])]


def test_the_options_of_reconnect_and_their_defaults_are_those_of_the_code():
    told = {name: eval(value) for name, value, _ in table("Reconnecting")}
    assert told == {field.name: field.default for field in fields(Reconnect)}


def test_the_keys_of_net_are_those_of_the_code():
    assert sorted(column(table("Sockets"))) == sorted(field.name for field in fields(Net))


def test_the_keys_of_tls_are_those_of_the_code():
    with pytest.raises(ConfigurationError) as caught:
        Client("wss://example.com/", tls={"none": 1})
    assert column(table("TLS")) == listed(caught.value, "there are ")


def test_the_schemes_of_proxies_and_their_ports_are_those_of_the_code():
    with pytest.raises(ConfigurationError) as caught:
        Client("ws://example.com/", proxy="ftp://proxy.example.com")
    assert column(table("Proxies")) == listed(caught.value, "one of ")
    for scheme, port, _ in table("Proxies"):
        assert proxy_of(f"{scheme}://proxy.example.com").port == int(port)


def test_the_keys_of_proxy_are_those_of_the_code():
    with pytest.raises(ConfigurationError) as caught:
        Client("ws://example.com/", proxy={"origin": "http://proxy.example.com", "none": 1})
    told = re.search(r"a mapping of (.+?);", " ".join(section(PAGE, "Proxies").split()))[1]
    assert sorted(re.findall(r"\w+", told.replace(" and ", " "))) == listed(
        caught.value, "there are "
    )


# --- what is taken from session and environment -----------------------------------------------------------


class Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


# In the order of the page: what each says in Authorization, and what the page calls it.
WHO: tuple[tuple[str, str], ...] = (
    ("option", "the option ``auth``"),
    ("header", "an ``Authorization`` among the ``headers`` of the client"),
    ("url", "user name and password of the URL"),
    ("session", "``session.auth``"),
    ("netrc", "``.netrc``"),
    ("session header", "an ``Authorization`` among ``session.headers``"),
)


def options_of(known: set[str], port: int, netrc: Path) -> tuple[str, dict]:
    """A URL and options that say who it is in each of some ways."""
    session = requests.Session()
    session.auth = Bearer("session") if "session" in known else None
    if "session header" in known:
        session.headers["Authorization"] = "Bearer session header"
    if "netrc" in known:
        netrc.write_text("machine 127.0.0.1 login netrc password x\n")
    options: dict = {"session": session}
    if "header" in known:
        options["headers"] = {"Authorization": "Bearer header"}
    if "option" in known:
        options["auth"] = Bearer("option")
    return f"ws://{'url:x@' if 'url' in known else ''}127.0.0.1:{port}/", options


SAYS = {name: f"Basic {b64encode(f'{name}:x'.encode()).decode()}" for name in ("url", "netrc")}


@pytest.mark.parametrize("place", range(len(WHO)), ids=[name for name, _ in WHO])
def test_who_you_are_is_taken_from_the_first_that_there_is(place, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    first = WHO[place][0]
    with PlannedServer(accept) as server:
        url, options = options_of({name for name, _ in WHO[place:]}, server.port, netrc)
        with Client(url, **options):
            said = server.visit().request.headers["Authorization"]
    assert said == SAYS.get(first, f"Bearer {first}")


def test_the_order_of_who_you_are_is_that_of_the_page():
    told = re.findall(r"^\d\. (.+)$", section(PAGE, "Sessions"), re.MULTILINE)
    assert len(told) == len(WHO)
    assert all(line.startswith(text) for line, (_, text) in zip(told, WHO, strict=True))


PROXY_VARIABLES = {name: effect for name, effect in table("Sessions") if effect.startswith("the p")}


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("name", PROXY_VARIABLES)
def test_a_variable_names_the_proxy_for_what_the_page_says(name, scheme, monkeypatch):
    is_for_it = bool(re.search(rf"for ({scheme}\b|both)", PROXY_VARIABLES[name]))
    with HostileServer(refusing(407)) as proxy:
        if "before" in PROXY_VARIABLES[name]:
            for other in ("http_proxy", "https_proxy"):
                monkeypatch.setenv(other, f"http://127.0.0.1:{refused_port()}")
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        # Where it is not for it: nobody listens, neither as the server nor as the other proxy.
        url = f"{scheme}://127.0.0.1:{refused_port()}/"
        with pytest.raises(ProxyError if is_for_it else ConnectionRefusedError):
            Client(url).connect()


def refusing(status: int) -> tuple[Step, ...]:
    return answered(head(b"Content-Length: 0", status=b"HTTP/1.1 %d No" % status))


# --- errors ---------------------------------------------------------------------------------------------


def planned(stack: ExitStack, *plan, **options) -> str:
    return stack.enter_context(PlannedServer(*plan, **options)).url


def hostile(stack: ExitStack, *steps: Step, **options) -> str:
    return stack.enter_context(HostileServer(steps, **options)).url()


def connected(stack: ExitStack, url: str, **options) -> Client:
    client = Client(url, **options).connect()
    stack.callback(client.wait_closed, PATIENCE)
    stack.callback(client.close)
    return client


def receive(stack: ExitStack, url: str) -> object:
    return connected(stack, url).receive(PATIENCE)


def through_a_proxy(stack: ExitStack) -> object:
    proxy = stack.enter_context(HostileServer(refusing(407)))
    return Client("ws://example.com/", proxy=f"http://127.0.0.1:{proxy.port}").connect()


def send_to_one_who_takes_nothing(stack: ExitStack) -> object:
    server = HostileServer(opened(Visit.stall), receive_buffer=4096)
    stack.enter_context(server)
    stack.callback(server.release)
    with Client(server.url()) as client:
        return client.send(bytes(2**25), timeout=SHORT)


def use_after_the_end(stack: ExitStack) -> object:
    client = connected(stack, planned(stack, echo))
    client.close()
    return client.receive(PATIENCE)


def mix_the_ways(_: ExitStack) -> object:
    client = Client("ws://example.com/")
    client.on("message", print)
    return client.receive(PATIENCE)


LONG_FRAME = b"\x82\x7f" + (2**27).to_bytes(8, "big")

# What makes happen what the page tells of.
HAPPENINGS: dict[str, Callable[[ExitStack], object]] = {
    "an option cannot work": lambda _: Client("http://example.com/"),
    "a host is not known": lambda _: Client(f"ws://{'x' * 64}.example/").connect(),
    "nobody listens there": lambda _: Client(f"ws://127.0.0.1:{refused_port()}/").connect(),
    "open_timeout passed": lambda stack: Client(planned(stack, hold), open_timeout=SHORT).connect(),
    "the certificate is not trusted": lambda stack: Client(
        planned(stack, accept, tls=server_context())
    ).connect(),
    "it speaks no TLS": lambda stack: Client(
        hostile(stack, send(b"HTTP/1.1 400 Bad Request\r\n\r\n")).replace("ws:", "wss:")
    ).connect(),
    "an answer is not a 101": lambda stack: Client(planned(stack, refuse(403))).connect(),
    "a 101 is not right": lambda stack: Client(
        hostile(stack, *answered(head(UPGRADE, CONNECTION)))
    ).connect(),
    "there is no answer": lambda stack: Client(planned(stack, cut)).connect(),
    "a proxy does not lead there": through_a_proxy,
    "the server closed": lambda stack: receive(stack, planned(stack, part(4001, "why"))),
    "the connection was lost": lambda stack: receive(stack, planned(stack, drop())),
    "the server broke RFC 6455": lambda stack: receive(
        stack, hostile(stack, *opened(send(b"\xff\x00")))
    ),
    "a message is too long": lambda stack: receive(
        stack, hostile(stack, *opened(send(LONG_FRAME)))
    ),
    "no message came in time": lambda stack: connected(stack, planned(stack, echo)).receive(SHORT),
    "the server takes nothing": send_to_one_who_takes_nothing,
    "you closed it": use_after_the_end,
    "the ways are mixed": mix_the_ways,
    "a message is of another type": lambda stack: connected(stack, planned(stack, echo)).send(
        {"a": 1}  # type: ignore[arg-type]
    ),
    "a close code is not allowed": lambda stack: connected(stack, planned(stack, echo)).close(1005),
}
MODULES = {**vars(faye_sync), "socket": socket, "ssl": ssl}
ERRORS = {what: (raised, told) for what, raised, told in table("Errors")}


def test_every_error_of_the_page_is_made_to_happen():
    assert list(HAPPENINGS) == list(ERRORS)


@pytest.mark.parametrize("what", ERRORS)
def test_an_error_of_the_page_is_raised_with_what_it_has(what, stack):
    raised, told = ERRORS[what]
    with pytest.raises(eval(raised, MODULES)) as caught:
        HAPPENINGS[what](stack)
    raw = next(row for row in rows(section(PAGE, "Errors")) if row[0].replace("``", "") == what)
    for name in re.findall(r"``([a-z_]+)``", raw[2]):
        # ca is an option, size and limit are of the cause.
        assert hasattr(caught.value, name) or hasattr(caught.value.__cause__, name) or name == "ca"
    for name, value, other in re.findall(r"(\w+) is (\w+)(?: or (\w+))?", told):
        assert str(getattr(caught.value, name, value)) in (value, other)


def test_those_that_are_os_errors_are_named_first_in_the_program():
    handled = re.findall(r"^except (\w+)", program("except HandshakeError"), re.MULTILINE)
    kinds = [eval(name, MODULES) for name in handled]
    assert kinds[-1] is OSError
    assert all(issubclass(kind, OSError) for kind in kinds)


# --- programs -------------------------------------------------------------------------------------------

PROGRAMS = blocks(PAGE)


def program(mark: str) -> str:
    """The one program of the page that holds a mark."""
    (found,) = (block for block in PROGRAMS if mark in block)
    return found


def started(tmp_path: Path, text: str, **environ: str) -> Program:
    path = tmp_path / "program.py"
    path.write_text(text, encoding="utf-8")
    return Program(path, **environ)


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.splitlines()[-1][:30])
def test_every_block_of_code_compiles(block):
    compile(block, "client.rst", "exec")


def test_the_function_on_a_thread_of_its_own_runs_as_it_stands(tmp_path):
    with PlannedServer(echo) as server:
        text, count = URL.subn(server.url, program("ws.start(talk)"))
        with started(tmp_path, text) as running:
            assert running.wait() == 0
            assert (count, running.rest()) == (1, ["hello", "1000"])


@pytest.mark.parametrize(
    "step, said",
    [
        (refuse(403, body="no"), "refused: 403 b'no'"),
        (part(4001, "why"), "closed: 4001 why"),
        (drop(), "closed: 1006 eof"),
        (hold, "late: no connection within the open_timeout of 0.3 s"),
        (None, "network: [Errno 111] Connection refused"),
    ],
    ids=["refused", "closed", "lost", "late", "network"],
)
def test_the_program_with_errors_tells_what_happened(step, said, tmp_path, stack):
    url = planned(stack, step) if step else f"ws://127.0.0.1:{refused_port()}/"
    text = URL.sub(url, program("except HandshakeError")).replace(
        "open_timeout=5", f"open_timeout={SHORT}"
    )
    with started(tmp_path, text) as running:
        assert running.wait() == 0
        (line,) = running.rest()
    assert line.startswith(said)


def test_the_program_with_a_login_runs_as_it_stands(tmp_path):
    text = program("session.post").replace('"secret"', repr(PASSWORD))
    assert NAME in text
    with serve("gunicorn-gthread-tls", "tests.support.login_site:app", tmp_path) as site:
        text = text.replace("example.com", f"127.0.0.1:{site.port}")
        authority = certificate().authority
        with started(tmp_path, text, REQUESTS_CA_BUNDLE=authority) as running:
            assert running.wait() == 0
            message, page, _ = running.rest()
    assert '"user": "Ada"' in message
    assert '"met":"yes"' in page


def test_the_program_that_connects_again_subscribes_each_time_with_its_token(tmp_path):
    text = program("Reconnect(")
    with (
        PlannedServer(refuse(200, body="t")) as token,
        PlannedServer(drop("a"), greet("b")) as feed,
    ):
        text = URL.sub(feed.url, text)
        text = text.replace("https://example.com/", f"http://127.0.0.1:{token.port}/")
        with started(tmp_path, text) as running:
            assert running.read() == "a"
            assert re.match(r"attempt 1 in \d\.\d s, because: .*1006 \(eof\)", running.read())
            assert running.read() == "b"
            visits = [feed.visit(), feed.visit()]
            assert [v.request.headers["Authorization"] for v in visits] == ["Bearer t"] * 2
            assert visits[1].read() == "subscribe"
            running.send_signal(signal.SIGINT)
            assert visits[1].parting()[0] == 1001


def test_the_handler_of_sigterm_tells_the_server(tmp_path):
    talk = "from faye_sync import Client\nwith Client({!r}) as ws:\n    print(ws.receive())\n"
    with PlannedServer(accept) as server:
        text = program("SIGTERM") + talk.format(server.url) + "    ws.receive()\n"
        with started(tmp_path, text) as running:
            visit = server.visit()
            visit.say("up")
            assert running.read() == "up"
            running.send_signal(signal.SIGTERM)
            assert running.wait() == 0
            assert visit.parting()[0] == 1001


@pytest.mark.parametrize("mark", ["proxy.example.com", "truststore", "unix_path"])
def test_what_shows_options_gives_options_that_work(mark, tmp_path, monkeypatch):
    if mark == "truststore":
        pytest.importorskip(mark)
    monkeypatch.chdir(tmp_path)
    authority = trustme.CA()
    issued = authority.issue_cert("client.example.com")
    for name in ("ca.pem", "proxy-ca.pem"):
        authority.cert_pem.write_to_path(name)
    issued.cert_chain_pems[0].write_to_path("client.pem")
    issued.private_key_pem.write_to_path("client.key")
    exec(compile(program(mark), "client.rst", "exec"), {})


# --- beside websocket-client --------------------------------------------------------------------------------


def theirs(url: str, **options) -> websocket.WebSocket:
    return websocket.create_connection(url, **{"timeout": PATIENCE, **options})


@contextmanager
def their_end(url: str, **options) -> Iterator[websocket.WebSocket]:
    """One of theirs whose socket is closed for certain, which its close() leaves open at times."""
    ws = theirs(url, **options)
    try:
        yield ws
    finally:
        ws.shutdown()


def their_default(function: Callable, name: str) -> object:
    return signature(function).parameters[name].default


def our_default(name: str) -> object:
    return signature(Client).parameters[name].default


def keepalive_ping(_: ExitStack) -> None:
    assert their_default(websocket.WebSocketApp.run_forever, "ping_interval") == 0
    assert our_default("ping") == 20.0


def deadline_to_open(stack: ExitStack) -> None:
    def drip(visit: Visit) -> None:
        for _ in range(12):
            visit.send(b"H")
            visit.pause(SHORT / 3)

    def seconds(dial: Callable[[], object], *errors: type[Exception]) -> float:
        began = time.monotonic()
        with pytest.raises(errors):
            dial()
        return time.monotonic() - began

    url = hostile(stack, Visit.read_head, drip, Visit.end_writing)
    assert websocket.getdefaulttimeout() is None
    assert our_default("open_timeout") == 10.0
    lost = websocket.WebSocketException
    assert seconds(lambda: theirs(url, timeout=SHORT), lost) > 2 * SHORT
    ours = seconds(lambda: Client(url, open_timeout=SHORT).connect(), TimeoutError)
    assert SHORT <= ours < SHORT + PATIENCE


def deadline_to_send(_: ExitStack) -> None:
    assert websocket.getdefaulttimeout() is None
    assert our_default("send_timeout") == 30.0


def longest_message(stack: ExitStack) -> None:
    assert our_default("max_length") + 1 == 64 * 2**20
    url = hostile(stack, *opened(send(LONG_FRAME)))
    with their_end(url, timeout=SHORT) as ws, pytest.raises(websocket.WebSocketTimeoutException):
        ws.recv()
    with pytest.raises(ConnectionClosed) as caught:
        receive(stack, url)
    assert caught.value.code == 1009


def redirect_to_another_origin(stack: ExitStack) -> None:
    elsewhere = stack.enter_context(HostileServer(opened(Visit.answer_close)))
    lines = (b"Location: " + elsewhere.url().encode(), b"Content-Length: 0")
    url = hostile(stack, *answered(head(*lines, status=b"HTTP/1.1 302 Found")))
    headers = {"Authorization": "Bearer x", "X-Api-Key": "k"}
    theirs(url, header=headers, cookie="c=1").close()
    with Client(url, headers={**headers, "Cookie": "c=1"}):
        names = ("Authorization", "X-Api-Key", "Cookie")
        seen = [[elsewhere.request(number)[name] for name in names] for number in (0, 1)]
    assert seen == [["Bearer x", "k", "c=1"], [None, None, None]]


def cookies_without_a_session(stack: ExitStack) -> None:
    given = switching(b"Set-Cookie: c=1; Domain=127.0.0.1")
    server = HostileServer((Visit.read_head, send(given), Visit.answer_close))
    stack.enter_context(server)
    theirs(server.url()).close()
    theirs(server.url()).close()
    for _ in range(2):
        with Client(server.url()):
            pass
    assert [server.request(number)["Cookie"] for number in range(4)] == [None, "c=1", None, None]


def subprotocol_not_offered(stack: ExitStack) -> None:
    url = hostile(stack, *answered(switching(b"Sec-WebSocket-Protocol: other")), Visit.answer_close)
    theirs(url).close()
    with pytest.raises(HandshakeError):
        Client(url).connect()


def a_bad_frame(octets: bytes) -> Callable[[ExitStack], None]:
    def see(stack: ExitStack) -> None:
        url = hostile(stack, *opened(send(octets), Visit.answer_close))
        with their_end(url) as ws:
            assert ws.recv() == "x"
        with pytest.raises(ConnectionClosed) as caught:
            receive(stack, url)
        assert caught.value.code == 1002

    return see


def line_break_in_a_header(stack: ExitStack) -> None:
    server = stack.enter_context(HostileServer(opened(Visit.answer_close)))
    headers = {"X": "a\r\nInjected: yes"}
    theirs(server.url(), header=headers).close()
    assert server.request()["Injected"] == "yes"
    with pytest.raises(ConfigurationError):
        Client(server.url(), headers=headers)


def https_proxy(stack: ExitStack) -> None:
    proxy = stack.enter_context(HostileServer(refusing(407), tls=True))
    there = {"http_proxy_host": "127.0.0.1", "http_proxy_port": proxy.port, "proxy_type": "https"}
    with pytest.raises(websocket._http.ProxyError):
        theirs("ws://example.com/", **there)
    option = {"origin": f"https://127.0.0.1:{proxy.port}", "tls": {"ca": certificate().authority}}
    with pytest.raises(ProxyError) as caught:
        Client("ws://example.com/", proxy=option).connect()
    assert caught.value.status_code == 407


def close_of_the_server(stack: ExitStack) -> None:
    url = hostile(stack, *opened(send(close_frame(4001)), Visit.read_close, Visit.end_writing))
    with their_end(url) as ws:
        assert ws.recv() == ""
    with pytest.raises(ConnectionClosed) as caught:
        receive(stack, url)
    assert caught.value.code == 4001


def send_of_octets(stack: ExitStack) -> None:
    server = stack.enter_context(HostileServer(opened(Visit.read_frame, Visit.answer_close)))
    ws = theirs(server.url())
    ws.send(b"...")
    ws.close()
    with Client(server.url()) as client:
        client.send(b"...")
    assert [server.visit(number).frames[0][0] for number in (0, 1)] == [TEXT, TEXT + 1]


DIFFERENCES = {
    "keepalive ping": keepalive_ping,
    "deadline to open": deadline_to_open,
    "deadline to send": deadline_to_send,
    "longest message": longest_message,
    "redirect to another origin": redirect_to_another_origin,
    "cookies without a session": cookies_without_a_session,
    "subprotocol not offered": subprotocol_not_offered,
    "masked frame of the server": a_bad_frame(bytes((0x81, 0x81, 1, 2, 3, 4, ord("x") ^ 1))),
    "length in more octets than need": a_bad_frame(b"\x81\x7e\x00\x01x"),
    "line break in a header": line_break_in_a_header,
    "HTTPS proxy": https_proxy,
    "close of the server": close_of_the_server,
    'send(b"...")': send_of_octets,
}


@pytest.fixture
def _jar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give websocket-client another jar for all of its process, which other tests are in too."""
    monkeypatch.setattr("websocket._handshake.CookieJar", SimpleCookieJar())


@pytest.mark.usefixtures("_jar")
@pytest.mark.parametrize("row", DIFFERENCES)
def test_what_differs_from_websocket_client(row, stack):
    DIFFERENCES[row](stack)


def test_every_row_about_websocket_client_is_seen():
    assert column(table("Differences from websocket-client")) == list(DIFFERENCES)
    assert "-k differs_from_websocket_client" in PAGE
