"""How wide the columns of a LaTeX table are: long text is broken, so that the rest stays large."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tools.writeup.exhibits import Table

WIDEST = 100  # characters in a row; it is then shrunk to three quarters of its size at most
GAP = 2  # characters between two columns, about
EM = 0.5  # of a character, about


def places(table: Table) -> list[str]:
    """For each column "l", "r" (numbers), or a box of a width in which its text is broken.

    The longest columns are broken first, and all of these are equally wide. No word is broken.
    """
    columns = [(title, *cells) for title, *cells in zip(table.header, *table.rows, strict=True)]
    longest = [max(map(len, cells)) for cells in columns]
    words = [max(len(word) for cell in cells for word in cell.split() or [""]) for cells in columns]
    wide = _wide(longest, words, WIDEST - GAP * (len(columns) - 1))
    found = []
    for cells, width, whole in zip(columns, wide, longest, strict=True):
        numbers = _are_numbers(cells[1:])
        if width == whole:
            found.append("r" if numbers else "l")
        else:
            side = "left" if numbers else "right"  # what is ragged; the other side is straight
            found.append(f">{{\\ragged{side}\\arraybackslash}}p{{{width * EM:g}em}}")
    return found


def _wide(longest: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widths of columns, in characters: as long as their text, if there is room for it."""
    for most in range(max(longest), 0, -1):
        found = [max(min(whole, most), word) for whole, word in zip(longest, least, strict=True)]
        if sum(found) <= room:
            return found
    return list(least)


def _are_numbers(column: Iterable[str]) -> bool:
    cells = [cell for cell in column if cell]
    return bool(cells) and all(re.match(r"[+\-−]?[\d.,]+", cell) for cell in cells)
