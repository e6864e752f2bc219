"""What all commands say and how: lines for people, and for pipes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.json import JSON

from faye_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    EventSourceError,
    HandshakeError,
)

F = TypeVar("F", bound=Callable[..., Any])

# Without highlighting, which would colour numbers within the messages of others.
out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)

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
    if isinstance(data, bytes):
        out.print(f"{prefix}{data.hex(' ')}", markup=False, style="magenta")
        return
    value = _parsed(data) if pretty else None
    if value is None:
        out.print(f"{prefix}{data}", markup=False)
    else:
        out.print(JSON.from_data(value))


def _parsed(text: str) -> Any:
    """Read JSON of an object or a list; None for all else."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


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
