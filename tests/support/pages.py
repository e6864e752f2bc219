"""What the pages of the documentation show."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

BLOCK = re.compile(r"^\.\. code-block:: python\n((?:   +:.*\n)*)\n((?:    .*\n|\n)+)", re.MULTILINE)


def programs(page: Path) -> list[str]:
    """The blocks of Python of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [textwrap.dedent(body).rstrip() + "\n" for _, body in BLOCK.findall(text)]
