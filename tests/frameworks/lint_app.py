"""tests/support/app.py behind middlewares that check or change the environ: /middleware/style/what."""

from __future__ import annotations

from wsgiref.validate import validator

from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.middleware.profiler import ProfilerMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from tests.servers.app import application as inner
from tests.support.app import Page

hello = Page(b"hello", "text/plain")


def with_text_only(app):
    """Mend what werkzeug's own environ has: REMOTE_PORT is a number there, which validator refuses."""

    def mended(environ, start_response):
        return app({**environ, "REMOTE_PORT": str(environ["REMOTE_PORT"])}, start_response)

    return mended


application = DispatcherMiddleware(
    NotFound(),
    {
        "/hello": hello,
        "/lint": LintMiddleware(inner),
        "/profiler": ProfilerMiddleware(inner, stream=None),
        "/proxy-fix": ProxyFix(inner),
        "/validator": with_text_only(validator(inner)),
    },
)
