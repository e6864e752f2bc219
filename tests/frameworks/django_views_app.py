"""Views of contrib.django behind Django's stock middlewares, with a database and users."""

from __future__ import annotations

import tempfile
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection, connections
from django.http import HttpResponse, HttpResponseForbidden
from django.urls import path

from faye_sync.contrib.django import events_view, websocket_view

DATABASE = Path(tempfile.mkdtemp(), "database")

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", ".friends.example"],
    CSRF_TRUSTED_ORIGINS=["https://trusted.example", "https://*.wild.example"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATABASE,
            "ATOMIC_REQUESTS": True,
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "faye_sync.contrib.django.FayeSync",
    ],
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"stderr": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    },
    LOGIN_URL="/login",
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
)
application = get_wsgi_application()


def echo(ws):
    for message in ws:
        ws.send(message)


def join(ws, room):
    ws.send(f"{ws.user} in {room}, {ws.request.session.get('visits', 0)} visits")
    for message in ws:
        ws.send(message)


def with_visits(ws):
    ws.send("seen")


def visit(view):
    def counting(request):
        request.session["visits"] = request.session.get("visits", 0) + 1
        return view(request)

    return counting


def ask(ws):
    """Ask the database, and say how many connections of this thread are open while waiting."""
    for message in ws:
        is_open = connection.connection is not None
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {message}")
            ws.send(f"{cursor.fetchone()[0]} {is_open} {connection.in_atomic_block}")


def fail(ws):
    raise LookupError("of the function")


def refuse_beneath(view):
    def refusing(ws):
        return HttpResponseForbidden("not you")

    return refusing


def feed(request, name):
    user = request.user
    yield f"{name} for {user}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 + 1")
        (number,) = cursor.fetchone()
    yield {"data": number, "id": 7}


def closed_feed(request):
    return HttpResponseForbidden("not you")


def enter(request):
    login(request, get_user_model().objects.get(username="ann"))
    return HttpResponse("in")


def hello(request):
    return HttpResponse("hello")


urlpatterns = [
    path("hello", hello),
    path("enter", enter),
    path("echo", websocket_view(echo)),
    path("rooms/<room>", websocket_view(join)),
    path("visits", visit(websocket_view(with_visits))),
    path("ask", websocket_view(ask)),
    path("fail", websocket_view(fail)),
    path("members", login_required(websocket_view(echo))),
    path("members/beneath", websocket_view(login_required(echo))),
    path("refused/beneath", websocket_view(refuse_beneath(echo))),
    path("feed/<name>", events_view(feed)),
    path("members/feed/<name>", login_required(events_view(feed))),
    path("feed-closed", events_view(closed_feed)),
]

call_command("migrate", verbosity=0)
get_user_model().objects.get_or_create(username="ann")
connections.close_all()
