"""Serve a WSGI application on an inherited listening socket: a process of tests/support/servers.py.

    python tests/support/serve.py werkzeug module:name 3

gevent patches the process before anything else is imported, as its users do."""

import sys

if __name__ == "__main__" and sys.argv[1] == "gevent":
    from gevent.monkey import patch_all

    patch_all()

import faulthandler
import signal
import socket
from importlib import import_module

faulthandler.register(signal.SIGUSR1)


def werkzeug(app, fd):
    serve_werkzeug(app, fd, threaded=True)


def werkzeug_single(app, fd):
    serve_werkzeug(app, fd, threaded=False)


def serve_werkzeug(app, fd, threaded):
    from werkzeug.serving import make_server

    make_server("127.0.0.1", 0, app, threaded=threaded, fd=fd).serve_forever()


def gevent(app, fd):
    from gevent.pywsgi import WSGIServer
    from gevent.socket import socket as gevent_socket

    listener = gevent_socket(socket.AF_INET, socket.SOCK_STREAM, fileno=fd)
    WSGIServer(listener, app).serve_forever()


SERVERS = {
    "werkzeug": werkzeug,
    "werkzeug-single": werkzeug_single,
    "gevent": gevent,
    "gevent-unpatched": gevent,
}

if __name__ == "__main__":
    _, server, target, descriptor = sys.argv
    module, _, name = target.partition(":")
    # A bare SIGTERM would end the process without its exit hooks.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    SERVERS[server](getattr(import_module(module), name), int(descriptor))
