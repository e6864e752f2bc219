"""What may be passed as an environ, and what is told to those who pass something else."""

from __future__ import annotations

from types import MappingProxyType, SimpleNamespace

import bottle
import django.core.handlers.asgi
import django.core.handlers.wsgi
import falcon
import flask
import pytest
import werkzeug.wrappers
from django.conf import settings
from werkzeug.test import create_environ

from faye_sync.environ import environ_of

SCOPE = {
    "type": "websocket",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "path": "/chat",
    "headers": [],
    "query_string": b"",
}


@pytest.fixture(scope="module", autouse=True)
def django_settings():
    if not settings.configured:
        settings.configure()


def test_an_environ_is_returned_as_it_is():
    environ = create_environ("/chat")
    assert environ_of(environ) is environ


def test_a_mapping_that_is_no_dict_will_do():
    environ = MappingProxyType(create_environ("/chat"))
    assert environ_of(environ) is environ


@pytest.mark.parametrize(
    "request_of",
    [
        pytest.param(werkzeug.wrappers.Request, id="werkzeug"),
        pytest.param(flask.Request, id="Flask"),
        pytest.param(django.core.handlers.wsgi.WSGIRequest, id="Django"),
        pytest.param(bottle.BaseRequest, id="Bottle"),
    ],
)
def test_the_request_of_a_framework_gives_its_environ(request_of):
    environ = create_environ("/chat")
    assert environ_of(request_of(environ))["PATH_INFO"] == "/chat"
    assert environ_of(request_of(environ))["wsgi.input"] is environ["wsgi.input"]


def test_the_current_request_of_flask_gives_its_environ():
    with flask.Flask(__name__).test_request_context("/chat"):
        assert environ_of(flask.request)["PATH_INFO"] == "/chat"


def test_the_request_of_falcon_is_refused_with_the_name_of_what_to_pass():
    request = falcon.Request(create_environ("/chat"))
    with pytest.raises(TypeError, match=r"got Request; pass its env$"):
        environ_of(request)
    assert environ_of(request.env)["PATH_INFO"] == "/chat"


@pytest.mark.parametrize(
    "thing",
    [
        pytest.param(SCOPE, id="an ASGI scope"),
        pytest.param({**SCOPE, "type": "http"}, id="an ASGI scope of a page"),
        pytest.param(SimpleNamespace(scope=SCOPE), id="a request that has an ASGI scope"),
    ],
)
def test_an_asgi_scope_is_refused_with_the_cure(thing):
    with pytest.raises(TypeError, match=r"scope of an ASGI server .* run the application under a"):
        environ_of(thing)


def test_the_asgi_request_of_django_is_refused_with_the_cure():
    request = django.core.handlers.asgi.ASGIRequest({**SCOPE, "method": "GET"}, None)
    with pytest.raises(TypeError, match="scope of an ASGI server"):
        environ_of(request)


@pytest.mark.parametrize(
    "thing, name",
    [
        pytest.param(None, "NoneType", id="None"),
        pytest.param("/chat", "str", id="a path"),
        pytest.param([("PATH_INFO", "/")], "list", id="pairs"),
        pytest.param(SimpleNamespace(environ=None), "SimpleNamespace", id="an empty environ"),
    ],
)
def test_anything_else_is_refused_with_the_name_of_its_type(thing, name):
    text = f"takes a WSGI environ or a request that has one, got {name}$"
    with pytest.raises(TypeError, match=text):
        environ_of(thing)
