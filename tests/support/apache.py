"""Apache as a process of its own, with mod_wsgi or as a proxy: nothing of the system's configuration."""

from __future__ import annotations

import socket
import sysconfig
from pathlib import Path

from tests.support.daemons import daemon, hold_a_port, spawn_until, unprivileged
from tests.support.kinds import ROOT
from tests.support.servers import Server

MODULES = Path("/usr/lib/apache2/modules")
READY = "resuming normal operations"

BASE = """
ServerRoot "{folder}"
DefaultRuntimeDir "{folder}"
PidFile "{folder}/apache.pid"
Mutex "file:{folder}" default
ErrorLog /dev/stderr
LogLevel notice
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
LoadModule mpm_prefork_module "{modules}/mod_mpm_prefork.so"
LoadModule authz_core_module "{modules}/mod_authz_core.so"
StartServers 1
MinSpareServers 1
MaxSpareServers 1
"""

MOD_WSGI = """
LoadModule wsgi_module "{modules}/mod_wsgi.so"
WSGIPythonPath "{root}:{packages}"
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / "{folder}/application.wsgi"
<Location "/">
    Require all granted
</Location>
"""

PROXY = """
LoadModule proxy_module "{modules}/mod_proxy.so"
LoadModule proxy_http_module "{modules}/mod_proxy_http.so"
"""


def missing_mod_wsgi() -> str | None:
    if daemon("apache2") is None:
        return "no apache2 on the path"
    return None if (MODULES / "mod_wsgi.so").exists() else f"no mod_wsgi.so in {MODULES}"


def serve_mod_wsgi(app: str, folder: Path) -> Server:
    """Start it with an application, "module:name", and wait until it listens."""
    module, _, name = app.partition(":")
    (folder / "application.wsgi").write_text(f"from {module} import {name} as application\n")
    return serve("mod_wsgi", MOD_WSGI, folder)


def serve_proxy(directives: str, folder: Path) -> Server:
    """Start it with directives of mod_proxy, and wait until it listens."""
    return serve("apache", PROXY + directives, folder)


def serve(name: str, directives: str, folder: Path) -> Server:
    configuration = folder / "apache.conf"
    packages = sysconfig.get_path("purelib")
    with socket.socket() as holder:
        port = hold_a_port(holder)
        places = {"folder": folder, "modules": MODULES, "root": ROOT, "packages": packages}
        configuration.write_text((BASE + directives).format(port=port, **places))
        command = [daemon("apache2"), "-f", str(configuration), "-D", "FOREGROUND"]
        return spawn_until(READY, unprivileged(command), folder / f"{name}.log", port=port)
