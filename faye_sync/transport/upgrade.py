"""The opening handshake of a client, through requests.

requests does headers, netrc, auth, cookies both ways, the environment's
proxies, hooks and redirects with a copy of the user's session whose adapters
are replaced by ours; the session itself is left alone but for its cookies."""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from types import MemberDescriptorType
from typing import Any

import requests
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError

from faye_sync.driver.handshake import Pairs, shown
from faye_sync.errors import ConfigurationError, HandshakeError
from faye_sync.transport.adapter import Asking, Opened, UpgradeAdapter
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.request import joined_headers, plain_url, without_secrets
from faye_sync.transport.wayfinder import Wayfinder

# requests follows 30; whoever needs more than this has a loop.
MOST_REDIRECTS = 10

# What requests finds wrong with a request or a redirect; its other errors would be of the network,
# which is ours, so they come out of an auth object or a hook.
_OF_THE_REQUEST = (
    requests.TooManyRedirects,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
)

# Not in its own words, which show the URL with its secrets.
_REASONS: dict[type[Exception], str] = {
    requests.exceptions.InvalidSchema: "its scheme must be ws, wss, http or https",
    requests.exceptions.InvalidURL: "it is no URL",
    ValueError: "it is no URL",
}


def upgrade(ways: Wayfinder, url: str, headers: Pairs, asking: Asking, attempt: Attempt) -> Opened:
    """Open a WebSocket.

    Args:
        ways: How the client gets to its servers.
        url: With ws or wss; check_url() let it through.
        headers: More headers; check_request_headers() let them through.
        asking: The driver's side of the handshake.
        attempt: Its deadline, over all hops.

    Returns:
        The open WebSocket, to be closed by the caller.

    Raises:
        HandshakeError: The server did not open it.
        ConfigurationError: Something of the session or auth cannot be sent.
        OSError: The network, or TLS, as it says.
        TimeoutError: The attempt's deadline passed.
    """
    adapter = UpgradeAdapter(asking, ways, attempt)
    try:
        _request(ways, adapter, url, headers)
        return _opened(adapter)
    except BaseException:
        adapter.give_up()
        raise


def _request(ways: Wayfinder, adapter: UpgradeAdapter, url: str, headers: Pairs) -> None:
    shadow = _shadow(ways, adapter)
    try:
        shadow.request(
            "GET",
            plain_url(url),
            headers={**joined_headers(headers), **dict((adapter.MARK,))},
            auth=_auth_for(ways.auth, url, headers),
            proxies=dict(ways.proxies),
            stream=True,
        )
    except (*_OF_THE_REQUEST, HTTPError) as error:
        raise _translated(adapter, error) from _cause(adapter, error)
    except requests.HTTPError as error:
        # Of a hook that calls raise_for_status().
        if not adapter.refusals:
            raise
        raise _refused(adapter) from error
    except ssl.SSLError:
        # That of an untrusted certificate is a ValueError.
        raise
    except ValueError as error:
        # What is wrong with a Location or a proxy of the environment comes bare, at times.
        # What an auth object or a hook of the user's raises goes on as it is.
        is_redirect = adapter.refusals and adapter.refusals[-1].response.is_redirect
        is_early = not adapter.was_used and type(error) in (ValueError, UnicodeEncodeError)
        if not is_redirect and not is_early:
            raise
        raise _translated(adapter, error) from _cause(adapter, error)
    except (KeyError, AttributeError, TypeError) as error:
        # A challenge that HTTPDigestAuth does not understand.
        if not (adapter.refusals and _is_of_requests(error)):
            raise
        raise adapter.refusal(f"the server's challenge makes no sense: {error!r}") from error


def _shadow(ways: Wayfinder, adapter: UpgradeAdapter) -> requests.Session:
    """Copy the session, of whatever class, but not its adapters.

    Not by copy.copy(): its __getstate__ forgets what a subclass has added."""
    session = ways.session
    shadow: requests.Session = object.__new__(type(session))
    shadow.__dict__.update(session.__dict__)
    for slot in _slots_of(type(session)):
        with suppress(AttributeError):
            slot.__set__(shadow, slot.__get__(session))
    shadow.adapters = OrderedDict((("https://", adapter), ("http://", adapter)))
    shadow.max_redirects = min(ways.session.max_redirects, MOST_REDIRECTS)
    if type(session).get_adapter is not requests.Session.get_adapter:
        # A subclass has its own way to choose one.
        shadow.get_adapter = partial(requests.Session.get_adapter, shadow)  # type: ignore[method-assign]  # of this copy alone
    if ways.proxies:
        shadow.proxies = {}
    return shadow


def _auth_for(auth: Any, url: str, headers: Pairs) -> Any:
    if auth is not None:
        return auth
    if any(name.lower() == "authorization" for name, _ in headers):
        # Else netrc or the session would replace it.
        return _leave_alone
    user, password = get_auth_from_url(url)
    return (user.encode(), password.encode()) if user or password else None


def _slots_of(kind: type) -> Iterator[MemberDescriptorType]:
    """Yield the slots of a class; one that was never set has no value."""
    for base in kind.__mro__:
        for member in vars(base).values():
            if isinstance(member, MemberDescriptorType):
                yield member


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _opened(adapter: UpgradeAdapter) -> Opened:
    if adapter.opened is not None:
        return adapter.opened
    if not adapter.refusals:
        raise HandshakeError("the session answered by itself, so no WebSocket was opened")
    raise _refused(adapter)


def _refused(adapter: UpgradeAdapter) -> HandshakeError:
    head = adapter.refusals[-1].head
    return adapter.refusal(f"the server answered {head.said} instead of 101")


def _translated(adapter: UpgradeAdapter, error: Exception) -> Exception:
    """Say what stopped requests, as an error of ours."""
    if isinstance(error, requests.TooManyRedirects):
        return adapter.refusal(f"the server redirects in a loop: {error}")
    if adapter.refusals:
        location = without_secrets(adapter.refusals[-1].head.headers().get("Location", ""))
        why = _REASONS.get(type(error), "requests finds no way to it")
        return adapter.refusal(f"the redirect to {shown(location)} cannot be followed: {why}")
    return ConfigurationError(f"this request cannot be made: {error}")


def _cause(adapter: UpgradeAdapter, error: Exception) -> Exception | None:
    """Leave out what shows a Location whole: it may hold a secret."""
    return None if adapter.refusals else error


def _is_of_requests(error: Exception) -> bool:
    """Whether the code of requests raised it, and not what a user gave to requests."""
    raised_at = error.__traceback__
    while raised_at is not None and raised_at.tb_next is not None:
        raised_at = raised_at.tb_next
    module = "" if raised_at is None else str(raised_at.tb_frame.f_globals.get("__name__"))
    return module.partition(".")[0] == "requests"
