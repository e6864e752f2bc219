"""EventSource for Flask: the generator of a view runs in its request, which ends with the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from faye_sync.contrib.flask_request import KEY, FlaskRequest, HeaderPairs, StartResponse
from faye_sync.eventsource import EventSource
from faye_sync.sse import CONTENT_TYPE


class FlaskEventSource(EventSource):
    """An EventSource that leaves its call when Flask has left the request."""

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer the WSGI call: Flask does so with what a view returns.

        Args:
            environ: The WSGI environ.
            start_response: As PEP 3333 has it.

        Returns:
            The body; an empty one where answer() is to come.
        """
        kept: FlaskRequest | None = self.environ.get(KEY)
        body = super().__call__(environ, start_response)
        if kept is None:
            return body
        kept.answer = self
        return []

    def is_told(self, status: str, headers: HeaderPairs) -> bool:
        """Whether a head is that of this stream."""
        del status
        return any(
            name.lower() == "content-type" and value.startswith(CONTENT_TYPE)
            for name, value in headers
        )

    def answer(
        self, headers: HeaderPairs, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Begin with the headers of Flask's answer.

        Args:
            headers: All of them.
            environ: The WSGI environ.
            start_response: The server's.

        Returns:
            The body.
        """
        # The length is that of the empty body that Flask was given.
        start_response("200 OK", [each for each in headers if each[0].lower() != "content-length"])
        return self._answer(environ)


class FlaskItems:
    """The items of a view's generator, each made within a request, which ends with it.

    Attributes:
        request: Given before the first item is taken.
    """

    request: FlaskRequest

    def __init__(self, items: Iterator[Any], release: Callable[[], object] | None) -> None:
        self._items = items
        self._release = release
        self._error: Exception | None = None

    def __iter__(self) -> FlaskItems:
        return self

    def __next__(self) -> Any:
        try:
            return self.request.run(self._next)
        except StopIteration:
            raise
        except Exception as error:
            self._error = error
            self.request.failed(error)
            raise

    def close(self) -> None:
        """End the generator, then the request."""
        close = getattr(self._items, "close", None)
        try:
            if close is not None:
                self.request.run(close)
        finally:
            self.request.end(self._error)

    def _next(self) -> Any:
        item = next(self._items)
        if self._release is not None:
            self._release()
        return item
