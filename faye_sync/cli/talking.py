"""faye-sync connect: a terminal, a pipe or a script at one end of a WebSocket."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

import click

from faye_sync.cli.terminal import FAILED, err, out, show
from faye_sync.client import NORMAL, Client
from faye_sync.deadlines import deadline_after, seconds_left
from faye_sync.errors import ConnectionClosed
from faye_sync.events import CloseEvent, MessageEvent

PATIENCE = 10.0  # seconds that the other end has to answer
SILENCE = 0.3  # seconds without a message behind the last answer
HELP = "/ping [DATA]   /close [CODE [REASON]]   /help   all else is sent"


def one_shot(
    client: Client, messages: tuple[str, ...], count: int, wait: float, *, pretty: bool
) -> None:
    """Send messages, print so many answers, and close.

    Raises:
        Exit: The connection closed before, or with an error.
        TimeoutError: An answer did not come in time.
    """
    with client:
        for message in messages:
            client.send(message)
        for _ in range(count):
            show(client.receive(wait), pretty=pretty)


def talk(client: Client, lines: TextIO, *, pretty: bool) -> None:
    """Send each line and print what comes, until either end is through.

    Raises:
        Exit: The connection was closed with an error.
    """
    is_terminal = lines.isatty()
    if is_terminal:
        with suppress(ImportError):
            # Editing and history, by being there.
            import readline  # noqa: F401, PLC0415  # see above
    prefix = "< " if is_terminal else ""
    # Whether the end is for us to make, and not for the reading of lines to be ended by it.
    leaving: list[bool] = []
    # One for each message.
    heard: list[None] = []

    @client.on("message")
    def print_message(event: MessageEvent) -> None:
        show(event.data, pretty=pretty, prefix=prefix)
        heard.append(None)

    @client.on("close")
    def print_close(event: CloseEvent) -> None:
        if is_terminal or event.code not in NORMAL:
            err.print(f"closed: {event.code} {event.reason} ({event.cause})", markup=False)
        if not leaving:
            # The one thing that ends the wait for a line.
            os.kill(os.getpid(), signal.SIGINT)

    client.connect()
    client.start()
    if is_terminal:
        err.print(f"connected to {client.url}; {HELP}", markup=False)
    try:
        _send_lines(client, lines, leaving, is_terminal=is_terminal)
        leaving.append(True)
        if not is_terminal:
            _hear_out(client, heard)
        client.close()
        client.join()
    except KeyboardInterrupt:
        leaving.append(True)
        client.close()
        client.join(PATIENCE)
    if client.close_code not in NORMAL:
        raise click.exceptions.Exit(FAILED)


def _send_lines(client: Client, lines: TextIO, leaving: list[bool], *, is_terminal: bool) -> None:
    while not client.closed:
        try:
            line = input("> ") if is_terminal else lines.readline()
        except EOFError:
            return
        if not is_terminal and not line:
            return
        line = line.rstrip("\r\n")
        command = _COMMANDS.get(line.split(" ", 1)[0]) if is_terminal else None
        try:
            if command is not None:
                if command is _close:
                    leaving.append(True)
                command(client, line.split(" ")[1:])
            else:
                client.send(line)
        except (ConnectionClosed, ValueError) as error:
            leaving.clear()
            err.print(str(error), style="red", markup=False)


def _hear_out(client: Client, heard: list[None]) -> None:
    """Wait until the answers to what was sent have come: until there is silence behind a pong."""
    answered: list[bool] = []
    client.ping("end of the input", lambda: answered.append(True))
    deadline = deadline_after(PATIENCE)
    while seconds_left(deadline):
        before = len(heard)
        if client.wait_closed(SILENCE) or (answered and len(heard) == before):
            return


def _ping(client: Client, words: list[str]) -> None:
    def told() -> None:
        out.print(f"pong after {1000 * (client.latency or 0):.1f} ms")

    client.ping(" ".join(words), told)


def _close(client: Client, words: list[str]) -> None:
    code = int(words[0]) if words else 1000
    client.close(code, " ".join(words[1:]))
    client.wait_closed(PATIENCE)


def _help(client: Client, words: list[str]) -> None:
    del client, words
    err.print(HELP, markup=False)


_COMMANDS: dict[str, Callable[[Client, list[str]], Any]] = {
    "/ping": _ping,
    "/close": _close,
    "/help": _help,
}
