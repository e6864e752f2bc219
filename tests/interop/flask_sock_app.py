"""The application of a program written for flask-sock, with no other change than the import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

THEIRS, OURS = "from flask_sock import Sock", "from faye_sync.contrib.flask import Sock"

program = Path(os.environ["FLASK_SOCK_PROGRAM"]).read_text(encoding="utf-8")
assert THEIRS in program
names: dict[str, Any] = {"__name__": "program"}
exec(compile(program.replace(THEIRS, OURS), "program", "exec"), names)
application = names["app"]
