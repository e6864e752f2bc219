"""Serve a WSGI application on an inherited listening socket: a process of tests/support/no_socket.py.

python tests/support/serve_no_socket.py tornado module:name 3
"""

import os
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path


def bjoern(app, listener):
    from bjoern import server_run

    # Its loop is not Python's: a handler of Python's would run only with the next request.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    server_run(listener, app)


def tornado(app, listener):
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop
    from tornado.wsgi import WSGIContainer

    HTTPServer(WSGIContainer(app)).add_socket(listener)
    IOLoop.current().start()


def twisted(app, listener):
    from twisted.internet import reactor
    from twisted.logger import globalLogBeginner, textFileLogObserver
    from twisted.web.server import Site
    from twisted.web.wsgi import WSGIResource

    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)])
    site = Site(WSGIResource(reactor, reactor.getThreadPool(), app))
    reactor.adoptStreamPort(listener.fileno(), socket.AF_INET, site)
    reactor.run()


def granian(target, path):
    from granian import Granian

    server = Granian(target, uds=Path(path), interface="wsgi")
    # Its worker says that it has started before it listens; whoever connects then is refused.
    server.on_startup(lambda: socket.socket(fileno=os.dup(server._sfd)).listen(1024))
    server.serve()


SERVERS = {"bjoern": bjoern, "tornado": tornado, "twisted": twisted}


def main(server, target, place):
    if server == "granian":
        granian(target, place)
        return
    module, _, name = target.partition(":")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listener = socket.socket(fileno=int(place))
    listener.setblocking(False)
    SERVERS[server](getattr(import_module(module), name), listener)


if __name__ == "__main__":
    main(*sys.argv[1:])
