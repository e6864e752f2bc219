"""Servers that keep the client's socket to themselves are named, each with its cure."""

from __future__ import annotations

import io
import sys
from types import ModuleType

import pytest

from faye_sync.errors import HijackError
from faye_sync.transport.hijack import find
from faye_sync.transport.no_socket import no_socket, server_name, shared_socket


def body_of(module: str) -> object:
    """What a server of that module puts in wsgi.input."""
    return type("Input", (io.RawIOBase,), {"__module__": module})()


RUN = "run the application under gunicorn"

BY_INPUT = [
    ("granian._granian", "Granian", "for ASGI and RSGI only"),
    ("mod_wsgi", "mod_wsgi", "upgrade=websocket"),
    ("twisted.web.wsgi", "Twisted's WSGIResource", "its reactor goes on reading"),
]


@pytest.mark.parametrize("module, name, cure", BY_INPUT)
@pytest.mark.parametrize(
    "software", [{}, {"SERVER_SOFTWARE": "something/1"}], ids=["silent", "named"]
)
def test_a_server_is_known_by_its_body(module, name, cure, software):
    with pytest.raises(HijackError) as caught:
        find({"wsgi.input": body_of(module), **software})
    assert str(caught.value).startswith(f"{name} does not let an application take")
    assert cure in str(caught.value)


BY_MODULE = [
    ("_bjoern", "bjoern", RUN),
    ("hypercorn.app_wrappers", "Hypercorn", "for ASGI only"),
    ("tornado.wsgi", "Tornado's WSGIContainer", RUN),
]


@pytest.fixture
def nothing_loaded(monkeypatch):
    """No module in this process tells of a server."""
    for module, _, _ in BY_MODULE:
        monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.mark.parametrize("module, name, cure", BY_MODULE)
def test_a_server_that_says_nothing_is_known_by_its_module(
    nothing_loaded, monkeypatch, module, name, cure
):
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    text = str(no_socket({"wsgi.input": io.BytesIO()}))
    assert text.startswith(f"{name} does not let an application take")
    assert cure in text


def test_a_module_that_is_loaded_beside_the_server_misleads_nobody(nothing_loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "tornado.wsgi", ModuleType("tornado.wsgi"))
    text = str(no_socket({"SERVER_SOFTWARE": "SomeServer/2", "wsgi.input": io.BytesIO()}))
    assert text.startswith("SomeServer/2 does not")
    assert "not one that a middleware rebuilt" in text


@pytest.mark.parametrize("software", [None, ""], ids=repr)
def test_a_server_without_a_name_gets_a_cure_all_the_same(nothing_loaded, software):
    environ = {"SERVER_SOFTWARE": software}
    assert server_name(environ) == "this WSGI server"
    assert RUN in str(no_socket(environ))


@pytest.mark.parametrize("protocol", ["HTTP/2", "HTTP/2.0", "HTTP/3"])
def test_a_connection_that_others_share_is_refused_before_anything_is_looked_at(protocol):
    environ = {"SERVER_PROTOCOL": protocol, "SERVER_SOFTWARE": "gunicorn/27", "gunicorn.socket": 1}
    with pytest.raises(HijackError, match=f"^gunicorn/27 carries .* connection of {protocol} that"):
        find(environ)


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1", "", None], ids=repr)
def test_a_connection_of_http_1_is_its_requests_own(protocol):
    assert shared_socket({"SERVER_PROTOCOL": protocol}) is None
    assert shared_socket({}) is None
