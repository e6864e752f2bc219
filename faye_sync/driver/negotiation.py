"""Which extensions a connection has: what is offered, answered, and agreed on.

RFC 6455 9.1. An extension's own errors propagate: they are bugs, not the peer's
doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from faye_sync.driver.extension import Params
from faye_sync.driver.extension_header import parse_extensions, serialize_params
from faye_sync.driver.handshake import is_token, shown
from faye_sync.driver.pipeline import Pipeline, close_all
from faye_sync.errors import ConfigurationError

_BITS = ("rsv1", "rsv2", "rsv3")
_METHODS = ("create_client_session", "create_server_session")


def check_extensions(extensions: Iterable[Any] | None) -> tuple[Any, ...]:
    """Refuse what is no extension. Safe from any thread.

    Args:
        extensions: Objects like an Extension; a class among them stands for
            what it makes without arguments. None for none.

    Returns:
        The objects, in order.

    Raises:
        ConfigurationError: One of them is no extension, or two have one name.
    """
    if extensions is None:
        return ()
    if isinstance(extensions, str | bytes) or not isinstance(extensions, Iterable):
        raise ConfigurationError(
            "extensions must be a list of extensions, such as [PerMessageDeflate()], got "
            f"{shown(extensions)}"
        )
    found = tuple(map(_made, extensions))
    for extension in found:
        _check(extension)
    name, count = max(
        Counter(one.name for one in found).items(), key=itemgetter(1), default=("", 0)
    )
    if count > 1:
        raise ConfigurationError(f"extension {name} comes {count} times")
    return found


def _made(extension: Any) -> Any:
    """Make an extension of its class."""
    if isinstance(extension, str | bytes):
        raise ConfigurationError(
            f"an extension is an object, such as PerMessageDeflate(), not a name: {shown(extension)}"
        )
    if not isinstance(extension, type):
        return extension
    try:
        return extension()
    except TypeError as error:
        name = extension.__name__
        raise ConfigurationError(
            f"extension {name} cannot be made without arguments: give {name}(...) in place of the "
            f"class ({error})"
        ) from error


def _check(extension: Any) -> None:
    name = getattr(extension, "name", None)
    if not isinstance(name, str) or not is_token(name):
        raise ConfigurationError(
            f"extension.name must be a token (RFC 9110 5.6.2), got {shown(name)} of "
            f"{type(extension).__name__}"
        )
    if getattr(extension, "type", None) != "permessage":
        found = shown(getattr(extension, "type", None))
        raise ConfigurationError(f'{name}: extension.type must be "permessage", got {found}')
    for bit in _BITS:
        value = getattr(extension, bit, None)
        if not isinstance(value, bool):
            raise ConfigurationError(
                f"{name}: extension.{bit} must be True or False, got {shown(value)}"
            )
    for method in _METHODS:
        if not callable(getattr(extension, method, None)):
            raise ConfigurationError(f"{name}: extension.{method}() is missing")


def respond(
    extensions: Sequence[Any], header: str | None, options: Mapping[str, Any]
) -> tuple[str, Pipeline | None]:
    """Answer a client's offers, for a server. Safe from any thread.

    Args:
        extensions: Those that the server knows, the first of two that use one
            reserved bit being liked better.
        header: The client's offers.
        options: For the extensions: max_length.

    Returns:
        The header of the answer, and what was agreed on; an empty string and
        None for nothing.

    Raises:
        ValueError: The header does not follow the grammar.
    """
    offers: dict[str, list[Params]] = {}
    for name, params in parse_extensions(header):
        offers.setdefault(name, []).append(params)
    agreed: list[tuple[Any, Any]] = []
    answers = []
    try:
        for extension in extensions:
            if extension.name not in offers or any(
                _shared_bits(extension, other) for other, _ in agreed
            ):
                continue
            session = extension.create_server_session(offers[extension.name], options)
            if session is None:
                continue
            agreed.append((extension, session))
            answers.append(serialize_params(extension.name, session.generate_response()))
    except BaseException:
        # What the sessions may raise now would only hide the first error.
        close_all(agreed)
        raise
    return ", ".join(answers), Pipeline(agreed, options["max_length"]) if agreed else None


def _shared_bits(one: Any, other: Any) -> list[str]:
    return [bit for bit in _BITS if getattr(one, bit) and getattr(other, bit)]


class Offered:
    """What a client offers in one request, and the sessions that wait for the answer.

    One thread at a time."""

    def __init__(self, extensions: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Make the sessions and their offers.

        Args:
            extensions: Those to offer, even where two use one reserved bit.
            options: For the extensions: max_length.
        """
        self._max_length = options["max_length"]
        # All that have not been agreed on; not each of them makes an offer.
        self._waiting: dict[str, tuple[Any, Any]] = {}
        self._names: set[str] = set()
        offers: list[str] = []
        try:
            for extension in extensions:
                offers += self._offer(extension, options)
        except BaseException:
            # What the sessions may raise now would only hide the first error.
            self.withdraw()
            raise
        self.value = ", ".join(offers)

    def activate(self, header: str | None) -> Pipeline | None:
        """Take the server's answer. Sessions that are not in it end.

        Args:
            header: The answer; None or an empty string agrees on nothing.

        Returns:
            What was agreed on, in the order of the answer; None for nothing.

        Raises:
            ValueError: The answer does not follow the grammar, or cannot be agreed to.
        """
        agreed: list[tuple[Any, Any]] = []
        try:
            for name, params in parse_extensions(header):
                agreed.append(self._agree(name, params, agreed))
            self._end_unanswered()
        except BaseException:
            # As above.
            close_all(agreed)
            self.withdraw()
            raise
        return Pipeline(agreed, self._max_length) if agreed else None

    def withdraw(self) -> list[Exception]:
        """End the sessions that no answer came for, once; returns what they raised."""
        waiting, self._waiting = self._waiting, {}
        return close_all(waiting.values())

    def _end_unanswered(self) -> None:
        for error in self.withdraw():
            raise error

    def _offer(self, extension: Any, options: Mapping[str, Any]) -> list[str]:
        session = extension.create_client_session(options)
        if session is None:
            return []
        name = extension.name
        self._waiting[name] = (extension, session)
        offer = session.generate_offer()
        if offer is None:
            return []
        several = [offer] if isinstance(offer, Mapping) else list(offer)
        if several:
            self._names.add(name)
        return [serialize_params(name, params) for params in several]

    def _agree(self, name: str, params: Params, agreed: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        if name not in self._names or name not in self._waiting:
            known = "a second time" if any(one.name == name for one, _ in agreed) else "unasked"
            raise ValueError(f"the server answered extension {shown(name)} {known}")
        extension, session = self._waiting[name]
        for other, _ in agreed:
            for bit in _shared_bits(extension, other):
                raise ValueError(
                    f"the server answered two extensions that use {bit.upper()}: "
                    f"{shown(other.name)} and {shown(name)}"
                )
        if session.activate(params) is not True:
            found = shown(serialize_params(name, params))
            raise ValueError(f"the server answered with unacceptable parameters: {found}")
        return self._waiting.pop(name)
