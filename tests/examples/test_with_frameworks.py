"""examples/with_bottle.py, with_falcon.py and with_pyramid.py on real servers."""

from __future__ import annotations

import pytest

from tests.support.peer import Peer
from tests.support.servers import serve
from tests.support.stream_peer import StreamPeer

FRAMEWORKS = ("bottle", "falcon", "pyramid")
SERVERS = ("werkzeug", "gunicorn-gthread", "gunicorn-gevent")


@pytest.fixture(
    scope="module",
    params=[(framework, server) for framework in FRAMEWORKS for server in SERVERS],
    ids="-on-".join,
)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    framework, server = request.param
    app = f"examples.with_{framework}:application"
    with serve(server, app, tmp_path_factory.mktemp(framework)) as server:
        yield framework, server


def test_the_page_the_websocket_and_the_stream_are_there(running):
    framework, server = running
    assert server.get("/").text == f"a page of {framework.capitalize()}"
    assert server.get("/nothing").status_code == 404
    with Peer(server.address, "/echo/ann") as peer:
        peer.say("hello")
        assert peer.read() == "ann: hello"
        assert peer.close() == (1000, "")
    with StreamPeer(server.address, "/clock") as peer:
        assert len({peer.data(), peer.data()}) == 2
