"""Views of Django behind all its stock middlewares: /style/what as in tests/support/app.py."""

from __future__ import annotations

import gc

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse
from django.urls import path

from faye_sync import EventSource, WebSocket
from tests.support.app import MISTAKES, STYLES


def hello(request):
    # Before 5.1 Django leaves what a view raised in a cycle.
    gc.collect()
    return HttpResponse("hello")


def view(request, style, what):
    ws = WebSocket(request)
    STYLES[style](ws, what)
    return ws.django_response()


def in_session(request):
    request.session["seen"] = "yes"
    return WebSocket(request).start(lambda ws: ws.send("seen")).django_response()


def rejected_with_cookies(request):
    ws = WebSocket(request)
    ws.reject(401, "x" * 1000, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")])
    return ws.django_response()


def query(request):
    """Ask the database, on a connection that the thread of the function opens and closes."""

    def talk(ws):
        for message in ws:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT {message}")
                ws.send(str(cursor.fetchone()[0]))
            connection.close()

    return WebSocket(request).start(talk).django_response()


def events_in_session(request):
    request.session["seen"] = "yes"
    es = EventSource(request)
    es.send("welcome")
    return es.django_response()


def events_of_an_iterable(request, detach):
    options = {} if detach == "none" else {"detach": False}
    return EventSource.stream(request, ["one", "two"], **options).django_response()


def forget(request, name):
    MISTAKES[name](WebSocket(request))


def return_it(request):
    """Return the connection itself, as a Flask view would."""
    return WebSocket(request)


urlpatterns = [
    path("hello", hello),
    path("session", in_session),
    path("query", query),
    path("rejected-with-cookies", rejected_with_cookies),
    path("events/session", events_in_session),
    path("events/iterable/<detach>", events_of_an_iterable),
    path("mistakes/returned", return_it),
    path("mistakes/<name>", forget),
    path("<style>/<what>", view),
]

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
    ],
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"stderr": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    },
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    SESSION_SAVE_EVERY_REQUEST=True,
)
application = get_wsgi_application()
