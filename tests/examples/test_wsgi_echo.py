"""examples/wsgi_echo.py under each kind of server."""

from __future__ import annotations

import pytest

from tests.support.peer import Peer, Refused
from tests.support.servers import serve

APP = "examples.wsgi_echo:application"


@pytest.fixture(scope="module", params=["werkzeug", "gunicorn-gthread", "gevent"])
def server(request, tmp_path_factory):
    with serve(request.param, APP, tmp_path_factory.mktemp("wsgi_echo")) as server:
        yield server


@pytest.mark.parametrize("path", ["/callbacks", "/start", "/blocking"])
def test_each_path_echoes(server, path):
    with Peer(server.address, path) as peer:
        for message in ("Grüße", b"\x00\xff"):
            peer.say(message)
            assert peer.read() == message
        assert peer.close() == (1000, "")


def test_the_front_page_lists_the_paths(server):
    assert all(path in server.get("/").text for path in ("/callbacks", "/start", "/blocking"))


def test_an_unknown_path_is_404(server):
    with pytest.raises(Refused) as refused:
        Peer(server.address, "/elsewhere")
    assert refused.value.status == 404
