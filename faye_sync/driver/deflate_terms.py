"""What a user wants of permessage-deflate, and what both sides agree on.

Parameters only, RFC 7692 7.1: no message, no engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from faye_sync.driver.extension import Params
from faye_sync.errors import ConfigurationError

_MAX_BITS = 15
_BITS = range(8, _MAX_BITS + 1)

_SERVER_FORGETS = "server_no_context_takeover"
_CLIENT_FORGETS = "client_no_context_takeover"
_SERVER_BITS = "server_max_window_bits"
_CLIENT_BITS = "client_max_window_bits"

# Which whole numbers an option may be, and whether None too.
_NUMBERS = {
    "level": (range(-1, 10), True),
    "mem_level": (range(1, 10), False),
    "strategy": (range(5), False),
    "max_window_bits": (_BITS, False),
    "request_max_window_bits": (_BITS, True),
}
_FLAGS = ("no_context_takeover", "request_no_context_takeover")


@dataclass(frozen=True)
class Options:
    """What a user wants: PerMessageDeflate tells which is what. Safe from any thread.

    Raises:
        ConfigurationError: One of them is not allowed; names it, its value and what is."""

    level: int | None = None
    mem_level: int = 8
    strategy: int = 0
    no_context_takeover: bool = False
    max_window_bits: int = _MAX_BITS
    request_no_context_takeover: bool = False
    request_max_window_bits: int | None = None
    threshold: int = 256

    def __post_init__(self) -> None:
        for name, (allowed, may_be_none) in _NUMBERS.items():
            _check_number(name, getattr(self, name), allowed, may_be_none=may_be_none)
        for name in _FLAGS:
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ConfigurationError(f"{name} must be True or False, got {value!r}")
        if type(self.threshold) is not int or self.threshold < 0:
            text = f"threshold must be a whole number of octets from 0 on, got {self.threshold!r}"
            raise ConfigurationError(text)


def _check_number(name: str, value: object, allowed: range, *, may_be_none: bool) -> None:
    if (value is None and may_be_none) or (type(value) is int and value in allowed):
        return
    words = f"{'None or ' if may_be_none else ''}a whole number from {allowed[0]} to {allowed[-1]}"
    raise ConfigurationError(f"{name} must be {words}, got {value!r}")


@dataclass(frozen=True, slots=True)
class Terms:
    """What both sides agreed on, as one of them sees it.

    Attributes:
        own_bits: Of the window for what it sends, 8 to 15.
        own_takeover: True when that window outlives a message.
        peer_bits: Of the window for what it receives, 8 to 15.
        peer_takeover: True when that window outlives a message.
    """

    own_bits: int
    own_takeover: bool
    peer_bits: int
    peer_takeover: bool


def _read_flag(value: object) -> int | None:
    return 1 if value is True else None


def _read_bits(value: object) -> int | None:
    # No float and no text: section 7.1.2 wants digits without a leading zero.
    return value if type(value) is int and value in _BITS else None


def _read_optional_bits(value: object) -> int | None:
    # A client without a value leaves the choice to the server.
    return _MAX_BITS if value is True else _read_bits(value)


# What is not here is unknown; a parameter that comes twice is a list, which none of them reads.
_READERS: Mapping[str, Callable[[object], int | None]] = {
    _SERVER_FORGETS: _read_flag,
    _CLIENT_FORGETS: _read_flag,
    _SERVER_BITS: _read_bits,
    _CLIENT_BITS: _read_optional_bits,
}


def read(params: Params) -> dict[str, int] | None:
    """Read the parameters of an offer. Safe from any thread. RFC 7692 7.1.

    Args:
        params: As the header has them.

    Returns:
        Numbers, a flag being 1; None when one is unknown, repeated or illegal.
    """
    numbers = {}
    for name, value in params.items():
        reader = _READERS.get(name)
        number = None if reader is None else reader(value)
        if number is None:
            return None
        numbers[name] = number
    return numbers


def settle(options: Options, offer: Mapping[str, int]) -> tuple[Terms, dict[str, int | bool]]:
    """Answer an offer, as a server. Safe from any thread. RFC 7692 7.1.

    Args:
        options: What the server wants.
        offer: What read() made of it.

    Returns:
        The terms, and the parameters that tell the client of them. A window is
        named only where it is smaller than the largest, as Firefox refuses
        others, and ours only where the client asked for one, as section 7.1.2
        has it; without that a smaller one is used all the same.
    """
    wanted = options.request_max_window_bits or _MAX_BITS
    terms = Terms(
        own_bits=min(options.max_window_bits, offer.get(_SERVER_BITS, _MAX_BITS)),
        own_takeover=not (options.no_context_takeover or _SERVER_FORGETS in offer),
        # A client that does not speak of its window cannot be asked for a smaller one.
        peer_bits=min(wanted, offer[_CLIENT_BITS]) if _CLIENT_BITS in offer else _MAX_BITS,
        peer_takeover=not (options.request_no_context_takeover or _CLIENT_FORGETS in offer),
    )
    answer: dict[str, int | bool] = {}
    if not terms.own_takeover:
        answer[_SERVER_FORGETS] = True
    if not terms.peer_takeover:
        answer[_CLIENT_FORGETS] = True
    if _SERVER_BITS in offer and terms.own_bits < _MAX_BITS:
        answer[_SERVER_BITS] = terms.own_bits
    if terms.peer_bits < _MAX_BITS:
        answer[_CLIENT_BITS] = terms.peer_bits
    return terms, answer


def offer_of(options: Options) -> dict[str, int | bool]:
    """Make a client's offer. Safe from any thread. RFC 7692 7.1.

    Args:
        options: What the client wants.

    Returns:
        The parameters; client_max_window_bits is always one of them, without a
        value where any window will do, so that the server may name a smaller.
    """
    bits = options.max_window_bits
    offer: dict[str, int | bool] = {}
    if options.no_context_takeover:
        offer[_CLIENT_FORGETS] = True
    offer[_CLIENT_BITS] = True if bits == _MAX_BITS else bits
    if options.request_no_context_takeover:
        offer[_SERVER_FORGETS] = True
    # Many servers, ours too, leave 15 unanswered, which would count as a refusal.
    if _requested_bits(options) < _MAX_BITS:
        offer[_SERVER_BITS] = _requested_bits(options)
    return offer


def judge(options: Options, params: Params) -> Terms | None:
    """Judge a server's answer, as a client. Safe from any thread. RFC 7692 7.1.

    Args:
        options: What the client wanted: the answer is to offer_of() them.
        params: As the header has them.

    Returns:
        The terms; None when a parameter is unknown, repeated or illegal, or
        when it is not what was asked for.
    """
    answer = read(params)
    if answer is None or params.get(_CLIENT_BITS) is True:
        return None
    own_bits = answer.get(_CLIENT_BITS, options.max_window_bits)
    peer_bits = answer.get(_SERVER_BITS, _MAX_BITS)
    peer_takeover = _SERVER_FORGETS not in answer
    if own_bits > options.max_window_bits or peer_bits > _requested_bits(options):
        return None
    if peer_takeover and options.request_no_context_takeover:
        return None
    own_takeover = not options.no_context_takeover and _CLIENT_FORGETS not in answer
    return Terms(own_bits, own_takeover, peer_bits, peer_takeover)


def _requested_bits(options: Options) -> int:
    return options.request_max_window_bits or _MAX_BITS
