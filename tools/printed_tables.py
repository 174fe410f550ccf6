"""Tables that a notebook prints as text: `make writeup` and the site see only those it shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LEAST = 3  # lines: titles and two rows, or titles, the index's name and a row


def printed_tables(notebook: Any) -> Iterator[str]:
    """A problem for each code cell that prints a frame of pandas."""
    for place, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if output["output_type"] == "stream" and has_printed_table("".join(output["text"])):
                yield f"cell {place} prints a table: make it the cell's last line, or display(...)"
                break


def has_printed_table(text: str) -> bool:
    """Whether some lines of the text look like a frame that was printed.

    pandas fills all lines of a frame up to one length. Above the labels of the rows it leaves
    blanks; where the index has a name, that stands in a second line, with blanks behind it.
    """
    lines = text.splitlines()
    start = 0
    while start < len(lines):
        end = start + 1
        while end < len(lines) and len(lines[end]) == len(lines[start]):
            end += 1
        if end - start >= LEAST and _is_frame(lines[start:end]):
            return True
        start = end
    return False


def _is_frame(lines: list[str]) -> bool:
    first, second, *others = lines
    unnamed = first.startswith("  ") and all(line[:1].strip() for line in (second, *others))
    named = second.endswith("  ") and second.strip() and first[-1:].strip()
    return bool(unnamed or (named and all(line[-1:].strip() for line in others)))
