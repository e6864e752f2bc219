"""The opening handshake of a client, through requests.

requests does headers, netrc, auth, cookies both ways, the environment's
proxies, hooks and redirects with a copy of the user's session whose adapters
are replaced by ours; the session itself is left alone but for its cookies."""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, parse_url

from faye_sync.driver.handshake import Pairs, check_headers, pairs_of
from faye_sync.errors import ConfigurationError, HandshakeError
from faye_sync.transport.adapter import PLAIN_SCHEMES, Asking, Opened, UpgradeAdapter
from faye_sync.transport.attempt import Attempt
from faye_sync.transport.dial import Net, net_of
from faye_sync.transport.proxies import Proxy, proxy_of
from faye_sync.transport.tls_client import TlsContexts, TlsSettings

# requests follows 30; whoever needs more than this has a loop.
MOST_REDIRECTS = 10

_NO_PROXY = {"no_proxy": "*"}
_PROXY_KEYS = frozenset(("origin", "headers", "tls"))


class Wayfinder:
    """How one client gets to its servers: its session, TLS, proxy and sockets.

    Args:
        session: The user's, or None for one with the rules of requests.get().
        auth: As requests takes it.
        proxy: None for the session's and the environment's, False for none, an
            origin, or a mapping of origin, headers and tls.
        tls: An ssl.SSLContext or a mapping; None for the session's rules.
        ca: Short for tls={"ca": ca}.
        net: How to open sockets, a mapping.

    Raises:
        ConfigurationError: One of them cannot work.
    """

    def __init__(
        self,
        *,
        session: requests.Session | None,
        auth: Any,
        proxy: Any,
        tls: Any,
        ca: Any,
        net: Mapping[str, Any] | None,
    ) -> None:
        self._session = _new_session() if session is None else _checked_session(session)
        self._auth = _checked_auth(auth)
        self._tls = tls
        self._ca = ca
        self._net = net_of(net)
        self._contexts = TlsContexts()
        if proxy is None and self._net.unix_path is not None:
            # The environment's lead to hosts, not to this one.
            proxy = False
        self._proxies, self._proxy_headers, self._proxy_tls = self._read_proxy(proxy)
        if tls is not None or ca is not None:
            # Now, because a wrong file is better told of before anything is dialed.
            self._contexts.of_option(tls, ca, "localhost")

    # --- for the adapter ----------------------------------------------------------------------------

    def net_for(self, request: requests.PreparedRequest) -> Net:
        """Choose how to open the socket: by the net option, else as the session's adapter would."""
        adapter = self._session.get_adapter(request.url or "")
        if type(adapter) is HTTPAdapter or self._net != Net():
            return self._net
        options = getattr(_pool(adapter, request, None, None), "conn_kw", {})
        known = ("source_address", "socket_options")
        return net_of({name: options[name] for name in known if options.get(name)})

    def tls_for(self, request: requests.PreparedRequest, verify: Any, cert: Any) -> TlsSettings:
        """Choose the TLS settings: by the tls option, else as the session's adapter would."""
        host = str(parse_url(request.url or "").host)
        if self._tls is not None or self._ca is not None:
            return self._contexts.of_option(self._tls, self._ca, host)
        adapter = self._session.get_adapter(request.url or "")
        return self._contexts.of_pool(_pool(adapter, request, verify, cert), host)

    def proxy_from(self, url: str, verify: Any) -> Proxy:
        """Make the proxy that requests chose, with the headers its adapter has for it."""
        url = url if "://" in url else f"http://{url}"
        adapter = self._session.get_adapter("https://")
        usual = adapter.proxy_headers(url) if isinstance(adapter, HTTPAdapter) else {}
        headers = self._proxy_headers or tuple(usual.items())
        proxy = proxy_of(url, headers)
        if proxy.scheme != "https":
            return proxy
        return replace(proxy, tls=self._tls_to_proxy(url, proxy.host, verify))

    # --- the handshake ------------------------------------------------------------------------------

    def upgrade(self, url: str, headers: Pairs, asking: Asking, attempt: Attempt) -> Opened:
        """Open a WebSocket.

        Args:
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
        adapter = UpgradeAdapter(asking, self, attempt)
        try:
            self._request(adapter, url, headers)
            return _opened(adapter)
        except BaseException:
            adapter.give_up()
            raise

    def _request(self, adapter: UpgradeAdapter, url: str, headers: Pairs) -> None:
        shadow = self._shadow(adapter)
        try:
            shadow.request(
                "GET",
                _plain(url),
                headers=_joined(headers),
                auth=self._auth_for(url, headers),
                proxies=dict(self._proxies),
                stream=True,
            )
        except (requests.RequestException, HTTPError) as error:
            raise _translated(adapter, error) from error
        except ssl.SSLError:
            # That of an untrusted certificate is a ValueError.
            raise
        except ValueError as error:
            # What is wrong with a Location or a proxy of the environment comes bare, at times.
            # What an auth object or a hook of the user's raises goes on as it is.
            is_redirect = adapter.refusals and adapter.refusals[-1].response.is_redirect
            if not is_redirect and (adapter.was_used or type(error) is not ValueError):
                raise
            raise _translated(adapter, error) from error
        except (KeyError, AttributeError, TypeError) as error:
            # A challenge that HTTPDigestAuth does not understand.
            if not (adapter.refusals and _is_of_requests(error)):
                raise
            raise adapter.refusal(f"the server's challenge makes no sense: {error!r}") from error

    def _shadow(self, adapter: UpgradeAdapter) -> requests.Session:
        """Copy the session, of whatever class, but not its adapters.

        Not by copy.copy(): its __getstate__ forgets what a subclass has added."""
        session = self._session
        shadow: requests.Session = object.__new__(type(session))
        shadow.__dict__.update(session.__dict__)
        for name in _slots_of(type(session)):
            if hasattr(session, name):
                setattr(shadow, name, getattr(session, name))
        shadow.adapters = OrderedDict((("https://", adapter), ("http://", adapter)))
        shadow.max_redirects = min(self._session.max_redirects, MOST_REDIRECTS)
        if self._proxies:
            shadow.proxies = {}
        return shadow

    def _auth_for(self, url: str, headers: Pairs) -> Any:
        if self._auth is not None:
            return self._auth
        if any(name.lower() == "authorization" for name, _ in headers):
            # Else netrc or the session would replace it.
            return _leave_alone
        user, password = get_auth_from_url(url)
        return (user.encode(), password.encode()) if user or password else None

    def _tls_to_proxy(self, url: str, host: str, verify: Any) -> TlsSettings:
        if self._proxy_tls is not None:
            return self._contexts.of_option(self._proxy_tls, None, host)
        # Verified as the server is, but without the certificates that are meant for the server.
        request = requests.Request("GET", url).prepare()
        return self._contexts.of_pool(_pool(HTTPAdapter(), request, verify, None), host)

    def _read_proxy(self, option: Any) -> tuple[dict[str, str], Pairs, Any]:
        """Read the proxy option: what requests is told, headers and TLS for the proxy."""
        if option is None:
            return {}, (), None
        if option is False:
            return _NO_PROXY, (), None
        option = {"origin": option} if isinstance(option, str) else option
        if not isinstance(option, Mapping) or not isinstance(option.get("origin"), str):
            raise ConfigurationError(
                "proxy must be an origin, a mapping with one, False or None, got "
                f"{type(option).__name__}"
            )
        unknown = set(option) - _PROXY_KEYS
        if unknown:
            raise ConfigurationError(
                f"proxy has no {', '.join(sorted(map(str, unknown)))}; there are "
                f"{', '.join(sorted(_PROXY_KEYS))}"
            )
        headers = pairs_of(option.get("headers"))
        proxy = proxy_of(option["origin"], headers)
        tls = option.get("tls")
        if tls is not None:
            self._contexts.of_option(tls, None, proxy.host)
        return {"http": option["origin"], "https": option["origin"]}, headers, tls


def check_url(url: object) -> str:
    """Refuse what is no URL of a WebSocket (RFC 6455 3).

    Args:
        url: With ws or wss; a fragment is dropped.

    Returns:
        The URL.

    Raises:
        ConfigurationError: It is none; userinfo is not shown.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"a URL must be a str, got {type(url).__name__}")
    found = next((sign for sign in url if sign <= " " or sign == "\x7f"), None)
    if found is not None:
        raise ConfigurationError(f"a URL has no blanks or control characters, got {found!a}")
    try:
        parsed = parse_url(url)
    except LocationParseError:
        raise ConfigurationError(f"this is no URL: {without_userinfo(url)!a}") from None
    if parsed.scheme not in PLAIN_SCHEMES:
        raise ConfigurationError(
            f"scheme must be ws or wss, got {parsed.scheme or 'none'} in {without_userinfo(url)!a}"
        )
    if not parsed.host or parsed.port == 0:
        part = "host" if not parsed.host else "port above 0"
        raise ConfigurationError(f"a URL has a {part}, got {without_userinfo(url)!a}")
    return url.partition("#")[0]


