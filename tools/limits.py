"""How long a chapter may be: measured, so that it stays readable in one sitting."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.execute import read_notebook
from tools.exercise_cells import section
from tools.site.chapters import EXERCISES
from tools.title_cells import INSTALL

#: The most a notebook may have. Its exercises, and the folded installation cell, are not counted.
LIMITS = {
    "cells": 80,
    "words": 3000,
    "code lines": 350,
    "longest cell": 25,
    "median cell": 12,  # lines of code; the design says 5 to 8
    "tables": 8,
    "figures": 8,
    "modules": 8,
}

_NOT_WORDS = re.compile(
    r"```.*?```|\$\$.*?\$\$|\$[^$\n]*\$|`[^`\n]*`|\]\([^)]*\)|<[^>]*>", re.DOTALL
)
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_TABLE = re.compile(r"<table|^\|?[ :]*-{3,}[-| :]*\|[-| :]*$", re.MULTILINE)


def measure(notebook: Any) -> dict[str, float]:
    """The numbers that `LIMITS` bounds.

    Words are those of the Markdown cells without code, formulas and link targets; code lines are
    not blank; tables and figures are those that a reader sees, in text and in outputs; modules are
    those of the package that are imported.
    """
    cells = list(_counted(notebook))
    code = [cell for cell in cells if cell.cell_type == "code"]
    lengths = [len(cell.source.splitlines()) for cell in code] or [0]
    text = [cell.source for cell in cells if cell.cell_type == "markdown"]
    outputs = [output.get("data", {}) for cell in code for output in cell.get("outputs", ())]
    shown = [_first(data, "text/html", "text/markdown") for data in outputs]
    return {
        "cells": len(cells),
        "words": sum(len(_WORD.findall(_NOT_WORDS.sub(" ", source))) for source in text),
        "code lines": sum(bool(line.strip()) for cell in code for line in cell.source.split("\n")),
        "longest cell": max(lengths),
        "median cell": statistics.median(lengths),
        "tables": sum(len(_TABLE.findall(source)) for source in [*text, *shown]),
        "figures": sum("image/png" in data or "image/svg+xml" in data for data in outputs),
        "modules": len({name for cell in code for name in _imported(cell.source)}),
    }


def exceeded(notebook: Any) -> Iterator[str]:
    """A sentence for each limit that a notebook breaks."""
    for what, number in measure(notebook).items():
        if number > LIMITS[what]:
            yield f"{what}: {number:,}, at most {LIMITS[what]:,}"


def table(paths: list[Path]) -> str:
    """The numbers of some notebooks, a line each, and a last line with the limits."""
    widths = {what: max(len(what), 6) for what in LIMITS}
    lines = ["    " + "  ".join(f"{what:>{width}}" for what, width in widths.items())]
    for path in paths:
        numbers = measure(read_notebook(path))
        lines.append(f"{path.name[:2]}  " + _line(numbers, widths))
    return "\n".join([*lines, "max " + _line(LIMITS, widths)])


def _line(numbers: dict[str, float], widths: dict[str, int]) -> str:
    return "  ".join(f"{numbers[what]:>{width},}" for what, width in widths.items())


def _counted(notebook: Any) -> Iterator[Any]:
    """The cells outside the section of exercises."""
    exercises = {id(cell) for cell in section(notebook, EXERCISES)}
    for cell in notebook.cells:
        if id(cell) not in exercises and cell.get("id") != INSTALL:
            yield cell


def _first(data: dict[str, Any], *kinds: str) -> str:
    """One of an output's forms as text: a table is shown as HTML or as Markdown, not twice."""
    for kind in kinds:
        if kind in data:
            return "".join(data[kind])
    return ""


def _imported(source: str) -> Iterator[str]:
    """The modules of the package that a cell imports."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # reported by the check of figures
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "squeeze_utils")
