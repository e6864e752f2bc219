"""How one client gets to its servers: what its session and its options say of sockets, TLS, proxies.

Read from the user's own session each time, whose adapters are asked for their
settings and never for a connection."""

from __future__ import annotations

from _socket import socket as PlainSocket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import parse_url

from faye_sync.driver.handshake import Pairs, pairs_of
from faye_sync.errors import ConfigurationError
from faye_sync.transport.dial import Net, NoNet, net_of
from faye_sync.transport.proxies import Proxy, proxy_of
from faye_sync.transport.request import PLAIN_SCHEMES
from faye_sync.transport.tls_client import TlsContexts, TlsSettings

# Not "no_proxy", for which requests changes the environment for a moment: of two threads that do so,
# one finds nothing to take back.
_NO_PROXY = dict.fromkeys((*PLAIN_SCHEMES, *PLAIN_SCHEMES.values()), "")
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
        self.session = _new_session() if session is None else _checked_session(session)
        self.auth = _checked_auth(auth)
        self._tls = tls
        self._ca = ca
        self._net = net_of(net)
        self._contexts = TlsContexts()
        if proxy is None and self._net.unix_path is not None:
            # The environment's lead to hosts, not to this one.
            proxy = False
        self.proxies, self._proxy_headers, self._proxy_tls = self._read_proxy(proxy)
        if tls is not None or ca is not None:
            # Now, because a wrong file is better told of before anything is dialed.
            self._contexts.of_option(tls, ca, "localhost")

    def lead_to(self, opener: Callable[[], PlainSocket]) -> None:
        """Have all ways lead to the sockets that opener gives, and to no network."""
        self._net = NoNet(opener=opener)
        self.proxies, self._proxy_headers, self._proxy_tls = self._read_proxy(False)

    # --- for the adapter ----------------------------------------------------------------------------

    def net_for(self, request: requests.PreparedRequest) -> Net:
        """Choose how to open the socket: by the net option, else as the session's adapter would."""
        adapter = self.session.get_adapter(request.url or "")
        if type(adapter) is HTTPAdapter or self._net != Net():
            return self._net
        # Not set up any further: it may be in use, with TLS settings of its own.
        pool = _adapter(adapter).get_connection_with_tls_context(request, True, proxies={})
        options = getattr(pool, "conn_kw", {})
        known = ("source_address", "socket_options")
        return net_of({name: options[name] for name in known if options.get(name)})

    def tls_for(self, request: requests.PreparedRequest, verify: Any, cert: Any) -> TlsSettings:
        """Choose the TLS settings: by the tls option, else as the session's adapter would."""
        host = str(parse_url(request.url or "").host)
        try:
            if self._tls is not None or self._ca is not None:
                return self._contexts.of_option(self._tls, self._ca, host)
            adapter = self.session.get_adapter(request.url or "")
            return self._contexts.of_pool(_pool(adapter, request, verify, cert), host)
        except OSError as error:
            # Of a file: not the network's, so that no other attempt is made.
            raise ConfigurationError(f"TLS cannot be set up: {error}") from error

    def proxy_from(self, url: str, verify: Any, request: requests.PreparedRequest) -> Proxy:
        """Make the proxy that requests chose, with the headers its adapter has for it."""
        url = url if "://" in url else f"http://{url}"
        # Of itself first, because requests shows a bad one with its password.
        proxy_of(url)
        headers = self._proxy_headers or self._usual_headers(url, request)
        proxy = proxy_of(url, headers)
        if proxy.scheme != "https":
            return proxy
        return replace(proxy, tls=self._tls_to_proxy(url, proxy.host, verify))

    # --- beneath ----------------------------------------------------------------------------------

    def _usual_headers(self, url: str, request: requests.PreparedRequest) -> Pairs:
        """Ask the session's adapter, if it is not one that makes its headers of the URL, as we do."""
        adapter = _adapter(self.session.get_adapter(request.url or ""))
        if type(adapter).proxy_headers is HTTPAdapter.proxy_headers:
            return ()
        return tuple(adapter.proxy_headers(url).items())

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
        # Those of ws and wss too, which the environment may have others for.
        schemes = (*PLAIN_SCHEMES, *PLAIN_SCHEMES.values())
        return dict.fromkeys(schemes, str(option["origin"])), headers, tls


def _checked_session(session: object) -> requests.Session:
    if isinstance(session, requests.Session):
        return session
    raise ConfigurationError(
        f"session must be a requests.Session or None, got {type(session).__name__}"
    )


def _checked_auth(auth: Any) -> Any:
    if auth is None or callable(auth):
        return auth
    if isinstance(auth, tuple) and len(auth) == 2:
        return tuple(map(_credential, auth))
    # Not what it holds, which is a secret.
    raise ConfigurationError(
        "auth must be a callable as requests takes it, a tuple of user and password, or None, "
        f"got {type(auth).__name__}"
    )


def _credential(value: Any) -> Any:
    """Encode what latin-1 does not have, which requests would use, as UTF-8 (RFC 7617 2.1)."""
    if not isinstance(value, str):
        return value
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def _new_session() -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = "faye_sync"
    return session


def _adapter(adapter: object) -> HTTPAdapter:
    """Return an adapter that has settings to go by; of another kind requests knows nothing."""
    return adapter if isinstance(adapter, HTTPAdapter) else HTTPAdapter()


def _pool(adapter: Any, request: requests.PreparedRequest, verify: Any, cert: Any) -> Any:
    """Have an adapter make its pool for a request, for its settings only."""
    adapter = _adapter(adapter)
    pool = adapter.get_connection_with_tls_context(request, verify, proxies={}, cert=cert)
    adapter.cert_verify(pool, request.url, verify, cert)
    return pool
