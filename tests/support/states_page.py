"""Draw docs/pictures/states.svg of the table that connections go by: python -m tests.support.states_page."""

from __future__ import annotations

from faye_sync.events import STEPS, ReadyState
from tests.support.kinds import ROOT

PICTURE = ROOT / "docs" / "pictures" / "states.svg"
WIDTH, HEIGHT = 900, 300
BOX, TALL, FIRST, GAP, MIDDLE = 140, 48, 20, 240, 150  # pixels
INK = "#0f172a"

# What leads from one to the other; each step of the table has its words.
WORDS = {
    ("CONNECTING", "OPEN"): "the 101",
    ("CONNECTING", "CLOSED"): "a refusal, close(), the network",
    ("OPEN", "CLOSING"): "close()",
    ("OPEN", "CLOSED"): "the peer's close frame, an error, a deadline, the end of TCP",
    ("CLOSING", "CLOSED"): "the answer",
}


def steps() -> list[tuple[ReadyState, ReadyState]]:
    return [(before, after) for before, afters in STEPS.items() for after in afters]


def left(state: ReadyState) -> int:
    return FIRST + GAP * state


def box(state: ReadyState) -> str:
    x, y = left(state), MIDDLE - TALL // 2
    return (
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{TALL}" rx="8" fill="#e2e8f0" '
        f'stroke="{INK}"/>\n'
        f'<text x="{x + BOX // 2}" y="{MIDDLE + 5}" text-anchor="middle" font-weight="bold">'
        f"{state.name}</text>"
    )


def arrow(before: ReadyState, after: ReadyState) -> str:
    """A straight one to the next state; to a later one an arc, above or below in turns."""
    words = WORDS[before.name, after.name]
    if after - before == 1:
        x, end = left(before) + BOX, left(after)
        path, place = f"M{x},{MIDDLE} L{end - 4},{MIDDLE}", ((x + end) // 2, MIDDLE - 10)
    else:
        side = -1 if before else 1
        x, end = left(before) + BOX // 2, left(after) + BOX // 2
        edge, far = MIDDLE + side * TALL // 2, MIDDLE + side * 130
        path = f"M{x},{edge} C{x},{far} {end},{far} {end},{edge + side * 4}"
        place = ((x + end) // 2, MIDDLE + side * 115 + (4 if side > 0 else 0))
    return (
        f'<path d="{path}" fill="none" stroke="{INK}" marker-end="url(#tip)"/>\n'
        f'<text x="{place[0]}" y="{place[1]}" text-anchor="middle">{words}</text>'
    )


def picture() -> str:
    """The whole drawing."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"\n'
        f'     viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">\n'
        "<title>The states of a connection</title>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        f'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{INK}"/></marker></defs>\n'
        '<rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, *map(box, STEPS), *(arrow(*step) for step in steps()), "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
