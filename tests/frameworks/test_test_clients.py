"""Clients in memory with the cookies and the sessions of Flask's and Django's own test clients."""

from __future__ import annotations

import importlib
from inspect import signature

import pytest
from flask import Flask, session
from werkzeug.test import Client as WerkzeugClient

from faye_sync import HandshakeError, WebSocket
from faye_sync.contrib.flask import Sock
from faye_sync.testing import connect

PATIENCE = 20.0  # seconds to wait for what should come at once


@pytest.fixture
def flask_app():
    app = Flask(__name__)
    app.secret_key = "not a secret"
    sock = Sock(app)

    @app.before_request
    def greet():
        session["met"] = session.get("met", 0) + 1

    @sock.route("/who")
    def who(ws):
        ws.send(f"{session.get('user')} {session['met']}")

    @app.route("/met")
    def met():
        return str(session["met"])

    @app.route("/closed", websocket=True)
    def closed():
        return "closed", 403

    return app


def test_the_session_of_flasks_client_is_that_of_the_websocket_and_comes_back(flask_app):
    client = flask_app.test_client()
    with client.session_transaction() as before:
        before["user"] = "ann"
    with connect(flask_app, "/who", client=client) as ws:
        assert ws.receive(PATIENCE) == "ann 1"
    assert client.get("/met").get_data(as_text=True) == "2"
    with pytest.raises(HandshakeError, match="403"):
        connect(flask_app, "/closed", client=client).connect()
    assert client.get("/met").get_data(as_text=True) == "4"


def test_two_clients_have_two_sessions(flask_app):
    one, two = flask_app.test_client(), flask_app.test_client()
    one.get("/met")
    with (
        connect(flask_app, "/who", client=one) as first,
        connect(flask_app, "/who", client=two) as second,
    ):
        assert first.receive(PATIENCE) == "None 2"
        assert second.receive(PATIENCE) == "None 1"


def test_a_cookie_of_another_path_stays_with_werkzeugs_client():
    def app(environ, start_response):
        cookies = environ.get("HTTP_COOKIE", "none")
        return WebSocket(environ).start(lambda ws: ws.send(cookies))(environ, start_response)

    client = WerkzeugClient(app)
    # Before 2.3 the server's name came first, and the client sent all cookies to all paths.
    before = ("localhost",) if "server_name" in signature(client.set_cookie).parameters else ()
    client.set_cookie(*before, "here", "1", path="/chat")
    client.set_cookie(*before, "there", "2", path="/elsewhere")
    with connect(app, "/chat/room", client=client) as ws:
        assert ws.receive(PATIENCE) == ("here=1; there=2" if before else "here=1")


@pytest.fixture
def django_app(monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.support.django_site")
    monkeypatch.setenv("TEST_APP", "tests.frameworks.test_test_clients:application")
    import django
    from django.conf import settings

    if not settings.configured:
        django.setup()
    from django.core.wsgi import get_wsgi_application

    monkeypatch.setattr(settings, "ROOT_URLCONF", __name__)
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", ["localhost", "testserver"])
    return get_wsgi_application()


def django_who(request):
    request.session["met"] = met = request.session.get("met", 0) + 1
    user = request.session.get("user")
    return WebSocket(request).start(lambda ws: ws.send(f"{user} {met}")).django_response()


def django_set(request):
    from django.http import HttpResponse

    request.session["user"] = "ann"
    return HttpResponse("set")


def urls():
    from django.urls import path

    return [path("who", django_who), path("set", django_set)]


def __getattr__(name: str):
    if name == "urlpatterns":
        return urls()
    raise AttributeError(name)


def test_the_session_of_djangos_client_is_that_of_the_websocket(django_app):
    client = importlib.import_module("django.test").Client()
    client.get("/set")
    with connect(django_app, "/who", client=client) as ws:
        assert ws.receive(PATIENCE) == "ann 1"
