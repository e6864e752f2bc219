"""The commands of faye-sync."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from itertools import islice
from typing import Any, TypeVar

import click

from faye_sync.cli.diagnosis import Finding, Question, diagnose
from faye_sync.cli.measuring import measure
from faye_sync.cli.network import Network
from faye_sync.cli.talking import one_shot, talk
from faye_sync.cli.terminal import FAILED, Seconds, fail, headers_of, out, show, with_plain_errors
from faye_sync.client import Client
from faye_sync.eventsource_client import EventSourceClient
from faye_sync.websocket import WebSocket

F = TypeVar("F", bound=Callable[..., Any])

ANY, SOME = Seconds(min=0), Seconds(min=0, min_open=True)
COUNT, PORT = click.IntRange(0), click.IntRange(0, 65535)

_SIGNS = {True: ("ok", "green"), False: ("WRONG", "bold red"), None: ("note", "yellow")}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("faye_sync"), prog_name="faye-sync")
def group() -> None:
    """WebSocket and EventSource from the command line."""


def network_options(command: F) -> F:
    """Decorate a command with the options that every connection has."""
    for option in (
        click.option("-H", "--header", "headers", multiple=True, help="'Name: value'; repeatable."),
        click.option("--cookie", "cookies", multiple=True, help="name=value; repeatable."),
        click.option("--proxy", help="http, https or socks5 URL; 'none' for none."),
        click.option("--ca", type=click.Path(exists=True), help="PEM file of authorities."),
        click.option("-k", "--insecure", is_flag=True, help="Take any certificate."),
        click.option(
            "--timeout", default=10.0, type=SOME, show_default=True, help="Seconds to open."
        ),
    ):
        command = option(command)
    return command


# --- connect ------------------------------------------------------------------------------------------


@group.command()
@click.argument("url")
@click.argument("messages", nargs=-1)
@click.option("-p", "--protocol", "protocols", multiple=True, help="Subprotocol; repeatable.")
@click.option("--origin", help="As a page of that origin would.")
@click.option("-n", "--count", type=COUNT, help="Messages to wait for; one for each sent.")
@click.option("--wait", default=10.0, type=ANY, show_default=True, help="Seconds to wait for each.")
@click.option("--ping", default=20.0, type=ANY, show_default=True, help="Seconds; 0 for none.")
@click.option("--json/--no-json", "pretty", default=None, help="Lay JSON out (on a terminal: yes).")
@network_options
@with_plain_errors
def connect(
    url: str,
    messages: tuple[str, ...],
    protocols: tuple[str, ...],
    origin: str | None,
    count: int | None,
    wait: float,
    ping: float,
    pretty: bool | None,
    headers: tuple[str, ...],
    cookies: tuple[str, ...],
    timeout: float,
    **network: Any,
) -> None:
    """Talk on a WebSocket.

    With MESSAGES sends them, prints what is answered, and closes. Without, each line of the
    input is a message; on a terminal /ping, /close [CODE [REASON]] and /help are commands.
    The exit status is 0 after a normal close.
    """
    pairs = headers_of(headers, cookies) + ([("Origin", origin)] if origin else [])
    client = Client(
        url,
        protocols,
        headers=pairs,
        open_timeout=timeout,
        ping=ping or None,
        **Network(**network).client_options(),
    )
    pretty = out.is_terminal if pretty is None else pretty
    if messages:
        one_shot(client, messages, len(messages) if count is None else count, wait, pretty=pretty)
    else:
        talk(client, sys.stdin, pretty=pretty)


# --- listen -------------------------------------------------------------------------------------------


@group.command()
@click.argument("url")
@click.option("-n", "--count", type=COUNT, help="End after so many events.")
@click.option("--last-event-id", default="", help="Resume after this one.")
@click.option("--reconnect/--no-reconnect", default=None, help="Ask again where it ends.")
@click.option("--json/--no-json", "pretty", default=None, help="Lay JSON out (on a terminal: yes).")
@network_options
@with_plain_errors
def listen(
    url: str,
    count: int | None,
    last_event_id: str,
    reconnect: bool | None,
    pretty: bool | None,
    headers: tuple[str, ...],
    cookies: tuple[str, ...],
    timeout: float,
    **network: Any,
) -> None:
    """Print the events of a stream as they come, resuming where it breaks off."""
    pretty = out.is_terminal if pretty is None else pretty
    client = EventSourceClient(
        url,
        headers=headers_of(headers, cookies),
        last_event_id=last_event_id,
        reconnect=reconnect,
        open_timeout=timeout,
        session=Network(**network).session(),
    )
    with client as events:
        for event in islice(events, count):
            named = "" if event.type == "message" else f"{event.type}: "
            numbered = f"[{event.last_event_id}] " if event.last_event_id else ""
            show(event.data, pretty=pretty, prefix=numbered + named)


# --- serve --------------------------------------------------------------------------------------------


@group.command()
@click.argument("app", required=False)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, type=PORT, show_default=True, help="0 for a free one.")
@click.option("--gevent", "on_gevent", is_flag=True, help="On greenlets in place of threads.")
@with_plain_errors
def serve(app: str | None, host: str, port: int, on_gevent: bool) -> None:
    """Serve APP, module:name of a WSGI application, or an echo at every path; to try things."""
    if on_gevent:
        _patch()
    application = echo if app is None else _load(app)
    if on_gevent:
        from gevent.pywsgi import WSGIServer  # noqa: PLC0415  # where it is asked for

        server = WSGIServer((host, port), application, log=None)
        server.start()
        out.print(f"serving at http://{host}:{server.server_port}/")
        server.serve_forever()
    else:
        from werkzeug.serving import make_server  # noqa: PLC0415  # where it is asked for

        threaded = make_server(host, port, application, threaded=True)
        out.print(f"serving at http://{host}:{threaded.server_port}/")
        threaded.serve_forever()


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """Send back each message; the application of serve."""

    def repeat(ws: WebSocket) -> None:
        for message in ws:
            ws.send(message)

    return WebSocket(environ, origins="*").start(repeat)(environ, start_response)


def _patch() -> None:
    try:
        from gevent import monkey  # noqa: PLC0415  # where it is asked for
    except ModuleNotFoundError:
        fail("--gevent needs gevent: pip install 'faye-sync[gevent]'")
    else:
        monkey.patch_all()


def _load(named: str) -> Any:
    module, _, name = named.partition(":")
    if not module or module.startswith("."):
        raise click.UsageError(f"an application is module:name, got {named!r}")
    sys.path.insert(0, "")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        raise click.UsageError(f"there is no module {error.name}") from error
    for part in (name or "app").split("."):
        if not hasattr(found, part):
            raise click.UsageError(f"{module} has no {name or 'app'}")
        found = getattr(found, part)
    return found


# --- check --------------------------------------------------------------------------------------------


@group.command()
@click.argument("url")
@click.option("--idle", default=65.0, type=SOME, show_default=True, help="Seconds of silence.")
@network_options
@with_plain_errors
def check(
    url: str,
    idle: float,
    headers: tuple[str, ...],
    cookies: tuple[str, ...],
    timeout: float,
    **network: Any,
) -> None:
    """Say what is wrong with a deployment, and the line to change.

    URL is that of a WebSocket, with ws or wss, or of an event stream, with http or https. The
    exit status is 1 where something is wrong.
    """
    question = Question(url, idle, timeout, headers_of(headers, cookies), Network(**network))
    is_wrong = False
    for finding in diagnose(question):
        is_wrong |= finding.is_fine is False
        tell(finding)
    if is_wrong:
        raise click.exceptions.Exit(FAILED)


def tell(finding: Finding) -> None:
    """Print a finding, and what to change."""
    sign, style = _SIGNS[finding.is_fine]
    out.print(f"{sign:6}", style=style, end="")
    out.print(f"{finding.topic}: {finding.text}", markup=False)
    for cure in finding.cures:
        out.print(f"      change {cure}", markup=False)


# --- bench --------------------------------------------------------------------------------------------


@group.command()
@click.argument("url")
@click.option("-c", "--connections", default=10, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=5.0, show_default=True, type=SOME)
@click.option("--size", default=64, show_default=True, type=click.IntRange(0), help="Octets.")
@network_options
@with_plain_errors
def bench(
    url: str,
    connections: int,
    seconds: float,
    size: int,
    headers: tuple[str, ...],
    cookies: tuple[str, ...],
    timeout: float,
    **network: Any,
) -> None:
    """Measure how long an echo at URL takes, on many connections at once."""
    pairs, options = headers_of(headers, cookies), Network(**network).client_options()

    def make() -> Client:
        return Client(url, headers=pairs, open_timeout=timeout, **options)

    if not measure(make, connections, seconds, size):
        raise click.exceptions.Exit(FAILED)
