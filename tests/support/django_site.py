"""A Django project of one view, behind the middlewares that startproject writes.

The view answers with what `respond` of the application's module gives, TEST_APP naming that as
"module:name". So every test's application runs under Django as well, through URLs and views."""

from __future__ import annotations

import os
from importlib import import_module

from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from faye_sync import EventSource, WebSocket

# --- settings -------------------------------------------------------------------------------------------

SECRET_KEY = "of no worth: for tests"
DEBUG = os.environ.get("TEST_SERVER") == "django-runserver"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = __name__
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
STATIC_URL = "static/"
USE_TZ = True
# Without DEBUG Django mails its tracebacks; a deployment that reads its log has this.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["stderr"], "level": "INFO", "propagate": False}},
}

# --- the view -------------------------------------------------------------------------------------------


def view(request: HttpRequest) -> HttpResponse:
    module = import_module(os.environ["TEST_APP"].partition(":")[0])
    answer = module.respond(request.environ)
    if isinstance(answer, EventSource | WebSocket):
        return answer.django_response()
    return HttpResponse(answer.body, content_type=answer.content_type)


urlpatterns = [re_path("^", view)]
