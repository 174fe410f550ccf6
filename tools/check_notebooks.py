"""What every notebook keeps to, as functions that list problems, nothing when all is well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools import exercise_cells, limits, title_cells
from tools.execute import KEPT_CELL_METADATA, METADATA, WIDGET, read_notebook
from tools.printed_tables import printed_tables
from tools.site.chapters import saved_figures, section_titles

LONGEST_OF_ALL_CELLS = 40  # lines: texts, exercises and solutions too; `limits` has the chapters'
LARGEST_FILE = 1_000_000
OPENING = ("**The question.**", "You will be able to", "You need", "Time")
ENDING = ("Summary", "Exercises", "References")

_LINK = re.compile(
    r"\]\((?P<to>[^()\s]+)(?:\s+\"[^\"]*\")?\)|<(?:img|a)\b[^>]*?(?:src|href)=\"(?P<html>[^\"]+)\""
)
_ABSOLUTE = re.compile(
    r"(?<![\w.\\])/(?:home|root|tmp|work|Users|mnt|opt|usr|var|private|etc)/[\w.-]"
    r"|\b[A-Z]:\\{1,2}(?:Users|Windows|Program|Temp)"
)
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


def check_notebook(path: Path, order: list[Path], root: Path) -> list[str]:
    """The problems of one notebook; ``order`` lists the notebooks of the series."""
    from nbformat.validator import ValidationError, iter_validate

    try:
        notebook = read_notebook(path)
        for error in iter_validate(notebook):
            raise error
    except (ValueError, KeyError, AttributeError, ValidationError) as error:
        return [f"not readable as a notebook: {str(error).splitlines()[0]}"]
    problems = [
        *check_frame(notebook, path, order),
        *check_cells(notebook),
        *check_outputs(notebook),
        *check_metadata(notebook),
        *check_links(notebook, path),
        *check_figures(notebook, path, root),
    ]
    if path.parent.name != "solutions":
        problems += [*check_anatomy(notebook, path.name[:2]), *limits.exceeded(notebook)]
        problems += printed_tables(notebook)
    if path.stat().st_size > LARGEST_FILE:
        problems.append(f"{path.stat().st_size:,} bytes, over {LARGEST_FILE:,}")
    return problems


def check_frame(notebook: Any, path: Path, order: list[Path]) -> Iterator[str]:
    """Title cell, set-up cells and addresses: what `make badges` writes."""
    cells = notebook.cells
    if not cells or cells[0].cell_type != "markdown":
        yield "the first cell is not Markdown with the title"
        return
    try:
        if cells[0].source != title_cells.masthead(path, order, cells[0].source):
            yield "badge or previous | index | next links are not up to date: run make badges"
    except ValueError as error:
        yield str(error)
    yield from title_cells.setup_problems(cells)
    for cell in cells:
        for address in title_cells.wrong_addresses(cell.source):
            yield f"wrong address {address}: run make badges"


def check_anatomy(notebook: Any, chapter: str) -> Iterator[str]:
    """The parts every notebook has, in order: opening, prediction, summary, exercises."""
    markdown = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    opening = markdown[1] if len(markdown) > 1 else ""
    places = [opening.find(part) for part in OPENING]
    if -1 in places or places != sorted(places):
        yield f"the second cell lacks, in this order: {', '.join(OPENING)}"
    titles = [title for text in markdown for title in section_titles(text)]
    if tuple(titles[-len(ENDING) :]) != ENDING:
        yield f"the last sections are {titles[-3:]}, not {list(ENDING)}"
        return
    if not any("> **Prediction.**" in text for text in markdown):
        yield "no prediction (a line that starts with '> **Prediction.**')"
    yield from _check_summary(exercise_cells.section(notebook, "Summary"))
    yield from exercise_cells.problems(notebook, chapter)


def _check_summary(cells: list[Any]) -> Iterator[str]:
    code = [cell for cell in cells if cell.cell_type == "code"]
    if not code:
        yield "the summary has no code cell that produces its numbers"
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    texts += [text for cell in code for text in output_texts(cell)]
    bullets = sum(len(re.findall(r"(?m)^[-*] ", text)) for text in texts)
    if not 3 <= bullets <= 6:
        yield f"the summary has {bullets} bullets, not 3 to 6"


def check_cells(notebook: Any) -> Iterator[str]:
    """Length of cells, and that the outputs come from one run from top to bottom."""
    for place, cell in enumerate(notebook.cells):
        length = len(cell.source.splitlines())
        if length > LONGEST_OF_ALL_CELLS:
            yield f"cell {place} has {length} lines, over {LONGEST_OF_ALL_CELLS}"
        if not cell.source.strip():
            yield f"cell {place} is empty"
        if _ABSOLUTE.search(cell.source):
            yield f"cell {place} holds an absolute path: {_ABSOLUTE.search(cell.source)[0]!r}..."
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}, not 1 to {len(counts)}: run make render"


def check_outputs(notebook: Any) -> Iterator[str]:
    """No error, no stderr, no absolute path, no memory address, no widget without its state."""
    for place, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                yield f"cell {place} ends in an error: {output.ename}"
            if output.get("name") == "stderr":
                yield f"cell {place} writes to stderr: {output.text[:60]!r}"
            if WIDGET in output.get("data", {}):
                yield f"cell {place} shows a widget whose state is not kept: run make render"
        for text in output_texts(cell):
            for pattern in (_ABSOLUTE, _ADDRESS):
                if pattern.search(text):
                    yield f"the output of cell {place} holds {pattern.search(text)[0]!r}"


def output_texts(cell: Any) -> list[str]:
    """The outputs of a cell that are text (streams, plain, HTML, Markdown, SVG), not images."""
    texts = []
    for output in cell.get("outputs", []):
        data = {"stream": output.get("text", ""), **output.get("data", {})}
        texts += [
            "".join(text) if isinstance(text, list) else str(text)
            for kind, text in data.items()
            if not (kind.startswith("image/") and kind != "image/svg+xml")
        ]
    return texts


def check_metadata(notebook: Any) -> Iterator[str]:
    """Nothing beyond kernel and language, no timings, ids unique."""
    widgets = notebook.metadata.get("widgets", {})
    if any("state" not in value for value in widgets.values()):
        yield "widget metadata without state: GitHub calls that an invalid notebook"
    if notebook.metadata != METADATA:
        yield f"notebook metadata is {sorted(notebook.metadata)}: run make render"
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(set(ids)) != len(ids):
        yield "cell ids are missing or repeated: run make render"
    for place, cell in enumerate(notebook.cells):
        if set(cell.metadata) - set(KEPT_CELL_METADATA):
            yield f"cell {place} has the metadata {sorted(cell.metadata)}: run make render"
        if cell.get("attachments"):
            yield f"cell {place} holds a pasted picture: save it as a file and link it"


def check_links(notebook: Any, path: Path) -> Iterator[str]:
    """Every relative link and image leads to a file."""
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown":
            continue
        for found in _LINK.finditer(cell.source):
            target = (found["to"] or found["html"]).split("#")[0]
            relative = target and not re.match(r"[a-z][a-z0-9+.-]*:", target)
            if relative and not (path.parent / target).exists():
                yield f"cell {place} links to {target}, which does not exist"


def check_figures(notebook: Any, path: Path, root: Path) -> Iterator[str]:
    """Every figure that is saved has the notebook's number and lies in figures/ in both formats.

    One whose cell shows no picture may be missing: it waits for its records.
    """
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        try:
            saved = list(saved_figures(cell.source))
        except SyntaxError:
            yield f"cell {place} is not plain Python"
            continue
        shows = any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
        for name in saved:
            if not name.startswith(f"{path.name[:2]}_"):
                yield f"the figure {name!r} does not start with {path.name[:2]}_"
            for ending in ("pdf", "png"):
                if shows and not (root / "figures" / f"{name}.{ending}").is_file():
                    yield f"figures/{name}.{ending} is missing: run make notebooks"
