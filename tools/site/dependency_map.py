"""The map of the chapters: which one builds on which, as a drawing with links."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import NamedTuple

from tools.site.chapters import Chapter

WIDTH, HEIGHT = 168, 62  # of a box
BEND = 12  # the room that a line takes where it passes a row of boxes
GAP_X, GAP_Y = 22, 56
MARGIN = 8
SWEEPS = 8

Needs = dict[str, tuple[str, ...]]


class Item(NamedTuple):
    """A chapter in its row, or the lines that come from a chapter and pass a row."""

    number: str
    row: int
    bend: bool

    @property
    def width(self) -> int:
        """Of the drawing, in its own units."""
        return BEND if self.bend else WIDTH


def reduced(needs: Needs) -> Needs:
    """The needs without those that follow from others: 11 needs 10, which needs 09 already."""
    needs = {number: tuple(n for n in named if n in needs) for number, named in needs.items()}

    def all_of(number: str) -> set[str]:
        return {number}.union(*(all_of(other) for other in needs[number]))

    return {
        number: tuple(
            one for one in named if not any(one in all_of(other) for other in named if other != one)
        )
        for number, named in needs.items()
    }


def depths(needs: Needs) -> dict[str, int]:
    """The row of each chapter: below everything it needs."""
    found: dict[str, int] = {}
    for number in sorted(needs):  # a chapter needs earlier ones only
        found[number] = 1 + max((found[n] for n in needs[number] if n in found), default=-1)
    return found


def links(needs: Needs) -> list[tuple[Item, Item, str]]:
    """The pieces of all lines, from row to row, each with the chapter that it leads to.

    Lines of one chapter that pass a row pass it together.
    """
    row = depths(needs)
    pieces = []
    for target, named in needs.items():
        for source in named:
            chain = [Item(source, row[source], False)]
            chain += [Item(source, r, True) for r in range(row[source] + 1, row[target])]
            chain.append(Item(target, row[target], False))
            pieces += [(one, other, target) for one, other in pairwise(chain)]
    return pieces


def ordered(needs: Needs) -> list[list[Item]]:
    """The rows, each in an order that makes the lines short: the mean of what an item hangs on."""
    row = depths(needs)
    pieces = links(needs)
    items = {Item(number, place, False) for number, place in row.items()}
    items |= {item for one, other, _ in pieces for item in (one, other)}
    rows = [
        sorted((item for item in items if item.row == place), key=lambda item: item[::2] + item[:1])
        for place in range(max(row.values(), default=-1) + 1)
    ]
    for sweep in range(SWEEPS):
        where = _middles(rows)
        down = sweep % 2 == 0
        for place in range(len(rows)) if down else reversed(range(len(rows))):
            rows[place].sort(key=lambda item: (_pull(item, pieces, where, down), item.number))
            where = _middles(rows)
    return rows


def _pull(item: Item, pieces: list, where: dict[Item, float], down: bool) -> float:
    """The mean place of an item's neighbours in the row above, or below."""
    near = {
        (one if down else other) for one, other, _ in pieces if item == (other if down else one)
    }
    return sum(where[other] for other in near) / len(near) if near else where[item]


def _middles(rows: list[list[Item]]) -> dict[Item, float]:
    """The horizontal middle of every item; rows are centred on zero."""
    found = {}
    for row in rows:
        left = -(sum(item.width for item in row) + GAP_X * (len(row) - 1)) / 2
        for item in row:
            found[item] = left + item.width / 2
            left += item.width + GAP_X
    return found


def short(title: str) -> list[str]:
    """A title in at most two lines of about twenty characters, cut at a colon first."""
    words, lines = title.split(":")[0].split(), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= 21:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines if len(lines) <= 2 else [lines[0], lines[1] + " …"]


def drawing(chapters: list[Chapter]) -> str:
    """The map as SVG with a link on every box; colours come from the style sheet."""
    needs = reduced({chapter.number: chapter.needs for chapter in chapters})
    rows, pieces = ordered(needs), links(needs)
    middle = _middles(rows)
    left = min((x - item.width / 2 for item, x in middle.items()), default=0) - MARGIN
    width = round(2 * -left)
    height = 2 * MARGIN + len(rows) * (HEIGHT + GAP_Y) - GAP_Y
    where = {item: (x - left, MARGIN + item.row * (HEIGHT + GAP_Y)) for item, x in middle.items()}
    lines = "".join(_line(*piece, where) for piece in pieces)
    row = depths(needs)
    boxes = "".join(_box(c, *where[Item(c.number, row[c.number], False)]) for c in chapters)
    arrow = (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="11" markerHeight="11" '
        'markerUnits="userSpaceOnUse" orient="auto">'
        '<path class="tip" d="M0 0 L8 4 L0 8 z"/></marker>'
    )
    return (
        f'<svg class="chapter-map" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="group" aria-label="Which chapter builds on which">'
        f"<defs>{arrow}</defs>{lines}{boxes}</svg>"
    )


def _line(start: Item, end: Item, target: str, where: dict[Item, tuple[float, float]]) -> str:
    """A piece of a line; past a row it runs straight down."""
    (x1, top), (x2, y2) = where[start], where[end]
    y1 = top + HEIGHT
    half = GAP_Y / 2
    path = (
        f"M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + half:.0f} {x2:.0f} {y2 - half:.0f} {x2:.0f} {y2:.0f}"
    )
    if start.bend:
        path = path.replace(f"M{x1:.0f} {y1:.0f}", f"M{x1:.0f} {top:.0f} L{x1:.0f} {y1:.0f}", 1)
    tip = "" if end.bend else ' marker-end="url(#tip)"'
    return f'<path data-from="{start.number}" data-to="{target}" d="{path}"{tip}/>'


def _box(chapter: Chapter, x: float, y: float) -> str:
    lines = short(chapter.title)
    first = y + 36 + (0 if len(lines) == 2 else 6)
    texts = "".join(
        f'<text x="{x:.0f}" y="{first + 16 * row:.0f}">{escape(line)}</text>'
        for row, line in enumerate(lines)
    )
    return (
        f'<a href="notebooks/{chapter.stem}.html" data-chapter="{chapter.number}">'
        f"<title>{chapter.number} · {escape(chapter.title)}</title>"
        f'<rect x="{x - WIDTH / 2:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        f'<text class="number" x="{x:.0f}" y="{y + 18:.0f}">{chapter.number}</text>{texts}</a>'
    )
