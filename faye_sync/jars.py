"""Cookies of the frameworks' own test clients, by what those have; none of them is imported."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any, Protocol
from urllib.parse import urlsplit

from faye_sync.errors import ConfigurationError


class Jar(Protocol):
    """Cookies to send, and those that an answer sets."""

    def add(self, environ: dict[str, Any]) -> None:
        """Have a request bear the cookies."""

    def take(self, url: str, headers: Any) -> None:
        """Keep the cookies of an answer."""


class NoJar:
    """No cookies but those that the headers and the session of the client bear."""

    def add(self, environ: dict[str, Any]) -> None:
        """Add none."""

    def take(self, url: str, headers: Any) -> None:
        """Keep none."""


class WerkzeugJar:
    """Those of Werkzeug's test client, and so of Flask's; 2.3 and later."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def add(self, environ: dict[str, Any]) -> None:
        self._client._add_cookies_to_wsgi(environ)

    def take(self, url: str, headers: Any) -> None:
        parts = urlsplit(url)
        self._client._update_cookies_from_response(
            parts.hostname, parts.path, headers.getlist("Set-Cookie")
        )


class OldWerkzeugJar:
    """Those of Werkzeug's test client before 2.3."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._environ: dict[str, Any] = {}

    def add(self, environ: dict[str, Any]) -> None:
        self._environ = environ
        self._client.cookie_jar.inject_wsgi(environ)

    def take(self, url: str, headers: Any) -> None:
        del url
        self._client.cookie_jar.extract_wsgi(self._environ, headers)


class DjangoJar:
    """Those of Django's test client, which knows no domains and paths."""

    def __init__(self, client: Any) -> None:
        self._cookies: SimpleCookie = client.cookies

    def add(self, environ: dict[str, Any]) -> None:
        sent = "; ".join(f"{name}={each.coded_value}" for name, each in self._cookies.items())
        if sent:
            environ["HTTP_COOKIE"] = sent

    def take(self, url: str, headers: Any) -> None:
        del url
        for cookie in headers.getlist("Set-Cookie"):
            self._cookies.load(cookie)


# By what each has, the first that is there.
_JARS = (
    ("_add_cookies_to_wsgi", object, WerkzeugJar),
    ("cookie_jar", object, OldWerkzeugJar),
    ("cookies", SimpleCookie, DjangoJar),
)


def jar_of(client: Any) -> Jar:
    """Find the cookies of a test client.

    Args:
        client: Flask's, Werkzeug's or Django's; None for none.

    Returns:
        Its cookies.

    Raises:
        ConfigurationError: It is none of these.
    """
    if client is None:
        return NoJar()
    for member, kind, jar_kind in _JARS:
        if hasattr(client, member) and isinstance(getattr(client, member), kind):
            jar: Jar = jar_kind(client)
            return jar
    raise ConfigurationError(
        f"client must be the test client of Flask, Werkzeug or Django, got {type(client).__name__}"
    )