def check_request_headers(headers: Pairs) -> Pairs:
    """Refuse headers that cannot stand in a handshake's request.

    Args:
        headers: Pairs of name and value.

    Returns:
        The same pairs.

    Raises:
        ConfigurationError: As check_headers() has it, or one is for a proxy.
    """
    for name, _ in check_headers(headers):
        if name.lower() == "proxy-authorization":
            raise ConfigurationError(
                f"{name} is for the proxy; pass proxy={{'origin': ..., 'headers': ...}}"
            )
    return headers


def _checked_session(session: object) -> requests.Session:
    if isinstance(session, requests.Session):
        return session
    raise ConfigurationError(
        f"session must be a requests.Session or None, got {type(session).__name__}"
    )


def _checked_auth(auth: Any) -> Any:
    if auth is None or callable(auth) or (isinstance(auth, tuple) and len(auth) == 2):
        return auth
    # Not what it holds, which is a secret.
    raise ConfigurationError(
        "auth must be a callable as requests takes it, a tuple of user and password, or None, "
        f"got {type(auth).__name__}"
    )


def _new_session() -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = "faye_sync"
    return session


def _slots_of(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        yield from (slots,) if isinstance(slots, str) else slots


def _pool(adapter: Any, request: requests.PreparedRequest, verify: Any, cert: Any) -> Any:
    """Have an adapter make its pool for a request, for its settings only."""
    if not isinstance(adapter, HTTPAdapter):
        adapter = HTTPAdapter()
    pool = adapter.get_connection_with_tls_context(request, verify, proxies={}, cert=cert)
    adapter.cert_verify(pool, request.url, verify, cert)
    return pool


def _plain(url: str) -> str:
    """Say a URL as requests knows it, without the userinfo."""
    parsed = parse_url(url)
    return Url(
        PLAIN_SCHEMES[str(parsed.scheme)],
        None,
        parsed.host,
        parsed.port,
        parsed.path,
        parsed.query,
    ).url


def _joined(headers: Pairs) -> dict[str, str | None]:
    """Join headers of one name (RFC 9110 5.3, RFC 6265 5.4); the session's own for page requests are left out."""
    joined: dict[str, str | None] = {"Accept": None, "Accept-Encoding": None}
    names: dict[str, str] = {name.lower(): name for name in joined}
    for name, value in headers:
        known = names.setdefault(name.lower(), name)
        earlier = joined.get(known)
        mark = "; " if name.lower() == "cookie" else ", "
        joined[known] = value if earlier is None else f"{earlier}{mark}{value}"
    return joined


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _opened(adapter: UpgradeAdapter) -> Opened:
    if adapter.opened is not None:
        return adapter.opened
    if not adapter.refusals:
        raise HandshakeError("the session answered by itself, so no WebSocket was opened")
    head = adapter.refusals[-1].head
    text = f"the server answered {head.status} {head.reason}".rstrip()
    raise adapter.refusal(f"{text} instead of 101")


def _translated(adapter: UpgradeAdapter, error: Exception) -> Exception:
    """Say what stopped requests, as an error of ours."""
    if isinstance(error, requests.TooManyRedirects):
        return adapter.refusal(f"the server redirects in a loop: {error}")
    if adapter.refusals:
        location = adapter.refusals[-1].head.headers().get("Location", "")
        return adapter.refusal(f"the redirect to {location!a} cannot be followed: {error}")
    return ConfigurationError(f"this request cannot be made: {error}")


def _is_of_requests(error: Exception) -> bool:
    """Whether the code of requests raised it, and not what a user gave to requests."""
    raised_at = error.__traceback__
    while raised_at is not None and raised_at.tb_next is not None:
        raised_at = raised_at.tb_next
    module = "" if raised_at is None else str(raised_at.tb_frame.f_globals.get("__name__"))
    return module.partition(".")[0] == "requests"


def without_userinfo(url: str) -> str:
    """Make a URL fit for logs and errors.

    Args:
        url: Any text.

    Returns:
        It, with "..." for what may be a password.
    """
    before, at, after = url.rpartition("@")
    scheme, mark, _ = before.partition("://")
    return f"{scheme if mark else ''}{mark}...@{after}" if at else url
