"""A request made by a shadow of the user's session, whose adapters are replaced by ours.

requests does headers, netrc, auth, cookies both ways, the environment's
proxies, hooks and redirects; the session itself is left alone but for its
cookies."""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import MemberDescriptorType
from typing import Any

import requests
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError

from faye_sync.driver.handshake import Pairs, shown
from faye_sync.errors import ConfigurationError
from faye_sync.transport.hops import HopAdapter
from faye_sync.transport.request import plain_url, without_secrets
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


def ask(
    ways: Wayfinder,
    adapter: HopAdapter,
    method: str,
    url: str,
    headers: Mapping[str, Any],
    auth: Any,
    **body: Any,
) -> requests.Response:
    """Make one request.

    Args:
        ways: How the client gets to its servers.
        adapter: Opens each hop; its MARK is added to the headers.
        method: Of HTTP.
        url: That was checked.
        headers: More headers; None leaves one of the session's out.
        auth: As auth_for() gives it.
        body: params, data and json, as requests takes them.

    Returns:
        The last answer, not read.

    Raises:
        HandshakeError: There is no answer that is one, or none that can be followed; for
            an event stream EventSourceError.
        ConfigurationError: Something of the session or auth cannot be sent.
        OSError: The network, or TLS, as it says.
        TimeoutError: The attempt's deadline passed.
    """
    shadow = _shadow(ways, adapter)
    try:
        return shadow.request(
            method,
            plain_url(url),
            headers={**headers, **dict((adapter.MARK,))},
            auth=auth,
            proxies=dict(ways.proxies),
            stream=True,
            **body,
        )
    except (*_OF_THE_REQUEST, HTTPError) as error:
        raise _translated(adapter, error) from _cause(adapter, error)
    except requests.HTTPError as error:
        # Of a hook that calls raise_for_status().
        if not adapter.refusals:
            raise
        raise adapter.unwanted() from error
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


def _shadow(ways: Wayfinder, adapter: HopAdapter) -> requests.Session:
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


def auth_for(auth: Any, url: str, headers: Pairs) -> Any:
    """Choose what requests is told of auth: the option, an Authorization header, the URL's.

    Args:
        auth: The option.
        url: That may have user and password.
        headers: The user's.

    Returns:
        For requests; None leaves it to the session and netrc.
    """
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


def _translated(adapter: HopAdapter, error: Exception) -> Exception:
    """Say what stopped requests, as an error of ours."""
    if isinstance(error, requests.TooManyRedirects):
        return adapter.refusal(f"the server redirects in a loop: {error}")
    if adapter.refusals:
        location = without_secrets(adapter.refusals[-1].head.headers().get("Location", ""))
        why = _REASONS.get(type(error), "requests finds no way to it")
        return adapter.refusal(f"the redirect to {shown(location)} cannot be followed: {why}")
    return ConfigurationError(f"this request cannot be made: {error}")


def _cause(adapter: HopAdapter, error: Exception) -> Exception | None:
    """Leave out what shows a Location whole: it may hold a secret."""
    return None if adapter.refusals else error


def _is_of_requests(error: Exception) -> bool:
    """Whether the code of requests raised it, and not what a user gave to requests."""
    raised_at = error.__traceback__
    while raised_at is not None and raised_at.tb_next is not None:
        raised_at = raised_at.tb_next
    module = "" if raised_at is None else str(raised_at.tb_frame.f_globals.get("__name__"))
    return module.partition(".")[0] == "requests"
