"""docs/servers.rst says what the tests run: its tables are those of the code, and what it shows works."""

from __future__ import annotations

import ast
import re
import signal
from configparser import ConfigParser
from importlib import import_module

import pytest

from faye_sync.transport.no_socket import no_socket
from tests.support import servers_page
from tests.support.nginx import DOCUMENTED, MAP
from tests.support.no_socket import REFUSERS
from tests.support.peer import Peer
from tests.support.servers import ROOT, SERVERS, serve
from tests.test_readme import blocks, exists, rows

PAGE = servers_page.PAGE.read_text(encoding="utf-8")
PROGRAMS = blocks(PAGE)

# What was installed as the page was written, which is not what is installed here: by table.
VERSION = {"servers": 2, "refusers": 1}


def cells(table: str, name: str) -> list[list[str]]:
    """The rows of a table, without the versions that were the newest."""
    return [
        [cell for place, cell in enumerate(row) if place != VERSION[name]] for row in rows(table)
    ]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def words(text: str) -> list[str]:
    return text.split()


# --- tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", servers_page.TABLES)
def test_a_table_of_the_page_is_the_one_of_the_tests(name):
    told = servers_page.part(name).search(PAGE)[1]
    made = servers_page.TABLES[name]()
    assert cells(told, name) == cells(made, name), "run `make page`"


def test_the_notes_of_the_page_are_the_limits_of_the_table():
    told, made = servers_page.part("servers").search(PAGE)[1], servers_page.servers()
    assert words(told.rpartition("===")[2]) == words(made.rpartition("===")[2]), "run `make page`"


def test_every_server_of_the_tests_is_in_a_table():
    told = [
        row[0]
        for name in servers_page.TABLES
        for row in rows(servers_page.part(name).search(PAGE)[1])
    ]
    for kind in SERVERS.values():
        assert any(
            kind.title == title or servers_page.is_again(kind.title, title) for title in told
        )
    assert servers_page.REFUSALS.keys() == REFUSERS.keys()


def test_the_newest_versions_of_the_page_are_versions_after_the_oldest():
    for row in rows(servers_page.part("servers").search(PAGE)[1]):
        assert numbers(row[2]) >= numbers(row[1]) > (0,), row
    for row in rows(servers_page.part("refusers").search(PAGE)[1]):
        assert numbers(row[1]) > (0,), row


def test_what_setup_cfg_allows_begins_with_the_oldest_versions():
    metadata = ConfigParser()
    metadata.read(ROOT / "setup.cfg", encoding="utf-8")
    wanted = metadata["options"]["install_requires"] + metadata["options.extras_require"]["test"]
    allowed = dict(re.findall(r"^([\w-]+)>=([\d.]+)", wanted, re.MULTILINE))
    oldest = servers_page.oldest()
    # greenlet comes with gevent and eventlet, and nothing here asks for it.
    assert oldest.keys() - allowed.keys() == {"greenlet"}
    for name in oldest.keys() & allowed.keys():
        version = oldest[name]
        shortest = min(len(numbers(version)), len(numbers(allowed[name])))
        assert numbers(version)[:shortest] == numbers(allowed[name])[:shortest], name


def test_every_command_of_make_on_the_page_is_a_target():
    commands = set(re.findall(r"``(make [\w-]+)``", PAGE))
    assert commands >= {"make page", "make test-all"}
    assert [command for command in commands if not exists(command)] == []


# --- what it shows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_every_program_of_the_page_compiles_and_what_it_imports_is_there(program):
    tree = ast.parse(program)
    for node in ast.walk(tree):
        # Not those that patch this process, or that the reader writes.
        if isinstance(node, ast.ImportFrom) and node.module not in {"chat", "gevent.monkey"}:
            module = import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)


def test_the_program_for_servers_that_keep_the_socket_serves_where_they_do_not(tmp_path):
    (program,) = (one for one in PROGRAMS if "def application" in one)
    (tmp_path / "told.py").write_text(program, encoding="utf-8")
    path = f"{ROOT}:{tmp_path}"
    server = serve("gunicorn-gthread", "told:application", tmp_path, PYTHONPATH=path)
    with server, Peer(server.address, "/") as peer:
        peer.say("hello")
        assert peer.read() == "hello"


def test_the_configuration_of_nginx_is_the_one_that_is_tested():
    outside, inside = blocks(PAGE, "nginx")
    assert words(outside) == words(MAP)
    assert words(inside) == words(DOCUMENTED)


def test_the_configuration_of_apache_is_the_one_that_the_error_tells():
    class Input:
        __module__ = "mod_wsgi"

    (directive,) = blocks(PAGE, "apache")
    assert directive.strip() in str(no_socket({"wsgi.input": Input()}))


# --- what it says of Django -----------------------------------------------------------------------------

SITE = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

from faye_sync import WebSocket

def attached(request):
    ws = WebSocket(request)
    raise ValueError(ws.receive())

def started(request):
    def talk(ws):
        raise ValueError(ws.receive())

    return WebSocket(request).start(talk).django_response()

urlpatterns = [path("attached", attached), path("started", started)]
settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY="none", LOGGING={})
application = get_wsgi_application()
"""

HANDLERS = '"version": 1, "handlers": {"stderr": {"class": "logging.StreamHandler"}}'
TO_DJANGO = f'{HANDLERS}, "loggers": {{"django": {{"handlers": ["stderr"]}}}}'
TO_ROOT = f'{HANDLERS}, "root": {{"handlers": ["stderr"]}}'
KEPT = '"disable_existing_loggers": False'


@pytest.mark.parametrize(
    "settings, logged",
    [
        pytest.param("", {"/started"}, id="as-django-has-it"),
        pytest.param(f"{TO_DJANGO}", {"/attached"}, id="existing-loggers-are-disabled"),
        pytest.param(f"{TO_DJANGO}, {KEPT}", {"/attached", "/started"}, id="as-the-page-says"),
        pytest.param(f"{TO_ROOT}", set(), id="a-handler-of-the-root-alone"),
    ],
)
def test_where_django_leaves_a_traceback(tmp_path, settings, logged):
    site = SITE.replace("LOGGING={}", f"LOGGING={{{settings}}}")
    (tmp_path / "site_of_the_page.py").write_text(site, encoding="utf-8")
    path = f"{ROOT}:{tmp_path}"
    app = "site_of_the_page:application"
    with serve("gunicorn-gthread", app, tmp_path, PYTHONPATH=path) as server:
        for view in ("/attached", "/started"):
            with Peer(server.address, view) as peer:
                peer.say(f"raised in {view}")
                assert peer.answer_close() == (1011, "")
        log = server.stop(signal.SIGTERM)
    assert set(re.findall(r"ValueError: raised in (\S+)", log)) == logged
