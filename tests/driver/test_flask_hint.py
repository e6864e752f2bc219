"""A page request at a Flask route that lacks websocket=True is told so; Flask itself fills the environ."""

from __future__ import annotations

from types import SimpleNamespace

import flask
import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import create_environ
from werkzeug.wrappers import Request

from faye_sync.driver.handshake import refusal

PAGE = {}
STRIPPED = {"HTTP_CONNECTION": "close", "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ=="}
OTHER_UPGRADE = {"HTTP_UPGRADE": "h2c", "HTTP_CONNECTION": "Upgrade"}


def refusal_in_flask(changes: dict[str, str], *rules: tuple[str, str, bool]) -> str:
    """What a view for /chat/<room> is told of; a rule is its path, its endpoint, and whether it is
    for WebSocket requests."""
    app = Flask(__name__)
    for path, endpoint, websocket in rules:
        app.add_url_rule(path, endpoint, websocket=websocket)
    environ = {**create_environ("/chat/7"), **changes}
    with app.request_context(environ):
        assert flask.request.url_rule is not None
        found = refusal(environ)
    assert found is not None
    return found.text


@pytest.mark.parametrize(
    "changes", [PAGE, STRIPPED, OTHER_UPGRADE], ids=["a page", "a proxy took Upgrade", "h2c"]
)
def test_a_flask_route_without_websocket_is_told_of_with_the_cure(changes):
    text = refusal_in_flask(changes, ("/chat/<room>", "chat", False), ("/other", "other", True))
    assert text.endswith(
        " This Flask route lacks websocket=True, so Flask itself answers 400 to a WebSocket "
        "client: write @app.route('/chat/<room>', websocket=True)."
    )
    assert text.startswith(("This URL speaks WebSocket", "A proxy removed the Upgrade"))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("/chat/<room>", "chat", True), id="both rules on one view"),
        pytest.param(("/chat/<room>", "hint", True), id="a view of its own for pages"),
        pytest.param(("/talk/<room>", "chat", True), id="the view has another address"),
    ],
)
def test_a_flask_route_that_has_both_rules_is_not_blamed(other):
    text = refusal_in_flask(PAGE, ("/chat/<room>", "chat", False), other)
    assert text == "This URL speaks WebSocket: open it with a WebSocket client, not as a page."


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(None, id="nothing"),
        pytest.param(Request(create_environ("/chat")), id="werkzeug without Flask"),
        pytest.param(SimpleNamespace(url_rule=None), id="no rule matched"),
        pytest.param(SimpleNamespace(url_rule=Rule("/chat")), id="a rule of no map"),
        pytest.param(SimpleNamespace(url_rule="/chat"), id="not a rule"),
    ],
)
def test_whatever_stands_for_the_request_does_no_harm(found):
    refused = refusal({**create_environ("/chat"), "werkzeug.request": found})
    assert refused is not None
    assert refused.text.endswith("not as a page.")
