"""What a writeup can show: the tables and the figures, with captions, in the order of chapters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from squeeze_utils.base.scale import Scale
from squeeze_utils.results.study_results import Results
from squeeze_utils.studies.catalogue import catalogue
from tools.execute import read_notebook
from tools.site.chapters import (
    EXERCISES,
    figures,
    headings,
    notebook_paths,
    saved_figures,
    title_of,
)
from tools.writeup.html_tables import read_tables

#: What every document says first.
NOTE = (
    "Tables and figures of a chapter stand as its notebook shows them. Some are of live runs with "
    "one seed, or of short training: the notebook says which. Read it before you cite."
)


#: A source ends like this: "... · 2026-11-24", with or without what follows behind a comma.
DATED = re.compile(r" · \d{4}-\d\d-\d\d(,|\.|$)")
SHORT = re.compile(r"(?<!with )short training", re.IGNORECASE)  # of all, not of some


@dataclass(frozen=True)
class Table:
    """A table as text: `header` and `rows` have equally many cells.

    `source` says what was trained, where and when, as far as the notebook tells it there.
    """

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    source: str = ""

    def __post_init__(self) -> None:
        widths = {len(self.header), *map(len, self.rows)}
        if len(widths) > 1:
            raise ValueError(f"table {self.name}: rows of {sorted(widths)} cells")


@dataclass(frozen=True)
class Figure:
    """A figure: `name` is that of its files without ending.

    `png` is the picture of one that a notebook shows and does not save, because it changes with the
    processor; one that is saved is a committed file.
    """

    name: str
    caption: str
    png: bytes = b""
    source: str = ""


Exhibit = Table | Figure


@dataclass(frozen=True)
class Chapter:
    """A notebook with what it shows."""

    number: str
    title: str
    exhibits: tuple[Exhibit, ...]


def chapters(root: Path) -> list[Chapter]:
    """What the notebooks below `root` show, as they were last executed.

    A caption is the title of the section that shows a thing. What its cell tells of the records and
    of short training stands below. Exercises show nothing.
    """
    return [_chapter(path) for path in notebook_paths(root)]


def _chapter(path: Path) -> Chapter:
    number, section = path.name[:2], ""
    exhibits: list[Exhibit] = []
    cells = read_notebook(path).cells
    title = heading = title_of(path, cells[0].source)
    live = [figure for figure in figures(cells, number) if figure.png]
    for cell in cells:
        if cell.cell_type == "markdown":
            for level, found in headings(cell.source):
                heading = title if level == 1 else re.sub(r"[*`]", "", found)
                section = heading if level == 2 else section
        elif section != EXERCISES:
            count = sum(isinstance(one, Table) for one in exhibits)
            exhibits += _shown(cell, number, heading, count)
            source = _source(cell)
            exhibits += [Figure(f.name, heading, f.png, source) for f in live if f.cell == cell.id]
    return Chapter(number, title, tuple(exhibits))


def _shown(cell: Any, number: str, heading: str, count: int) -> Iterator[Exhibit]:
    """The tables and saved figures of a cell; `count` tables of the chapter came before.

    A figure that waits for its records was not drawn, and is left out.
    """
    outputs, source = [output.get("data", {}) for output in cell.get("outputs", ())], _source(cell)
    for data in outputs:
        html = "".join(data.get("text/html", ""))
        for header, rows in read_tables(html):
            if not rows:  # it waits for its records, too
                continue
            count += 1
            yield Table(f"{number}_table_{count}", heading, header, rows, source)
    if any("image/png" in data for data in outputs):
        for name in saved_figures(cell.source):
            yield Figure(name, heading, source=source)


def _source(cell: Any) -> str:
    """The lines of a cell's output with a date, as sources have; and that training was short."""
    outputs = cell.get("outputs", ())
    texts = ["".join(output.get("data", {}).get("text/markdown", "")) for output in outputs]
    lines = [re.sub(r"[*`]", "", line).strip() for line in "\n".join(texts).splitlines()]
    found = list(dict.fromkeys(line for line in lines if DATED.search(line)))
    if SHORT.search(cell.source) and not any(map(SHORT.search, found)):
        found.append("Short training.")
    return " ".join(found)


def study_tables(root: Path) -> list[Table]:
    """A table for each study of which records exist below `root`, from these records."""
    tables = []
    for name, make in catalogue().items():
        study = make(Scale("reference"))
        records = study.records(root / "data" / "runs")
        if records:
            tables.append(_study_table(name, Results(study, records)))
    return tables


def _study_table(name: str, found: Results) -> Table:
    frame = found.table().reset_index()
    rows = [tuple("" if pd.isna(cell) else str(cell) for cell in row) for row in frame.to_numpy()]
    title = found.study.title
    return Table(
        f"study_{name}",
        title[:1].upper() + title[1:],
        tuple(map(str, frame.columns)),
        tuple(rows),
        str(found.source),
    )
