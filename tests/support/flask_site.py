"""A Flask application that answers every path with the WSGI application TEST_APP, "module:name".

For `flask run --debug`: its reloader and its debugger are around whatever the tests serve."""

from __future__ import annotations

import os
from importlib import import_module

from flask import Flask

module, _, name = os.environ["TEST_APP"].partition(":")
app = Flask(__name__)
app.wsgi_app = getattr(import_module(module), name)
