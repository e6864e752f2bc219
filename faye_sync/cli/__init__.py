"""The command line, faye-sync: click and rich are imported when it is used."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; the process ends with its exit status."""
    try:
        from faye_sync.cli.commands import group  # noqa: PLC0415  # what it needs may be missing
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(
            f"faye-sync: the command line needs {error.name}, which is not installed; "
            "pip install 'faye-sync[cli]'"
        )
    group(prog_name="faye-sync")
