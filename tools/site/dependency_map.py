"""The map of the chapters: which one builds on which, as a drawing with links."""

from __future__ import annotations

from html import escape

from tools.site.chapters import Chapter

WIDTH, HEIGHT = 168, 62  # of a box
GAP_X, GAP_Y = 20, 54
MARGIN = 8


def reduced(needs: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
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


def rows(needs: dict[str, tuple[str, ...]]) -> list[list[str]]:
    """The chapters in rows: each stands below everything it needs."""
    depth: dict[str, int] = {}
    for number in sorted(needs):  # a chapter needs earlier ones only
        depth[number] = 1 + max((depth[n] for n in needs[number] if n in depth), default=-1)
    return [
        [number for number in sorted(needs) if depth[number] == row]
        for row in range(max(depth.values(), default=-1) + 1)
    ]


def places(table: list[list[str]], needs: dict[str, tuple[str, ...]]) -> dict[str, tuple[int, int]]:
    """Left and top of every box: each row is centred and ordered by what its boxes hang on."""
    widest = max(map(len, table), default=0)
    found: dict[str, tuple[int, int]] = {}
    for y, row in enumerate(table):

        def middle(number: str) -> tuple[float, str]:
            above = [found[n][0] for n in needs[number] if n in found]
            return (sum(above) / len(above) if above else 0.0, number)

        free = (widest - len(row)) * (WIDTH + GAP_X) // 2
        for x, number in enumerate(sorted(row, key=middle)):
            left = MARGIN + free + x * (WIDTH + GAP_X)
            found[number] = (left, MARGIN + y * (HEIGHT + GAP_Y))
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
    table = rows(needs)
    where = places(table, needs)
    width = 2 * MARGIN + max(map(len, table), default=0) * (WIDTH + GAP_X) - GAP_X
    height = 2 * MARGIN + len(table) * (HEIGHT + GAP_Y) - GAP_Y
    lines = [_line(where[n], where[number], n, number) for number in needs for n in needs[number]]
    boxes = [_box(chapter, where[chapter.number]) for chapter in chapters]
    return (
        f'<svg class="chapter-map" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="Which chapter builds on which">'
        + "".join([*lines, *boxes])
        + "</svg>"
    )


def _line(start: tuple[int, int], end: tuple[int, int], source: str, target: str) -> str:
    x1, y1 = start[0] + WIDTH // 2, start[1] + HEIGHT
    x2, y2 = end[0] + WIDTH // 2, end[1]
    bend = max((y2 - y1) // 2, 20)
    return (
        f'<path data-from="{source}" data-to="{target}" '
        f'd="M{x1} {y1} C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}"/>'
    )


def _box(chapter: Chapter, place: tuple[int, int]) -> str:
    x, y = place
    lines = short(chapter.title)
    first = y + 36 + (0 if len(lines) == 2 else 6)
    texts = "".join(
        f'<text x="{x + WIDTH // 2}" y="{first + 16 * row}">{escape(line)}</text>'
        for row, line in enumerate(lines)
    )
    return (
        f'<a href="notebooks/{chapter.stem}.html" data-chapter="{chapter.number}">'
        f"<title>{chapter.number} · {escape(chapter.title)}</title>"
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        f'<text class="number" x="{x + WIDTH // 2}" y="{y + 18}">{chapter.number}</text>{texts}</a>'
    )
