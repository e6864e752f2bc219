"""What all commands say and how: lines for people, and for pipes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.json import JSON
from rich.text import Text

from faye_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    EventSourceError,
    HandshakeError,
)

F = TypeVar("F", bound=Callable[..., Any])

# Without highlighting, which would colour numbers within the messages of others.
out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(highlight=False, soft_wrap=True, emoji=False, stderr=True)

# Exit statuses: a wrong call is click's 2.
FAILED = 1


@contextmanager
def plain_errors() -> Iterator[None]:
    """Tell of what can go wrong in a line, and end the process with a status for it."""
    try:
        yield
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    except HandshakeError as error:
        body = error.body.decode("utf-8", "replace").strip()
        first = body.splitlines()[0][:300] if body and "<" not in body[:20] else ""
        fail(f"{error}: {first}" if first else str(error))
    except (ConnectionClosed, EventSourceError) as error:
        fail(str(error))
    except TimeoutError as error:
        fail(str(error) or "it took too long")
    except OSError as error:
        fail(error.strerror or str(error))
    except ValueError as error:
        # A URL, a message or a number that cannot be one.
        raise click.UsageError(str(error)) from error


def fail(text: str) -> None:
    """Say what went wrong, and end the process.

    Raises:
        Exit: Always.
    """
    err.print(f"faye-sync: {text}", style="red", markup=False)
    raise click.exceptions.Exit(FAILED)


def with_plain_errors(function: F) -> F:
    """Decorate a command with plain_errors()."""

    @wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        with plain_errors():
            return function(*arguments, **options)

    return command  # type: ignore[return-value]  # of the same parameters


def show(data: str | bytes, *, pretty: bool, prefix: str = "") -> None:
    """Print a message: text as it is, or JSON laid out; octets in hex."""
    value = _parsed(data) if pretty and isinstance(data, str) else None
    if value is not None:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    else:
        text = data.hex(" ") if isinstance(data, bytes) else data
    if not out.is_terminal:
        # For another program, to which every sign counts.
        click.echo(f"{prefix}{text}")
        return
    if value is not None:
        if prefix:
            out.print(Text(prefix, "cyan"))
        out.print(JSON(text))
        return
    colour = "magenta" if isinstance(data, bytes) else ""
    out.print(Text.assemble((prefix, "cyan"), (text, colour)))


def _parsed(text: str) -> Any:
    """Read JSON of an object or a list; None for all else, and for what nests too deep to be read."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


class Seconds(click.FloatRange):
    """A number of seconds, which is finite."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no number of seconds", param, ctx)
        return number


def headers_of(values: tuple[str, ...], cookies: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Read options like -H 'Name: value' and --cookie name=value.

    Raises:
        UsageError: A header has no colon.
    """
    pairs = []
    for value in values:
        name, colon, content = value.partition(":")
        if not colon:
            raise click.UsageError(f"a header is 'Name: value', got {value!r}")
        pairs.append((name.strip(), content.strip()))
    if cookies:
        pairs.append(("Cookie", "; ".join(cookies)))
    return pairs
