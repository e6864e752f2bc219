"""The HTTP answer of a call that opens no WebSocket."""

from __future__ import annotations

from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

from faye_sync.driver.handshake import Refusal

_TEXT = "text/plain; charset=utf-8"


def answer_of(refused: Refusal) -> Response:
    """Make the answer that tells of a refusal. Safe from any thread."""
    headers = Headers(list(refused.headers))
    headers.setdefault("Content-Type", _TEXT)
    return Response(refused.text, refused.status, headers)


def for_django(answer: Response) -> Any:
    """Make Django's response of an answer. Safe from any thread.

    Returns:
        A django.http.HttpResponse.

    Raises:
        ImportError: Django is not installed.
    """
    from django.http import HttpResponse  # noqa: PLC0415  # for those who have it

    response = HttpResponse(answer.data, status=answer.status_code)
    for name in dict.fromkeys(answer.headers.keys()):
        values = answer.headers.getlist(name)
        if name.lower() == "set-cookie":
            for value in values:
                response.cookies.load(value)
        else:
            response[name] = ", ".join(values)
    return response
