"""What the command line's options for the network mean to a client of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter


@dataclass(frozen=True)
class Network:
    """How servers are reached.

    Attributes:
        proxy: A URL; "none" for none, whatever the environment says; None for the environment's.
        ca: A PEM file of authorities; None for the usual ones.
        insecure: Whether any certificate is taken.
    """

    proxy: str | None = None
    ca: str | None = None
    insecure: bool = False

    def client_options(self) -> dict[str, Any]:
        """Return options of Client."""
        options: dict[str, Any] = {}
        if self.proxy is not None:
            options["proxy"] = False if self.proxy == "none" else self.proxy
        if self.insecure:
            options["tls"] = {"verify": False}
        elif self.ca is not None:
            options["ca"] = self.ca
        return options

    def session(self) -> requests.Session:
        """Return a session that reaches servers so; it is the caller's to close."""
        session = requests.Session()
        if self.proxy == "none":
            session.trust_env = False
        elif self.proxy is not None:
            session.proxies = {"http": self.proxy, "https": self.proxy}
        if self.insecure:
            # Whoever asked for it knows.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        if self.insecure or self.ca is not None:
            session.mount("https://", _Trusting(not self.insecure and self.ca))
        return session


class _Trusting(HTTPAdapter):
    """Trusts what it is told to, where a session would let REQUESTS_CA_BUNDLE come first."""

    def __init__(self, verify: Any) -> None:
        self._verify = verify
        super().__init__()

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        del verify
        return super().get_connection_with_tls_context(request, self._verify, proxies, cert)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        del verify
        super().cert_verify(conn, url, self._verify, cert)  # type: ignore[no-untyped-call]  # of requests
