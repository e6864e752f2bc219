"""Serve a WSGI application on an inherited listening socket: a process of tests/support/servers.py.

    python tests/support/serve.py werkzeug module:name 3
    python tests/support/serve.py werkzeug-tls module:name 3 chain.pem key.pem

gevent and eventlet patch the process before anything else is imported, as their users do."""

import sys

if __name__ == "__main__" and sys.argv[1] in {"gevent", "gevent-tls"}:
    from gevent.monkey import patch_all

    patch_all()

if __name__ == "__main__" and sys.argv[1] in {"eventlet", "eventlet-tls"}:
    import warnings

    # It says of itself that it is deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from eventlet import monkey_patch

    monkey_patch()

import faulthandler
import os
import signal
import socket
import threading
from importlib import import_module

faulthandler.register(signal.SIGUSR1)


def end(*_):
    """End with the exit hooks, which a bare SIGTERM would leave out."""
    end.was_told = True
    sys.exit(0)


end.was_told = False


def end_after_all(unraisable):
    """Try again where end() was run in a finalizer, which Python does not let raise."""
    if unraisable.exc_type is SystemExit:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
    else:
        sys.__unraisablehook__(unraisable)


def werkzeug(app, fd, *tls):
    serve_werkzeug(app, fd, threaded=True, ssl_context=tls or None)


def werkzeug_single(app, fd):
    serve_werkzeug(app, fd, threaded=False)


def werkzeug_unix(app, fd):
    path = socket.socket(fileno=os.dup(fd)).getsockname()
    # Of the path it sees the kind of socket; 2.0 binds it too, though it listens on fd.
    serve_werkzeug(app, fd, host=f"unix://{path}.unused", threaded=True)


def serve_werkzeug(app, fd, host="127.0.0.1", **options):
    from werkzeug.serving import make_server

    make_server(host, 0, app, fd=fd, **options).serve_forever()


def gevent(app, fd, *tls):
    from gevent.pywsgi import WSGIServer
    from gevent.socket import socket as gevent_socket

    listener = gevent_socket(socket.AF_INET, socket.SOCK_STREAM, fileno=fd)
    WSGIServer(
        listener, app, **dict(zip(("certfile", "keyfile"), tls, strict=False))
    ).serve_forever()


def wsgiref(app, fd, *mixins):
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    class Server(*mixins, WSGIServer):
        daemon_threads = True

        def service_actions(self):
            # wsgiref goes on with the next request when a call is left by SystemExit.
            if end.was_told:
                sys.exit(0)

    server = Server(("127.0.0.1", 0), WSGIRequestHandler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=fd)
    server.server_address = server.socket.getsockname()
    server.server_name, server.server_port = server.server_address
    server.setup_environ()
    server.set_app(app)
    server.serve_forever()


def wsgiref_threading(app, fd):
    from socketserver import ThreadingMixIn

    wsgiref(app, fd, ThreadingMixIn)


def cheroot(app, fd, *tls):
    from cheroot.ssl.builtin import BuiltinSSLAdapter
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", 0), app, numthreads=4)
    if tls:
        server.ssl_adapter = BuiltinSSLAdapter(*tls)
    # Its way to inherit a listening socket is systemd's: descriptor 3.
    os.dup2(fd, 3)
    os.environ["LISTEN_PID"] = str(os.getpid())
    # An exception may come up while this thread holds a lock of cheroot's, which then waits for ever.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.stop).start())
    server.safe_start()


def waitress(app, fd):
    from waitress import create_server

    create_server(app, sockets=[socket.socket(fileno=fd)], threads=4).run()


def eventlet(app, fd, *tls):
    import eventlet.wsgi
    from eventlet.green.socket import socket as green_socket

    listener = green_socket(socket.AF_INET, socket.SOCK_STREAM, fileno=fd)
    if tls:
        listener = eventlet.wrap_ssl(listener, certfile=tls[0], keyfile=tls[1], server_side=True)
    eventlet.wsgi.server(listener, app)


SERVERS = {
    "werkzeug": werkzeug,
    "werkzeug-single": werkzeug_single,
    "werkzeug-unix": werkzeug_unix,
    "werkzeug-tls": werkzeug,
    "gevent": gevent,
    "gevent-unpatched": gevent,
    "gevent-tls": gevent,
    "gevent-unpatched-tls": gevent,
    "wsgiref": wsgiref,
    "wsgiref-threading": wsgiref_threading,
    "cheroot": cheroot,
    "cheroot-tls": cheroot,
    "waitress": waitress,
    "eventlet": eventlet,
    "eventlet-tls": eventlet,
}

if __name__ == "__main__":
    _, server, target, descriptor, *tls = sys.argv
    module, _, name = target.partition(":")
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, end)
    sys.unraisablehook = end_after_all
    SERVERS[server](getattr(import_module(module), name), int(descriptor), *tls)
