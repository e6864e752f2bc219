"""What an EventSourceClient asks for: the options of its request, checked, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

from faye_sync.driver.handshake import Pairs, is_token, pairs_of
from faye_sync.errors import ConfigurationError
from faye_sync.terms import check_seconds
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.fetch import Fetched, fetch
from faye_sync.transport.request import check_request_headers, check_url, joined_headers
from faye_sync.transport.shadow import auth_for
from faye_sync.transport.wayfinder import Wayfinder

HeaderPairs = Mapping[str, str] | Iterable[tuple[str, str]]

_SCHEMES = ("http", "https")
# Whatever compresses may hold events back until there is enough of them.
_HEADERS = {"Cache-Control": "no-cache", "Accept-Encoding": "identity"}


class EventRequest:
    """One client's request, which may be made again. For the thread that reads.

    Attributes:
        url: As it was given.
        method: In capitals.
        ways: How the server is got to.

    Raises:
        ConfigurationError: Something cannot stand in a request.
    """

    def __init__(
        self,
        url: object,
        session: requests.Session | None,
        method: object,
        headers: HeaderPairs | Callable[[], HeaderPairs] | None,
        read_timeout: float | None,
        body: Mapping[str, Any],
    ) -> None:
        self.url = check_url(url, _SCHEMES)
        self.method = _checked_method(method)
        self._headers = headers if callable(headers) else _checked_headers(headers)
        check_seconds("read_timeout", read_timeout, may_be_zero=False)
        self._read_timeout = read_timeout
        self._body = body
        self.ways = Wayfinder(session=session, auth=None, proxy=None, tls=None, ca=None, net=None)

    def is_repeated(self, reconnect: object) -> bool:
        """Tell whether it is made again, by the option reconnect.

        Raises:
            ConfigurationError: That is neither True, False nor None.
        """
        if reconnect is None:
            return self.method == "GET"
        if isinstance(reconnect, bool):
            return reconnect
        raise ConfigurationError(f"reconnect must be True, False or None, got {reconnect!r}")

    def make(self, attempt: Attempt, last_event_id: str) -> Fetched:
        """Open the stream, all waits by the attempt; raises as fetch() does."""
        headers = self._headers
        if callable(headers):
            headers = _checked_headers(attempt.ask(headers, "headers"))
        return fetch(
            self.ways,
            self.method,
            self.url,
            _request_headers(headers),
            auth_for(None, self.url, headers),
            attempt,
            last_event_id=last_event_id,
            read_timeout=self._read_timeout,
            **self._body,
        )


def check_id(last_event_id: object) -> str:
    """Refuse what is no id of an event.

    Raises:
        ConfigurationError: It is no str, or has what an id cannot have.
    """
    if not isinstance(last_event_id, str):
        raise ConfigurationError(f"last_event_id must be a str, got {type(last_event_id).__name__}")
    found = next((sign for sign in last_event_id if sign in "\r\n\0"), None)
    if found is not None:
        raise ConfigurationError(f"last_event_id has no CR, LF or NUL, got {found!a}")
    return last_event_id


def _request_headers(headers: Pairs) -> dict[str, Any]:
    chosen: CaseInsensitiveDict[Any] = CaseInsensitiveDict(_HEADERS)
    given = joined_headers(headers)
    chosen.update({name: value for name, value in given.items() if value is not None})
    return dict(chosen)


def _checked_headers(headers: Any) -> Pairs:
    return check_request_headers(pairs_of(headers))


def _checked_method(method: object) -> str:
    if not isinstance(method, str) or not is_token(method):
        raise ConfigurationError(f"method must be a token (RFC 9110 9.1), got {method!r}")
    return method.upper()
